// Who somebody is, and what they may, by the token of somebody else's token server, as distribution
// reads it (`auth.token`): signed by a key of a list, or by a certificate that an authority of a
// list signed. The token says which key of these, and brings none.
import { createHash, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { calculateJwkThumbprint, type JWK, jwtVerify } from 'jose'
import { type FoundLogin, type Login, TOKEN_OF_NOBODY } from '../../access/accounts.ts'
import { isReserved } from '../../access/names.ts'
import { readJwt } from './read-jwt.ts'

/** As the operator sets it. */
export interface TokenServerSettings {
  /** That the token is for. */
  readonly service: string
  readonly issuer: string
  /** PEM, one certificate each. */
  readonly roots: readonly string[]
  /** PEM of public keys. */
  readonly keys: readonly { readonly kid: string; readonly pem: string }[]
  readonly algorithms: readonly string[]
}

/** As much as distribution lets clocks differ. */
export const TOKEN_SERVER_SKEW_SECONDS = 60
/** A token of `docker push` names a handful. */
const GRANTS_MAX = 256
const CHAIN_MAX = 5
const NAME = /^[\x21-\x7e]{1,255}$/

export class TokenServerTokens {
  readonly #settings: TokenServerSettings
  readonly #roots: readonly X509Certificate[]
  /** By each name that a token may call it. */
  readonly #keys: Promise<ReadonlyMap<string, KeyObject>>

  constructor(settings: TokenServerSettings) {
    this.#settings = settings
    this.#roots = settings.roots.map(pem => new X509Certificate(pem))
    this.#keys = namedKeys(settings.keys, this.#roots)
  }

  /** `nowMs`: wall clock. Never rejects. */
  async read(token: string, nowMs: number): Promise<FoundLogin> {
    const read = readJwt(token)
    if (read === undefined) return TOKEN_OF_NOBODY
    const { certificates, keyId = '', wrongHead } = read
    if (wrongHead !== undefined && wrongHead !== 'x5c') return TOKEN_OF_NOBODY
    const key =
      wrongHead === 'x5c'
        ? certifiedKey(certificates, this.#roots, nowMs)
        : (await this.#keys).get(keyId)
    if (key === undefined) return TOKEN_OF_NOBODY
    const { issuer, service: audience, algorithms } = this.#settings
    try {
      const { payload } = await jwtVerify(token, key, {
        issuer,
        audience,
        algorithms: [...algorithms],
        clockTolerance: TOKEN_SERVER_SKEW_SECONDS,
        currentDate: new Date(nowMs),
        requiredClaims: ['exp'],
      })
      const login = loginOf(payload['sub'], payload['access'])
      const forMs = ((payload.exp ?? 0) + TOKEN_SERVER_SKEW_SECONDS) * 1_000 - nowMs
      return login === undefined ? TOKEN_OF_NOBODY : { login, forMs }
    } catch {
      return TOKEN_OF_NOBODY
    }
  }
}

type Grants = NonNullable<Extract<Login, { kind: 'account' }>['grants']>

/** Without a subject it is of nobody's, and grants something all the same. */
function loginOf(subject: unknown, access: unknown): Login | undefined {
  const grants = readGrants(access)
  if (grants === undefined) return undefined
  if (subject === undefined || subject === '') return { kind: 'anonymous', byToken: true, grants }
  if (typeof subject !== 'string' || !NAME.test(subject) || isReserved(subject)) return undefined
  return { kind: 'account', name: subject, grants }
}

/** Undefined: it is no such list. */
function readGrants(access: unknown): Grants | undefined {
  if (access === undefined || access === null) return []
  if (!Array.isArray(access) || access.length > GRANTS_MAX) return undefined
  const grants: Grants[number][] = []
  for (const entry of access as readonly unknown[]) {
    if (typeof entry !== 'object' || entry === null) return undefined
    const { type, name, actions } = entry as Readonly<Record<string, unknown>>
    if (typeof type !== 'string' || typeof name !== 'string') return undefined
    const all: readonly unknown[] = Array.isArray(actions) ? actions : []
    grants.push({ type, name, actions: all.filter(each => typeof each === 'string') })
  }
  return grants
}

/** Keys of certificates go by their thumbprint (RFC 7638), and by what libtrust made of them. */
async function namedKeys(
  keys: TokenServerSettings['keys'],
  roots: readonly X509Certificate[],
): Promise<ReadonlyMap<string, KeyObject>> {
  const named = new Map<string, KeyObject>()
  for (const { publicKey } of roots) {
    named.set(libtrustName(publicKey), publicKey)
    named.set(await calculateJwkThumbprint(publicKey.export({ format: 'jwk' }) as JWK), publicKey)
  }
  for (const { kid, pem } of keys) named.set(kid, createPublicKey(pem))
  return named
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
/** Of the hash of the key: 240 bits. */
const LIBTRUST_BYTES = 30

/** Twelve groups of four letters, as token servers have written it since Docker's first one. */
export function libtrustName(key: KeyObject): string {
  const hash = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest()
  const bits = [...hash.subarray(0, LIBTRUST_BYTES)].map(byte => byte.toString(2).padStart(8, '0'))
  const letters = bits.join('').match(/.{5}/g) ?? []
  const text = letters.map(each => BASE32[Number.parseInt(each, 2)]).join('')
  return (text.match(/.{4}/g) ?? []).join(':')
}

/** Of the first of these, where the others lead from it to one of `roots`. */
function certifiedKey(
  chain: readonly string[],
  roots: readonly X509Certificate[],
  nowMs: number,
): KeyObject | undefined {
  if (chain.length === 0 || chain.length > CHAIN_MAX) return undefined
  let certificates: readonly X509Certificate[]
  try {
    certificates = chain.map(each => new X509Certificate(Buffer.from(each, 'base64')))
  } catch {
    return undefined
  }
  const [leaf] = certificates
  let current = leaf
  for (let steps = 0; current !== undefined && steps <= CHAIN_MAX; steps += 1) {
    if (!isOfNow(current, nowMs)) return undefined
    const { fingerprint256 } = current
    if (roots.some(root => root.fingerprint256 === fingerprint256)) return leaf?.publicKey
    current = [...roots, ...certificates.slice(1)].find(each => hasSigned(each, current))
  }
  return undefined
}

function hasSigned(authority: X509Certificate, signed: X509Certificate | undefined): boolean {
  if (signed === undefined || !authority.ca) return false
  return signed.checkIssued(authority) && signed.verify(authority.publicKey)
}

function isOfNow({ validFromDate, validToDate }: X509Certificate, nowMs: number): boolean {
  return validFromDate.getTime() <= nowMs && nowMs <= validToDate.getTime()
}
