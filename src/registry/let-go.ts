// Bodies come as one fresh buffer for every 64 KiB. Left to the collector, a gigabyte of them costs
// more processor time than hashing it, and fifty megabytes of memory: it cannot know that they are
// large and dead.

/**
 * Gives the memory of `chunk` back at once; the chunk is empty afterwards. For who owns it and has
 * shown it to nobody who still looks. No effect on a part of a larger buffer, which may not be all
 * that is in it.
 */
export function letGo(chunk: Uint8Array): void {
  const { buffer } = chunk
  if (buffer instanceof ArrayBuffer && chunk.byteLength === buffer.byteLength) buffer.transfer(0)
}
