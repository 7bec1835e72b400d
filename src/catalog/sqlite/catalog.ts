// The catalog on SQLite: reads on this thread, writes by the writer thread, in the order of the
// calls. What each read and write does is in a file for each subject (reads.ts, operations.ts).
import { StoreError, storeErrorOf } from '../../registry/ports/store-error.ts'
import type { Catalog, ChangedAnswers } from '../../registry/ports/catalog.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import { readsFrom, type SyncReads } from '../reads.ts'
import { writesTo } from '../writes.ts'
import { faultOf } from './faults.ts'
import type { metaReads } from './meta.ts'
import type { FileOperation, Operation } from './operations.ts'
import { Sequence } from './writer/sequence.ts'
import type { Spare } from './writer/spare.ts'
import type { Writer } from './writer/writer.ts'

export interface SqliteCatalogParts {
  /** A connection of its own. */
  readonly reader: {
    readonly reads: SyncReads
    readonly meta: ReturnType<typeof metaReads>
    close(): void
  }
  readonly writer: Writer
  readonly spare: Spare
  readonly lock: { release(): void }
  readonly clock: Clock
  readonly epochs: ChangedAnswers
  /** Does anybody wait for content to leave? */
  readonly isHurried: () => boolean
}

/**
 * After these, files go: on a full disk they have the spare room. So have the numbers, of which
 * each delete takes one.
 */
const TAKES_AWAY: ReadonlySet<Operation['name']> = new Set([
  'evictImage',
  'letGo',
  'finishLeaving',
  'deleteTag',
  'removeMember',
  'reserveSequence',
])

/**
 * At these the writer rests where nobody waits for them: they are the many writes of what leaves by
 * itself.
 */
const IN_THE_BACKGROUND: ReadonlySet<Operation['name']> = new Set([
  'evictImage',
  'letGo',
  'finishLeaving',
])

/** After these there may be room again: files of what left are gone, or an hour has passed. */
const BRINGS_IT_BACK: ReadonlySet<Operation['name']> = new Set(['finishLeaving', 'tidy'])

/** Nobody has its `write` but the writes of the port, which tell of what they change. */
export type SqliteCatalog = Omit<CatalogFile, 'read' | 'write'> & Catalog

export function createSqliteCatalog(parts: SqliteCatalogParts): SqliteCatalog {
  const file = new CatalogFile(parts)
  const reads = readsFrom(parts.reader.reads, read => file.read(read))
  const write = (operation: Operation, rows: number) => file.write(operation, rows)
  return Object.assign(file, reads, writesTo({ write, reads, epochs: parts.epochs }))
}

/** The open file, and what the port has beside reads and writes. */
class CatalogFile {
  /**
   * Where a damaged predecessor was moved; undefined once markRecovered was called in this or an
   * earlier process.
   */
  readonly damagedPredecessor: string | undefined
  /**
   * The catalog that was here did not hold together, so this one began empty: what is on disk is to
   * be taken stock of.
   */
  readonly damaged: boolean
  /** The process before this one has said by `markCompared` that the facts say what is in here. */
  readonly compared: boolean
  readonly identity: string
  readonly #parts: Omit<SqliteCatalogParts, 'epochs'>
  readonly #sequence: Sequence
  #rebuilt: boolean
  #hasFailed = false
  /**
   * A read failed, and not because somebody else was in the way: the next start is to look at all
   * of the file.
   */
  #isSuspect = false
  #closing: Promise<void> | undefined

  constructor(parts: Omit<SqliteCatalogParts, 'epochs'>) {
    const { reader } = parts
    this.#parts = parts
    this.#sequence = new Sequence(reader.meta.reservedSequence(), end =>
      this.#mark({ name: 'reserveSequence', args: [end] }),
    )
    this.identity = reader.meta.identity()
    this.#rebuilt = reader.meta.isRebuilt()
    this.compared = reader.meta.isCompared()
    this.damagedPredecessor = reader.meta.damagedPredecessor()
    this.damaged = this.damagedPredecessor !== undefined
  }

  get rebuilt(): boolean {
    return this.#rebuilt
  }

  sequence(): number {
    this.#assertOpen()
    return this.#sequence.next()
  }

  /**
   * Reserves numbers for `sequence`. A full disk is no reason not to open: what needs a number
   * fails then, and says why.
   */
  reserveSequence(): Promise<void> {
    return this.#sequence.extend()
  }

  async raiseSequence(floor: number): Promise<void> {
    this.#assertOpen()
    return this.#sequence.raise(floor)
  }

  async markRebuilt(isAllFound: boolean): Promise<void> {
    await this.#mark({ name: 'markRebuilt', args: [isAllFound] })
    this.#rebuilt = true
  }

  /**
   * What was on disk when the catalog was lost has been taken stock of: `damaged` is false from the
   * next start on.
   */
  markRecovered(): Promise<void> {
    return this.#mark({ name: 'markRecovered', args: [] })
  }

  /**
   * For the end: facts change no more, and no number is taken. No effect after a write that failed:
   * whoever began it may have left facts.
   */
  async markCompared(): Promise<void> {
    if (this.#hasFailed) return
    await this.#mark({ name: 'markCompared', args: [this.#sequence.stop()] })
  }

  /** Whether it is well. Resolves and throws as the writer's. */
  settled(): Promise<void> {
    return this.#parts.writer.settled()
  }

  /**
   * `inOrder`: everything went well, so the next start need not look at all of the file. Default
   * false.
   */
  close({ inOrder = false }: { readonly inOrder?: boolean } = {}): Promise<void> {
    this.#closing ??= this.#close(inOrder)
    return this.#closing
  }

  /** @throws StoreError */
  read<Result>(read: () => Result): Result {
    this.#assertOpen()
    try {
      return read()
    } catch (error) {
      const fault = faultOf(error)
      this.#isSuspect ||= fault.failure === 'corrupt' || fault.failure === 'io'
      throw storeErrorOf(fault)
    }
  }

  /** Resolves to what the operation results in. @throws StoreError */
  async write(operation: Operation, rows: number): Promise<unknown> {
    try {
      return await this.#writeWithSpare(operation, rows)
    } catch (error) {
      // Of uses there are no facts.
      this.#hasFailed ||= operation.name !== 'noteUses'
      throw error
    }
  }

  async #writeWithSpare(operation: Operation, rows: number): Promise<unknown> {
    const { spare } = this.#parts
    const result = await this.#writeOrRelease(operation, rows)
    if (BRINGS_IT_BACK.has(operation.name)) await spare.keep()
    return result
  }

  async #writeOrRelease(operation: Operation, rows: number): Promise<unknown> {
    const { writer, spare, isHurried } = this.#parts
    try {
      const mayRest = IN_THE_BACKGROUND.has(operation.name) && !isHurried()
      return await writer.write(operation, rows, mayRest)
    } catch (error) {
      const isFull = error instanceof StoreError && error.failure === 'full'
      if (!isFull || !TAKES_AWAY.has(operation.name) || !(await spare.release())) throw error
      return await writer.write(operation, rows)
    }
  }

  /**
   * Gives the spare room to whatever else takes content away; false where there never is any. It
   * comes back by itself.
   */
  giveRoom(): Promise<boolean> {
    return this.#parts.spare.release()
  }

  async #mark(operation: FileOperation): Promise<void> {
    await this.write(operation, 1)
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new StoreError('io', 'the catalog is closed')
  }

  async #close(inOrder: boolean): Promise<void> {
    const { reader, writer, spare, lock, clock } = this.#parts
    reader.close()
    await writer.close(inOrder && !this.#isSuspect ? clock.nowMs() : undefined)
    // The log of the catalog is gone, and the next start is to find room for one.
    await spare.keep()
    lock.release()
  }
}
