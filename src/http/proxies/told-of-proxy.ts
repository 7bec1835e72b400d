// That a proxy seems to be in front which is not listed, told once for all threads: whoever runs
// one sees all clients under one address, and may not know why.
import type { Logger } from '../../observe/log.ts'
import type { UnlistedProxies } from './callers.ts'

/** For all threads of a process. */
export function createToldMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)
}

const HINT =
  'behind a proxy every client has its address; list it under http.trustedproxies to go by who it says that asks. Where there is none, a client wrote the header itself'

export class ToldOfProxy implements UnlistedProxies {
  readonly #told: Int32Array
  readonly #logger: Pick<Logger, 'warn'>

  constructor(memory: SharedArrayBuffer, logger: Pick<Logger, 'warn'>) {
    this.#told = new Int32Array(memory)
    this.#logger = logger
  }

  get isTold(): boolean {
    return Atomics.load(this.#told, 0) !== 0
  }

  tell(address: string): void {
    if (Atomics.exchange(this.#told, 0, 1) !== 0) return
    this.#logger.warn({ client: address, hint: HINT }, 'a proxy that is not listed seems in front')
  }
}
