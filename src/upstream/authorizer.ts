// What goes into `Authorization` towards one endpoint (R140–R144): which challenge applies, and the credential or token that
// answers it. Nothing is sent before a challenge for the same scope was seen, so no token is fetched that nobody asked for.
import { parseChallenges } from '../oci/challenge.ts'
import { UpstreamError } from '../registry/ports/upstream.ts'
import { basicAuthorization, type Credential, type Credentials } from './credentials.ts'
import { assertMayCarryCredentials, parseRealm } from './realm.ts'
import { createRemembered } from './remembered.ts'
import { scopesFor } from './scopes.ts'
import type { Tokens } from './tokens.ts'

/** Scopes whose challenge is remembered: one for each repository that is in use. */
const CHALLENGES_MAX = 10_000
/** More scopes than any registry asks for at once. */
const SCOPES_MAX = 16

/** Where a request goes and what it wants there. */
export interface AuthorizationTarget {
  readonly url: URL
  /** One or more, with spaces between: `repository:<name>:pull`. */
  readonly scope: string
  readonly signal: AbortSignal
}

export interface Authorization {
  readonly header: string
  /** For telling the one that was refused from one that was renewed meanwhile. */
  readonly kind: 'basic' | 'bearer'
}

export interface Authorizer {
  /** What to send at once, when a challenge for this scope was answered before; else undefined. @throws UpstreamError */
  current(target: AuthorizationTarget): Promise<Authorization | undefined>
  /**
   * After a 401: what to send next, or undefined when nothing better can be had. `challenges` are the values of
   * WWW-Authenticate, `sent` what the refused request carried.
   * @throws UpstreamError denied when the token server refuses, refused for a realm that may not see credentials
   */
  afterRefusal(
    target: AuthorizationTarget,
    challenges: readonly string[],
    sent: Authorization | undefined,
  ): Promise<Authorization | undefined>
}

export interface AuthorizerOptions {
  readonly credentials: Credentials
  readonly tokens: Tokens
  /** Hosts outside the registry's domain that may see credentials. */
  readonly realms: readonly string[]
  /** Asks `/v2/` for its challenge, where a real request got none (R144). */
  readonly ping: (signal: AbortSignal) => Promise<readonly string[]>
}

type Demand =
  | { readonly kind: 'basic' }
  | {
      readonly kind: 'bearer'
      readonly realm: string
      readonly service: string | undefined
      /** Sorted; empty when the challenge named none. */
      readonly scopes: readonly string[]
    }

export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const { credentials, tokens, realms, ping } = options
  const demands = createRemembered<Demand>(CHALLENGES_MAX)
  const keyOf = ({ url, scope }: AuthorizationTarget): string => `${url.origin} ${scope}`

  async function meet(
    demand: Demand,
    target: AuthorizationTarget,
    sent: Authorization | undefined,
  ): Promise<Authorization | undefined> {
    const credential = await credentials.find()
    if (demand.kind === 'basic') return basic(credential, sent)
    try {
      return await bearer(demand, target, credential)
    } catch (error) {
      const isDenied = error instanceof UpstreamError && error.failure === 'denied'
      if (!isDenied || credential === undefined || !credentials.refused()) throw error
      return bearer(demand, target, await credentials.find())
    }
  }

  async function basic(
    credential: Credential | undefined,
    sent: Authorization | undefined,
  ): Promise<Authorization | undefined> {
    if (credential === undefined) return undefined
    const header = basicAuthorization(credential)
    if (header !== sent?.header) return { kind: 'basic', header }
    const renewed = credentials.refused() ? await credentials.find() : undefined
    if (renewed === undefined || renewed.identity === credential.identity) return undefined
    return { kind: 'basic', header: basicAuthorization(renewed) }
  }

  async function bearer(
    demand: Demand & { kind: 'bearer' },
    target: AuthorizationTarget,
    credential: Credential | undefined,
  ): Promise<Authorization> {
    const realm = parseRealm(demand.realm, target.url)
    if (credential !== undefined) assertMayCarryCredentials(realm, target.url, realms)
    const scopes = scopesFor(demand.scopes, target.scope)
    const wanted = { realm, service: demand.service, scopes, credential, origin: target.url.origin }
    return { kind: 'bearer', header: `Bearer ${await tokens.get(wanted, target.signal)}` }
  }

  return {
    current: async target => {
      const demand = demands.get(keyOf(target))
      return demand === undefined ? undefined : meet(demand, target, undefined)
    },
    afterRefusal: async (target, challenges, sent) => {
      if (sent?.kind === 'bearer') tokens.discard(sent.header.slice('Bearer '.length))
      const demand =
        chooseDemand(challenges) ??
        demands.get(keyOf(target)) ??
        chooseDemand(await ping(target.signal))
      if (demand === undefined) return undefined
      const authorization = await meet(demand, target, sent)
      if (authorization !== undefined) demands.set(keyOf(target), demand)
      return authorization
    },
  }
}

/** Bearer before Basic (R140): a token is worth less to a thief than a password. */
function chooseDemand(headerValues: readonly string[]): Demand | undefined {
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
