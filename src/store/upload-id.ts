// What an upload may be called and how long its note may be: the same for every store. The id comes
// back in a client's URL, and becomes a file name only after this grammar has let it pass (R191).
// It stands in no message: whoever knows it may go on with the upload.

declare const uploadIdBrand: unique symbol
export type UploadId = string & { readonly [uploadIdBrand]: true }

/** Of what nobody can guess 22 characters are enough; file names end at 255 bytes. */
const GRAMMAR = /^[A-Za-z0-9_-]{1,128}$/

/** Bytes of the caller's text. */
const NOTE_LIMIT_BYTES = 1024

/** Undefined when `text` is none that a store gives a file to. */
export function uploadIdFrom(text: string): UploadId | undefined {
  return GRAMMAR.test(text) ? (text as UploadId) : undefined
}

/** @throws Error: whoever made the id or the note is at fault, not a client */
export function newUploadId(text: string, note: string): UploadId {
  const id = uploadIdFrom(text)
  if (id === undefined) throw new Error('an upload id is 1 to 128 letters, digits, - and _')
  if (Buffer.byteLength(note) <= NOTE_LIMIT_BYTES) return id
  throw new Error(`the note of an upload is longer than ${NOTE_LIMIT_BYTES} bytes`)
}
