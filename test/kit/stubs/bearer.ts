// What a registry and its token service write where they ask for bearer tokens: challenges, and
// scopes (R133, R134) like `repository:library/alpine:pull,push`. Names are those the client
// believes in, which may begin with a host and port; what they lead to is decided elsewhere.
import { quote } from '../../../src/oci/header-list.ts'

export interface Scope {
  /** `repository`, `registry`. */
  readonly type: string
  /** As in `repository(plugin):…`; undefined when there is none. */
  readonly class: string | undefined
  readonly name: string
  /** `pull`, `push`, `delete`, `*`; possibly none. */
  readonly actions: readonly string[]
}

// The type ends at the first colon, the actions begin at the last: `repository:edge:5000/a/b:pull`.
const SCOPE =
  /^([a-z0-9]+)(?:\(([a-z0-9]+)\))?:([\x21\x23-\x5b\x5d-\x7e]+):((?:[a-z]+|\*)(?:,(?:[a-z]+|\*))*)?$/

/**
 * A token names at most a few repositories; what is longer than three names of 255 characters is
 * none of ours.
 */
const SCOPE_MAX_LENGTH = 1_024

/** Undefined when `text` is not one scope. */
export function parseScope(text: string): Scope | undefined {
  if (text.length > SCOPE_MAX_LENGTH) return undefined
  const match = SCOPE.exec(text)
  if (match === null) return undefined
  const [, type = '', scopeClass, name = '', actions] = match
  return { type, class: scopeClass, name, actions: actions?.split(',') ?? [] }
}

/** The inverse of parseScope. */
export function formatScope(scope: Scope): string {
  const type = scope.class === undefined ? scope.type : `${scope.type}(${scope.class})`
  return `${type}:${scope.name}:${scope.actions.join(',')}`
}

/**
 * One challenge for one header line, its parameters quoted: `Bearer realm="https://…",service="…"`.
 * Characters that may not stand in a header become `?` (R190).
 */
export function formatChallenge(
  scheme: string,
  parameters: Readonly<Record<string, string>>,
): string {
  const written = Object.entries(parameters).map(([name, value]) => {
    return `${name}=${quote(value.replace(/[^\x20-\x7e]/g, '?'))}`
  })
  return written.length === 0 ? scheme : `${scheme} ${written.join(',')}`
}
