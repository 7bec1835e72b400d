// The catalog with a bump of the epochs at every write that changes what a client is answered by
// tag or digest: after the write is durable, and before whoever made it hears so. What only adds (a
// member, a list, a new blob) changes no answer that could be remembered.
import type { Digest } from '../oci/digest.ts'
import { type Repository, type RepositoryKey, repositoryKey, type Tag } from '../oci/reference.ts'
import type { Epochs } from './epochs.ts'
import type { RecordBlob, RecordManifest } from './ports/catalog-content.ts'
import type { TagCheck } from './ports/catalog-tags.ts'
import type { Catalog } from './ports/catalog.ts'

/**
 * Bumped one by one: as many hashes of a key take tens of microseconds. What more repositories hold
 * is rare, and bumps all of them.
 */
const BUMPED_MAX = 100

/**
 * Reads and all other writes go to `catalog` as they are, in the order of the calls; writes of
 * somebody who has `catalog` itself are not seen.
 */
export function withEpochs(catalog: Catalog, epochs: Epochs): Catalog {
  const changes = new Running<RepositoryKey>()
  const descriptions = new Running<string>()

  async function changing(repository: Repository, write: () => Promise<void>): Promise<void> {
    const key = repositoryKey(repository)
    const { end } = changes.begin(key)
    try {
      await write()
    } finally {
      // A write that failed may have been made all the same.
      end()
      epochs.bump(key)
    }
  }

  /** By its digest it is answered with its media type, which may be another one now. */
  async function describing({ repository, manifest }: RecordManifest, write: () => Promise<void>) {
    const { digest, mediaType } = manifest
    const key = repositoryKey(repository)
    const { isAlone, end } = descriptions.begin(`${key}@${digest}`)
    const known = catalog.findMember(repository, digest).catch(() => undefined)
    try {
      await write()
    } finally {
      const before = (await known)?.mediaType ?? mediaType
      end()
      if (!isAlone || before !== mediaType) epochs.bump(key)
    }
  }

  /**
   * Confirmed where it points already, as most tags are, it changes nothing but its time, which
   * whoever remembers answers knows. What it pointed to is read before the write is begun and not
   * awaited before: a push must not get in between.
   */
  async function recordTag(repository: Repository, tag: Tag, digest: Digest, check: TagCheck) {
    const key = repositoryKey(repository)
    const { isAlone, end } = changes.begin(key)
    const known = catalog.findTag(repository, tag).catch(() => undefined)
    try {
      await catalog.recordTag(repository, tag, digest, check)
    } finally {
      const isSame = isAlone && (await known)?.digest === digest
      end()
      if (!isSame) epochs.bump(key)
    }
  }

  /**
   * What can be remembered is about members of its own repository, also where it took children to
   * be here. Memberships outlive the content, so they can be read after the write, and then they
   * are those of everybody who was answered before it: who loses one meanwhile bumps.
   */
  async function forgetContent(digest: Digest): Promise<void> {
    try {
      await catalog.forgetContent(digest)
    } finally {
      await bumpHolders(digest)
    }
  }

  /**
   * What comes a second time may lie in another file now, and the first one is still open somewhere
   * (kept-open.ts).
   */
  async function recordBlob(record: RecordBlob): Promise<void> {
    const known = catalog.findContent(record.digest).catch(() => undefined)
    try {
      await catalog.recordBlob(record)
    } finally {
      if ((await known) !== undefined) await bumpHolders(record.digest)
    }
  }

  async function bumpHolders(digest: Digest): Promise<void> {
    const keys = await catalog.listRepositoriesOf(digest, BUMPED_MAX + 1).catch(() => undefined)
    if (keys === undefined || keys.length > BUMPED_MAX) epochs.bumpAll()
    else for (const key of keys) epochs.bump(key)
  }

  return {
    ...readsOf(catalog),
    ...otherWritesOf(catalog),
    identity: catalog.identity,
    get rebuilt() {
      return catalog.rebuilt
    },
    recordTag,
    recordManifest: record => {
      const { repository, tag } = record
      const write = () => catalog.recordManifest(record)
      return tag === undefined ? describing(record, write) : changing(repository, write)
    },
    recordPush: record => changing(record.repository, () => catalog.recordPush(record)),
    forgetTag: (repository, tag) => changing(repository, () => catalog.forgetTag(repository, tag)),
    deleteTag: (repository, tag, options) =>
      changing(repository, () => catalog.deleteTag(repository, tag, options)),
    removeMember: (repository, digest, options) =>
      changing(repository, () => catalog.removeMember(repository, digest, options)),
    expirePendingBlob: pending =>
      changing(pending.repository, () => catalog.expirePendingBlob(pending)),
    removeDelivery: (id, settled) => {
      const write = () => catalog.removeDelivery(id, settled)
      return settled === undefined ? write() : changing(settled.repository, write)
    },
    forgetContent,
    recordBlob,
  }
}

/**
 * Writes under way, by what they change: what is read meanwhile says nothing of what they will
 * leave.
 */
class Running<Key> {
  readonly #counts = new Map<Key, number>()

  /** `end` is to be called once. */
  begin(key: Key): { readonly isAlone: boolean; readonly end: () => void } {
    const count = this.#counts.get(key) ?? 0
    this.#counts.set(key, count + 1)
    return { isAlone: count === 0, end: () => this.#end(key) }
  }

  #end(key: Key): void {
    const left = (this.#counts.get(key) ?? 1) - 1
    if (left === 0) this.#counts.delete(key)
    else this.#counts.set(key, left)
  }
}

type OtherWrites = Pick<
  Catalog,
  | 'recordMember'
  | 'recordList'
  | 'noteUse'
  | 'sequence'
  | 'raiseSequence'
  | 'recordDelivery'
  | 'changeDelivery'
  | 'markRebuilt'
  | 'close'
>
type Reads = Omit<
  Catalog,
  | keyof OtherWrites
  | 'identity'
  | 'rebuilt'
  | 'recordBlob'
  | 'recordTag'
  | 'recordManifest'
  | 'recordPush'
  | 'forgetTag'
  | 'deleteTag'
  | 'removeMember'
  | 'expirePendingBlob'
  | 'removeDelivery'
  | 'forgetContent'
>

function readsOf(catalog: Catalog): Reads {
  return {
    findManifest: (repository, digest) => catalog.findManifest(repository, digest),
    findContent: digest => catalog.findContent(digest),
    findMember: (repository, digest) => catalog.findMember(repository, digest),
    wasTaken: (repository, digest) => catalog.wasTaken(repository, digest),
    listDeliverers: digest => catalog.listDeliverers(digest),
    sizeOf: (repository, digest) => catalog.sizeOf(repository, digest),
    findTag: (repository, tag) => catalog.findTag(repository, tag),
    listTags: (repository, page) => catalog.listTags(repository, page),
    listLocalTags: (repository, page) => catalog.listLocalTags(repository, page),
    listRepositories: page => catalog.listRepositories(page),
    listReferrers: (repository, digest) => catalog.listReferrers(repository, digest),
    findList: (repository, key) => catalog.findList(repository, key),
    listHolders: (digest, page) => catalog.listHolders(digest, page),
    listRepositoriesOf: (digest, limit) => catalog.listRepositoriesOf(digest, limit),
    listPendingBlobs: page => catalog.listPendingBlobs(page),
    listDeliveries: page => catalog.listDeliveries(page),
    findDelivery: id => catalog.findDelivery(id),
    listDeliveriesOf: key => catalog.listDeliveriesOf(key),
    listDue: page => catalog.listDue(page),
    outboxTotals: () => catalog.outboxTotals(),
    listContent: page => catalog.listContent(page),
    totals: () => catalog.totals(),
  }
}

function otherWritesOf(catalog: Catalog): OtherWrites {
  return {
    recordMember: (repository, digest, atMs) => catalog.recordMember(repository, digest, atMs),
    recordList: (repository, key, list) => catalog.recordList(repository, key, list),
    noteUse: (digest, atMs) => catalog.noteUse(digest, atMs),
    sequence: () => catalog.sequence(),
    raiseSequence: floor => catalog.raiseSequence(floor),
    recordDelivery: delivery => catalog.recordDelivery(delivery),
    changeDelivery: (id, change) => catalog.changeDelivery(id, change),
    markRebuilt: () => catalog.markRebuilt(),
    close: () => catalog.close(),
  }
}
