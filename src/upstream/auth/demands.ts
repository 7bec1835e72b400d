// What the hosts of one endpoint want to see in Authorization, as their challenges told (R140,
// R144). What one repository was challenged with tells what another on the same host will be: its
// token is asked for ahead, and the request that would only be refused is spared.
import { parseChallenges } from '../../oci/challenge.ts'
import { createRemembered } from '../connect/remembered.ts'

/** Scopes whose challenge is remembered: one for each repository that is in use. */
const CHALLENGES_MAX = 10_000
/** An endpoint and the hosts that it leads to. */
const HOSTS_MAX = 256
/** More scopes than any registry asks for at once. */
const SCOPES_MAX = 16
/** Scopes of reading one repository; what writes is asked for by a challenge of its own. */
const PULL_SCOPE = /^repository:[^\s:]+:pull$/

export type Demand =
  | { readonly kind: 'basic' }
  | {
      readonly kind: 'bearer'
      readonly realm: string
      readonly service: string | undefined
      /** Sorted; empty when the challenge named none. */
      readonly scopes: readonly string[]
    }

export interface Demanding {
  readonly url: URL
  /** One or more, with spaces between. */
  readonly scope: string
}

export interface Demands {
  /** What this very scope was challenged with, and answered. */
  seen(target: Demanding): Demand | undefined
  /** What it will be challenged with if this repository is like the last one of the same host. */
  expected(target: Demanding): Demand | undefined
  answered(target: Demanding, demand: Demand): void
  /** What was expected is not to be had for this scope: it is not expected again. */
  mistaken(target: Demanding): void
}

export function createDemands(): Demands {
  const seen = createRemembered<Demand>(CHALLENGES_MAX)
  const mistaken = createRemembered<true>(CHALLENGES_MAX)
  const last = createRemembered<{ readonly scope: string; readonly demand: Demand }>(HOSTS_MAX)
  const keyOf = ({ url, scope }: Demanding): string => `${url.origin} ${scope}`

  return {
    seen: target => seen.get(keyOf(target)),
    expected: target => {
      const alike = last.get(target.url.origin)
      if (alike === undefined || !PULL_SCOPE.test(target.scope)) return undefined
      return mistaken.get(keyOf(target)) === true ? undefined : alikeFor(alike, target.scope)
    },
    answered: (target, demand) => {
      const { scope } = target
      seen.set(keyOf(target), demand)
      if (PULL_SCOPE.test(scope)) last.set(target.url.origin, { scope, demand })
    },
    mistaken: target => mistaken.set(keyOf(target), true),
  }
}

/**
 * The same with the one repository in place of the other; undefined when the demand named further
 * ones.
 */
function alikeFor(
  { scope, demand }: { scope: string; demand: Demand },
  wanted: string,
): Demand | undefined {
  if (demand.kind === 'basic') return demand
  const scopes = demand.scopes.map(each => (each === scope ? wanted : each))
  const isAlike = scopes.every(each => each === wanted || !each.startsWith('repository:'))
  return isAlike ? { ...demand, scopes: scopes.sort() } : undefined
}

/**
 * Bearer before Basic (R140): a token is worth less to a thief than a password. Undefined: neither
 * is asked for.
 */
export function chooseDemand(headerValues: readonly string[]): Demand | undefined {
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
