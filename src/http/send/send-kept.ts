// A large blob that is still open from who asked for it before, whole, to who asks now: by the
// kernel, and with nothing made for it but what that takes. Whatever is out of the ordinary before
// its head leaves the request to the usual way (send-blob.ts).
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { BlobAnswer } from '../../registry/answers.ts'
import type { Registry } from '../../registry/use-cases.ts'
import { createClientFlow } from './client-flow.ts'
import { endAnswer } from './end-answer.ts'
import type { KeptBlob } from '../memory/hot-answers.ts'
import { STALLED_READER_MS } from '../limits.ts'
import { type FileSending, type Sendfile, SendfileError } from './sendfile.ts'
import type { StalledSendings } from './stalled-sendings.ts'
import { type TakePlaceNow, tookNothing } from '../places/place.ts'
import { clientOf } from '../principal.ts'
import type { Reader } from '../places/stalled-readers.ts'

export interface SendKeptDeps {
  readonly registry: Pick<Registry, 'findKept'>
  readonly sendfile: Sendfile
  readonly takePlaceNow: TakePlaceNow
  readonly stalls: StalledSendings
}

/** Undefined when it is not to be had at once. What comes back MUST be closed once. */
export type OpenKept = (kept: KeptBlob, request: IncomingMessage) => KeptSending | undefined

export function createOpenKept(deps: SendKeptDeps): OpenKept {
  const { registry, sendfile, takePlaceNow, stalls } = deps
  return ({ repository, digest }, { socket }) => {
    const blob = registry.findKept(repository, digest)
    if (blob === undefined) return undefined
    const { file, sizeBytes } = blob
    // Where nobody has read, the disk may fail, which can be told as an error before the head
    // alone.
    const isReady = file?.readyBytes === sizeBytes && file.isProven?.(0) === true
    const sending = isReady ? sendfile.open(socket, file.descriptor) : undefined
    if (sending !== undefined) {
      const one = new KeptSending(blob, sending)
      const leave = takePlaceNow(clientOf({ socket }), one)
      if (leave !== undefined) {
        const unwatch = stalls.watch(sending, () => one.drop())
        one.ending = () => {
          unwatch()
          leave()
        }
        return one
      }
      sending.close()
    }
    // Whoever reads it sees to what goes wrong at its end.
    blob.close().catch(() => {})
    return undefined
  }
}

export class KeptSending implements Reader {
  /** Why the answer was cut short by us. */
  error: Error | undefined
  ending: () => void = () => {}
  readonly #blob: BlobAnswer
  readonly #sending: FileSending
  #response: ServerResponse | undefined
  /** Sent by node, where the kernel could not. */
  #readBytes = 0
  #isOver = false

  constructor(blob: BlobAnswer, sending: FileSending) {
    this.#blob = blob
    this.#sending = sending
  }

  get sentBytes(): number {
    return this.#sending.sentBytes + this.#readBytes
  }

  /** Sends the head, which must be written, and all bytes; then the answer is ended. */
  begin(response: ServerResponse): void {
    this.#response = response
    response.flushHeaders()
    const { socket } = response
    // An answer before this one has the connection: nothing goes to it past that. The head goes out
    // in the turn after this event.
    if (socket === null)
      response.once('socket', next => queueMicrotask(() => this.#afterHead(response, next)))
    else this.#afterHead(response, socket)
  }

  #afterHead(response: ServerResponse, socket: Socket): void {
    if (socket.writableLength === 0) return this.#send(response)
    // Node's timer goes by what the kernel takes of node's, and says nothing of what it takes from
    // the file.
    response.setTimeout(STALLED_READER_MS, () => response.destroy())
    socket.write('', error => {
      // Of an error its `close` tells.
      if (error !== null && error !== undefined) return
      response.setTimeout(0)
      this.#send(response)
    })
  }

  taken(): number | undefined {
    if (this.#sending.isBusy) return this.sentBytes
    return (this.#response?.socket?.writableLength ?? 0) > 0 ? this.sentBytes : undefined
  }

  cut(): void {
    this.#fail(tookNothing())
  }

  /** Nobody takes it. */
  drop(): void {
    this.#response?.destroy()
  }

  /** The answer is over, however it ended. */
  close(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#sending.close()
    this.ending()
    this.#blob.close().catch(() => {})
  }

  #send(response: ServerResponse): void {
    if (this.#isOver) return
    this.#sending.send(0, this.#blob.sizeBytes).then(
      () => endAnswer(response),
      (error: unknown) => this.#stopped(error, response),
    )
  }

  #stopped(error: unknown, response: ServerResponse): void {
    if (this.#isOver) return
    const failure = error instanceof SendfileError ? error.failure : 'file'
    if (failure === 'unsupported') void this.#goOn(response)
    // Node may hear of it later, or never.
    else if (failure === 'client') response.destroy()
    else this.#spoil(error)
  }

  /** What the kernel did not send of this file. */
  async #goOn(response: ServerResponse): Promise<void> {
    const flow = createClientFlow(response)
    const range = { first: 0, last: this.#blob.sizeBytes - 1 }
    try {
      for await (const chunk of this.#blob.read(range, flow.signal, this.#sending.sentBytes)) {
        if (!response.write(chunk)) await flow.drained()
        this.#readBytes += chunk.length
      }
      endAnswer(response)
    } catch (error) {
      if (!flow.gone) this.#spoil(error)
    } finally {
      flow.release()
    }
  }

  #spoil(error: unknown): void {
    this.#blob.spoiled?.()
    this.#fail(error)
  }

  #fail(error: unknown): void {
    this.error ??= error instanceof Error ? error : new Error(String(error))
    this.#response?.destroy()
  }
}
