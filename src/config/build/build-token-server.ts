// `auth.token` → somebody else's token server, as distribution has it: which keys sign its tokens,
// judged while an operator reads the answer.
import { createPublicKey, type webcrypto, X509Certificate } from 'node:crypto'
import type { TokenServerConfig } from '../config.ts'
import type { Path } from '../findings.ts'
import type { Judge } from '../judge.ts'
import type { Settings } from '../schema/schema.ts'

const AT: Path = ['auth', 'token']
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g
const LOOPBACK = /^http:\/\/(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?:[:/]|$)/
const PUBLIC: ReadonlySet<unknown> = new Set(['RSA', 'EC', 'OKP'])

type TokenSettings = NonNullable<NonNullable<Settings['auth']>['token']>

/** Undefined where it has no key that could be read, which is then noted. */
export function buildTokenServer(
  judge: Judge,
  settings: TokenSettings,
): TokenServerConfig | undefined {
  const { realm, service, issuer, rootcertbundle, jwks, signingalgorithms } = settings
  if (rootcertbundle === undefined && jwks === undefined) {
    const message = 'has neither rootcertbundle nor jwks: no token could be good'
    judge.note(AT, { message })
    return undefined
  }
  if (realm.startsWith('http:') && !LOOPBACK.test(realm)) {
    const message = 'is plain HTTP to another host: clients send passwords there, and get tokens'
    judge.note([...AT, 'realm'], { severity: 'warning', message })
  }
  const pem = rootcertbundle && judge.readCertificates([...AT, 'rootcertbundle'], rootcertbundle)
  const text = jwks && judge.readFile([...AT, 'jwks'], jwks, 'public')
  const keys = text === undefined || text === '' ? [] : readKeys(judge, text)
  const roots = (pem?.match(CERTIFICATE) ?? []).filter(each => isCertificate(each))
  if (signingalgorithms.length === 0 && !judge.isWritten([...AT, 'signingalgorithms', 0]))
    judge.note([...AT, 'signingalgorithms'], { message: 'must name one at least' })
  return { realm, service, issuer, roots, keys, algorithms: signingalgorithms }
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).publicKey !== undefined
  } catch {
    return false
  }
}

function readKeys(judge: Judge, text: string): TokenServerConfig['keys'] {
  const note = (message: string) => judge.note([...AT, 'jwks'], { message })
  let set: unknown
  try {
    set = JSON.parse(text)
  } catch {
    note('is no JSON')
    return []
  }
  const keys: unknown = typeof set === 'object' && set !== null && 'keys' in set ? set.keys : []
  const all = Array.isArray(keys) ? (keys as readonly unknown[]) : []
  if (all.length === 0) note('holds no keys: { "keys": [ … ] }')
  return all.flatMap((key, index) => {
    const read = publicKeyIn(key)
    if (read === undefined) note(`keys[${index}] is no public key with a kid`)
    return read ?? []
  })
}

/** The public half alone, whatever else the file holds. */
function publicKeyIn(key: unknown): TokenServerConfig['keys'][number] | undefined {
  if (typeof key !== 'object' || key === null || !('kty' in key) || !PUBLIC.has(key.kty))
    return undefined
  try {
    const kid = 'kid' in key && typeof key.kid === 'string' ? key.kid : undefined
    const read = createPublicKey({ key: key as webcrypto.JsonWebKey, format: 'jwk' })
    return kid === undefined
      ? undefined
      : { kid, pem: read.export({ format: 'pem', type: 'spki' }).toString() }
  } catch {
    return undefined
  }
}
