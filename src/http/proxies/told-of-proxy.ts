// What is told of proxies in front, each once for all threads: that one seems to be there which is
// not listed, or that a listed one does not say for whom it asks. Whoever runs one sees all clients
// under one address then, and may not know why.
import type { Logger } from '../../observe/log.ts'
import type { TellOfProxies, TellOnce } from './callers.ts'

const SLOTS = 2

/** For all threads of a process. */
export function createToldMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(SLOTS * Int32Array.BYTES_PER_ELEMENT)
}

const UNLISTED = {
  message: 'a proxy that is not listed seems in front',
  hint: 'behind a proxy every client has its address; list it under http.trustedproxies to go by who it says that asks. Where there is none, a client wrote the header itself',
}
const SILENT = {
  message: 'a listed proxy does not say for whom it asks',
  hint: 'whoever comes through it has its address: let it write X-Forwarded-For, X-Real-IP or Forwarded. A program at that address that asks for itself looks the same',
}

export function createTellOfProxies(
  memory: SharedArrayBuffer,
  logger: Pick<Logger, 'warn'>,
): TellOfProxies {
  const told = new Int32Array(memory)
  const once = (slot: number, { message, hint }: typeof UNLISTED): TellOnce => ({
    get isTold() {
      return Atomics.load(told, slot) !== 0
    },
    tell(client) {
      if (Atomics.exchange(told, slot, 1) === 0) logger.warn({ client, hint }, message)
    },
  })
  return { unlisted: once(0, UNLISTED), silent: once(1, SILENT) }
}
