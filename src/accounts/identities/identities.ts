// Who somebody is by the token of an identity provider (OpenID Connect). Issuers are those that the
// configuration names, keys are theirs, and a token says neither which algorithm is good nor where
// its key is. The first provider that a token fits says who it is.
import { createHash } from 'node:crypto'
import { errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose'
import type { KnownAccount } from '../../access/accounts.ts'
import { formatGroup, formatName } from '../../access/names.ts'
import { IssuerKeys } from './issuer-keys.ts'
import { readJwt, type ReadJwt } from './read-jwt.ts'

/** As the operator sets it. */
export interface Provider {
  readonly name: string
  /** As it stands in `iss`. */
  readonly issuer: string
  /** Where its keys are; undefined: it says so itself. */
  readonly jwks: string | undefined
  readonly audiences: readonly string[]
  readonly username: string
  readonly groups: string | undefined
  readonly claims: Readonly<Record<string, readonly string[]>>
  readonly algorithms: readonly string[]
  readonly sessionMs: number
  readonly maxStaleMs: number
  /** Its certificate's authorities beside the usual ones. */
  readonly ca: string | undefined
}

export type FoundIdentity =
  | {
      readonly kind: 'identity'
      readonly account: KnownAccount
      /** The token that was shown is good for so long yet. */
      readonly forMs: number
      /** Until then it may go on with tokens of this edge. Wall clock. */
      readonly endsAtMs: number
    }
  | { readonly kind: 'refused' }
  | { readonly kind: 'away'; readonly retryAfterSeconds: number }

export const REASONS = [
  'issuer',
  'head',
  'algorithm',
  'audience',
  'key',
  'signature',
  'expired',
  'not yet',
  'claims',
  'name',
  'groups',
  'other',
] as const
export type Reason = (typeof REASONS)[number]

export interface RefusedIdentity {
  readonly reason: Reason
  /** Undefined: none that is configured. */
  readonly issuer: string | undefined
  /** Which one the token names, where that is none of them. */
  readonly said: string | undefined
  /** A hash of it, by which who knows it finds it again. */
  readonly subject: string | undefined
}

export interface IdentitiesDeps {
  /** Wall clock. */
  readonly nowMs: () => number
  readonly monotonicMs: () => number
  readonly fetchKeys: (provider: Provider) => Promise<JSONWebKeySet>
  readonly found: (outcome: 'right' | 'refused' | 'away', refused?: RefusedIdentity) => void
  readonly asked: (issuer: string, outcome: 'taken' | 'failed', error?: unknown) => void
}

/** Of what a stranger may have written: enough to see a slash too many. */
const SAID_MAX_LENGTH = 200
/** Clocks of machines that are kept by a time server agree far better. */
export const SKEW_SECONDS = 30
/**
 * As JSON. They stand in each token that is given for it, and leave room in it for the longest name
 * (TOKEN_MAX_LENGTH).
 */
export const GROUPS_MAX_BYTES = 4_096
const NAME = /^[\x21-\x7e]{1,255}$/
/** In groups of directories there are spaces, and letters of all languages. */
const GROUP = /^\P{Cc}{1,255}$/u
const SUBJECT_HASH_LENGTH = 16

type Judged = Exclude<FoundIdentity, { kind: 'away' }> | Reason

export class Identities {
  readonly #deps: IdentitiesDeps
  #providers: readonly Provider[] = []
  /** By what says where they are. */
  #keys: ReadonlyMap<string, IssuerKeys> = new Map()

  constructor(deps: IdentitiesDeps) {
    this.#deps = deps
  }

  get isEmpty(): boolean {
    return this.#providers.length === 0
  }

  /** Keys that were looked up stay, of issuers that stay. */
  replace(providers: readonly Provider[]): void {
    const before = this.#keys
    this.#providers = providers
    this.#keys = new Map(
      providers.map(provider => {
        const place = placeOf(provider)
        return [place, before.get(place) ?? this.#createKeys(place)]
      }),
    )
  }

  /**
   * What makes names of a provider mean somebody: another text, and they are somebody else's.
   * Undefined: nobody has them any more.
   */
  definitionOf(providerName: string): string | undefined {
    const provider = this.#providers.find(({ name }) => name === providerName)
    return provider && definitionOf(provider)
  }

  /** Of all providers, as `definitionOf` has them. */
  get definitions(): readonly string[] {
    return this.#providers.map(definitionOf)
  }

  /** Undefined: it is no such token by its looks. Never rejects. */
  find(token: string): Promise<FoundIdentity> | undefined {
    const read = this.isEmpty ? undefined : readJwt(token)
    return read && this.#find(token, read)
  }

  async #find(token: string, read: ReadJwt): Promise<FoundIdentity> {
    const providers = this.#providers.filter(({ issuer }) => issuer === read.issuer)
    // This edge's own have expired every few minutes, and are no news.
    if (!URL.canParse(read.issuer)) return { kind: 'refused' }
    const judged = await this.#judge(token, read, providers)
    const { found } = this.#deps
    if (typeof judged === 'string') {
      const issuer = providers[0]?.issuer
      const said = issuer === undefined ? read.issuer.slice(0, SAID_MAX_LENGTH) : undefined
      found('refused', { reason: judged, issuer, said, subject: hashOf(read.subject) })
      return { kind: 'refused' }
    }
    found(judged.kind === 'identity' ? 'right' : judged.kind)
    return judged
  }

  async #judge(
    token: string,
    read: ReadJwt,
    providers: readonly Provider[],
  ): Promise<FoundIdentity | Reason> {
    if (providers.length === 0) return 'issuer'
    if (read.wrongHead !== undefined) return 'head'
    const isFor = ({ audiences }: Provider) => read.audiences.some(each => audiences.includes(each))
    const meant = providers.filter(isFor)
    if (meant.length === 0) return 'audience'
    const able = meant.filter(({ algorithms }) => algorithms.includes(read.algorithm))
    if (able.length === 0) return 'algorithm'
    // Providers of one issuer may differ in where its keys are.
    let last: FoundIdentity | Reason = 'claims'
    for (const provider of able) {
      last = await this.#judgeBy(provider, token, read)
      // What is said of all tokens that are not good needs no second look.
      if (last !== 'claims' && last !== 'name') return last
    }
    return last
  }

  async #judgeBy(
    provider: Provider,
    token: string,
    read: ReadJwt,
  ): Promise<FoundIdentity | Reason> {
    const keys = await this.#keys.get(placeOf(provider))?.find(read.keyId)
    if (keys === undefined || keys.kind === 'no such key') return 'key'
    if (keys.kind === 'away')
      return { kind: 'away', retryAfterSeconds: Math.max(1, Math.ceil(keys.retryAfterMs / 1_000)) }
    // It may have gone while keys were looked up.
    if (!this.#providers.some(each => isSame(each, provider))) return 'issuer'
    const nowMs = this.#deps.nowMs()
    try {
      const { payload } = await jwtVerify(token, keys.find, {
        issuer: provider.issuer,
        audience: [...provider.audiences],
        algorithms: [...provider.algorithms],
        clockTolerance: SKEW_SECONDS,
        currentDate: new Date(nowMs),
        requiredClaims: ['exp', 'sub'],
      })
      return identify(provider, payload, nowMs)
    } catch (error) {
      return reasonOf(error)
    }
  }

  #createKeys(place: string): IssuerKeys {
    const { monotonicMs, fetchKeys, asked } = this.#deps
    const ofNow = () => this.#providers.filter(each => placeOf(each) === place)
    return new IssuerKeys({
      monotonicMs,
      fetch: async () => {
        const [provider] = ofNow()
        if (provider === undefined) throw new Error('this provider is not configured any more')
        return fetchKeys(provider)
      },
      maxStaleMs: () => Math.min(...ofNow().map(({ maxStaleMs }) => maxStaleMs)),
      asked: (outcome, error) => asked(ofNow()[0]?.issuer ?? '', outcome, error),
    })
  }
}

/** Of a token that its issuer has signed, for this edge, and of now. */
function identify(provider: Provider, claims: JWTPayload, nowMs: number): Judged {
  const { exp = 0, iat } = claims
  if (iat !== undefined && iat > nowMs / 1_000 + SKEW_SECONDS) return 'not yet'
  for (const [claim, good] of Object.entries(provider.claims)) {
    const said = textsOf(claims[claim])
    if (said === undefined || !said.some(each => good.includes(each))) return 'claims'
  }
  const value = claims[provider.username]
  const isVerified = provider.username !== 'email' || claims['email_verified'] === true
  if (typeof value !== 'string' || !NAME.test(value) || !isVerified) return 'name'
  const said = provider.groups === undefined ? [] : textsOf(claims[provider.groups])
  if (said === undefined || !said.every(each => GROUP.test(each))) return 'groups'
  if (Buffer.byteLength(JSON.stringify(said)) > GROUPS_MAX_BYTES) return 'groups'
  const { name: by } = provider
  const groups = [undefined, ...said].map(group =>
    formatGroup({ kind: 'provider group', provider: by, ...(group !== undefined && { group }) }),
  )
  const name = formatName({ kind: 'identity', provider: by, name: value })
  const forMs = (exp + SKEW_SECONDS) * 1_000 - nowMs
  return {
    kind: 'identity',
    account: { kind: 'account', name, groups },
    forMs,
    endsAtMs: nowMs + provider.sessionMs,
  }
}

/** A text, a truth value or a number, or a list of them; undefined: it is something else. */
function textsOf(claim: unknown): readonly string[] | undefined {
  const all: readonly unknown[] = claim === undefined ? [] : [claim].flat()
  const isPlain = all.every(each => ['string', 'boolean', 'number'].includes(typeof each))
  return isPlain ? all.map(String) : undefined
}

function reasonOf(error: unknown): Reason {
  if (error instanceof errors.JWTExpired) return 'expired'
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'signature'
  if (error instanceof errors.JWKSNoMatchingKey) return 'key'
  if (error instanceof errors.JWKSMultipleMatchingKeys) return 'key'
  if (error instanceof errors.JOSEAlgNotAllowed) return 'algorithm'
  if (!(error instanceof errors.JWTClaimValidationFailed)) return 'other'
  if (error.claim === 'nbf') return 'not yet'
  if (error.claim === 'aud') return 'audience'
  return error.claim === 'iss' ? 'issuer' : 'other'
}

/**
 * With its name, and a colon, which no account has. Keys that are looked for elsewhere, or may sign
 * otherwise, are those of another: so an operator does away with what leaked.
 */
function definitionOf(provider: Provider): string {
  const { name, sessionMs: _, maxStaleMs: __, audiences, algorithms, claims, ...rest } = provider
  const wanted = Object.keys(claims)
    .toSorted()
    .map(claim => [claim, asSet(claims[claim])])
  const sets = { audiences: asSet(audiences), algorithms: asSet(algorithms), claims: wanted }
  const text = JSON.stringify({ ...rest, ...sets })
  return `${name}: ${createHash('sha256').update(text).digest('base64url')}`
}

/** In which order they were written means nothing. */
function asSet(values: readonly string[] = []): readonly string[] {
  return [...new Set(values)].toSorted()
}

function isSame(one: Provider, other: Provider): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

function placeOf({ issuer, jwks, ca }: Provider): string {
  return JSON.stringify([issuer, jwks, ca])
}

function hashOf(subject: string | undefined): string | undefined {
  const hash = subject && createHash('sha256').update(subject).digest('hex')
  return hash?.slice(0, SUBJECT_HASH_LENGTH)
}
