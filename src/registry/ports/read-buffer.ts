// Memory that parts of files are read into. Large pieces of memory begin sixteen bytes into a page
// of the system, where the system keeps their length, and files lie in pages: copying to a place so
// little behind the one it comes from takes processors of AMD six times as long (their `rep movsb`
// when the addresses' last twelve bits differ by 1 to 31). So reads go a little further in.

/** With the sixteen bytes: the beginning of a cache line. */
const SHIFT_BYTES = 48

/** What is in it is anybody's. Not for small reads, which memory is shared for. */
export function createReadBuffer(lengthBytes: number): Buffer {
  return Buffer.allocUnsafeSlow(SHIFT_BYTES + lengthBytes).subarray(SHIFT_BYTES)
}
