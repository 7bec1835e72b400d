// What goes into `Authorization` towards one endpoint (R140–R144): which challenge applies, and the
// credential or token that answers it. Nothing is sent to a host before it challenged, so no token
// is fetched that nobody asked for.
import { UpstreamError } from '../../registry/ports/upstream.ts'
import { basicAuthorization, type Credential, type Credentials } from './credentials.ts'
import { chooseChallenge, createKnownChallenges, type KnownChallenge } from './challenges.ts'
import type { FirstRequests } from './first-request.ts'
import { assertMayCarryCredentials, parseRealm } from './realm.ts'
import { scopesFor } from './scopes.ts'
import type { Tokens } from './tokens.ts'

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
  /**
   * What to send at once, when the host's challenges said already what it will want; else
   * undefined.
   * @throws UpstreamError
   */
  current(target: AuthorizationTarget): Promise<Authorization | undefined>
  /**
   * After a 401: what to send next, or undefined when nothing better can be had. `headerValues` are
   * those of WWW-Authenticate, `sent` what the refused request carried.
   * @throws UpstreamError denied when the token server refuses, refused for a realm that may not
   * see credentials
   */
  afterRefusal(
    target: AuthorizationTarget,
    headerValues: readonly string[],
    sent: Authorization | undefined,
  ): Promise<Authorization | undefined>
  /** A request was answered without a challenge, or failed. */
  answered(url: URL): void
}

export interface AuthorizerOptions {
  readonly credentials: Credentials
  readonly tokens: Tokens
  /** Hosts outside the registry's domain that may see credentials. */
  readonly realms: readonly string[]
  /** Asks `/v2/` for its challenge, where a real request got none (R144). */
  readonly ping: (signal: AbortSignal) => Promise<readonly string[]>
  /** Undefined: nobody waits for what the first one finds out. */
  readonly firsts: FirstRequests | undefined
}

export function createAuthorizer(options: AuthorizerOptions): Authorizer {
  const { credentials, tokens, realms, ping, firsts } = options
  const challenges = createKnownChallenges()

  async function known(target: AuthorizationTarget): Promise<Authorization | undefined> {
    const seen = challenges.seen(target)
    if (seen !== undefined) return respond(seen, target, undefined)
    const expected = challenges.expected(target)
    if (expected === undefined) return undefined
    try {
      return await respond(expected, target, undefined)
    } catch (error) {
      // This repository may be open to everybody, or want something else: its own challenge tells.
      if (!(error instanceof UpstreamError) || error.failure !== 'denied') throw error
      challenges.expectNoMore(target)
      return undefined
    }
  }

  async function respond(
    challenge: KnownChallenge,
    target: AuthorizationTarget,
    sent: Authorization | undefined,
  ): Promise<Authorization | undefined> {
    const credential = await credentials.find()
    if (challenge.kind === 'basic') return basic(credential, sent)
    try {
      return await bearer(challenge, target, credential)
    } catch (error) {
      const isDenied = error instanceof UpstreamError && error.failure === 'denied'
      if (!isDenied || credential === undefined || !credentials.refused()) throw error
      return bearer(challenge, target, await credentials.find())
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
    challenge: KnownChallenge & { kind: 'bearer' },
    target: AuthorizationTarget,
    credential: Credential | undefined,
  ): Promise<Authorization> {
    const realm = parseRealm(challenge.realm, target.url)
    if (credential !== undefined) assertMayCarryCredentials(realm, target.url, realms)
    const scopes = scopesFor(challenge.scopes, target.scope)
    const wanted = {
      realm,
      service: challenge.service,
      scopes,
      credential,
      origin: target.url.origin,
    }
    return { kind: 'bearer', header: `Bearer ${await tokens.get(wanted, target.signal)}` }
  }

  return {
    current: async target => {
      const authorization = await known(target)
      if (authorization !== undefined || firsts === undefined) return authorization
      await firsts.untilAnswered(target.url.origin, target.signal)
      return known(target)
    },
    afterRefusal: async (target, headerValues, sent) => {
      try {
        if (sent?.kind === 'bearer') tokens.discard(sent.header.slice('Bearer '.length))
        const challenge =
          chooseChallenge(headerValues) ??
          challenges.seen(target) ??
          chooseChallenge(await ping(target.signal))
        if (challenge === undefined) return undefined
        const authorization = await respond(challenge, target, sent)
        if (authorization !== undefined) challenges.accepted(target, challenge)
        return authorization
      } finally {
        firsts?.answered(target.url.origin)
      }
    },
    answered: url => firsts?.answered(url.origin),
  }
}
