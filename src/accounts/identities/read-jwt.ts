// What a token says that others signed, before anybody knows whether it is true: enough to tell
// whom to ask, and what no token may have that is to be good here. Nothing of it is believed.

export interface ReadJwt {
  readonly algorithm: string
  /** Undefined: it names none. */
  readonly keyId: string | undefined
  /** DER in base64, the signer's own first. Empty: it brings none. */
  readonly certificates: readonly string[]
  readonly issuer: string
  readonly audiences: readonly string[]
  /** Undefined: there is none, and it is nobody's. */
  readonly subject: string | undefined
  /** Why it is nobody's, whoever signed it. Undefined: nothing speaks against its head. */
  readonly wrongHead: string | undefined
}

/** Those of large directories have some KiB of groups; a header has to hold it. */
export const JWT_MAX_LENGTH = 12 * 1024
const PARTS = /^([\w-]{2,})\.([\w-]{2,})\.([\w-]*)$/
/** A key out of the token is the key of whoever wrote it. */
const BRINGS_KEYS = ['jwk', 'jku', 'x5u', 'x5c'] as const
/** Of tokens that say who somebody is; issuers sign others, for other ends (RFC 8725, 3.11). */
const TYPES: ReadonlySet<string> = new Set(['jwt', 'at+jwt', 'application/at+jwt'])

/** Undefined: it is no such token by its looks, and may be a password. */
export function readJwt(token: string): ReadJwt | undefined {
  const [, head = '', claims = '', signature = ''] =
    token.length > JWT_MAX_LENGTH ? [] : (PARTS.exec(token) ?? [])
  const header = parse(head)
  const payload = parse(claims)
  if (header === undefined || payload === undefined) return undefined
  const { alg, kid } = header
  const { iss, aud, sub } = payload
  if (typeof alg !== 'string' || typeof iss !== 'string') return undefined
  const isCanonical = [head, claims, signature].every(isShortest)
  return {
    algorithm: alg,
    keyId: typeof kid === 'string' ? kid : undefined,
    certificates: [header['x5c']].flat().filter(each => typeof each === 'string'),
    issuer: iss,
    audiences: [aud].flat().filter(each => typeof each === 'string'),
    subject: typeof sub === 'string' && sub !== '' ? sub : undefined,
    wrongHead: isCanonical ? whyWrong(header) : 'spelling',
  }
}

function whyWrong(header: Readonly<Record<string, unknown>>): string | undefined {
  const { kid, typ, crit } = header
  if (crit !== undefined) return 'crit'
  if (kid !== undefined && typeof kid !== 'string') return 'kid'
  const isOfType = typ === undefined || (typeof typ === 'string' && TYPES.has(typ.toLowerCase()))
  if (!isOfType) return 'typ'
  return BRINGS_KEYS.find(name => header[name] !== undefined)
}

/** Node reads other spellings of the same bytes as well. */
function isShortest(text: string): boolean {
  return Buffer.from(text, 'base64url').toString('base64url') === text
}

function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString())
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Readonly<Record<string, unknown>>) : undefined
  } catch {
    return undefined
  }
}
