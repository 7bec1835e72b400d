// The memory of chunks: what parts of files are read into, and what bodies come in.

/**
 * With the sixteen bytes: the beginning of a cache line. Large pieces of memory begin sixteen
 * bytes into a page of the system, where the system keeps their length, and files lie in pages:
 * copying to a place so little behind the one it comes from takes processors of AMD six times as
 * long (their `rep movsb` when the addresses' last twelve bits differ by 1 to 31). So reads go a
 * little further in.
 */
const SHIFT_BYTES = 48

/** What is in it is anybody's. Not for small reads, which memory is shared for. */
export function createReadBuffer(lengthBytes: number): Buffer {
  return Buffer.allocUnsafeSlow(SHIFT_BYTES + lengthBytes).subarray(SHIFT_BYTES)
}

/**
 * Gives the memory of `chunk` back at once; the chunk is empty afterwards. Bodies come as one fresh
 * buffer for every 64 KiB: left to the collector, which cannot know that they are large and dead, a
 * gigabyte of them costs more processor time than hashing it, and fifty megabytes of memory. For
 * who owns the chunk and has shown it to nobody who still looks. No effect on a part of a larger
 * buffer, which may not be all that is in it.
 */
export function freeChunk(chunk: Uint8Array): void {
  const { buffer } = chunk
  if (buffer instanceof ArrayBuffer && chunk.byteLength === buffer.byteLength) buffer.transfer(0)
}
