// What goes into `Authorization` towards one endpoint (R140–R144): which challenge applies, and the
// credential or token that answers it. Nothing is sent to a host before it challenged, so no token
// is fetched that nobody asked for.
import { UpstreamError } from '../../registry/ports/upstream.ts'
import { ANONYMOUS, basicAuthorization, type Credential, type Credentials } from './credentials.ts'
import { chooseChallenge, createKnownChallenges, type KnownChallenge } from './challenges.ts'
import type { FirstRequests } from './first-request.ts'
import { assertMayCarryCredentials, parseRealm } from './realm.ts'
import { scopesFor } from './scopes.ts'
import type { Standing } from './standing.ts'
import type { Tokens, TokenWanted } from './tokens.ts'

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
  /** Of the credential that `basic` shows. */
  readonly identity?: string
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
  /** Is told what is made of the credentials. */
  readonly standing: Standing
}

export class Authorizer {
  readonly #options: AuthorizerOptions
  readonly #challenges = createKnownChallenges()

  constructor(options: AuthorizerOptions) {
    this.#options = options
  }

  /**
   * What to send at once, when the host's challenges said already what it will want; else
   * undefined.
   * @throws UpstreamError
   */
  async current(target: AuthorizationTarget): Promise<Authorization | undefined> {
    const { firsts } = this.#options
    const authorization = await this.#known(target)
    if (authorization !== undefined || firsts === undefined) return authorization
    await firsts.untilAnswered(target.url.origin, target.signal)
    return this.#known(target)
  }

  /**
   * After a 401: what to send next, or undefined when nothing better can be had. `headerValues` are
   * those of WWW-Authenticate, `sent` what the refused request carried.
   * @throws UpstreamError denied when the token server refuses, refused for a realm that may not
   * see credentials
   */
  async afterRefusal(
    target: AuthorizationTarget,
    headerValues: readonly string[],
    sent: Authorization | undefined,
  ): Promise<Authorization | undefined> {
    const { tokens, ping, firsts } = this.#options
    try {
      if (sent?.kind === 'bearer') tokens.discard(sent.header.slice('Bearer '.length))
      const challenge =
        chooseChallenge(headerValues) ??
        this.#challenges.seen(target) ??
        chooseChallenge(await ping(target.signal))
      if (challenge === undefined) return undefined
      const authorization = await this.#respond(challenge, target, sent)
      if (authorization !== undefined) this.#challenges.accepted(target, challenge)
      return authorization
    } finally {
      firsts?.answered(target.url.origin)
    }
  }

  /** The final response to what carried this. */
  responded(status: number, { identity }: Partial<Authorization> = {}): void {
    if (identity === undefined) return
    const { standing } = this.#options
    if (status === 401) standing.note('refused', identity)
    else if (status < 400 || status === 404) standing.note('taken', identity)
  }

  /** A request was answered without a challenge, or failed. */
  answered(url: URL): void {
    this.#options.firsts?.answered(url.origin)
  }

  /** See Tokens.forget. */
  forgetTokens(isMeant: (name: string) => boolean): void {
    this.#options.tokens.forget(isMeant)
  }

  async #known(target: AuthorizationTarget): Promise<Authorization | undefined> {
    const seen = this.#challenges.seen(target)
    if (seen !== undefined) return this.#respond(seen, target, undefined)
    const expected = this.#challenges.expected(target)
    if (expected === undefined) return undefined
    try {
      return await this.#respond(expected, target, undefined)
    } catch (error) {
      // This repository may be open to everybody, or want something else: its own challenge tells.
      if (!isDenied(error)) throw error
      this.#challenges.expectNoMore(target)
      return undefined
    }
  }

  async #respond(
    challenge: KnownChallenge,
    target: AuthorizationTarget,
    sent: Authorization | undefined,
  ): Promise<Authorization | undefined> {
    const { credentials } = this.#options
    const credential = await credentials.find()
    if (challenge.kind === 'basic') return this.#basic(credential, sent)
    try {
      return await this.#bearer(challenge, target, credential)
    } catch (error) {
      if (!isDenied(error) || credential === undefined || !credentials.refused()) throw error
      return this.#bearer(challenge, target, await credentials.find())
    }
  }

  async #basic(
    credential: Credential | undefined,
    sent: Authorization | undefined,
  ): Promise<Authorization | undefined> {
    const { credentials } = this.#options
    if (credential === undefined) return undefined
    if (basicAuthorization(credential) !== sent?.header) return basic(credential)
    const renewed = credentials.refused() ? await credentials.find() : undefined
    if (renewed === undefined || renewed.identity === credential.identity) return undefined
    return basic(renewed)
  }

  async #bearer(
    challenge: KnownChallenge & { kind: 'bearer' },
    { url, scope, signal }: AuthorizationTarget,
    credential: Credential | undefined,
  ): Promise<Authorization> {
    const { realms } = this.#options
    const { service } = challenge
    const realm = parseRealm(challenge.realm, url)
    if (credential !== undefined) assertMayCarryCredentials(realm, url, realms)
    const scopes = scopesFor(challenge.scopes, scope)
    const wanted = { realm, service, scopes, credential, origin: url.origin }
    return { kind: 'bearer', header: `Bearer ${await this.#token(wanted, signal)}` }
  }

  async #token(wanted: TokenWanted, signal: AbortSignal): Promise<string> {
    const { tokens, standing } = this.#options
    const identity = wanted.credential?.identity
    try {
      const token = await tokens.get(wanted, signal)
      if (identity !== undefined) standing.note('taken', identity)
      return token
    } catch (error) {
      if (
        identity !== undefined &&
        isDenied(error) &&
        (await this.#isRefused(wanted, error, signal))
      )
        standing.note('refused', identity)
      throw error
    }
  }

  /**
   * Or only what was wanted? Some token services answer that with 403, and wrong credentials as
   * well: as at a log-in, they are asked for a token for nothing.
   */
  async #isRefused(
    wanted: TokenWanted,
    { status }: UpstreamError,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { tokens, standing } = this.#options
    if (status === 401 || wanted.scopes.length === 0) return true
    if (standing.wasRefused(wanted.credential?.identity ?? ANONYMOUS)) return true
    try {
      await tokens.get({ ...wanted, scopes: [] }, signal)
      return false
    } catch (error) {
      return isDenied(error)
    }
  }
}

function basic(credential: Credential): Authorization {
  const { identity } = credential
  return { kind: 'basic', header: basicAuthorization(credential), identity }
}

function isDenied(error: unknown): error is UpstreamError {
  return error instanceof UpstreamError && error.failure === 'denied'
}
