// The memory that blobs are read into on their way to clients. It goes round: a fresh buffer for every read costs more than the
// read, and leaves the allocator with holes that it does not give back.
import { createReadBuffer } from '../ports/read-buffer.ts'

/** Beyond so many, reads still have this size, in memory that is not kept. */
const SMALLEST = { bytes: 32 * 1024, readersMax: 384 } as const
/**
 * How much is read at once, by how many read: large reads cost less, and a crowd's must not add up. Over TLS what was made of a
 * chunk lies beside it until the kernel has all. Largest first.
 */
const SIZES = [
  { bytes: 1024 * 1024, readersMax: 4 },
  { bytes: 512 * 1024, readersMax: 16 },
  { bytes: 128 * 1024, readersMax: 64 },
  SMALLEST,
] as const
/** Memory is taken from the system in pieces of this size, and kept. */
const SLAB_BYTES = 2 * 1024 * 1024

/** Where a kept buffer lies. */
interface Place {
  readonly slab: Buffer
  readonly offset: number
}

/** Buffers of one size; as many are kept as readers may use it. */
class Shelf {
  readonly sizeBytes: number
  readonly #kept: number
  readonly #free: Buffer[] = []
  /** What is out and may come back, once. */
  readonly #out = new WeakSet<Uint8Array>()
  /** The kept buffer behind each shorter chunk, which keeps it alive. */
  readonly #behind = new WeakMap<Uint8Array, Buffer>()
  /** A buffer that nobody gave back, because its client left while the kernel had it, is made again when nobody holds it any more. */
  readonly #forgotten = new FinalizationRegistry<Place>(place => this.#free.push(this.#make(place)))
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
    const isWhole = lengthBytes === this.sizeBytes
    const chunk = isWhole ? buffer : buffer.subarray(0, lengthBytes)
    if (!isWhole) this.#behind.set(chunk, buffer)
    this.#out.add(chunk)
    return chunk
  }

  /** No effect for what was not taken from here, or came back already. */
  putBack(chunk: Buffer): void {
    if (this.#out.delete(chunk)) this.#free.push(this.#behind.get(chunk) ?? chunk)
  }

  #grow(): void {
    const slab = createReadBuffer(SLAB_BYTES)
    for (let offset = 0; offset < SLAB_BYTES; offset += this.sizeBytes) {
      this.#free.push(this.#make({ slab, offset }))
      this.#made += 1
    }
  }

  #make(place: Place): Buffer {
    const buffer = place.slab.subarray(place.offset, place.offset + this.sizeBytes)
    this.#forgotten.register(buffer, place)
    return buffer
  }
}

/** Counts the readers, and lends them their buffers. One per process. */
export class Readers {
  #active = 0
  readonly #shelves = SIZES.map(({ bytes, readersMax }) => new Shelf(bytes, readersMax))

  /** Bytes to read at once now. */
  get chunkBytes(): number {
    const size = SIZES.find(({ readersMax }) => this.#active <= readersMax)
    return (size ?? SMALLEST).bytes
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
    return shelf?.take(lengthBytes) ?? createReadBuffer(lengthBytes)
  }

  /** Takes memory back that nobody reads or writes any more. No effect for what was not lent, or came back already. */
  giveBack(chunk: Uint8Array): void {
    if (!Buffer.isBuffer(chunk)) return
    for (const shelf of this.#shelves) shelf.putBack(chunk)
  }
}
