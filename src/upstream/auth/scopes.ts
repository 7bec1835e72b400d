// Scopes of tokens (distribution's token specification): `repository:<name>:<action>,<action>`,
// several with spaces between.

const PULL = 'pull'
const PUSH = 'pull,push'

export function pullScope(name: string): string {
  return `repository:${name}:${PULL}`
}

/** `from`: a repository that is read for it, when blobs are mounted. */
export function pushScope(name: string, from?: string): string {
  const own = `repository:${name}:${PUSH}`
  return from === undefined ? own : `${own} ${pullScope(from)}`
}

/** The name in a scope of a repository; undefined for another. */
export function repositoryIn(scope: string): string | undefined {
  return /^repository:(.+):[^:]*$/.exec(scope)?.[1]
}

/**
 * What to ask a token for. A challenge says what the refused request lacks, so it is enough for
 * reading. For a push both are asked for: some registries challenge with `pull` alone, and a token
 * for that would be refused again.
 */
export function scopesFor(challenged: readonly string[], target: string): readonly string[] {
  const own = target.split(' ').filter(scope => scope !== '')
  if (challenged.length === 0) return own.sort()
  return own.some(scope => scope.endsWith(`:${PUSH}`))
    ? merged([...challenged, ...own])
    : challenged
}

/**
 * One scope for each resource, with the actions of all; sorted, so that the same scopes are the
 * same token.
 */
function merged(scopes: readonly string[]): readonly string[] {
  const actions = new Map<string, Set<string>>()
  for (const scope of scopes) {
    const colon = scope.lastIndexOf(':')
    // ECR's `aws` is a scope without parts.
    const resource = colon === -1 ? scope : scope.slice(0, colon)
    const known = actions.get(resource) ?? new Set()
    actions.set(resource, known)
    if (colon !== -1) for (const action of scope.slice(colon + 1).split(',')) known.add(action)
  }
  return [...actions]
    .map(([resource, known]) =>
      known.size === 0 ? resource : `${resource}:${[...known].sort().join(',')}`,
    )
    .sort()
}
