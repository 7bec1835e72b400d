// What an upload may be called and how long its note may be: the same for every store. The id comes from a client's URL, and becomes
// a file name only after this grammar has let it pass (R191).

/** Of what nobody can guess 22 characters are enough; file names end at 255 bytes. */
const UPLOAD_ID = /^[A-Za-z0-9_-]{1,128}$/

/** Characters of the caller's text; its format bounds it far below this. */
const UPLOAD_NOTE_LIMIT = 1024

export function isUploadId(text: string): boolean {
  return UPLOAD_ID.test(text)
}

/** @throws Error: the caller made an id or a note that no store takes */
export function assertUploadTakes(id: string, note: string): void {
  if (!isUploadId(id)) throw new Error('an upload id is 1 to 128 letters, digits, - and _')
  if (note.length <= UPLOAD_NOTE_LIMIT) return
  throw new Error(`the note of an upload has ${note.length} characters, not ${UPLOAD_NOTE_LIMIT}`)
}
