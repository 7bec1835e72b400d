// The other thread, to ask and to be asked: questions with one answer each, notes without, and
// streams of bytes. What is asked and what it means is whoever makes one; the rules of the messages
// are messages.ts.
import { decodeError, encodeError } from './error-value.ts'
import type { Message, Port } from './messages.ts'
import { Outbox } from './outbox.ts'
import { Incoming, Outgoing } from './streams.ts'

/**
 * What one side can be asked and told: by method what it is given and what it gives, by name what
 * it is told. Values only.
 */
export interface Side {
  readonly services: Readonly<
    Record<string, { readonly request: unknown; readonly answer: unknown }>
  >
  readonly notes: Readonly<Record<string, unknown>>
}

type Request<S extends Side, Method extends keyof S['services']> = S['services'][Method]['request']
type Answer<S extends Side, Method extends keyof S['services']> = S['services'][Method]['answer']

export interface Duties<Mine extends Side> {
  /** `signal` aborts when who asked takes it back, or is gone. Whatever it throws crosses whole. */
  readonly services: {
    readonly [Method in keyof Mine['services']]: (
      request: Request<Mine, Method>,
      signal: AbortSignal,
    ) => Promise<Answer<Mine, Method>>
  }
  /** MUST NOT throw. */
  readonly notes: { readonly [Name in keyof Mine['notes']]: (value: Mine['notes'][Name]) => void }
}

export interface Offer {
  /** For a question or an answer; the other side gets at the bytes by it. */
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

/** @typeParam Theirs what the other side can be asked and told; Mine: what this one can */
export class Peer<Theirs extends Side, Mine extends Side> {
  readonly #outbox: Outbox
  readonly #duties: Duties<Mine>
  readonly #pending = new Map<number, Pending>()
  readonly #running = new Map<number, AbortController>()
  readonly #outgoing = new Map<number, Outgoing>()
  readonly #incoming = new Map<number, Incoming>()
  /** What has arrived and was not looked at yet. */
  readonly #inbox: Message[] = []
  #isTaking = false
  #lastId = 0
  #ended: Error | undefined

  constructor(port: Port, duties: Duties<Mine>) {
    this.#duties = duties
    this.#outbox = new Outbox(port, (message, error) => this.#didNotCross(message, error))
    port.on('message', messages => this.#receive(messages))
  }

  /**
   * Rejects with what the other side threw, with the signal's reason as soon as that aborts, and
   * when the other side is gone.
   */
  ask<Method extends keyof Theirs['services'] & string>(
    method: Method,
    request: Request<Theirs, Method>,
    signal?: AbortSignal,
  ): Promise<Answer<Theirs, Method>> {
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
          resolve(value as Answer<Theirs, Method>)
        },
        reject: error => {
          settled()
          reject(error)
        },
      })
      signal?.addEventListener('abort', abort, { once: true })
      this.#post({ kind: 'ask', id, method, request })
    })
  }

  /** No effect when the other side is gone. */
  tell<Name extends keyof Theirs['notes'] & string>(
    name: Name,
    value: Theirs['notes'][Name],
  ): void {
    this.#post({ kind: 'note', name, value })
  }

  /** Lets the other side read `pieces`, from its first grant on; see OutgoingSource. */
  offer(pieces: AsyncIterable<Uint8Array>, copied?: (piece: Uint8Array) => void): Offer {
    const stream = this.#nextId()
    const one = new Outgoing(stream, (message, transfer) => this.#post(message, transfer), {
      pieces,
      ...(copied === undefined ? {} : { copied }),
      over: () => this.#outgoing.delete(stream),
    })
    this.#outgoing.set(stream, one)
    return { stream, dispose: () => one.leave() }
  }

  /** What the other side offered. To be iterated once, or not at all. */
  accept(stream: number): AsyncIterableIterator<Uint8Array> {
    const one = new Incoming({
      grant: bytes => this.#post({ kind: 'grant', stream, bytes }),
      leave: () => this.#post({ kind: 'leave', stream }),
      over: () => this.#incoming.delete(stream),
    })
    if (this.#ended === undefined) this.#incoming.set(stream, one)
    else one.end(this.#ended)
    return one
  }

  /** Streams that are not over, in either direction. */
  get streamsOpen(): number {
    return this.#incoming.size + this.#outgoing.size
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
    this.#outbox.end()
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
    this.#outbox.hold()
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
      return this.#outbox.release()
    }
    // A tick comes when all promises have been followed, also those that follow from them.
    queueMicrotask(() => process.nextTick(() => this.#takeNext()))
    this.#take(message)
  }

  #take(message: Message): void {
    switch (message.kind) {
      case 'ask':
        return void this.#serve(message.id, message.method, message.request)
      case 'answer':
        return this.#settle(message.id, ({ resolve }) => resolve(message.value))
      case 'refuse':
        return this.#settle(message.id, ({ reject }) => reject(decodeError(message.error)))
      case 'abort': {
        const controller = this.#running.get(message.id)
        this.#running.delete(message.id)
        return controller?.abort(decodeError(message.error))
      }
      case 'note':
        return this.#duties.notes[message.name]?.(message.value as never)
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
      const service = this.#duties.services[method]
      if (service === undefined) throw new TypeError(`nobody here can be asked to ${method}`)
      const value = await service(request as never, controller.signal)
      if (this.#running.has(id)) this.#post({ kind: 'answer', id, value })
    } catch (error) {
      if (this.#running.has(id)) this.#post({ kind: 'refuse', id, error: encodeError(error) })
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
    if (this.#ended === undefined) this.#outbox.put(message, transfer)
  }

  /** It holds a value that cannot: an error of its question, or of its stream, alone. */
  #didNotCross(message: Message, error: unknown): void {
    switch (message.kind) {
      case 'ask':
        return this.#settle(message.id, one => one.reject(error))
      case 'answer':
        return this.#post({ kind: 'refuse', id: message.id, error: encodeError(error) })
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
