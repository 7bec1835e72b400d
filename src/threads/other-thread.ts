// The other thread: calls with one result each, in both directions, notes without, and streams of
// bytes. Which calls there are and what they mean says whoever makes one; the rules of the messages
// are messages.ts.
import { decodeError, encodeError } from './error-value.ts'
import type { Message, Port } from './messages.ts'
import { BatchedPort } from './batched-port.ts'
import { IncomingStream, OutgoingStream } from './byte-streams.ts'

/** What one side can be called for, by method, and what it can be told, by name. Values only. */
export interface Side {
  readonly methods: Readonly<
    Record<string, { readonly request: unknown; readonly result: unknown }>
  >
  readonly notes: Readonly<Record<string, unknown>>
}

type Request<S extends Side, Method extends keyof S['methods']> = S['methods'][Method]['request']
type Result<S extends Side, Method extends keyof S['methods']> = S['methods'][Method]['result']

export interface Handlers<Mine extends Side> {
  /** `signal` aborts when the caller does, or is gone. Whatever it throws crosses whole. */
  readonly methods: {
    readonly [Method in keyof Mine['methods']]: (
      request: Request<Mine, Method>,
      signal: AbortSignal,
    ) => Promise<Result<Mine, Method>>
  }
  /** MUST NOT throw. */
  readonly notes: { readonly [Name in keyof Mine['notes']]: (value: Mine['notes'][Name]) => void }
}

export interface Offer {
  /** For a call or its result; the other side gets at the bytes by it. */
  readonly stream: number
  /** Sends no more, and leaves the source. No effect when all was sent. */
  dispose(): void
}

/** The other side is no more. */
export class GoneError extends Error {
  constructor() {
    super('the thread on the other side is gone')
    this.name = 'GoneError'
  }
}

interface Pending {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

/** @typeParam Theirs what the other side can be called for and told; Mine: what this one can */
export class OtherThread<Theirs extends Side, Mine extends Side> {
  readonly #port: BatchedPort
  readonly #handlers: Handlers<Mine>
  readonly #pending = new Map<number, Pending>()
  readonly #running = new Map<number, AbortController>()
  readonly #outgoing = new Map<number, OutgoingStream>()
  readonly #incoming = new Map<number, IncomingStream>()
  /** What has arrived and was not looked at yet. */
  readonly #inbox: Message[] = []
  #isTaking = false
  #lastId = 0
  #ended: Error | undefined

  constructor(port: Port, handlers: Handlers<Mine>) {
    this.#handlers = handlers
    this.#port = new BatchedPort(port, (message, error) => this.#didNotCross(message, error))
    port.on('message', messages => this.#receive(messages))
  }

  /**
   * Rejects with what the other side threw, with the signal's reason as soon as that aborts, and
   * when the other side is gone.
   */
  call<Method extends keyof Theirs['methods'] & string>(
    method: Method,
    request: Request<Theirs, Method>,
    signal?: AbortSignal,
  ): Promise<Result<Theirs, Method>> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    if (signal?.aborted === true) return Promise.reject(signal.reason)
    const id = this.#nextId()
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#pending.delete(id)
        this.#post({ kind: 'abort', id, error: encodeError(signal?.reason) })
        reject(signal?.reason)
      }
      const settled = () => signal?.removeEventListener('abort', abort)
      this.#pending.set(id, {
        resolve: value => {
          settled()
          resolve(value as Result<Theirs, Method>)
        },
        reject: error => {
          settled()
          reject(error)
        },
      })
      signal?.addEventListener('abort', abort, { once: true })
      this.#post({ kind: 'call', id, method, request })
    })
  }

  /** No effect when the other side is gone. */
  notify<Name extends keyof Theirs['notes'] & string>(
    name: Name,
    value: Theirs['notes'][Name],
  ): void {
    this.#post({ kind: 'note', name, value })
  }

  /** Lets the other side read `pieces`, from its first grant on; see OutgoingSource. */
  offer(pieces: AsyncIterable<Uint8Array>, copied?: (piece: Uint8Array) => void): Offer {
    const stream = this.#nextId()
    const one = new OutgoingStream(stream, (message, transfer) => this.#post(message, transfer), {
      pieces,
      ...(copied === undefined ? {} : { copied }),
      over: () => this.#outgoing.delete(stream),
    })
    this.#outgoing.set(stream, one)
    return { stream, dispose: () => one.leave() }
  }

  /** What the other side offered. To be iterated once, or not at all. */
  accept(stream: number): AsyncIterableIterator<Uint8Array> {
    const one = new IncomingStream({
      grant: bytes => this.#post({ kind: 'grant', stream, bytes }),
      leave: () => this.#post({ kind: 'leave', stream }),
      over: () => this.#incoming.delete(stream),
    })
    if (this.#ended === undefined) this.#incoming.set(stream, one)
    else one.end(this.#ended)
    return one
  }

  /**
   * The other side is no more: ends whatever is under way with it by a GoneError. Nothing is sent
   * any more. Idempotent.
   */
  end(): void {
    if (this.#ended !== undefined) return
    // A thread's last words arrive in one callback with its end.
    for (const message of this.#inbox.splice(0)) this.#take(message)
    const reason = new GoneError()
    this.#ended = reason
    this.#port.end()
    for (const id of this.#pending.keys()) this.#settle(id, ({ reject }) => reject(reason))
    for (const controller of this.#running.values()) controller.abort(reason)
    this.#running.clear()
    for (const one of this.#outgoing.values()) one.leave()
    for (const one of this.#incoming.values()) one.end(reason)
  }

  #receive(messages: readonly Message[]): void {
    if (this.#ended !== undefined) return
    this.#inbox.push(...messages)
    if (this.#isTaking) return
    this.#isTaking = true
    this.#port.hold()
    this.#takeNext()
  }

  /**
   * What a message sets going by promises comes to rest before the next one is looked at, as if
   * each had come alone.
   */
  #takeNext(): void {
    const message = this.#inbox.shift()
    if (message === undefined) {
      this.#isTaking = false
      return this.#port.release()
    }
    // A tick comes when all promises have been followed, also those that follow from them.
    queueMicrotask(() => process.nextTick(() => this.#takeNext()))
    this.#take(message)
  }

  #take(message: Message): void {
    switch (message.kind) {
      case 'call':
        return void this.#serve(message.id, message.method, message.request)
      case 'result':
        return this.#settle(message.id, ({ resolve }) => resolve(message.value))
      case 'failure':
        return this.#settle(message.id, ({ reject }) => reject(decodeError(message.error)))
      case 'abort': {
        const controller = this.#running.get(message.id)
        this.#running.delete(message.id)
        return controller?.abort(decodeError(message.error))
      }
      case 'note':
        return this.#handlers.notes[message.name]?.(message.value as never)
      case 'grant':
        return this.#outgoing.get(message.stream)?.grant(message.bytes)
      case 'leave':
        return this.#outgoing.get(message.stream)?.leave()
      case 'piece':
        return this.#incoming.get(message.stream)?.take(message.bytes)
      case 'end':
        return this.#incoming.get(message.stream)?.end()
      case 'break':
        return this.#incoming.get(message.stream)?.end(message.error)
    }
  }

  async #serve(id: number, method: string, request: unknown): Promise<void> {
    const controller = new AbortController()
    this.#running.set(id, controller)
    try {
      const service = this.#handlers.methods[method]
      if (service === undefined) throw new TypeError(`nobody here can be asked to ${method}`)
      const value = await service(request as never, controller.signal)
      if (this.#running.has(id)) this.#post({ kind: 'result', id, value })
    } catch (error) {
      if (this.#running.has(id)) this.#post({ kind: 'failure', id, error: encodeError(error) })
    } finally {
      this.#running.delete(id)
    }
  }

  #settle(id: number, how: (one: Pending) => void): void {
    const one = this.#pending.get(id)
    this.#pending.delete(id)
    if (one !== undefined) how(one)
  }

  #post(message: Message, transfer?: readonly ArrayBuffer[]): void {
    if (this.#ended === undefined) this.#port.put(message, transfer)
  }

  /** It holds a value that cannot: an error of its call, or of its stream, alone. */
  #didNotCross(message: Message, error: unknown): void {
    switch (message.kind) {
      case 'call':
        return this.#settle(message.id, one => one.reject(error))
      case 'result':
        return this.#post({ kind: 'failure', id: message.id, error: encodeError(error) })
      case 'piece':
        this.#outgoing.get(message.stream)?.leave()
        return this.#post({ kind: 'break', stream: message.stream, error: encodeError(error) })
      default:
        // Nobody waits for it.
        queueMicrotask(() => {
          throw error
        })
    }
  }

  #nextId(): number {
    this.#lastId += 1
    return this.#lastId
  }
}
