// Byte ranges of blobs, both ways: what a client asks for (RFC 9110 §14; R48–R59) and what an
// upstream says it sent. Every range in here is inclusive and lies inside its blob. Conditions
// (If-Range) are in conditional.ts.

/** Inclusive on both ends: `{ first: 0, last: 0 }` is one byte. */
export interface ByteRange {
  readonly first: number
  readonly last: number
}

/**
 * What a `Range` header asks of a blob. `whole`: answer 200 as if there were no header. `ranges`:
 * answer 206 with exactly these, in this order; one range is never answered as multipart (R55).
 * `unsatisfiable`: 416. `too-many`: 400, which makes clients ask for fewer (R57).
 */
export type RequestedRange =
  | { readonly kind: 'whole' }
  | { readonly kind: 'ranges'; readonly ranges: readonly ByteRange[] }
  | { readonly kind: 'unsatisfiable' }
  | { readonly kind: 'too-many' }

/**
 * A partial pull of podman asks for up to 1,024 ranges at once (R56); twice that is room for
 * others, and a bound.
 */
export const RANGES_MAX = 2_048

const UNIT = /^bytes[ \t]*=/i
const SPEC = /^([0-9]*)-([0-9]*)$/
const CONTENT_RANGE = /^bytes[ \t]+([0-9]+)-([0-9]+)\/([0-9]+|\*)$/i

/**
 * By R48–R60: a last byte past the end is clamped, members that cannot be satisfied are left out as
 * long as another can, and ranges that together are longer than the blob are answered with the
 * whole of it. Malformed headers ask for nothing. Never throws.
 */
export function parseRange(header: string | undefined, sizeBytes: number): RequestedRange {
  if (header === undefined) return { kind: 'whole' }
  const unit = UNIT.exec(header)
  if (unit === null) return { kind: 'whole' }
  const members = header
    .slice(unit[0].length)
    .split(',')
    .map(member => member.trim())
    .filter(member => member !== '')
  if (members.length > RANGES_MAX) return { kind: 'too-many' }

  const ranges: ByteRange[] = []
  for (const member of members) {
    const parsed = parseMember(member, sizeBytes)
    if (parsed === 'malformed') return { kind: 'whole' }
    if (parsed !== 'unsatisfiable') ranges.push(parsed)
  }
  if (members.length === 0) return { kind: 'whole' }
  if (ranges.length === 0) return { kind: 'unsatisfiable' }
  const asked = ranges.reduce((sum, range) => sum + rangeLength(range), 0)
  return asked > sizeBytes ? { kind: 'whole' } : { kind: 'ranges', ranges }
}

function parseMember(member: string, sizeBytes: number): ByteRange | 'unsatisfiable' | 'malformed' {
  const match = SPEC.exec(member)
  if (match === null) return 'malformed'
  const [, firstText = '', lastText = ''] = match
  if (firstText === '') {
    if (lastText === '') return 'malformed'
    const length = Math.min(Number(lastText), sizeBytes)
    return length === 0 ? 'unsatisfiable' : { first: sizeBytes - length, last: sizeBytes - 1 }
  }
  const first = Number(firstText)
  const last = lastText === '' ? sizeBytes - 1 : Math.min(Number(lastText), sizeBytes - 1)
  // RFC 9110 calls `500-0` invalid and lets it be ignored; the conformance suite wants 416 (R53).
  return first >= sizeBytes || last < first ? 'unsatisfiable' : { first, last }
}

export function rangeLength(range: ByteRange): number {
  return range.last - range.first + 1
}

/** `bytes 0-99/1000`: the `Content-Range` of a 206 and of each part of a multipart answer. */
export function formatContentRange(range: ByteRange, sizeBytes: number): string {
  return `bytes ${range.first}-${range.last}/${sizeBytes}`
}

/** The `Content-Range` of a 416: a star in place of the range, and the blob's size (R53). */
export function formatUnsatisfiedRange(sizeBytes: number): string {
  return `bytes */${sizeBytes}`
}

/**
 * What an upstream's `Content-Range` says; `sizeBytes` is undefined when it does not know the
 * whole.
 */
export interface ContentRange extends ByteRange {
  readonly sizeBytes: number | undefined
}

/** Undefined when the text is malformed, contradicts itself, or is that of a 416. */
export function parseContentRange(text: string): ContentRange | undefined {
  const match = CONTENT_RANGE.exec(text.trim())
  if (match === null) return undefined
  const first = Number(match[1])
  const last = Number(match[2])
  const sizeBytes = match[3] === '*' ? undefined : Number(match[3])
  if (!Number.isSafeInteger(last) || last < first) return undefined
  if (sizeBytes !== undefined && (!Number.isSafeInteger(sizeBytes) || last >= sizeBytes)) {
    return undefined
  }
  return { first, last, sizeBytes }
}
