// The key by which an edge signs what it sends over an air gap, and how others know it: Ed25519,
// written as one word that fits into a line of a configuration. Where the private half is kept is
// nobody's business here.
import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'

/** Who reads what was signed believes this key and no other thing of the file. */
export interface BundleSigner {
  readonly key: BundleKeyText
  /** Of a statement: see `statementOf`. */
  sign(statement: Uint8Array): Uint8Array
}

declare const keyBrand: unique symbol
/** `ed25519:` and the 32 bytes of the public key in base64. */
export type BundleKeyText = string & { readonly [keyBrand]: true }

const FORM = /^ed25519:[A-Za-z0-9+/]{43}=$/
/** Of an Ed25519 key in SPKI (RFC 8410), in front of its 32 bytes. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')
const ID_LENGTH = 16

/** Undefined for what is no key. */
export function bundleKeyFrom(text: string): BundleKeyText | undefined {
  const key = text as BundleKeyText
  // Several spellings would be several keys to who compares them.
  return FORM.test(text) && keyText(rawOf(key)) === text ? key : undefined
}

/** Undefined for what is no Ed25519 key in PEM. */
export function bundleKeyFromPem(text: string): BundleKeyText | undefined {
  if (!text.includes('-----BEGIN PUBLIC KEY-----')) return undefined
  try {
    const spki = createPublicKey(text).export({ type: 'spki', format: 'der' })
    const isEd25519 = spki.subarray(0, SPKI_PREFIX.length).equals(SPKI_PREFIX)
    return isEd25519 ? keyText(spki.subarray(SPKI_PREFIX.length)) : undefined
  } catch {
    return undefined
  }
}

/** Not to be trusted by: another key with the same one can be looked for. */
export function isBundleKeyId(text: string): boolean {
  return /^[0-9a-f]{16}$/.test(text)
}

/** What people compare: sixteen characters of the key's SHA-256. */
export function bundleKeyId(key: BundleKeyText): string {
  return createHash('sha256').update(rawOf(key)).digest('hex').slice(0, ID_LENGTH)
}

export function createSigner(privateKey: KeyObject): BundleSigner {
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  const key = keyText(spki.subarray(SPKI_PREFIX.length))
  return { key, sign: statement => sign(null, statement, privateKey) }
}

/** As OpenSSL reads it. */
export function bundleKeyPem(key: BundleKeyText): string {
  return publicKeyOf(key).export({ type: 'spki', format: 'pem' }).toString()
}

export function isSignedBy(
  key: BundleKeyText,
  statement: Uint8Array,
  signature: Uint8Array,
): boolean {
  return verify(null, statement, publicKeyOf(key), signature)
}

/**
 * What is signed instead of a text that may be long: what it is, and its SHA-256. `what` keeps a
 * signature for one kind of text from being shown with another.
 */
export function statementOf(
  what: 'inventory' | 'volumes' | 'backup',
  sha256Hex: string,
): Uint8Array {
  return Buffer.from(`entrepot ${what} 1\nsha256:${sha256Hex}\n`)
}

function publicKeyOf(key: BundleKeyText): KeyObject {
  const spki = Buffer.concat([SPKI_PREFIX, rawOf(key)])
  return createPublicKey({ key: spki, type: 'spki', format: 'der' })
}

function keyText(raw: Buffer): BundleKeyText {
  return `ed25519:${raw.toString('base64')}` as BundleKeyText
}

function rawOf(key: BundleKeyText): Buffer {
  return Buffer.from(key.slice('ed25519:'.length), 'base64')
}
