// Digests (image-spec descriptor.md, "Digests"; R23). A Digest has been parsed: its algorithm is
// one that this registry computes and its hex part has the right length, so it may become a file
// name or a key.
import { createHash, type Hash } from 'node:crypto'
import { RegistryError } from './errors.ts'

declare const digestBrand: unique symbol
/** `sha256:` and 64, or `sha512:` and 128, lower-case hex characters. */
export type Digest = string & { readonly [digestBrand]: true }

/** Length of the hex part, by algorithm: the algorithms that are computed here. */
const HEX_LENGTH = { sha256: 64, sha512: 128 } as const

export type DigestAlgorithm = keyof typeof HEX_LENGTH

const GRAMMAR = /^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/
const LOWER_HEX = /^[0-9a-f]+$/

/**
 * Is `text` a digest by the general grammar, whatever its algorithm? Manifests may name such (R23).
 */
export function isDigestText(text: string): boolean {
  return GRAMMAR.test(text)
}

/** The digest, or undefined when `text` is not one that can be computed here. */
export function digestFrom(text: string): Digest | undefined {
  const colon = text.indexOf(':')
  const algorithm = text.slice(0, colon)
  if (algorithm !== 'sha256' && algorithm !== 'sha512') return undefined
  const hex = text.slice(colon + 1)
  return hex.length === HEX_LENGTH[algorithm] && LOWER_HEX.test(hex) ? (text as Digest) : undefined
}

/**
 * @throws RegistryError DIGEST_INVALID when `text` is not a digest or its algorithm is unknown
 * here.
 */
export function parseDigest(text: string): Digest {
  const digest = digestFrom(text)
  if (digest !== undefined) return digest
  const reason = isDigestText(text)
    ? 'digests here are sha256: with 64 or sha512: with 128 lower-case hex characters'
    : 'a digest is written algorithm:hex'
  throw new RegistryError('DIGEST_INVALID', reason)
}

export function digestAlgorithm(digest: Digest): DigestAlgorithm {
  return digest.startsWith('sha512') ? 'sha512' : 'sha256'
}

/** The part after the colon. */
export function digestHex(digest: Digest): string {
  return digest.slice(digest.indexOf(':') + 1)
}

export function digestOf(bytes: Uint8Array, algorithm: DigestAlgorithm = 'sha256'): Digest {
  return finishDigest(createHash(algorithm).update(bytes), algorithm)
}

/** A running hash for the algorithm of `digest`; give it back to finishDigest. */
export function startDigest(algorithm: DigestAlgorithm): Hash {
  return createHash(algorithm)
}

export function finishDigest(hash: Hash, algorithm: DigestAlgorithm): Digest {
  return `${algorithm}:${hash.digest('hex')}` as Digest
}
