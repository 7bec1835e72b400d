// bcrypt, computed elsewhere: one computation at a time, in a thread that is started with the first
// and goes when the process does.
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { BcryptRequest } from './bcrypt-thread.ts'

/** Is this the password of which that is the hash? Rejects where that could not be found out. */
export type Compare = (password: string, hash: string) => Promise<boolean>

/** Its thread has a few numbers in memory, and one password after the other. */
const THREAD_LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 } as const

export class Bcrypt {
  readonly #entry: URL
  #worker: Worker | undefined
  /** In the order in which they were asked. */
  #asked: PromiseWithResolvers<boolean>[] = []

  /** `entry`: of the thread. Default: bcrypt-thread beside this file, as source and as compiled. */
  constructor(entry = new URL(`./bcrypt-thread${extname(import.meta.url)}`, import.meta.url)) {
    this.#entry = entry
  }

  compare(password: string, hash: string): Promise<boolean> {
    const asked = Promise.withResolvers<boolean>()
    try {
      this.#worker ??= this.#start()
      this.#worker.postMessage({ password, hash } satisfies BcryptRequest)
      this.#asked.push(asked)
    } catch (error) {
      asked.reject(error)
    }
    return asked.promise
  }

  /** At once; who still waits is refused. It may be asked again. */
  async end(): Promise<void> {
    await this.#worker?.terminate()
  }

  #start(): Worker {
    const worker = new Worker(this.#entry, { name: 'bcrypt', resourceLimits: THREAD_LIMITS })
    worker.unref()
    let why: unknown = new Error('the thread that tries passwords has ended')
    worker.on('message', (isRight: boolean) => this.#asked.shift()?.resolve(isRight))
    worker.on('error', error => {
      why = error
    })
    worker.on('exit', () => {
      if (this.#worker === worker) this.#worker = undefined
      for (const { reject } of this.#asked.splice(0)) reject(why)
    })
    return worker
  }
}
