// Parts of files to plain connections without their bytes passing through this process: the native sender (native/sender.c) as one
// JavaScript environment sees it. Where it was not built there is none, which costs speed and nothing else.
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { getSystemErrorMap } from 'node:util'

/** What native/sender.c exports. */
interface Addon {
  start(done: (id: number, errorNumber: number) => void): void
  open(socket: number, file: number): number
  send(id: number, position: number, lengthBytes: number): void
  sent(id: number): number
  close(id: number): void
}

export interface Sendfile {
  /**
   * Begins to send from `descriptor` to `socket`; both are duplicated, and may be closed while bytes are sent. Undefined when that
   * cannot be done: the socket is none of the kernel's own or is gone, or there are no descriptors left.
   */
  open(socket: Socket, descriptor: number): FileSending | undefined
}

/** One connection and one file. MUST be closed once. Nothing else may write to the connection while something is sent. */
export interface FileSending {
  /** Given to the kernel so far, by all sends. */
  readonly sentBytes: number
  /** Something is being sent. */
  readonly isBusy: boolean
  /**
   * Resolves when the kernel has all bytes; they must be in the file. One at a time. @throws SendfileError; Error when it is closed
   * meanwhile
   */
  send(position: number, lengthBytes: number): Promise<void>
  /** No more bytes are sent: at once where they wait for the client, and soon in any case. */
  close(): void
}

/** `client`: the connection broke; `unsupported`: files of this file system cannot be sent this way; `file`: reading it failed. */
export type SendfileFailure = 'client' | 'unsupported' | 'file'

export class SendfileError extends Error {
  readonly code: string
  readonly failure: SendfileFailure

  constructor(errorNumber: number) {
    const [code = `error ${errorNumber}`, text = ''] = getSystemErrorMap().get(-errorNumber) ?? []
    super(`sending a file failed: ${code} ${text}`.trimEnd())
    this.name = 'SendfileError'
    this.code = code
    this.failure = FAILURES[code] ?? 'file'
  }
}

const FAILURES: Readonly<Record<string, SendfileFailure>> = {
  EPIPE: 'client',
  ECONNRESET: 'client',
  ECONNABORTED: 'client',
  ENOTCONN: 'client',
  ETIMEDOUT: 'client',
  EHOSTUNREACH: 'client',
  ENETUNREACH: 'client',
  EINVAL: 'unsupported',
  ENOSYS: 'unsupported',
  EOPNOTSUPP: 'unsupported',
}

let loaded: Sendfile | undefined

/** Two levels up from src/http and from dist/http alike. */
const BUILT = '../../native/sender.node'

/**
 * The same one for each call in one thread; undefined where it was not built or cannot be loaded. `built`: another build of it, for the
 * first call.
 */
export function loadSendfile(built = BUILT): Sendfile | undefined {
  try {
    loaded ??= createSendfile(createRequire(import.meta.url)(built) as Addon)
  } catch {
    return undefined
  }
  return loaded
}

function createSendfile(addon: Addon): Sendfile {
  const running = new Map<number, PromiseWithResolvers<void>>()
  addon.start((id, errorNumber) => {
    const order = running.get(id)
    running.delete(id)
    if (errorNumber === 0) order?.resolve()
    else order?.reject(new SendfileError(errorNumber))
  })
  return {
    open(socket, descriptor) {
      const connection = descriptorOf(socket)
      const id = connection === undefined ? -1 : addon.open(connection, descriptor)
      if (id < 0) return undefined
      let sentBytes: number | undefined
      return {
        get sentBytes() {
          return sentBytes ?? addon.sent(id)
        },
        get isBusy() {
          return running.has(id)
        },
        send(position, lengthBytes) {
          addon.send(id, position, lengthBytes)
          const order = Promise.withResolvers<void>()
          running.set(id, order)
          return order.promise
        },
        close() {
          sentBytes ??= addon.sent(id)
          addon.close(id)
          running.get(id)?.reject(new Error('the sending was closed'))
          running.delete(id)
        },
      }
    },
  }
}

/** Node tells the descriptor of a socket by no name of its own. A socket over TLS, or of a test without a network, has none. */
function descriptorOf(socket: Socket): number | undefined {
  if (socket.destroyed || 'encrypted' in socket) return undefined
  const handle = (socket as { _handle?: { fd?: unknown } | null })._handle
  return typeof handle?.fd === 'number' && handle.fd >= 0 ? handle.fd : undefined
}
