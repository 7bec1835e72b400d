// Which requests of a connection are being answered. One at a time: node hands over pipelined
// requests all at once, and each would hold a chunk in memory until those before it are done.
import type { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../registry/ports/clock.ts'
import { ENDED_WAIT_MS, PIPELINED_MAX } from './limits.ts'

/**
 * What is done with a request in turn. `start` is called at most once; `abandon` when the
 * connection ends before its turn; `broken` in its turn, when what follows on the connection is no
 * HTTP: the rest of its body, if that is not here whole. `awaited`: while anything but the client
 * is waited for, how far its answer has come.
 */
export interface Turn {
  readonly start: () => void
  readonly abandon: () => void
  readonly broken: () => void
  readonly awaited: () => number | undefined
}

export interface Connections {
  /** To be told of every connection that is opened. */
  opened(socket: Socket): void
  /**
   * Closes those on which nothing is being answered, also the ones that were never used: Node 24
   * does not count those as idle. What is opened from now on is closed at once.
   */
  closeIdle(): void
  /** Closes all, whatever is being answered on them. */
  closeAll(): void
  /**
   * Resolves when none is open and the ends of all have been heard, by whoever listens for them
   * too. For when no more are taken.
   */
  allClosed(): Promise<void>
  /** Is nothing of this connection being answered, so that a turn would start at once? */
  isFree(socket: Socket): boolean
  /**
   * Starts `turn` now or after those before it. `full` when too many wait already; then nothing is
   * kept of it.
   */
  enter(socket: Socket, turn: Turn): 'entered' | 'full'
  /** The request in turn is over; the next one starts. */
  leave(socket: Socket): void
  /**
   * What came after the request in turn is no HTTP: its answer still goes out, then the connection
   * ends. False when no request is being answered.
   */
  endAfterTurn(socket: Socket): boolean
}

interface Lane {
  inTurn: Turn | undefined
  ending: boolean
  readonly waiting: Turn[]
}

function abandonAll(lane: Lane): void {
  for (const turn of lane.waiting.splice(0)) turn.abandon()
}

export function createConnections(clock: Pick<Clock, 'sleep'>): Connections {
  const lanes = new WeakMap<Socket, Lane>()
  const open = new Set<Socket>()
  const noneLeft = Promise.withResolvers<void>()
  let isClosing = false
  let isEnding = false

  const lookWhetherNoneIsLeft = () => {
    if (isEnding && open.size === 0) noneLeft.resolve()
  }

  function laneOf(socket: Socket): Lane {
    const known = lanes.get(socket)
    if (known !== undefined) return known
    const lane: Lane = { inTurn: undefined, ending: false, waiting: [] }
    lanes.set(socket, lane)
    socket.once('close', () => abandonAll(lane))
    return lane
  }

  /** Gives up what it waits for, once that has stood still for ENDED_WAIT_MS. */
  async function watchEnded(socket: Socket): Promise<void> {
    let seen: { readonly turn: Turn; readonly bytes: number | undefined } | undefined
    for (;;) {
      const lane = lanes.get(socket)
      const turn = lane?.inTurn
      // Node, or the end of what was no HTTP, ends the connection with its last answer.
      if (turn === undefined || lane?.ending === true || socket.destroyed) return
      const bytes = turn.awaited()
      if (bytes !== undefined && seen?.turn === turn && seen.bytes === bytes) break
      seen = { turn, bytes }
      await clock.sleep(ENDED_WAIT_MS)
      // Timers are heard before what came meanwhile, which a thread that was held up has yet to
      // take.
      await nextTurn()
    }
    socket.destroy()
  }

  return {
    opened(socket) {
      open.add(socket)
      socket.once('end', () => void watchEnded(socket))
      socket.once('close', () => {
        open.delete(socket)
        lookWhetherNoneIsLeft()
      })
      // Its handshake was under way when the others were closed.
      if (isClosing) socket.destroy()
    },
    closeIdle() {
      isClosing = true
      for (const socket of open) if (lanes.get(socket)?.inTurn === undefined) socket.destroy()
    },
    closeAll() {
      for (const socket of open) socket.destroy()
    },
    allClosed() {
      isEnding = true
      lookWhetherNoneIsLeft()
      // Those who wait go on after the turn of the event in which the last one was heard to close.
      return noneLeft.promise
    },
    isFree: socket => lanes.get(socket)?.inTurn === undefined,
    enter(socket, turn) {
      const lane = laneOf(socket)
      if (lane.inTurn === undefined) {
        lane.inTurn = turn
        turn.start()
        return 'entered'
      }
      if (lane.waiting.length >= PIPELINED_MAX) return 'full'
      lane.waiting.push(turn)
      return 'entered'
    },
    leave(socket) {
      const lane = laneOf(socket)
      if (lane.ending) socket.destroySoon()
      // The answer hears of the connection's end before the connection's own listeners do.
      if (lane.ending || socket.destroyed) return abandonAll(lane)
      lane.inTurn = lane.waiting.shift()
      lane.inTurn?.start()
    },
    endAfterTurn(socket) {
      const lane = lanes.get(socket)
      if (lane?.inTurn === undefined) return false
      lane.ending = true
      lane.inTurn.broken()
      return true
    },
  }
}
