// What an identity provider says of itself, and the set of its keys, as far as they are of use.
import type { JSONWebKeySet, JWK } from 'jose'

export type KeySet = JSONWebKeySet

/** Issuers have a handful. */
const KEYS_MAX = 64
/** Of what it calls itself: enough to see a slash too many. */
const SAID_MAX_LENGTH = 200
/** What checks a signature and cannot make one; a secret has no business there. */
const KEY_TYPES: ReadonlySet<unknown> = new Set(['RSA', 'EC', 'OKP'])

/**
 * Where its keys are, from its metadata (OpenID Connect Discovery 1.0, 4.3).
 * @throws Error
 */
export function parseMetadata(text: string, issuer: string): string {
  const { issuer: said, jwks_uri: place } = parse(text)
  // Else one host could speak for another's tokens.
  if (said !== issuer) {
    const other = JSON.stringify(String(said).slice(0, SAID_MAX_LENGTH))
    throw new Error(`its metadata is that of another issuer, ${other}`)
  }
  if (typeof place !== 'string' || !URL.canParse(place))
    throw new Error('its metadata does not say where its keys are')
  return place
}

/** @throws Error */
export function parseKeySet(text: string): KeySet {
  const { keys } = parse(text)
  if (!Array.isArray(keys)) throw new Error('it gave no set of keys')
  if (keys.length > KEYS_MAX) throw new Error(`it gave more than ${KEYS_MAX} keys`)
  return { keys: keys.filter(isPublic) }
}

function isPublic(key: unknown): key is JWK {
  return typeof key === 'object' && key !== null && 'kty' in key && KEY_TYPES.has(key.kty)
}

function parse(text: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // Its own text may hold anything.
    throw new Error('it answered with something else than JSON')
  }
  if (typeof value !== 'object' || value === null) throw new Error('it answered no object')
  return value as Readonly<Record<string, unknown>>
}
