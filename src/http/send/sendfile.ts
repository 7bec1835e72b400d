// Parts of files to plain connections without their bytes passing through this process: the native
// sender (native/sender.c) as one JavaScript environment sees it. Where it was not built there is
// none, which costs speed and nothing else.
import type { Socket } from 'node:net'
import { getSystemErrorMap } from 'node:util'
import { type Addon, ADDON_BUILT, descriptorOf, loadAddon } from '../addon.ts'

export interface Sendfile {
  /**
   * Begins to send from `descriptor` to `socket`; both are duplicated, and may be closed while
   * bytes are sent. Undefined when that cannot be done: the socket is none of the kernel's own or
   * is gone, or there are no descriptors left.
   */
  open(socket: Socket, descriptor: number): FileSending | undefined
}

/**
 * One connection and one file. MUST be closed once. Nothing else may write to the connection while
 * something is sent.
 */
export interface FileSending {
  /** Given to the kernel so far, by all sends. */
  readonly sentBytes: number
  /** Something is being sent. */
  readonly isBusy: boolean
  /**
   * Resolves when the kernel has all bytes; they must be in the file. One at a time.
   * @throws SendfileError; Error when it is closed meanwhile
   */
  send(position: number, lengthBytes: number): Promise<void>
  /** No more bytes are sent: at once where they wait for the client, and soon in any case. */
  close(): void
}

/**
 * `client`: the connection broke; `unsupported`: files of this file system cannot be sent this way;
 * `file`: reading it failed.
 */
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

/**
 * The same one for each call in one thread; undefined where it was not built or cannot be loaded.
 * `built`: another build of it, for the first call.
 */
export function loadSendfile(built = ADDON_BUILT): Sendfile | undefined {
  if (loaded !== undefined) return loaded
  const addon = loadAddon(built)
  try {
    loaded = addon && createSendfile(addon)
  } catch {
    return undefined
  }
  return loaded
}

function createSendfile(addon: Addon): Sendfile {
  const running: Running = new Map()
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
      return id < 0 ? undefined : new KernelSending(id, addon, running)
    },
  }
}

/** What is being sent, by the id that the addon gave it. */
type Running = Map<number, PromiseWithResolvers<void>>

/** A class, because thousands may wait for slow clients: what each of them holds counts. */
class KernelSending implements FileSending {
  readonly #id: number
  readonly #addon: Addon
  readonly #running: Running
  #sentBytes: number | undefined

  constructor(id: number, addon: Addon, running: Running) {
    this.#id = id
    this.#addon = addon
    this.#running = running
  }

  get sentBytes(): number {
    return this.#sentBytes ?? this.#addon.sent(this.#id)
  }

  get isBusy(): boolean {
    return this.#running.has(this.#id)
  }

  send(position: number, lengthBytes: number): Promise<void> {
    this.#addon.send(this.#id, position, lengthBytes)
    const order = Promise.withResolvers<void>()
    this.#running.set(this.#id, order)
    return order.promise
  }

  close(): void {
    this.#sentBytes ??= this.#addon.sent(this.#id)
    this.#addon.close(this.#id)
    this.#running.get(this.#id)?.reject(new Error('the sending was closed'))
    this.#running.delete(this.#id)
  }
}
