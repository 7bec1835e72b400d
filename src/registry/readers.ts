// The memory that blobs are read into on their way to clients: how much each reader takes at once, and buffers that go round. A
// fresh buffer for every read costs more than the read: its pages have to be mapped, cleared and given back again.

/** One read. Large reads cost less; many readers at once get smaller ones so that memory stays bounded. */
const LARGEST_CHUNK_BYTES = 512 * 1024
const SMALLEST_CHUNK_BYTES = 64 * 1024
/** All chunks being read at one time together, and all buffers that wait to be used again. */
const CHUNK_BUDGET_BYTES = 8 * 1024 * 1024

/** Counts the readers, so that their chunks share one budget, and keeps their buffers. One per process. */
export class Readers {
  #active = 0
  /** By length. */
  readonly #free = new Map<number, ArrayBufferLike[]>()
  #freeBytes = 0
  /** What was handed out and may come back, once. */
  readonly #lent = new WeakSet<ArrayBufferLike>()

  /** Bytes to read at once now: a power of two, so that buffers fit again. */
  get chunkBytes(): number {
    let bytes = LARGEST_CHUNK_BYTES
    while (bytes > SMALLEST_CHUNK_BYTES && bytes * this.#active > CHUNK_BUDGET_BYTES) bytes /= 2
    return bytes
  }

  enter(): void {
    this.#active += 1
  }

  leave(): void {
    this.#active -= 1
  }

  /** Memory for a read of at most LARGEST_CHUNK_BYTES; what is in it is anybody's. Small pieces get memory of their own. */
  lend(lengthBytes: number): Buffer {
    if (lengthBytes < SMALLEST_CHUNK_BYTES) return Buffer.allocUnsafeSlow(lengthBytes)
    let wholeBytes = SMALLEST_CHUNK_BYTES
    while (wholeBytes < lengthBytes) wholeBytes *= 2
    const free = this.#free.get(wholeBytes)?.pop()
    if (free !== undefined) this.#freeBytes -= wholeBytes
    const memory = free ?? Buffer.allocUnsafeSlow(wholeBytes).buffer
    this.#lent.add(memory)
    return Buffer.from(memory, 0, lengthBytes)
  }

  /** Takes memory back that nobody reads or writes any more. No effect for what was not lent, or came back already. */
  giveBack(chunk: Uint8Array): void {
    const memory = chunk.buffer
    if (!this.#lent.delete(memory)) return
    if (this.#freeBytes + memory.byteLength > CHUNK_BUDGET_BYTES) return
    const free = this.#free.get(memory.byteLength)
    if (free === undefined) this.#free.set(memory.byteLength, [memory])
    else free.push(memory)
    this.#freeBytes += memory.byteLength
  }
}
