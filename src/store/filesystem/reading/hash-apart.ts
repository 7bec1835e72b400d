// Files hashed in a thread of their own, which is started with the first and is ended by whoever
// has no more of them. A piece at a time, so that whoever asks says how fast, and when it ends.
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Digest, DigestAlgorithm } from '../../../oci/digest.ts'
import type { HashingData, HashOrder, HashReply } from './hashing-thread.ts'

/** Some milliseconds of one core: what the way there and back costs is nothing beside it. */
export const PIECE_BYTES = 8 * 1024 * 1024
/** It has a hash in memory, and its buffer beside that. */
const THREAD_LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 } as const

export interface HashedApart {
  /** Open until this has resolved. */
  readonly descriptor: number
  readonly sizeBytes: number
  readonly algorithm: DigestAlgorithm
  /** What is in memory of it goes first. */
  readonly fromDisk: boolean
  /** Awaited after each piece. */
  readonly between: (pieceBytes: number) => Promise<void>
}

export class HashApart {
  readonly #data: HashingData
  readonly #entry: URL
  #worker: Worker | undefined
  #asked: PromiseWithResolvers<HashReply> | undefined

  /** `addon`: its file. `entry`: of the thread; default: beside this file, as it is built. */
  constructor(
    addon: string | undefined,
    entry = new URL(`./hashing-thread${extname(import.meta.url)}`, import.meta.url),
  ) {
    this.#data = { addon }
    this.#entry = entry
  }

  /**
   * MUST NOT be called again before it has settled.
   * @throws the system's error; EIO for a file that is shorter; what `between` throws
   */
  async digestOf({ descriptor, sizeBytes, ...how }: HashedApart): Promise<Digest> {
    const { algorithm, fromDisk, between } = how
    await this.#ask({ kind: 'file', descriptor, algorithm, fromDisk, pieceBytes: PIECE_BYTES })
    for (let position = 0; position < sizeBytes; position += PIECE_BYTES) {
      const lengthBytes = Math.min(PIECE_BYTES, sizeBytes - position)
      await this.#ask({ kind: 'piece', position, lengthBytes })
      await between(lengthBytes)
    }
    const reply = await this.#ask({ kind: 'end' })
    if (reply.kind !== 'digest') throw new Error('the thread that hashes said no digest')
    return reply.digest
  }

  /** It may be asked again. */
  async end(): Promise<void> {
    await this.#worker?.terminate()
  }

  async #ask(order: HashOrder): Promise<HashReply> {
    this.#worker ??= this.#start()
    const asked = Promise.withResolvers<HashReply>()
    this.#asked = asked
    this.#worker.postMessage(order)
    const reply = await asked.promise
    if (reply.kind !== 'failed') return reply
    const { message, code } = reply
    throw Object.assign(new Error(message), code === undefined ? {} : { code })
  }

  #start(): Worker {
    const workerData = this.#data
    const worker = new Worker(this.#entry, {
      name: 'hashing',
      workerData,
      resourceLimits: THREAD_LIMITS,
    })
    worker.unref()
    let why: unknown = new Error('the thread that hashes has ended')
    worker.on('message', (reply: HashReply) => this.#asked?.resolve(reply))
    worker.on('error', error => {
      why = error
    })
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = undefined
      this.#asked?.reject(why)
    })
    return worker
  }
}
