// What the hosts of one endpoint want to see in Authorization, as their challenges said (R140,
// R144). What one repository was challenged with tells what another on the same host will be: its
// token is asked for ahead, and the request that would only be refused is spared.
import { parseChallenges } from '../../oci/challenge.ts'
import { boundedCache } from '../../async/bounded-cache.ts'

/** Scopes whose challenge is remembered: one for each repository that is in use. */
const CHALLENGES_MAX = 10_000
/** An endpoint and the hosts that it leads to. */
const HOSTS_MAX = 256
/** More scopes than any registry asks for at once. */
const SCOPES_MAX = 16
/** Scopes of reading one repository; what writes is asked for by a challenge of its own. */
const PULL_SCOPE = /^repository:[^\s:]+:pull$/

export type KnownChallenge =
  | { readonly kind: 'basic' }
  | {
      readonly kind: 'bearer'
      readonly realm: string
      readonly service: string | undefined
      /** Sorted; empty when the challenge named none. */
      readonly scopes: readonly string[]
    }

export interface ChallengedTarget {
  readonly url: URL
  /** One or more, with spaces between. */
  readonly scope: string
}

export interface KnownChallenges {
  /** What this very scope was challenged with, and answered. */
  seen(target: ChallengedTarget): KnownChallenge | undefined
  /** What it will be challenged with if this repository is like the last one of the same host. */
  expected(target: ChallengedTarget): KnownChallenge | undefined
  /** `challenge` was met: so it will be again. */
  accepted(target: ChallengedTarget, challenge: KnownChallenge): void
  /** What was expected is not to be had for this scope: it is not expected again. */
  expectNoMore(target: ChallengedTarget): void
}

export function createKnownChallenges(): KnownChallenges {
  const seen = boundedCache<KnownChallenge>(CHALLENGES_MAX)
  const mistaken = boundedCache<true>(CHALLENGES_MAX)
  const last = boundedCache<{ readonly scope: string; readonly challenge: KnownChallenge }>(
    HOSTS_MAX,
  )
  const keyOf = ({ url, scope }: ChallengedTarget): string => `${url.origin} ${scope}`

  return {
    seen: target => seen.get(keyOf(target)),
    expected: target => {
      const alike = last.get(target.url.origin)
      if (alike === undefined || !PULL_SCOPE.test(target.scope)) return undefined
      return mistaken.get(keyOf(target)) === true ? undefined : alikeFor(alike, target.scope)
    },
    accepted: (target, challenge) => {
      const { scope } = target
      seen.set(keyOf(target), challenge)
      if (PULL_SCOPE.test(scope)) last.set(target.url.origin, { scope, challenge })
    },
    expectNoMore: target => mistaken.set(keyOf(target), true),
  }
}

/**
 * The same with the one repository in place of the other; undefined when the challenge named
 * further ones.
 */
function alikeFor(
  { scope, challenge }: { scope: string; challenge: KnownChallenge },
  wanted: string,
): KnownChallenge | undefined {
  if (challenge.kind === 'basic') return challenge
  const scopes = challenge.scopes.map(each => (each === scope ? wanted : each))
  const isAlike = scopes.every(each => each === wanted || !each.startsWith('repository:'))
  return isAlike ? { ...challenge, scopes: scopes.sort() } : undefined
}

/**
 * Bearer before Basic (R140): a token is worth less to a thief than a password. Undefined: neither
 * is asked for.
 */
export function chooseChallenge(headerValues: readonly string[]): KnownChallenge | undefined {
  const challenges = parseChallenges(headerValues)
  const bearer = challenges.find(
    ({ scheme, parameters }) => scheme === 'bearer' && parameters.has('realm'),
  )
  if (bearer === undefined) {
    return challenges.some(({ scheme }) => scheme === 'basic') ? { kind: 'basic' } : undefined
  }
  const scopes = (bearer.parameters.get('scope') ?? '').split(' ').filter(scope => scope !== '')
  return {
    kind: 'bearer',
    realm: bearer.parameters.get('realm') ?? '',
    service: bearer.parameters.get('service'),
    scopes: [...new Set(scopes)].sort().slice(0, SCOPES_MAX),
  }
}
