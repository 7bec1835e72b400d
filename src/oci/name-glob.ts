// How patterns over repository names and tags are read, by whoever compiles them: what `check`
// judges is what runs. `*` stays within a component, `**` crosses slashes, `!(…)` is all but these;
// an exclamation mark in front of a whole pattern means nothing, and matches no name.

/** For picomatch. */
export const NAME_GLOB = { dot: true, nonegate: true, strictSlashes: true } as const

/** The same of a whole tag, which has no components. */
export const TAG_GLOB = { dot: true, nonegate: true } as const

/**
 * Which repositories of one registry there are for clients; `exclude` is stronger, an empty
 * `include` means all.
 */
export interface NamePatterns {
  readonly include: readonly string[]
  readonly exclude: readonly string[]
}
