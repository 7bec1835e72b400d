// The calling thread's end of the writer thread: a bounded queue of which one batch is on its way
// at a time. A write is settled when its batch was, and every write is settled: also when the
// thread dies.
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { StoreError, storeErrorOf } from '../../../registry/ports/store-error.ts'
import type { MigrationBegins } from '../file/database.ts'
import { faultOf } from '../faults.ts'
import type { Operation } from '../operations.ts'
import type { Outcomes } from './batch.ts'
import { HurriedWrites } from './rests.ts'
import type { OpenedCatalog, WriterReply, WriterRequest, WriterStart } from './writer-thread.ts'

interface Waiting {
  readonly operation: Operation
  readonly rows: number
  readonly mayRest: boolean
  readonly resolve: (result: unknown) => void
  readonly reject: (error: StoreError) => void
}

/** Rows that may wait for the disk, about 50 MB of them; a hundred of the largest manifests. */
const MAX_WAITING_ROWS = 250_000
/**
 * Rows in one transaction: some 50 ms of work, so that a single write never waits long behind a
 * crowd.
 */
const MAX_BATCH_ROWS = 5000
/** Enough for the objects of a batch. */
const YOUNG_GENERATION_MIB = 8

export class Writer {
  readonly #worker: Worker
  readonly #onDeath: (error: StoreError) => void
  /** Those that wait, and those in flight. */
  readonly #hurried: HurriedWrites
  #waiting: Waiting[] = []
  #waitingRows = 0
  #inFlight: readonly Waiting[] = []
  /** Of what is in flight. */
  #landed: PromiseWithResolvers<void> | undefined
  #scheduled = false
  /** Set once no write can succeed any more. */
  #ended: StoreError | undefined
  #closing = false
  #inOrderAtMs: number | undefined
  #isSuspect = false
  readonly #exited = Promise.withResolvers<void>()

  /**
   * `onDeath` is told once, when the thread ends without having been closed. `hurried`: the
   * thread's as well.
   */
  constructor(
    worker: Worker,
    onDeath: (error: StoreError) => void,
    hurried: HurriedWrites = new HurriedWrites(),
  ) {
    this.#worker = worker
    this.#onDeath = onDeath
    this.#hurried = hurried
    worker.on('message', (reply: WriterReply) => {
      if (reply.kind === 'committed') this.#settle(reply.outcomes)
    })
    worker.on('error', error => this.#die(error))
    worker.on('messageerror', error => {
      this.#die(error)
      void worker.terminate()
    })
    worker.on('exit', () => {
      if (!this.#closing || this.#inFlight.length > 0) this.#die(undefined)
      this.#exited.resolve()
    })
  }

  /**
   * Resolves to its result when `operation`, which is so many rows, is durable. `mayRest`: nobody
   * waits for it, so the thread may rest at it, as long as it is given nothing else.
   * @throws StoreError busy when too much waits; full, io, corrupt
   */
  write(operation: Operation, rows: number, mayRest = false): Promise<unknown> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    if (this.#waiting.length > 0 && this.#waitingRows + rows > MAX_WAITING_ROWS)
      return Promise.reject(tooManyWaiting(this.#waitingRows))
    if (!mayRest) this.#hurried.begin()
    return new Promise((resolve, reject) => {
      this.#waiting.push({ operation, rows, mayRest, resolve, reject })
      this.#waitingRows += rows
      this.#schedule()
    })
  }

  /**
   * Resolves when what the thread writes now is written or refused; at once when it writes nothing.
   * A disk that hangs holds it up.
   * @throws StoreError when no write can succeed any more
   */
  async settled(): Promise<void> {
    await this.#landed?.promise
    if (this.#ended !== undefined) throw this.#ended
  }

  /**
   * Waits for every write so far, then for a checkpoint and the thread's end. Later writes reject.
   * With `inOrderAtMs`, wall clock, the file is marked as one that holds together, unless a write
   * failed for more than want of room.
   */
  async close(inOrderAtMs?: number): Promise<void> {
    if (this.#ended === undefined) {
      this.#inOrderAtMs = inOrderAtMs
      this.#ended = new StoreError('io', 'the catalog is closed')
      this.#closing = true
      if (this.#inFlight.length === 0 && this.#waiting.length === 0) this.#sendClose()
    }
    await this.#exited.promise
  }

  // Writes of one turn of the event loop go together.
  #schedule(): void {
    if (this.#scheduled || this.#inFlight.length > 0) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      this.#sendBatch()
    })
  }

  #sendBatch(): void {
    let rows = 0
    let count = 0
    for (const waiting of this.#waiting) {
      if (count > 0 && rows + waiting.rows > MAX_BATCH_ROWS) break
      rows += waiting.rows
      count++
    }
    if (count === 0) return
    this.#inFlight = this.#waiting.slice(0, count)
    this.#landed = Promise.withResolvers()
    this.#waiting = this.#waiting.slice(count)
    this.#waitingRows -= rows
    try {
      this.#send({ kind: 'commit', operations: this.#inFlight.map(({ operation }) => operation) })
    } catch (error) {
      // A value that cannot cross threads: nothing was sent.
      const fault = faultOf(error)
      this.#settle(this.#inFlight.map(() => ({ fault })))
    }
  }

  #settle(outcomes: Outcomes): void {
    const settled = this.#inFlight
    this.#inFlight = []
    this.#landed?.resolve()
    this.#landed = undefined
    settled.forEach(({ mayRest, resolve, reject }, at) => {
      if (!mayRest) this.#hurried.end()
      const outcome = outcomes[at]
      if (outcome?.fault === undefined) return resolve(outcome?.result)
      const { fault } = outcome
      this.#isSuspect ||= fault.failure === 'corrupt' || fault.failure === 'io'
      reject(storeErrorOf(fault))
    })
    if (this.#waiting.length > 0) this.#sendBatch()
    else if (this.#closing) this.#sendClose()
  }

  #sendClose(): void {
    this.#send({ kind: 'close', inOrderAtMs: this.#isSuspect ? undefined : this.#inOrderAtMs })
  }

  #send(request: WriterRequest): void {
    this.#worker.postMessage(request)
  }

  #die(cause: unknown): void {
    const died = new StoreError('io', "the catalog's writer thread ended unexpectedly", {
      hint: 'restart the server; until then nothing new can be recorded, and what is recorded is served',
      cause,
    })
    const unsettled = [...this.#inFlight, ...this.#waiting]
    const first = this.#ended === undefined || unsettled.length > 0
    this.#ended = died
    this.#inFlight = []
    this.#landed?.resolve()
    this.#landed = undefined
    this.#waiting = []
    this.#waitingRows = 0
    for (const { reject } of unsettled) reject(died)
    if (first) this.#onDeath(died)
  }
}

/**
 * Starts the thread and waits until it has opened, checked and migrated the file.
 *
 * @throws StoreError with a hint when it could not.
 */
export async function startWriter(
  start: Omit<WriterStart, 'hurried'>,
  { onDeath, migrates }: { onDeath: (error: StoreError) => void; migrates: MigrationBegins },
): Promise<{ readonly writer: Writer } & OpenedCatalog> {
  // The thread's file lies beside this one under the same extension, as source and as compiled.
  const file = new URL(`./writer-thread${extname(import.meta.url)}`, import.meta.url)
  const hurried = new HurriedWrites()
  const worker = new Worker(file, {
    workerData: { ...start, hurried: hurried.memory } satisfies WriterStart,
    name: 'catalog writer',
    // Batches of small values: V8 would set aside three times as much as the thread ever uses.
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB },
  })
  const reply = await new Promise<WriterReply>((resolve, reject) => {
    worker.on('message', function first(message: WriterReply) {
      if (message.kind === 'migrates') return migrates(message.versions)
      worker.off('message', first)
      resolve(message)
    })
    worker.once('error', reject)
    worker.once('exit', () => reject(new StoreError('io', "the catalog's writer did not start")))
  })
  if (reply.kind === 'refused') throw storeErrorOf(reply.fault)
  if (reply.kind !== 'opened') throw new Error(`the catalog's writer began with: ${reply.kind}`)
  const { evidence, upToDate } = reply
  return { writer: new Writer(worker, onDeath, hurried), evidence, upToDate }
}

function tooManyWaiting(rows: number): StoreError {
  return new StoreError('busy', `${rows} rows wait to be written to the catalog`, {
    hint: 'the disk of the data directory does not keep up: look at its latency',
  })
}
