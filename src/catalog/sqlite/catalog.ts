// The catalog on SQLite: reads on this thread, writes by the writer thread, in the order of the
// calls. It holds nothing until that is written but uses of content.
import type { Digest } from '../../oci/digest.ts'
import type { RegistryHost, Repository, Tag } from '../../oci/reference.ts'
import { StoreError, storeErrorOf } from '../../registry/ports/store-error.ts'
import type { RecordBlob, RecordManifest } from '../../registry/ports/catalog-content.ts'
import type { DeleteOptions, PendingBlob, RecordPush } from '../../registry/ports/catalog-pushes.ts'
import type { ListFact, Page, TagCheck } from '../../registry/ports/catalog-tags.ts'
import type { Catalog } from '../../registry/ports/catalog.ts'
import type { Carrier, DeliveryChange, NewDelivery } from '../../registry/ports/outbox.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import { assertBounded, boundedChange, boundedRests } from '../bounds.ts'
import { faultOf } from './faults.ts'
import type { Operation } from './operations.ts'
import type { Reader } from './reader.ts'
import type { SettledTags } from './record-tags.ts'
import { Sequence } from './sequence.ts'
import { Uses } from './uses.ts'
import type { Writer } from './writer.ts'

export interface SqliteCatalogParts {
  readonly reader: Reader
  readonly writer: Writer
  readonly lock: { release(): void }
  readonly clock: Clock
}

export class SqliteCatalog implements Catalog {
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
  readonly #reader: Reader
  readonly #writer: Writer
  readonly #lock: { release(): void }
  readonly #clock: Clock
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

  constructor({ reader, writer, lock, clock }: SqliteCatalogParts) {
    this.#reader = reader
    this.#writer = writer
    this.#lock = lock
    this.#clock = clock
    this.#uses = new Uses(clock, uses => writer.write({ kind: 'note uses', uses }))
    this.#sequence = new Sequence(reader.reservedSequence(), end =>
      this.#write({ kind: 'reserve sequence', end }),
    )
    this.identity = reader.identity()
    this.#rebuilt = reader.isRebuilt()
    this.compared = reader.isCompared()
    this.damagedPredecessor = reader.damagedPredecessor()
    this.damaged = this.damagedPredecessor !== undefined
  }

  get rebuilt(): boolean {
    return this.#rebuilt
  }

  async findManifest(repository: Repository, digest: Digest) {
    return this.#read(reader => reader.findManifest(repository, digest))
  }

  async findContent(digest: Digest) {
    return this.#read(reader => reader.findContent(digest))
  }

  async findMember(repository: Repository, digest: Digest) {
    return this.#read(reader => reader.findMember(repository, digest))
  }

  async wasTaken(repository: Repository, digest: Digest) {
    return this.#read(reader => reader.wasTaken(repository, digest))
  }

  async listDeliverers(digest: Digest) {
    return this.#read(reader => reader.listDeliverers(digest))
  }

  async sizeOf(repository: Repository, digest: Digest) {
    return this.#read(reader => reader.sizeOf(repository, digest))
  }

  async findTag(repository: Repository, tag: Tag) {
    return this.#read(reader => reader.findTag(repository, tag))
  }

  async listTags(repository: Repository, page: Page) {
    return this.#read(reader => reader.listTags(repository, page))
  }

  async listLocalTags(repository: Repository, page: Page) {
    return this.#read(reader => reader.listLocalTags(repository, page))
  }

  async listHolders(digest: Digest, page: { registry: RegistryHost; limit: number }) {
    return this.#read(reader => reader.listHolders(digest, page))
  }

  async listRepositoriesOf(digest: Digest, limit: number) {
    return this.#read(reader => reader.listRepositoriesOf(digest, limit))
  }

  async listRepositories(page: Page) {
    return this.#read(reader => reader.listRepositories(page))
  }

  async listReferrers(repository: Repository, digest: Digest) {
    return this.#read(reader => reader.listReferrers(repository, digest))
  }

  async findList(repository: Repository, key: string) {
    return this.#read(reader => reader.findList(repository, key))
  }

  async listContent(page: { after?: Digest; limit: number }) {
    return this.#read(reader => reader.listContent(page))
  }

  async totals() {
    return this.#read(reader => reader.totals())
  }

  async findDelivery(id: number) {
    return this.#read(({ outbox }) => outbox.find(id))
  }

  async listDeliveries(page: { after?: number; limit: number }) {
    return this.#read(({ outbox }) => outbox.list(page))
  }

  async listDeliveriesOf(key: string) {
    return this.#read(({ outbox }) => outbox.listOf(key))
  }

  async listDue(page: { carrier: Carrier; limit: number }) {
    return this.#read(({ outbox }) => outbox.listDue(page))
  }

  async outboxTotals() {
    return this.#read(({ outbox }) => outbox.totals())
  }

  sequence(): number {
    if (this.#closing !== undefined) throw new StoreError('io', 'the catalog is closed')
    return this.#sequence.next()
  }

  /**
   * Reserves numbers for `sequence`. A full disk is no reason not to open: what needs a number
   * fails then, and says why.
   */
  reserveSequence(): Promise<void> {
    return this.#sequence.extend()
  }

  async raiseSequence(floor: number) {
    if (this.#closing !== undefined) throw new StoreError('io', 'the catalog is closed')
    return this.#sequence.raise(floor)
  }

  recordManifest(record: RecordManifest) {
    return this.#write({ kind: 'record manifest', record })
  }

  recordBlob(record: RecordBlob) {
    return this.#write({ kind: 'record blob', record })
  }

  recordMember(repository: Repository, digest: Digest, atMs: number) {
    return this.#write({ kind: 'record member', repository, digest, atMs })
  }

  recordTag(repository: Repository, tag: Tag, digest: Digest, check: TagCheck) {
    return this.#write({ kind: 'record tag', repository, tag, digest, check })
  }

  recordList(repository: Repository, key: string, list: ListFact) {
    return this.#write({ kind: 'record list', repository, key, list })
  }

  noteUse(digest: Digest, atMs: number): void {
    this.#uses.note(digest, atMs)
  }

  forgetTag(repository: Repository, tag: Tag) {
    return this.#write({ kind: 'forget tag', repository, tag })
  }

  forgetContent(digest: Digest) {
    return this.#write({ kind: 'forget content', digest })
  }

  async recordPush(record: RecordPush) {
    if (record.delivery !== undefined) assertBounded(record.delivery)
    return this.#write({ kind: 'record push', record })
  }

  async deleteTag(repository: Repository, tag: Tag, options: DeleteOptions = {}) {
    return this.#write({ kind: 'delete tag', repository, tag, options: boundedRests(options) })
  }

  async removeMember(repository: Repository, digest: Digest, options: DeleteOptions = {}) {
    const bounded = boundedRests(options)
    return this.#write({ kind: 'remove member', repository, digest, options: bounded })
  }

  async listPendingBlobs(page: Parameters<Catalog['listPendingBlobs']>[0]) {
    return this.#read(reader => reader.listPendingBlobs(page))
  }

  expirePendingBlob(pending: PendingBlob) {
    return this.#write({ kind: 'expire pending blob', pending })
  }

  async recordDelivery(delivery: NewDelivery) {
    assertBounded(delivery)
    return this.#write({ kind: 'record delivery', delivery })
  }

  async changeDelivery(id: number, change: DeliveryChange) {
    return this.#write({ kind: 'change delivery', id, change: boundedChange(change) })
  }

  removeDelivery(id: number, settled?: SettledTags) {
    return this.#write({ kind: 'remove delivery', id, settled })
  }

  async markRebuilt() {
    await this.#write({ kind: 'mark rebuilt' })
    this.#rebuilt = true
  }

  /**
   * What was on disk when the catalog was lost has been taken stock of: `damaged` is false from the
   * next start on.
   */
  markRecovered() {
    return this.#write({ kind: 'mark recovered' })
  }

  /**
   * For the end: facts change no more, and no number is taken. No effect after a write that failed:
   * whoever began it may have left facts.
   */
  async markCompared(): Promise<void> {
    if (!this.#hasFailed) await this.#write({ kind: 'mark compared', end: this.#sequence.stop() })
  }

  /** Whether it is well. Resolves and throws as the writer's. */
  settled(): Promise<void> {
    return this.#writer.settled()
  }

  /**
   * `inOrder`: everything went well, so the next start need not look at all of the file. Default
   * false.
   */
  close({ inOrder = false } = {}): Promise<void> {
    this.#closing ??= this.#close(inOrder)
    return this.#closing
  }

  async #close(inOrder: boolean): Promise<void> {
    this.#uses.stop()
    const noted = this.#uses.flush()
    this.#reader.close()
    await this.#writer.close(inOrder && !this.#isSuspect ? this.#clock.nowMs() : undefined)
    await noted
    this.#lock.release()
  }

  #read<T>(read: (reader: Reader) => T): T {
    if (this.#closing !== undefined) throw new StoreError('io', 'the catalog is closed')
    try {
      return read(this.#reader)
    } catch (error) {
      const fault = faultOf(error)
      this.#isSuspect ||= fault.failure === 'corrupt' || fault.failure === 'io'
      throw storeErrorOf(fault)
    }
  }

  async #write(operation: Operation): Promise<void> {
    // What was noted goes along with the next commit, and before it: the order of the calls holds
    // for uses too.
    if (this.#closing === undefined) void this.#uses.flush()
    try {
      await this.#writer.write(operation)
    } catch (error) {
      this.#hasFailed = true
      throw error
    }
  }
}
