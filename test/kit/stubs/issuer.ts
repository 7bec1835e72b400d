// An identity provider on loopback: it says where its keys are, gives them, changes them, and can
// be away. Tokens are signed with node's own functions, so that what reads them is not what wrote
// them; a test makes them as good or as bad as it likes.
import {
  constants,
  createHmac,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
  sign as signBytes,
} from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { closeServer } from '../loopback.ts'

export const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'] as const
export type Algorithm = (typeof ALGORITHMS)[number]

export interface IssuerKey {
  readonly kid: string
  readonly alg: Algorithm
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

export type Claims = Readonly<Record<string, unknown>>

/** `metadata`, `keys`: another answer than what it has. `hangs`: nothing is answered. */
export interface IssuerBehaviour {
  away?: boolean
  hangs?: boolean
  metadata?: (own: Claims) => { status?: number; headers?: Record<string, string>; body: string }
  keys?: (accept: string) => { status?: number; headers?: Record<string, string>; body: string }
}

interface Teardown {
  teardown(fn: () => unknown): unknown
}

export type Issuer = Awaited<ReturnType<typeof startIssuer>>

/** Stopped when the test ends. `path`: of what it calls itself, behind its host. */
export async function startIssuer(t: Teardown, { path = '' } = {}) {
  const behaviour: IssuerBehaviour = {}
  const asked: string[] = []
  let keys = [makeKey('RS256')]
  const server = createServer((request, response) => answer(request, response))
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => closeServer(server))
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const url = `${origin}${path}`

  function answer(request: IncomingMessage, response: ServerResponse): void {
    asked.push(request.url ?? '')
    if (behaviour.away === true) return void request.socket.destroy()
    if (behaviour.hangs === true) return
    const own = { issuer: url, jwks_uri: `${origin}/keys` }
    const base = url.replace(/\/$/, '').slice(origin.length)
    if (request.url === `${base}/.well-known/openid-configuration`)
      return give(response, behaviour.metadata?.(own) ?? { body: JSON.stringify(own) })
    if (request.url === '/keys')
      return give(
        response,
        behaviour.keys?.(request.headers.accept ?? '') ?? { body: JSON.stringify(keySet(keys)) },
      )
    return give(response, { status: 404, body: '{}' })
  }

  return {
    url,
    behaviour,
    /** Paths that were asked for, in order. */
    asked,
    get key(): IssuerKey {
      const [key] = keys
      if (key === undefined) throw new Error('it has no key')
      return key
    },
    /** The newest first. */
    use(...next: readonly IssuerKey[]): void {
      keys = [...next]
    },
    /** `claims` over those of a good token of now; undefined ones are left out. */
    token(nowMs: number, claims: Claims = {}, how: SigningOptions = {}): string {
      const key = how.key ?? this.key
      const now = Math.floor(nowMs / 1_000)
      const all = {
        iss: url,
        aud: 'edge.example.com',
        sub: 'repo:team/app:ref:refs/heads/main',
        iat: now,
        nbf: now,
        exp: now + 300,
        jti: randomUUID(),
        ...claims,
      }
      return signToken(all, { ...how, key })
    },
  }
}

export interface SigningOptions {
  readonly key?: IssuerKey
  /** Over `alg`, `kid` and `typ`; undefined ones are left out. */
  readonly head?: Claims
  /** In place of the signature by the key. */
  readonly signature?: (signed: string, key: IssuerKey) => Buffer
}

export function signToken(
  claims: Claims,
  how: SigningOptions & { readonly key: IssuerKey },
): string {
  const { key, head = {}, signature = signWith } = how
  const header = { alg: key.alg, kid: key.kid, typ: 'JWT', ...head }
  const signed = `${encode(header)}.${encode(claims)}`
  return `${signed}.${signature(signed, key).toString('base64url')}`
}

export function makeKey(alg: Algorithm, kid: string = randomUUID()): IssuerKey {
  return { kid, alg, ...pairFor(alg) }
}

function pairFor(alg: Algorithm) {
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519')
  if (alg === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' })
  if (alg === 'ES384') return generateKeyPairSync('ec', { namedCurve: 'P-384' })
  return generateKeyPairSync('rsa', { modulusLength: 2048 })
}

function signWith(signed: string, { alg, privateKey: key }: IssuerKey): Buffer {
  const bytes = Buffer.from(signed)
  switch (alg) {
    case 'EdDSA':
      return signBytes(null, bytes, key)
    case 'ES256':
      return signBytes('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' })
    case 'ES384':
      return signBytes('sha384', bytes, { key, dsaEncoding: 'ieee-p1363' })
    case 'PS256':
      return signBytes('sha256', bytes, {
        key,
        padding: constants.RSA_PKCS1_PSS_PADDING,
        saltLength: 32,
      })
    case 'RS256':
      return signBytes('sha256', bytes, key)
  }
}

/** What key confusion does: a public key taken for a shared secret. */
export function hmacWithPublicKey(signed: string, { publicKey }: IssuerKey): Buffer {
  const pem = publicKey.export({ type: 'spki', format: 'pem' })
  return createHmac('sha256', pem).update(signed).digest()
}

export function keySet(keys: readonly IssuerKey[]): { readonly keys: readonly Claims[] } {
  return {
    keys: keys.map(({ kid, alg, publicKey }) => ({
      ...publicKey.export({ format: 'jwk' }),
      kid,
      alg,
      use: 'sig',
    })),
  }
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function give(
  response: ServerResponse,
  { status = 200, headers = {}, body }: ReturnType<NonNullable<IssuerBehaviour['keys']>>,
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)
}
