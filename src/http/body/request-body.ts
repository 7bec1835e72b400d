// The body of a request as the engine reads it: pulled piece by piece, so that a client is read no
// faster than the engine takes it (R193). 100 Continue goes out with the first pull and not before
// (R15). A client that brings nothing or next to nothing for a while (body-pace.ts), breaks HTTP or
// leaves ends it with an error; how long the whole takes is nobody's business (R228), unless memory
// is held for it. One that nobody wants is dropped (`dropBody`).
import type { IncomingMessage } from 'node:http'
import { NOT_NEEDED } from '../../async/aborting.ts'
import { within } from '../../async/within.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import { type Exchange, hasBody } from '../exchange.ts'
import {
  BODY_IDLE_MS,
  BODY_LEAST_BYTES,
  BODY_LEAST_MS,
  HELD_BODY_GRACE_MS,
  HELD_BODY_LEAST_BYTES_PER_SECOND,
  LINGER_MS,
} from '../limits.ts'
import { BodyPace, type TooSlow } from './body-pace.ts'

const CONTINUE = /(?:^|\W)100-continue(?:$|\W)/i

/** Does the sender hold its body back until it is told to go on? */
function awaitsContinue({ headers, httpVersion }: IncomingMessage): boolean {
  return httpVersion === '1.1' && CONTINUE.test(headers.expect ?? '')
}

/**
 * Nothing is read before the first pull. Can be left at any time, also while a piece is waited for;
 * what remains then stays on the connection, which ends with the answer. To be iterated once. Its
 * iterator throws when the client left, and then nobody is there to be answered; RegistryError
 * UNSUPPORTED 408 after BODY_IDLE_MS of silence, or BODY_LEAST_MS of waiting for less than
 * BODY_LEAST_BYTES; RegistryError SIZE_INVALID when the body broke off.
 */
export function readBody(exchange: Exchange, clock: Clock): AsyncIterable<Uint8Array> {
  if (!hasBody(exchange.request)) return NOTHING
  return { [Symbol.asyncIterator]: () => iterate(exchange, clock) }
}

const NOTHING: AsyncIterable<Uint8Array> = {
  [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: undefined }) }),
}

/**
 * What came after the head is no HTTP. No effect when the body has come whole; what came of it
 * before can still be read.
 */
export function breakBody(exchange: Exchange): void {
  if (exchange.request.complete) return
  const message = 'the body ended before the length it announced'
  giveUpBody(exchange, new RegistryError('SIZE_INVALID', message))
}

/** Whoever reads it is told so, once what came of it before is read. */
export function giveUpBody({ body }: Exchange, error: RegistryError): void {
  body.failure ??= error
  body.wake?.()
}

export interface WholeBody {
  readonly mostBytes: number
  /** Of more. */
  readonly tooLarge: () => RegistryError
  /** Told of each piece, before the next is read. What it throws ends the reading. */
  readonly came?: (bytes: number) => void
}

/**
 * All of a body that is held in memory; its client is given no longer for it than its largest size
 * takes at a least rate. @throws RegistryError as `readBody`; UNSUPPORTED 408 when it took longer
 */
export async function readWholeBody(
  exchange: Exchange,
  clock: Clock,
  { mostBytes, tooLarge, came }: WholeBody,
): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  let sizeBytes = 0
  const stopLimit = limitBody(exchange, clock, mostBytes)
  try {
    for await (const piece of readBody(exchange, clock)) {
      sizeBytes += piece.length
      if (sizeBytes > mostBytes) throw tooLarge()
      came?.(piece.length)
      // A piece of few bytes may stand in memory of many, which would be held with it, uncounted.
      pieces.push(Uint8Array.from(piece))
    }
  } finally {
    stopLimit()
  }
  return Buffer.concat(pieces)
}

/**
 * Gives a body of at most `mostBytes` up unless it comes at a least rate.
 * @returns says that it has come, or is not wanted any more
 */
function limitBody(exchange: Exchange, clock: Clock, mostBytes: number): () => void {
  const over = new AbortController()
  const limitMs = HELD_BODY_GRACE_MS + (mostBytes / HELD_BODY_LEAST_BYTES_PER_SECOND) * 1_000
  const fail = () => {
    const message = 'the body came too slowly to be held; send it again'
    giveUpBody(exchange, new RegistryError('UNSUPPORTED', message, { status: 408 }))
  }
  clock.sleep(limitMs, over.signal).then(fail, ignore)
  return () => over.abort(NOT_NEEDED)
}

/**
 * By hand and not a generator, which could be left only at a piece: a newer request may end one
 * whose client has gone quiet.
 */
function iterate(exchange: Exchange, clock: Clock): AsyncIterator<Uint8Array, undefined> {
  const { request, record, body } = exchange
  let wait: Wait | undefined
  let isOver = false

  function leave(): { done: true; value: undefined } {
    isOver = true
    wait?.release()
    return { done: true, value: undefined }
  }

  return {
    async next() {
      wait ??= begin(exchange, clock)
      while (!isOver) {
        const piece = request.read() as Uint8Array | null
        if (piece !== null) {
          record.receivedBytes += piece.length
          wait.came(piece.length)
          return { done: false, value: piece }
        }
        if (request.readableEnded) {
          body.read = 'whole'
          return leave()
        }
        if (body.failure !== undefined) {
          leave()
          throw body.failure
        }
        await wait.forMore()
      }
      return leave()
    },
    return: async () => leave(),
  }
}

function begin(exchange: Exchange, clock: Clock): Wait {
  const { request, response, body } = exchange
  if (body.read !== 'nothing') throw new TypeError('the body of a request is read once')
  body.read = 'part'
  if (awaitsContinue(request) && !response.destroyed) response.writeContinue()
  return createWait(exchange, clock)
}

interface Wait {
  /** Resolves when there is more, the end, or a failure. */
  forMore(): Promise<void>
  /** So many bytes came. */
  came(bytes: number): void
  /** Takes listeners and timer away, and ends the wait. */
  release(): void
}

function createWait({ request, body }: Exchange, clock: Clock): Wait {
  const over = new AbortController()
  const pace = new BodyPace()
  let watched = false
  const wake = () => body.wake?.()
  const fail = (error: Error) => {
    body.failure ??= error
    wake()
  }
  const onClose = () => {
    if (!request.readableEnded) fail(new Error('the client left in the middle of the body'))
  }
  request.on('readable', wake)
  request.on('end', wake)
  request.on('close', onClose)
  // Node tells of a broken connection by an error, and always by `close` as well.
  request.on('error', ignore)
  if (request.destroyed) onClose()

  /** One timer for the whole body: it runs again for as long as is left since the wait began. */
  async function watch(): Promise<void> {
    for (;;) {
      await clock.sleep(pace.leftMs(clock.monotonicMs()), over.signal)
      const reason = pace.tooSlow(clock.monotonicMs())
      if (reason !== undefined) return fail(tooSlow(reason))
    }
  }

  return {
    async forMore() {
      pace.wait(clock.monotonicMs())
      if (!watched) {
        watched = true
        watch().catch(ignore)
      }
      await new Promise<void>(resolve => {
        body.wake = resolve
      })
      pace.rest(clock.monotonicMs())
    },
    came: bytes => pace.came(bytes),
    release() {
      over.abort(NOT_NEEDED)
      wake()
      body.wake = undefined
      request.off('readable', wake)
      request.off('end', wake)
      request.off('close', onClose)
    },
  }
}

function ignore(): void {}

function tooSlow(reason: TooSlow): RegistryError {
  return new RegistryError('UNSUPPORTED', TOO_SLOW[reason], { status: 408 })
}

const MS_PER_SECOND = 1_000
const RESUMABLE = 'what came before may be resumed'
const TOO_SLOW: Readonly<Record<TooSlow, string>> = {
  silent: `no byte of the body came for ${BODY_IDLE_MS / MS_PER_SECOND} seconds; ${RESUMABLE}`,
  trickles: `less than ${BODY_LEAST_BYTES} bytes of the body came in ${BODY_LEAST_MS / MS_PER_SECOND} seconds; ${RESUMABLE}`,
}

/**
 * A body that nobody wants is read and dropped for a moment, because closing a connection with
 * unread bytes resets it, and the reset may overtake the answer. Resolves when the body has ended
 * or broken off, the connection is gone, or LINGER_MS have passed. Nothing is kept.
 */
export async function dropBody({ request, body }: Exchange, clock: Clock): Promise<void> {
  const coding = request.headers['transfer-encoding'] ?? 'chunked'
  // A sender that waits for 100 Continue has sent nothing and now will not; a coding that is not
  // understood, and a body that broke, have no end.
  const waits = awaitsContinue(request) && body.read === 'nothing'
  if (request.complete || waits || coding !== 'chunked' || body.failure !== undefined) return
  const ended = new Promise<void>(resolve => {
    // What breaks it off, such as a client that closes its side, is told to whoever waits for more
    // of it.
    body.wake = resolve
    request.once('end', resolve)
    request.once('close', resolve)
    request.once('error', () => resolve())
    request.resume()
  })
  await within(clock, LINGER_MS, ended)
  body.wake = undefined
}
