// The catalog in memory: the twin that tests use and the model that the SQLite catalog is compared
// with. It says the same by the plainest means, keeps nothing, and is bounded by nothing but the
// test that uses it.
import { randomUUID } from 'node:crypto'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import type { Catalog, ChangedAnswers } from '../../../src/registry/ports/catalog.ts'
import { MAX_DELIVERERS, MAX_REFERRERS } from '../../../src/catalog/bounds.ts'
import { readsFrom, type SyncReads } from '../../../src/catalog/reads.ts'
import {
  type Operation,
  type WriteArgs,
  type WriteName,
  writesTo,
} from '../../../src/catalog/writes.ts'
import { MemoryOutbox } from './catalog-outbox.ts'
import { addPending, complete, listPendingBlobs } from './catalog-pending.ts'
import { expirePendingBlob, removeMember } from './catalog-removal.ts'
import { MemoryRepositories } from './catalog-repositories.ts'
import { dropTag, listTags, pointTag, pushTag, settleTags } from './catalog-tags.ts'

export interface MemoryCatalogOptions {
  /** Default: nobody remembers an answer. */
  readonly epochs?: ChangedAnswers
  /** Makes a write, which is what `apply` does at once. Default just that. */
  readonly write?: (operation: Operation, apply: () => void) => Promise<void>
}

export function createMemoryCatalog(options: MemoryCatalogOptions = {}): Catalog {
  const { epochs = { bump() {}, bumpAll() {} } } = options
  const write = options.write ?? (async (_operation: Operation, apply: () => void) => apply())
  const all = new MemoryRepositories()
  const outbox = new MemoryOutbox()
  const writes = writesOn(all, outbox)
  let [isRebuilt, isClosed] = [false, false]
  let sequence = 0
  const assertOpen = () => {
    if (isClosed) throw new StoreError('io', 'the catalog is closed')
  }
  const apply = ({ name, args }: Operation) => {
    assertOpen()
    const change = writes[name] as (...args: readonly unknown[]) => void
    change(...args)
  }
  const reads = readsFrom(readsOn(all, outbox), read => {
    assertOpen()
    return read()
  })
  return {
    ...reads,
    ...writesTo({ reads, epochs, write: each => write(each, () => apply(each)) }),
    identity: randomUUID(),
    get rebuilt() {
      return isRebuilt
    },
    markRebuilt: async () => {
      assertOpen()
      isRebuilt = true
    },
    noteUse: (digest, atMs) => all.noteUse(digest, atMs),
    sequence: () => {
      assertOpen()
      return ++sequence
    },
    raiseSequence: async floor => {
      assertOpen()
      sequence = Math.max(sequence, floor)
    },
    close: async () => {
      isClosed = true
    },
  }
}

function readsOn(all: MemoryRepositories, outbox: MemoryOutbox): SyncReads {
  return {
    findManifest: (repository, digest) => all.manifest(repository, digest),
    findContent: digest => all.contents.get(digest),
    isRecorded: digest => all.recorded.has(digest),
    findMember: (repository, digest) => {
      const member = all.find(repository)?.members.get(digest)
      if (member === undefined) return undefined
      const { delivered } = member
      return { delivered, mediaType: all.manifest(repository, digest)?.mediaType }
    },
    wasTaken: (repository, digest) => all.find(repository)?.taken.has(digest) ?? false,
    listDeliverers: digest => all.deliverers(digest).slice(0, MAX_DELIVERERS),
    sizeOf: (repository, digest) => all.size(repository, digest),
    findTag: (repository, tag) => all.find(repository)?.tags.get(tag),
    listTags: (repository, page) => listTags(all.find(repository), page),
    listLocalTags: (repository, { limit, ...page }) =>
      listTags(all.find(repository), { ...page, limit: Number.POSITIVE_INFINITY })
        .filter(({ local }) => local)
        .slice(0, limit),
    listRepositories: ({ after = '', limit }) =>
      all
        .listed()
        .filter(key => key > after)
        .slice(0, limit),
    listHolders: (digest, page) => all.holders(digest, page.registry).slice(0, page.limit),
    listRepositoriesOf: (digest, limit) => all.repositoriesOf(digest).slice(0, limit),
    listReferrers: (repository, digest) =>
      all.referrers(repository, digest).slice(0, MAX_REFERRERS),
    findList: (repository, key) => all.find(repository)?.lists.get(key),
    listContent: ({ after, limit }) =>
      [...all.contents.values()]
        .filter(({ digest }) => after === undefined || digest > after)
        .sort((a, b) => (a.digest < b.digest ? -1 : 1))
        .slice(0, limit),
    totals: () => all.totals(),
    listPendingBlobs: page => listPendingBlobs(all.all(), page),
    listDeliveries: page => outbox.list(page),
    findDelivery: id => outbox.find(id),
    listDeliveriesOf: key => outbox.listOf(key),
    listDue: page => outbox.listDue(page),
    outboxTotals: () => outbox.totals(),
  }
}

type Writes = { readonly [Name in WriteName]: (...args: WriteArgs<Name>) => void }

function writesOn(all: MemoryRepositories, outbox: MemoryOutbox): Writes {
  return {
    recordManifest: record => {
      const { manifest, tag, atMs } = record
      const state = all.open(record.repository)
      all.setPresent({ ...manifest, ...record })
      all.addManifest(state, manifest)
      if (tag === undefined) return
      all.recordPrevious(record)
      pointTag(state, { ...record, tag, digest: manifest.digest, checkedAtMs: atMs })
    },
    recordBlob: record => {
      const state = all.open(record.repository)
      all.addMember(state, record.digest, true)
      all.setPresent({ ...record, mediaType: undefined })
      addPending(state.pending, record)
    },
    recordMember: (repository, digest) => all.addMember(all.open(repository), digest),
    forgetContent: digest => {
      const isKept = all.contents.get(digest)?.contentClass === 'kept'
      if (!isKept || !all.isHeld(digest)) all.contents.delete(digest)
    },
    recordTag: (repository, tag, digest, check) => {
      all.recorded.add(digest)
      all.recordPrevious(check)
      pointTag(all.open(repository), { ...check, tag, digest })
    },
    forgetTag: (repository, tag) => {
      const state = all.find(repository)
      if (state?.tags.get(tag)?.local === false) dropTag(state, tag)
    },
    recordList: (repository, key, list) => void all.open(repository).lists.set(key, list),
    recordPush: record => {
      const { manifest, tags, delivery, confirmed = [] } = record
      const { digest } = manifest
      const state = all.open(record.repository)
      all.setPresent({ ...manifest, ...record })
      complete(state, record)
      all.addPushed(state, manifest, confirmed)
      for (const tag of tags) pushTag(state, { ...record, tag, digest, delivery: delivery?.id })
      if (delivery !== undefined) outbox.add(delivery)
    },
    deleteTag: (repository, tag, options) => {
      const state = all.find(repository)
      if (state !== undefined) dropTag(state, tag)
      outbox.withdraw(options)
    },
    removeMember: (repository, digest, options) => {
      const state = all.find(repository)
      if (state !== undefined) removeMember(state, digest, all.edges)
      outbox.withdraw(options)
    },
    expirePendingBlob: pending =>
      expirePendingBlob(all.find(pending.repository), pending, all.edges),
    recordDelivery: delivery => outbox.add(delivery),
    changeDelivery: (id, change) => outbox.change(id, change),
    removeDelivery: (id, settled) => {
      outbox.remove(id)
      const state = settled && all.find(settled.repository)
      if (settled === undefined || state === undefined) return
      settleTags(state, settled, last => last > id && outbox.has(last))
    },
  }
}
