// Patterns over repositories, as far as they can be judged without one to match.

/** The first character that stands for others, in patterns that configurations may have. */
export const WILDCARD = /[^a-z0-9./:_-]/

/** What every key begins with that a pattern matches. */
export function beginningOf(match: string): string {
  const at = match.search(WILDCARD)
  // `root/**` is about `root` as well.
  return at === -1 ? match : match.slice(0, at).replace(/\/$/, '')
}
