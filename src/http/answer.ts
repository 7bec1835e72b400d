// What a handler gives back: status, headers and where the body comes from. Values only;
// send-answer.ts alone writes to a connection, so that headers of a success never linger on an
// error.
import type { ByteRange } from '../oci/range.ts'
import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/reference.ts'
import type { BlobAnswer, Repeatable } from '../registry/answers.ts'
import type { Used } from '../registry/ports/catalog-uses.ts'

/** By name as it is sent; several lines of one header as a list; undefined ones are left out. */
export type AnswerHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/**
 * A piece of a streamed body: bytes of the blob, or what stands between them in a multipart answer.
 */
export type Segment = { readonly range: ByteRange } | { readonly bytes: Uint8Array }

export type AnswerBody =
  | { readonly kind: 'none' }
  /** Whole; its length becomes `Content-Length`, also when the request was a HEAD. */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** Only the length, for HEAD. */
  | { readonly kind: 'length'; readonly sizeBytes: number }
  | BlobBody

/** Streamed; whoever sends it closes `blob` exactly once, whatever happens. */
export interface BlobBody {
  readonly kind: 'blob'
  readonly blob: BlobAnswer
  readonly segments: readonly Segment[]
  readonly sizeBytes: number
}

export interface Answer {
  readonly status: number
  /**
   * What stands behind the status in the first line; default: what belongs to the status. Printable
   * ASCII.
   */
  readonly reason?: string
  readonly headers: AnswerHeaders
  readonly body: AnswerBody
  /** What it is about, where it may be given again as it is. */
  readonly content?: AnsweredContent
}

export interface AnsweredContent {
  readonly digest: Digest
  readonly repeatable: Repeatable | undefined
  /** Of a manifest that a client is given to pull what it lists: where it will ask for that. */
  readonly pulledFrom?: Repository | undefined
  /** Of a blob that is sent whole: what it was asked of. */
  readonly readFrom?: Repository | undefined
  /** What whoever is given it uses; absent: nothing. */
  readonly used?: Used | undefined
}

const NO_BYTES = new Uint8Array()

/** Without content, and saying so: `Content-Length: 0`. */
export function emptyAnswer(status: number, headers: AnswerHeaders): Answer {
  return { status, headers, body: { kind: 'bytes', bytes: NO_BYTES } }
}

/**
 * JSON as it goes out: a buffer, for a string would get a charset that clients do not expect (R9).
 */
export function jsonAnswer(value: unknown, headers: AnswerHeaders = {}): Answer {
  return {
    status: 200,
    headers: { 'Content-Type': 'application/json', ...headers },
    body: { kind: 'bytes', bytes: Buffer.from(JSON.stringify(value)) },
  }
}

const PRINTABLE = /^[\t\x20-\x7e]*$/

/**
 * What may stand in a header's value: printable ASCII, spaces and tabs (R190). Node refuses CR and
 * LF by itself but lets Latin-1 and what looks like it pass.
 */
export function isPrintable(text: string): boolean {
  return PRINTABLE.test(text)
}

/** The connection is gone; nothing of this is sent. */
export const TO_NOBODY: Answer = { status: 503, headers: {}, body: { kind: 'none' } }
