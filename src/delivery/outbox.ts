// The outbox's runner (R116): what is due is carried, in the order of ids within a key and beside
// each other over keys, within bounds. It knows neither what entries say nor who is on the other
// side: that is a carrier's. Durable is only what the catalog holds, so a process may end at any
// point; docs/adr/0012-outbox.md says why nothing is lost or overtaken then.
import { registryOf } from '../oci/reference.ts'
import { within } from '../async/within.ts'
import type { Catalog } from '../registry/ports/catalog.ts'
import type { Carrier, Delivery } from '../registry/ports/outbox.ts'
import { noteStorage } from '../registry/best-effort.ts'
import { attemptOnce, type AttemptParts } from './attempt.ts'
import { conclude, type ConcludeParts, LONGEST_WAIT_MS, waitFor } from './conclude.ts'
import { KeyMemory } from './key-memory.ts'
import type { Carry } from './carrier.ts'

/**
 * As many as keep a link busy with small things while a large blob is on its way; the rest of the
 * edge needs sockets and memory too.
 */
const AT_ONCE = 16
/** A registry that is slow to answer leaves places for the others. */
const AT_ONCE_PER_DESTINATION = 4
/**
 * Keys that one look sees, of each destination as many: more than there are places, so that what is
 * under way hides nothing.
 */
const LOOK_AHEAD = 256
/** The configuration changes by a person's hand; whoever changes it may nudge. */
const CLOSED_LOOK_MS = 5 * 60_000
/** A catalog or a disk that fails is not asked more often. */
const DISK_PAUSE_MS = 10_000
/** Longer than a small request takes. A large blob does not get through in what a stop can wait. */
const STOP_GRACE_MS = 2_000
/**
 * How long a request whose answer was never seen may still take to arrive. The system goes on
 * sending for a process that ended, up to 100 s when the line is bad; and a proxy before a registry
 * waits another minute for it, mostly.
 */
const SETTLING_MS = 3 * 60_000

/** Where an entry goes, for fairness between them: for pushes the registry. */
export interface Destination {
  readonly name: string
  /** Why nothing may be tried there now, for people; undefined when it may. */
  readonly closed: string | undefined
}

export interface OutboxParts extends Omit<ConcludeParts, 'memory'> {
  readonly catalog: Catalog
  readonly carrier: Carrier
  readonly carry: Carry
  readonly inTurn: AttemptParts['inTurn']
  /** MUST NOT do input or output. */
  readonly destinationOf: (entry: Delivery) => Destination
  /** Default SETTLING_MS. For a test that shows what it is for. */
  readonly settlingMs?: number
}

interface Due {
  readonly entry: Delivery
  readonly destination: Destination
}

interface Running {
  readonly destination: string
  readonly controller: AbortController
  readonly done: Promise<void>
}

export class Outbox {
  readonly #parts: OutboxParts
  readonly #memory: KeyMemory
  readonly #running = new Map<string, Running>()
  #loop: Promise<void> | undefined
  #isStopping = false
  #isNudged = false
  #wake: () => void = () => {}

  /**
   * Make it when the process starts, once the catalog is this process's alone: from then on the
   * time of earlier requests counts.
   */
  constructor(parts: OutboxParts) {
    this.#parts = parts
    this.#memory = new KeyMemory(parts.clock, parts.settlingMs ?? SETTLING_MS)
  }

  /** No effect the second time. */
  start(): void {
    this.#loop ??= this.#run()
  }

  /**
   * Something was queued. `destination`: it may answer again, so that what waits for it is tried
   * now.
   */
  nudge(destination?: string): void {
    if (destination !== undefined) this.#memory.hurry(destination)
    this.#isNudged = true
    this.#wake()
  }

  /**
   * For how long a request of this key that has ended without an answer may still arrive, in
   * milliseconds.
   */
  unsettledMs(key: string): number {
    return this.#memory.unsettledMs(key)
  }

  /**
   * The destination was configured anew, so that all that waits for it is tried now, whatever was
   * wrong.
   */
  anew(destination: string): void {
    this.#memory.anew(destination)
    this.nudge(destination)
  }

  /**
   * Begins nothing new, gives what is under way a moment and then cuts it. Never rejects; nothing
   * is written after it has resolved.
   */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.nudge()
    await this.#loop
    const running = [...this.#running.values()]
    const ended = Promise.all(running.map(({ done }) => done))
    await within(this.#parts.clock, STOP_GRACE_MS, ended)
    for (const { controller } of running) controller.abort(new Error('this edge stops'))
    await ended
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      this.#isNudged = false
      const waitMs = await this.#look().catch(error => {
        noteStorage(this.#parts.note, error)
        return DISK_PAUSE_MS
      })
      if (!this.#isNudged) await this.#sleep(waitMs)
    }
  }

  /** Until `ms` have passed or somebody wakes it; undefined: nothing is to come by itself. */
  async #sleep(ms: number | undefined): Promise<void> {
    const woken = new Promise<void>(resolve => {
      this.#wake = resolve
    })
    await (ms === undefined ? woken : within(this.#parts.clock, ms, woken))
    this.#wake = () => {}
  }

  /**
   * Begins what can be begun. Resolves to the time until the next look, in milliseconds.
   * @throws StoreError
   */
  async #look(): Promise<number | undefined> {
    const { catalog, carrier, destinationOf } = this.#parts
    const entries = await catalog.listDue({ carrier, limit: LOOK_AHEAD })
    if (isAll(entries)) this.#prune(entries)
    let nextMs = Number.POSITIVE_INFINITY
    const due: Due[] = []
    for (const entry of entries) {
      if (this.#running.has(entry.key)) continue
      const destination = destinationOf(entry)
      const waitMs = this.#waitMs(entry, destination)
      if (waitMs > 0) nextMs = Math.min(nextMs, waitMs)
      else due.push({ entry, destination })
    }
    this.#beginDue(due)
    return Number.isFinite(nextMs) ? nextMs : undefined
  }

  /**
   * As long as there are places: of the destination to which the fewest are under way what is due
   * first.
   */
  #beginDue(due: readonly Due[]): void {
    const destinations = Map.groupBy(due, ({ destination }) => destination.name)
    while (destinations.size > 0 && this.#running.size < AT_ONCE) {
      const names = [...destinations.keys()]
      const name = names.reduce((a, b) => (this.#beside(b) < this.#beside(a) ? b : a))
      const next =
        this.#beside(name) < AT_ONCE_PER_DESTINATION ? destinations.get(name)?.shift() : undefined
      if (next === undefined) destinations.delete(name)
      else this.#begin(next.entry, next.destination)
    }
  }

  #waitMs(entry: Delivery, destination: Destination): number {
    const barredMs = this.#memory.barredMs(entry)
    if (barredMs > 0 || this.#memory.isHurried(entry.key, destination.name)) return barredMs
    const dueMs = entry.nextAtMs - this.#parts.clock.nowMs()
    // Nobody waits longer, and what is new does not wait at all: the clock was set back since.
    return dueMs > LONGEST_WAIT_MS || entry.nextAtMs === entry.createdAtMs ? 0 : dueMs
  }

  /** Under way to this destination. */
  #beside(destination: string): number {
    return this.#running
      .values()
      .filter(running => running.destination === destination)
      .toArray().length
  }

  #begin(entry: Delivery, destination: Destination): void {
    const controller = new AbortController()
    const done = this.#carry(entry, destination, controller.signal)
      .catch(error => {
        // Its end could not be recorded: it is tried again, but not at once.
        noteStorage(this.#parts.note, error)
        this.#memory.hold(entry.key, DISK_PAUSE_MS)
      })
      .then(() => {
        this.#running.delete(entry.key)
        this.nudge()
      })
    this.#running.set(entry.key, { destination: destination.name, controller, done })
  }

  async #carry(seen: Delivery, destination: Destination, signal: AbortSignal): Promise<void> {
    const { catalog, clock } = this.#parts
    const entry = await catalog.findDelivery(seen.id)
    // What was seen may be older than the end of the attempt before.
    if (entry?.state !== 'waiting' || entry.nextAtMs !== seen.nextAtMs) return
    this.#memory.begin(entry.key)
    const parts = { ...this.#parts, memory: this.#memory }
    if (destination.closed !== undefined) {
      this.#memory.setSilent(entry.key, destination.name)
      return waitFor(parts, entry, { waitMs: CLOSED_LOOK_MS, reason: destination.closed })
    }
    const startedMs = clock.monotonicMs()
    const outcome = await attemptOnce(parts, entry, signal)
    if (outcome === undefined) return
    await conclude(parts, entry, { outcome, durationMs: clock.monotonicMs() - startedMs })
    if (outcome.kind === 'delivered') this.#memory.hurry(destination.name)
    else if (outcome.kind === 'retry' && outcome.isUnreachable)
      this.#memory.setSilent(entry.key, destination.name)
  }

  #prune(waiting: readonly Delivery[]): void {
    const keys = new Set(waiting.map(({ key }) => key))
    this.#memory.prune(key => keys.has(key) || this.#running.has(key))
  }
}

/** No destination has more than its share of a look: then a look sees everything that waits. */
function isAll(entries: readonly Delivery[]): boolean {
  const destinations = Map.groupBy(entries, ({ key }) => registryOf(key))
  const share = Math.floor(LOOK_AHEAD / destinations.size)
  return destinations.values().every(({ length }) => length < share)
}
