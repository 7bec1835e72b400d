// The HTTP threads beside the first one: started, told what to do all at once, and started again
// when one dies. A death costs that thread's clients; the others go on, and the process does,
// however often it happens.
import { LATE, within } from '../async/within.ts'
import type { Digest } from '../oci/digest.ts'
import type { MetricsSnapshot } from '../observe/merged-metrics.ts'
import type { Clock } from '../registry/ports/clock.ts'
import { GoneError } from './other-thread.ts'
import type { HttpThread, ThreadAddress, ThreadSettings } from './sides.ts'

/** One that runs, or comes up. */
export interface RunningThread {
  readonly httpThread: Pick<HttpThread, 'call' | 'notify'>
  /**
   * Resolves once it is no more, and nothing of it is under way: with what it died of, or undefined
   * when `end` ended it.
   */
  readonly ended: Promise<Error | undefined>
  /** Ends it at once. */
  end(): Promise<void>
}

export interface ThreadDeath {
  readonly thread: number
  readonly error: Error
  /** In a row, each soon after its start. */
  readonly deaths: number
  /** Until it is started again. */
  readonly delayMs: number
}

export interface HttpThreadsDeps {
  /** Starts the thread of this number, by what the configuration says now. MUST NOT throw. */
  readonly start: (thread: number) => RunningThread
  readonly clock: Clock
  readonly died: (death: ThreadDeath) => void
}

export interface ThreadState {
  readonly thread: number
  readonly state: 'starting' | 'listening' | 'dead'
  /** Since the process began. */
  readonly deaths: number
}

/** A thread that dies at once, for what does not go away by itself, costs one start in so long. */
export const RESTART_DELAY_MAX_MS = 30_000
/** The first time; it doubles with each death. A start takes as long. */
export const RESTART_DELAY_MS = 250
/** Whoever looks at the metrics or the status does not wait longer for a thread that hangs. */
export const COUNT_LIMIT_MS = 1_000
/**
 * Nor a reload: a thread needs milliseconds to take a configuration over, and one that has not
 * after seconds hangs.
 */
export const REPLACE_LIMIT_MS = 5_000
/**
 * Nor does retention, in whose turn pushes wait, or who needs room, and waits for half a second
 * until uses are written. A thread that serves answers within some milliseconds.
 */
export const TELL_LIMIT_MS = 250
/** A thread that does not answer so long after its last answer was to be cut hangs. */
export const HUNG_AFTER_MS = 2_000
/** Whoever lived so long did not die of its start. */
export const SOUND_AFTER_MS = 60_000

/**
 * All of them ask the one that coordinates, and each takes memory: from here on one more has to be
 * somebody's decision.
 */
const CHOSEN_THREADS_MAX = 4

/**
 * How many threads serve, the first one included, where nobody says so: as many as can run at the
 * same time, at most four.
 */
export function threadsFor(cores: number): number {
  return Math.min(cores, CHOSEN_THREADS_MAX)
}

interface Slot {
  readonly thread: number
  running: RunningThread | undefined
  state: ThreadState['state']
  deaths: number
  /** It has been asked for its uses, and has not answered in time. */
  isLate: boolean
  /** Resolves when it listens for the first time, or died before. */
  readonly up: PromiseWithResolvers<void>
}

export class HttpThreads {
  readonly #deps: HttpThreadsDeps
  readonly #slots: readonly Slot[]
  readonly #address = Promise.withResolvers<ThreadAddress>()
  readonly #stopping = new AbortController()
  readonly #supervised: readonly Promise<void>[]

  /** Starts them, by numbers that the deps know. */
  constructor(threads: readonly number[], deps: HttpThreadsDeps) {
    this.#deps = deps
    this.#slots = threads.map(thread => ({
      thread,
      running: undefined,
      state: 'starting',
      deaths: 0,
      isLate: false,
      up: Promise.withResolvers(),
    }))
    this.#supervised = this.#slots.map(slot => this.#supervise(slot))
  }

  get states(): readonly ThreadState[] {
    return this.#slots.map(({ thread, state, deaths }) => ({ thread, state, deaths }))
  }

  /**
   * Lets them take connections there. Resolves when each does, or has died of its start. To be
   * called once.
   */
  async listen(address: ThreadAddress): Promise<void> {
    this.#address.resolve(address)
    await Promise.all(this.#slots.map(({ up }) => up.promise))
  }

  /**
   * Resolves when all that run go by these. Those that start later are started by them.
   * @throws where one has not answered in time: it answers nobody until it goes by these
   */
  async replace(settings: ThreadSettings): Promise<void> {
    const silent = new Set<number>()
    const replaced = this.#slots.map(async ({ thread, running }) => {
      silent.add(thread)
      await unlessGone(running?.httpThread.call('replace', settings))
      silent.delete(thread)
    })
    const outcome = await within(this.#deps.clock, REPLACE_LIMIT_MS, Promise.all(replaced))
    if (outcome !== LATE) return
    const which = [...silent].join(', ')
    throw new Error(
      `http thread ${which} has not answered, and answers nobody before it goes by the new configuration`,
    )
  }

  othersWait(waiting: number): void {
    for (const { running } of this.#slots) running?.httpThread.notify('othersWait', waiting)
  }

  /** Those that start later are started with them. */
  useTicketKeys(keys: Uint8Array): void {
    for (const { running } of this.#slots) running?.httpThread.notify('ticketKeys', keys)
  }

  /** None of them keeps it open any more for who asks next. */
  closeOpen(digest: Digest): void {
    for (const { running } of this.#slots) running?.httpThread.notify('closeOpen', digest)
  }

  /** Resolves when all that listen have answered. */
  async ping(): Promise<void> {
    const listening = this.#slots.filter(({ state }) => state === 'listening')
    await Promise.all(
      listening.map(({ running }) => unlessGone(running?.httpThread.call('ping', undefined))),
    )
  }

  /** Gives what each that runs has counted; not waiting for one that does not answer in time. */
  async count(use: (thread: number, counted: MetricsSnapshot) => void): Promise<void> {
    const counted = this.#slots.map(async ({ thread, running }) => {
      const snapshot = await unlessGone(running?.httpThread.call('count', undefined))
      if (snapshot !== undefined) use(thread, snapshot)
    })
    await within(this.#deps.clock, COUNT_LIMIT_MS, Promise.all(counted))
  }

  /**
   * Resolves when each that serves has told of what it gave. One that had not in time is not asked
   * again before it has: whoever goes by uses in many steps waits for it once.
   */
  async tellUses(): Promise<void> {
    const silent = new Set<Slot>()
    const serving = this.#slots.filter(({ state, isLate }) => state === 'listening' && !isLate)
    const told = serving.map(async slot => {
      silent.add(slot)
      await unlessGone(slot.running?.httpThread.call('tellUses', undefined))
      silent.delete(slot)
      slot.isLate = false
    })
    const outcome = await within(this.#deps.clock, TELL_LIMIT_MS, Promise.all(told))
    if (outcome === LATE) for (const slot of silent) slot.isLate = true
  }

  /** Lets answers under way go out, for at most `timeoutMs`, and ends all threads. */
  async drain(timeoutMs: number): Promise<void> {
    this.#stopping.abort(new Error('the process stops'))
    const drained = this.#each(({ httpThread }) => httpThread.call('drain', { timeoutMs }))
    await within(this.#deps.clock, timeoutMs + HUNG_AFTER_MS, drained)
    await this.end()
  }

  /** At once. No effect when they have ended. */
  async end(): Promise<void> {
    this.#stopping.abort(new Error('the process stops'))
    await Promise.all(this.#slots.map(async ({ running }) => running?.end()))
    await Promise.all(this.#supervised)
  }

  async #each(act: (running: RunningThread) => Promise<unknown>): Promise<void> {
    await Promise.all(
      this.#slots.map(({ running }) =>
        unlessGone(running === undefined ? undefined : act(running)),
      ),
    )
  }

  /** Starts it, and again whenever it died, until the process stops. */
  async #supervise(slot: Slot): Promise<void> {
    const { clock, start, died } = this.#deps
    const { signal } = this.#stopping
    let inARow = 0
    while (!signal.aborted) {
      const startedMs = clock.monotonicMs()
      slot.state = 'starting'
      slot.running = start(slot.thread)
      const error = await this.#untilEnded(slot, slot.running)
      slot.running = undefined
      slot.state = 'dead'
      slot.up.resolve()
      if (signal.aborted || error === undefined) return
      slot.deaths += 1
      inARow = clock.monotonicMs() - startedMs < SOUND_AFTER_MS ? inARow + 1 : 1
      const delayMs = Math.min(RESTART_DELAY_MS * 2 ** (inARow - 1), RESTART_DELAY_MAX_MS)
      died({ thread: slot.thread, error, deaths: inARow, delayMs })
      await clock.sleep(delayMs, signal).catch(() => {})
    }
  }

  /** Lets it listen. What it died of; undefined when somebody wanted its end. */
  async #untilEnded(slot: Slot, running: RunningThread): Promise<Error | undefined> {
    let refused: Error | undefined
    const listening = this.#address.promise.then(async address => {
      await running.httpThread.call('listen', address)
      slot.state = 'listening'
      slot.up.resolve()
    })
    listening.catch(async (error: Error) => {
      refused = error
      // It would be of no use. No effect when it is dead already.
      await running.end()
    })
    return (await running.ended) ?? refused
  }
}

/** What was called for, or undefined when the thread died first: of that `died` tells. */
async function unlessGone<Value>(call: Promise<Value> | undefined): Promise<Value | undefined> {
  try {
    return await call
  } catch (error) {
    if (error instanceof GoneError) return undefined
    throw error
  }
}
