// Bytes that are all of their memory. Whatever crosses between threads is cloned or given away with
// all of the memory it lies in, and a small buffer of node lies in a large one beside others.

/** As it is when it is all of its memory; else a copy. */
export function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer>
export function ownBytes(bytes: Uint8Array | undefined): Uint8Array<ArrayBuffer> | undefined
export function ownBytes(bytes: Uint8Array | undefined): Uint8Array<ArrayBuffer> | undefined {
  if (bytes === undefined) return undefined
  const { buffer } = bytes
  const isAll = buffer instanceof ArrayBuffer && bytes.byteLength === buffer.byteLength
  return isAll ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes)
}
