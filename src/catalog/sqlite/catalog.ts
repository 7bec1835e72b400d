// The catalog on SQLite: reads on this thread, writes by the writer thread, in the order of the
// calls. It holds nothing until that is written but uses of content. What each read and write does
// is in a file for each subject (reads.ts, operations.ts).
import type { Digest } from '../../oci/digest.ts'
import { StoreError, storeErrorOf } from '../../registry/ports/store-error.ts'
import type { Catalog, ChangedAnswers } from '../../registry/ports/catalog.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import { readsFrom, type SyncReads } from '../reads.ts'
import { writesTo } from '../writes.ts'
import { faultOf } from './faults.ts'
import type { metaReads } from './meta.ts'
import type { FileOperation, Operation } from './operations.ts'
import { Sequence } from './sequence.ts'
import { Uses } from './uses.ts'
import type { Writer } from './writer.ts'

export interface SqliteCatalogParts {
  /** A connection of its own. */
  readonly reader: {
    readonly reads: SyncReads
    readonly meta: ReturnType<typeof metaReads>
    close(): void
  }
  readonly writer: Writer
  readonly lock: { release(): void }
  readonly clock: Clock
  readonly epochs: ChangedAnswers
}

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
  readonly #uses: Uses
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
    const { reader, writer, clock } = parts
    this.#parts = parts
    this.#uses = new Uses(clock, uses =>
      writer.write({ name: 'noteUses', args: [uses] }, uses.length),
    )
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

  noteUse(digest: Digest, atMs: number): void {
    this.#uses.note(digest, atMs)
  }

  async markRebuilt(): Promise<void> {
    await this.#mark({ name: 'markRebuilt', args: [] })
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

  /** @throws StoreError */
  async write(operation: Operation, rows: number): Promise<void> {
    // What was noted goes along with the next commit, and before it: the order of the calls holds
    // for uses too.
    if (this.#closing === undefined) void this.#uses.flush()
    try {
      await this.#parts.writer.write(operation, rows)
    } catch (error) {
      this.#hasFailed = true
      throw error
    }
  }

  #mark(operation: FileOperation): Promise<void> {
    return this.write(operation, 1)
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new StoreError('io', 'the catalog is closed')
  }

  async #close(inOrder: boolean): Promise<void> {
    const { reader, writer, lock, clock } = this.#parts
    this.#uses.stop()
    const noted = this.#uses.flush()
    reader.close()
    await writer.close(inOrder && !this.#isSuspect ? clock.nowMs() : undefined)
    await noted
    lock.release()
  }
}
