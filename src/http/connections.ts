// Which requests of a connection are being answered. One at a time: node hands over pipelined
// requests all at once, and each would hold a chunk in memory until those before it are done.
import type { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../registry/ports/clock.ts'
import { ENDED_WAIT_MS, PIPELINED_MAX, WAITING_ALWAYS_BYTES, WAITING_MAX_BYTES } from './limits.ts'

/**
 * What is done with a request in turn. One of `start`, `refuse` and `abandon` is called, once:
 * `refuse` in its turn, for the one too many, with whose answer the connection ends; `abandon` when
 * the connection ends before its turn. `broken` in its turn, when what follows on the connection is
 * no HTTP: the rest of its body, if that is not here whole. `awaited`: while anything but the
 * client is waited for, how far its answer has come.
 */
export interface Turn {
  readonly start: () => void
  readonly refuse: () => void
  readonly abandon: () => void
  /** Has its response the connection? Of one without it node may never tell the end. */
  readonly isConnected: () => boolean
  /** What it holds while it waits; the same each time. */
  readonly heldBytes: () => number
  readonly broken: () => void
  readonly awaited: () => number | undefined
}

interface Pipeline {
  inTurn: Turn | undefined
  ending: boolean
  readonly waiting: Turn[]
  /** The one too many, behind those that wait. What comes after it is not taken. */
  refused: Turn | undefined
  /** By what waits, and by what was not taken, which node keeps until the connection ends. */
  heldBytes: number
}

function abandonAll(pipeline: Pipeline): void {
  const { waiting, refused } = pipeline
  pipeline.refused = undefined
  for (const turn of waiting.splice(0)) turn.abandon()
  refused?.abandon()
}

export class Connections {
  readonly #clock: Pick<Clock, 'sleep'>
  readonly #pipelines = new WeakMap<Socket, Pipeline>()
  readonly #open = new Set<Socket>()
  readonly #noneLeft = Promise.withResolvers<void>()
  #isClosing = false
  readonly #heldMaxBytes: number
  #heldBytes = 0
  #isEnding = false

  /** `heldMaxBytes`: by what waits on all of them. */
  constructor(clock: Pick<Clock, 'sleep'>, heldMaxBytes: number) {
    this.#clock = clock
    this.#heldMaxBytes = heldMaxBytes
  }

  /** To be told of every connection that is opened. */
  opened(socket: Socket): void {
    this.#open.add(socket)
    socket.once('end', () => void this.#watchEnded(socket))
    socket.once('close', () => {
      this.#open.delete(socket)
      this.#lookWhetherNoneIsLeft()
    })
    // Its handshake was under way when the others were closed.
    if (this.#isClosing) socket.destroy()
  }

  /**
   * Closes those on which nothing is being answered, also the ones that were never used: Node 24
   * does not count those as idle. What is opened from now on is closed at once.
   */
  closeIdle(): void {
    this.#isClosing = true
    for (const socket of this.#open) if (this.isFree(socket)) socket.destroy()
  }

  /** Closes all, whatever is being answered on them. */
  closeAll(): void {
    for (const socket of this.#open) socket.destroy()
  }

  /**
   * Resolves when none is open and the ends of all have been heard, by whoever listens for them
   * too. For when no more are taken.
   */
  allClosed(): Promise<void> {
    this.#isEnding = true
    this.#lookWhetherNoneIsLeft()
    // Those who wait go on after the turn of the event in which the last one was heard to close.
    return this.#noneLeft.promise
  }

  /** Is nothing of this connection being answered, so that a turn would start at once? */
  isFree(socket: Socket): boolean {
    return this.#pipelines.get(socket)?.inTurn === undefined
  }

  /**
   * Starts `turn` now or after those before it. Where too many wait already it is refused in its
   * turn, the last of its connection; of those behind it nothing is kept. Where too much is held
   * the connection ends.
   */
  enter(socket: Socket, turn: Turn): 'entered' | 'refused' {
    const pipeline = this.#pipelineOf(socket)
    if (pipeline.inTurn === undefined) {
      pipeline.inTurn = turn
      turn.start()
      return 'entered'
    }
    if (!this.#hold(pipeline, turn.heldBytes())) {
      socket.destroy()
      return 'refused'
    }
    if (pipeline.ending || pipeline.refused !== undefined) return 'refused'
    if (pipeline.waiting.length < PIPELINED_MAX) {
      pipeline.waiting.push(turn)
      return 'entered'
    }
    pipeline.refused = turn
    return 'refused'
  }

  /** The request in turn is over; the next one starts. */
  leave(socket: Socket): void {
    const pipeline = this.#pipelineOf(socket)
    if (pipeline.ending) socket.destroySoon()
    // The answer hears of the connection's end before the connection's own listeners do.
    if (pipeline.ending || socket.destroyed) return abandonAll(pipeline)
    const next = pipeline.waiting.shift()
    pipeline.inTurn = next ?? pipeline.refused
    if (pipeline.inTurn === undefined) return
    if (next === undefined) pipeline.refused = undefined
    this.#release(pipeline, pipeline.inTurn.heldBytes())
    // Node gives a response the connection when the one before it is finished, unless that one was
    // the last: then nothing is to be begun.
    if (!pipeline.inTurn.isConnected()) {
      pipeline.ending = true
      pipeline.inTurn.abandon()
      return abandonAll(pipeline)
    }
    if (next !== undefined) return next.start()
    pipeline.ending = true
    pipeline.inTurn.refuse()
  }

  /**
   * What came after the request in turn is no HTTP: its answer still goes out, then the connection
   * ends. False when no request is being answered.
   */
  endAfterTurn(socket: Socket): boolean {
    const pipeline = this.#pipelines.get(socket)
    if (pipeline?.inTurn === undefined) return false
    pipeline.ending = true
    pipeline.inTurn.broken()
    return true
  }

  #pipelineOf(socket: Socket): Pipeline {
    const known = this.#pipelines.get(socket)
    if (known !== undefined) return known
    const pipeline: Pipeline = {
      inTurn: undefined,
      ending: false,
      waiting: [],
      refused: undefined,
      heldBytes: 0,
    }
    this.#pipelines.set(socket, pipeline)
    socket.once('close', () => {
      abandonAll(pipeline)
      this.#release(pipeline, pipeline.heldBytes)
    })
    return pipeline
  }

  /** False, and nothing is changed, where there is no room for it. */
  #hold(pipeline: Pipeline, bytes: number): boolean {
    const held = pipeline.heldBytes + bytes
    const isRoom = held <= WAITING_MAX_BYTES && this.#heldBytes + bytes <= this.#heldMaxBytes
    if (!isRoom && held > WAITING_ALWAYS_BYTES) return false
    pipeline.heldBytes = held
    this.#heldBytes += bytes
    return true
  }

  #release(pipeline: Pipeline, bytes: number): void {
    pipeline.heldBytes -= bytes
    this.#heldBytes -= bytes
  }

  #lookWhetherNoneIsLeft(): void {
    if (this.#isEnding && this.#open.size === 0) this.#noneLeft.resolve()
  }

  /** Gives up what it waits for, once that has stood still for ENDED_WAIT_MS. */
  async #watchEnded(socket: Socket): Promise<void> {
    let seen: { readonly turn: Turn; readonly bytes: number | undefined } | undefined
    for (;;) {
      const pipeline = this.#pipelines.get(socket)
      const turn = pipeline?.inTurn
      // Node, or the end of what was no HTTP, ends the connection with its last answer.
      if (turn === undefined || pipeline?.ending === true || socket.destroyed) return
      const bytes = turn.awaited()
      if (bytes !== undefined && seen?.turn === turn && seen.bytes === bytes) break
      seen = { turn, bytes }
      await this.#clock.sleep(ENDED_WAIT_MS)
      // Timers are heard before what came meanwhile, which a thread that was held up has yet to
      // take.
      await nextTurn()
    }
    socket.destroy()
  }
}
