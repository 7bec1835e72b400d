// The memory that blobs are read into on their way to clients. It goes round: a fresh buffer for
// every read costs more than the read, and leaves the allocator with holes that it does not give
// back.
import { createReadBuffer } from '../ports/chunk-memory.ts'

/**
 * How much is read at once, and how many buffers of that size there are: large reads cost less, and
 * each is as large as one that is left. A buffer is out until the client's kernel has all of it, so
 * those who read on share a few, and a crowd that stands still gets down to the smallest. Over TLS
 * what was made of a chunk lies beside it as long. Largest first.
 */
const SIZES = [
  { bytes: 1024 * 1024, kept: 2 },
  { bytes: 512 * 1024, kept: 8 },
  { bytes: 256 * 1024, kept: 8 },
  { bytes: 64 * 1024, kept: 32 },
  // Beyond so many, reads still have this size, in memory that is not kept.
  { bytes: 32 * 1024, kept: 384 },
] as const
const SMALLEST_BYTES = 32 * 1024
/** A size gets so much at once. */
const SLAB_BYTES = 2 * 1024 * 1024
/**
 * What all slabs are cut from. Of pieces as large as this the GNU allocator always begins on a
 * page of the system; smaller ones it takes from its heap, once such have been freed: there one in
 * 256 begins where each read is slow (chunk-memory.ts), for as long as the process runs. What
 * nobody has touched of it takes no memory.
 */
const MEMORY_BYTES = 32 * 1024 * 1024

/**
 * So much is read from the system's memory in one turn of the event loop, and encrypted and
 * written, which takes some ten milliseconds; what is asked for beyond goes to the thread pool, so
 * that everything else has its turn, however fast clients are.
 */
const TURN_MAX_BYTES = 8 * 1024 * 1024

/**
 * Fills the buffer, or the first part of it, with what the system has of the file in memory, at
 * once. 0 when that is nothing.
 */
export type ReadCached = (descriptor: number, buffer: Buffer, position: number) => number

export interface PositionalReader {
  /** Of an open file, where there is one. */
  readonly descriptor?: number | undefined
  read(buffer: Uint8Array, position: number): Promise<number>
}

/** Of one thread: what its slabs are cut from, one behind the other. */
class Memory {
  #all: Buffer | undefined
  #cutBytes = 0

  cut(): Buffer {
    this.#all ??= createReadBuffer(MEMORY_BYTES)
    const slab = this.#all.subarray(this.#cutBytes, this.#cutBytes + SLAB_BYTES)
    this.#cutBytes += SLAB_BYTES
    return slab
  }
}

/** Where a kept buffer lies. */
interface Place {
  readonly slab: Buffer
  readonly offset: number
}

/** Buffers of one size. */
class SizeClass {
  readonly sizeBytes: number
  readonly #kept: number
  readonly #memory: Memory
  readonly #free: Buffer[] = []
  /** What is out and may come back, once. */
  readonly #out = new WeakSet<Uint8Array>()
  /** The kept buffer behind each shorter chunk, which keeps it alive. */
  readonly #behind = new WeakMap<Uint8Array, Buffer>()
  /**
   * A buffer that nobody gave back, because its client left while the kernel had it, is made again
   * when nobody holds it any more.
   */
  readonly #forgotten = new FinalizationRegistry<Place>(place => this.#free.push(this.#make(place)))
  #made = 0

  constructor(sizeBytes: number, kept: number, memory: Memory) {
    this.sizeBytes = sizeBytes
    this.#kept = kept
    this.#memory = memory
  }

  get isEmpty(): boolean {
    return this.#free.length === 0 && this.#made >= this.#kept
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
    const slab = this.#memory.cut()
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

/** Lends buffers to those who read blobs. One per thread. */
export class BufferPool {
  readonly #memory = new Memory()
  readonly #sizeClasses = SIZES.map(({ bytes, kept }) => new SizeClass(bytes, kept, this.#memory))
  readonly #readCached: ReadCached | undefined
  #turnBytes = 0

  /** Without `readCached` every read is the thread pool's. */
  constructor(readCached?: ReadCached) {
    this.#readCached = readCached
  }

  /** Bytes to read at once now. */
  get chunkBytes(): number {
    return this.#sizeClasses.find(sizeClass => !sizeClass.isEmpty)?.sizeBytes ?? SMALLEST_BYTES
  }

  /**
   * Memory for one read; what is in it is anybody's. When all of its size is lent, new memory. It
   * comes back by giveBack of this very object, or when nobody holds this object any more: a part
   * of it must not outlive it.
   */
  lend(lengthBytes: number): Buffer {
    const sizeClass = this.#sizeClasses.findLast(({ sizeBytes }) => sizeBytes >= lengthBytes)
    return sizeClass?.take(lengthBytes) ?? createReadBuffer(lengthBytes)
  }

  /** How many bytes of the file are in the buffer now; the others have to be read. */
  readCached(descriptor: number | undefined, buffer: Buffer, position: number): number {
    if (this.#readCached === undefined || descriptor === undefined) return 0
    if (this.#turnBytes + buffer.length > TURN_MAX_BYTES) return 0
    if (this.#turnBytes === 0) {
      setImmediate(() => {
        this.#turnBytes = 0
      })
    }
    const bytes = this.#readCached(descriptor, buffer, position)
    this.#turnBytes += bytes
    return bytes
  }

  /**
   * Takes memory back that nobody reads or writes any more. No effect for what was not lent, or
   * came back already.
   */
  giveBack(chunk: Uint8Array): void {
    if (!Buffer.isBuffer(chunk)) return
    for (const sizeClass of this.#sizeClasses) sizeClass.putBack(chunk)
  }
}
