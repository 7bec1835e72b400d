// The memory that blobs are read into on their way to clients. It goes round: a fresh buffer for every read costs more than the
// read, and leaves the allocator with holes that it does not give back.

/** How much is read at once, by how many read: large reads cost less, and a crowd's must not add up. Largest first. */
const SIZES = [
  { bytes: 512 * 1024, readersMax: 16 },
  { bytes: 128 * 1024, readersMax: 64 },
  // Beyond so many, reads still have this size, in memory that is not kept.
  { bytes: 64 * 1024, readersMax: 224 },
] as const
/** Memory is taken from the system in pieces of this size, and kept. */
const SLAB_BYTES = 2 * 1024 * 1024

/** Buffers of one size; as many are kept as readers may use it. */
class Shelf {
  readonly sizeBytes: number
  readonly #kept: number
  readonly #free: Buffer[] = []
  /** The kept buffer behind each chunk that is out. */
  readonly #lent = new WeakMap<Uint8Array, Buffer>()
  /** A chunk that nobody gave back, because its client left while the kernel had it, comes back when nobody holds it any more. */
  readonly #forgotten = new FinalizationRegistry<Buffer>(buffer => this.#free.push(buffer))
  #made = 0

  constructor(sizeBytes: number, kept: number) {
    this.sizeBytes = sizeBytes
    this.#kept = kept
  }

  /** Undefined when all are out. */
  take(lengthBytes: number): Buffer | undefined {
    if (this.#free.length === 0 && this.#made < this.#kept) this.#grow()
    const buffer = this.#free.pop()
    if (buffer === undefined) return undefined
    const chunk = buffer.subarray(0, lengthBytes)
    this.#lent.set(chunk, buffer)
    this.#forgotten.register(chunk, buffer, chunk)
    return chunk
  }

  /** No effect for what was not taken from here, or came back already. */
  putBack(chunk: Uint8Array): void {
    const buffer = this.#lent.get(chunk)
    if (buffer === undefined) return
    this.#lent.delete(chunk)
    this.#forgotten.unregister(chunk)
    this.#free.push(buffer)
  }

  #grow(): void {
    const slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
    for (let at = 0; at < SLAB_BYTES; at += this.sizeBytes) {
      this.#free.push(slab.subarray(at, at + this.sizeBytes))
      this.#made += 1
    }
  }
}

/** Counts the readers, and lends them their buffers. One per process. */
export class Readers {
  #active = 0
  readonly #shelves = SIZES.map(({ bytes, readersMax }) => new Shelf(bytes, readersMax))

  /** Bytes to read at once now. */
  get chunkBytes(): number {
    const size = SIZES.find(({ readersMax }) => this.#active <= readersMax)
    return (size ?? SIZES[2]).bytes
  }

  enter(): void {
    this.#active += 1
  }

  leave(): void {
    this.#active -= 1
  }

  /**
   * Memory for one read; what is in it is anybody's. When all of its size is lent, new memory. It comes back by giveBack of this very
   * object, or when nobody holds this object any more: a part of it must not outlive it.
   */
  lend(lengthBytes: number): Buffer {
    const shelf = this.#shelves.findLast(({ sizeBytes }) => sizeBytes >= lengthBytes)
    return shelf?.take(lengthBytes) ?? Buffer.allocUnsafeSlow(lengthBytes)
  }

  /** Takes memory back that nobody reads or writes any more. No effect for what was not lent, or came back already. */
  giveBack(chunk: Uint8Array): void {
    for (const shelf of this.#shelves) shelf.putBack(chunk)
  }
}
