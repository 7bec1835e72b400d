// A part of all content, as operators write it and as it is chosen.
import { type Digest, digestHex } from '../../oci/digest.ts'

/** `part` of `of` of all content, by digests: each is in one of them, and always in that. */
export interface ReadPart {
  readonly part: number
  readonly of: number
}

/** As restic has it. */
const PART = /^([1-9][0-9]{0,5})\/([1-9][0-9]{0,5})$/
/** Of a digest, which is random. */
const DIGITS = 8

/** Of `N/M`; undefined for what is none. */
export function parsePart(text: string): ReadPart | undefined {
  const [, part = 0, of = 0] = (PART.exec(text) ?? []).map(Number)
  return part >= 1 && part <= of ? { part, of } : undefined
}

export function isIn({ part, of }: ReadPart, digest: Digest): boolean {
  return Number.parseInt(digestHex(digest).slice(0, DIGITS), 16) % of === part - 1
}
