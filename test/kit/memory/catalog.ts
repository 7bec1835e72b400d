// The catalog in memory: the twin that tests use and the model that the SQLite catalog is compared
// with. It says the same by the plainest means, keeps nothing, and is bounded by nothing but the
// test that uses it.
import { randomUUID } from 'node:crypto'
import { type Repository, repositoryKey } from '../../../src/oci/reference.ts'
import type { ListedMember, RecordedContent } from '../../../src/registry/ports/catalog-content.ts'
import type { AsOf } from '../../../src/registry/ports/catalog-space.ts'
import type {
  UnverifiedPage,
  UnverifiedPlace,
} from '../../../src/registry/ports/catalog-verified.ts'
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
import { MemoryFollowers } from './catalog-followers.ts'
import { findNeed, listManifests, listUnneededWithout } from './catalog-holdings.ts'
import { MemoryHolds } from './catalog-holds.ts'
import { MemoryImages } from './catalog-images.ts'
import { MemoryJobNotes } from './catalog-job-notes.ts'
import { MemoryOutbox } from './catalog-outbox.ts'
import { addPending, complete, listPendingBlobs, putPendingBack } from './catalog-pending.ts'
import { MemoryPins } from './catalog-pins.ts'
import { expirePendingBlob, isPromised, removeMember } from './catalog-removal.ts'
import { blocksOf, MemoryRepositories } from './catalog-repositories.ts'
import { MemorySpace } from './catalog-space.ts'
import { dropTag, listTags, pointTag, pushTag, settleTags } from './catalog-tags.ts'

export interface MemoryCatalogOptions {
  /** Default: nobody remembers an answer. */
  readonly epochs?: ChangedAnswers
  /** Makes a write, which is what `apply` does at once. Default just that. */
  readonly write?: (operation: Operation, apply: () => unknown) => Promise<unknown>
  /** Default one that no other has. */
  readonly identity?: string
}

export function createMemoryCatalog(options: MemoryCatalogOptions = {}): Catalog {
  const { epochs = { bump() {}, bumpAll() {} } } = options
  const write = options.write ?? (async (_operation: Operation, apply: () => unknown) => apply())
  const all = new MemoryRepositories()
  const outbox = new MemoryOutbox()
  const space = new MemorySpace(all)
  const pins = new MemoryPins()
  const holds = new MemoryHolds(all, outbox)
  const images = new MemoryImages(all, space, holds)
  const followers = new MemoryFollowers(all)
  const notes = new MemoryJobNotes()
  const parts = { all, outbox, space, images, holds, followers }
  const writes: Writes = {
    ...writesOn(parts),
    ...pinWritesOn(pins),
    noteJob: note => notes.note(note),
  }
  let [isRebuilt, isClosed] = [false, false]
  let sequence = 0
  const assertOpen = () => {
    if (isClosed) throw new StoreError('io', 'the catalog is closed')
  }
  const apply = ({ name, args }: Operation) => {
    assertOpen()
    const change = writes[name] as (...args: readonly unknown[]) => unknown
    images.before()
    followers.before()
    const result = change(...args)
    all.settleNeeds()
    images.settle()
    followers.settle()
    space.settle()
    holds.settle()
    return result
  }
  const readsOf: SyncReads = {
    ...readsOn(parts),
    listPins: () => pins.list(),
    listJobNotes: () => notes.list(),
  }
  const reads = readsFrom(readsOf, read => {
    assertOpen()
    return read()
  })
  return {
    ...reads,
    ...writesTo({ reads, epochs, write: each => write(each, () => apply(each)) }),
    identity: options.identity ?? randomUUID(),
    get rebuilt() {
      return isRebuilt
    },
    markRebuilt: async isAllFound => {
      assertOpen()
      isRebuilt = true
      if (!isAllFound) space.beginStock()
    },
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

interface Parts {
  readonly all: MemoryRepositories
  readonly outbox: MemoryOutbox
  readonly space: MemorySpace
  readonly images: MemoryImages
  readonly holds: MemoryHolds
  readonly followers: MemoryFollowers
}

function readsOn({
  all,
  outbox,
  space,
  images,
  holds,
  followers,
}: Parts): Omit<SyncReads, 'listPins' | 'listJobNotes'> {
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
    isPending: (repository, digest) => all.find(repository)?.pending.has(digest) ?? false,
    isListed: (repository, digest) => all.isListedByMember(repository, digest),
    wasTaken: (repository, digest) => all.find(repository)?.taken.has(digest) ?? false,
    listDeliverers: digest => all.deliverers(digest).slice(0, MAX_DELIVERERS),
    sizeOf: (repository, digest) => all.size(repository, digest),
    findTag: (repository, tag) => all.find(repository)?.tags.get(tag),
    listTags: (repository, page) => listTags(all.find(repository), page),
    listLocalTags: (repository, { limit, ...page }) =>
      listTags(all.find(repository), { ...page, limit: Number.POSITIVE_INFINITY })
        .filter(({ local }) => local)
        .slice(0, limit),
    listTagsTo: (repository, digest, { limit, ...page }) =>
      listTags(all.find(repository), { ...page, limit: Number.POSITIVE_INFINITY })
        .filter(each => each.digest === digest)
        .slice(0, limit),
    listRepositories: ({ after = '', limit }) =>
      all
        .listed()
        .filter(key => key > after)
        .slice(0, limit),
    listHolders: (digest, page) => all.holders(digest, page.registry).slice(0, page.limit),
    listRepositoriesOf: (digest, limit) => all.repositoriesOf(digest).slice(0, limit),
    listMembers: (repository, { after, limit }) => {
      const members = listMembers(all, repository)
      const start = members.findIndex(({ digest }) => digest === after) + 1
      return members.slice(start, start + limit)
    },
    listReferrers: (repository, digest) =>
      all.referrers(repository, digest).slice(0, MAX_REFERRERS),
    listListers: (repository, digest, { after, limit }) =>
      all
        .listers(repository, digest)
        .filter(each => after === undefined || each > after)
        .slice(0, limit),
    findList: (repository, key) => all.find(repository)?.lists.get(key),
    listContent: ({ after, limit }) =>
      [...all.contents.values()]
        .filter(({ digest }) => after === undefined || digest > after)
        .sort((a, b) => (a.digest < b.digest ? -1 : 1))
        .slice(0, limit),
    listUnverified: page => listUnverified(all, page),
    unverifiedSince: () => {
      const whole = [...all.contents.values()].filter(each => each.brokenAtMs === undefined)
      const times = whole.map(({ verifiedAtMs }) => verifiedAtMs)
      return times.length === 0 ? undefined : Math.min(...times)
    },
    countBroken: () =>
      [...all.contents.values()].filter(each => each.brokenAtMs !== undefined).length,
    totals: () => ({
      ...all.totals(),
      leavingBlocks: blocksOf([...space.leaving.values()]),
    }),
    listPendingBlobs: page => listPendingBlobs(all.all(), page),
    listDeliveries: page => outbox.list(page),
    findDelivery: id => outbox.find(id),
    listDeliveriesOf: key => outbox.listOf(key),
    listDue: page => outbox.listDue(page),
    outboxTotals: () => outbox.totals(),
    listLoose: page => space.listLoose(page),
    listLooseSince: page => space.listLooseSince(page),
    firstLooseAt: fromMs => space.firstLooseAt(fromMs),
    listLeaving: page => space.listLeaving(page),
    findLeaving: digest => space.leaving.get(digest),
    whichLeave: digests => new Set(digests.filter(digest => space.leaving.has(digest))),
    listRepositoriesLeft: (atMs, limit) => space.listRepositoriesLeft(atMs).slice(0, limit),
    recounted: () => ({ upTo: 0, mended: 0 }),
    tidied: () => ({ upTo: 0, forgotten: space.tidied }),
    isUnclear: digest => space.isUnclear(digest),
    leasedUntil: (repository, digest) => space.leasedUntil(repository, digest),
    listFollowers: page => followers.list(page),
    firstFollowsAt: fromMs => followers.first(fromMs),
    followsSince: (repository, digest) => followers.since(repository, digest),
    deletedAt: digest => followers.deletedAt(digest),
    listManifests: (repository, page) => listManifests(all, repository, page),
    findNeed: (digest, asOf) => findNeed(all, space, digest, asOf),
    listUnneededWithout: (image, left) => listUnneededWithout(all, image, left),
    holdsOf: (repository, digest) => holds.of(all.find(repository), digest),
    isKeptForOthers: (repository, digest) => holds.isKeptForOthers(repository, digest),
    returnedImages: () => images.returned,
    listColdest: page => images.listColdest(page),
    footprint: (evicted, how) => images.footprint(evicted, how),
    listsAny: (manifest, some) => all.lists(manifest).some(each => some.includes(each)),
    listRepositoryBytes: page => images.listRepositoryBytes(page),
    listTagsOf: (image, limit) => images.listTagsOf(image, limit),
    usageOf: (repository, digest) => images.usageOf(repository, digest),
    tagUsageOf: (repository, tag) =>
      images
        .listTagUsage(repository, { limit: Number.POSITIVE_INFINITY })
        .find(each => each.tag === tag),
    listTagUsage: (repository, page) => images.listTagUsage(repository, page),
  }
}

function listUnverified(
  all: MemoryRepositories,
  { broken = false, fromMs = 0, beforeMs, after, limit }: UnverifiedPage,
): RecordedContent[] {
  const ids = [...all.recorded]
  const atMs = ({ verifiedAtMs, brokenAtMs }: UnverifiedPlace) => brokenAtMs ?? verifiedAtMs
  const compare = (a: UnverifiedPlace, b: UnverifiedPlace) =>
    atMs(a) - atMs(b) || (ids.indexOf(a.digest) - ids.indexOf(b.digest)) * (broken ? -1 : 1)
  return [...all.contents.values()]
    .filter(each => (each.brokenAtMs !== undefined) === broken)
    .filter(each => atMs(each) >= fromMs && atMs(each) < beforeMs)
    .filter(each => after === undefined || compare(each, after) > 0)
    .sort(compare)
    .slice(0, limit)
}

type PinWriteName = 'pin' | 'unpin'

function pinWritesOn(pins: MemoryPins): Pick<Writes, PinWriteName> {
  return { pin: pin => pins.pin(pin), unpin: name => pins.unpin(name) }
}

function listMembers(all: MemoryRepositories, repository: Repository): ListedMember[] {
  return [...(all.find(repository)?.members.keys() ?? [])].flatMap(digest => {
    const content = all.contents.get(digest)
    if (content === undefined) return []
    const isManifest = all.manifest(repository, digest) !== undefined
    return [{ digest, isManifest, contentClass: content.contentClass }]
  })
}

type Writes = { readonly [Name in WriteName]: (...args: WriteArgs<Name>) => void }

function writesOn({
  all,
  outbox,
  space,
  images,
  holds,
  followers,
}: Parts): Omit<Writes, PinWriteName | 'noteJob'> {
  return {
    recordManifest: record => {
      const { manifest, tag, atMs } = record
      const state = all.open(record.repository)
      all.setPresent({ ...manifest, ...record, hold: 'nothing', verified: 'yes' })
      all.addManifest(state, manifest, record.apart)
      images.welcome({ ...record, digest: manifest.digest })
      if (tag === undefined) return
      all.recordPrevious(record)
      pointTag(state, { ...record, tag, digest: manifest.digest, checkedAtMs: atMs })
    },
    recordBlob: record => {
      const state = all.open(record.repository)
      all.addMember(state, record.digest, true)
      all.setPresent({
        ...record,
        mediaType: undefined,
        verified: record.isVerified === true ? 'yes' : 'no',
      })
      addPending(state.pending, record)
    },
    recordMember: (repository, digest) => all.addMember(all.open(repository), digest),
    forgetContent: digest => {
      const isKept = all.contents.get(digest)?.contentClass === 'kept'
      if (isKept && all.isHeld(digest)) return
      if (!all.needs(digest).some(child => all.contents.has(child))) all.contents.delete(digest)
    },
    noteVerified: ({ digests, broken, atMs }) => {
      for (const digest of digests) all.noteVerified(digest, { verifiedAtMs: atMs })
      for (const digest of broken)
        all.noteVerified(digest, { verifiedAtMs: 0, brokenAtMs: Math.max(1, atMs) })
    },
    noteUses: uses => {
      for (const { digest, atMs } of uses) all.noteUse(digest, atMs)
      images.noteUses(uses)
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
    forgetList: (repository, key) => void all.find(repository)?.lists.delete(key),
    recordList: (repository, key, list) => void all.open(repository).lists.set(key, list),
    recordPush: record => {
      const { manifest, tags, delivery, confirmed = [] } = record
      const { digest } = manifest
      const state = all.open(record.repository)
      all.setPresent({ ...manifest, ...record, verified: 'if new' })
      complete(state, record)
      all.addPushed(state, manifest, confirmed)
      for (const tag of tags) pushTag(state, { ...record, tag, digest, delivery: delivery?.id })
      space.endLeases(record.repository, digest)
      followers.endBy(record.repository, digest)
      if (delivery !== undefined) outbox.add(delivery)
      holds.push(record)
    },
    deleteTag: (repository, tag, options) => {
      const state = all.find(repository)
      if (state !== undefined) dropTag(state, tag)
      outbox.withdraw(options)
    },
    removeMember: (repository, digest, options) => {
      const state = all.find(repository)
      const isKept =
        all.contents.get(digest)?.contentClass === 'kept' &&
        !holds.isKeptForOthers(repository, digest)
      const isTold = (asOf?: AsOf) => state !== undefined && isPromised(state, digest, asOf)
      if (options?.unlessPromised === true && (isKept || isTold())) return false
      if (options?.unlessLeased !== undefined && isTold(options.unlessLeased)) return false
      const isMember = state?.members.has(digest) === true
      const wasHeld = holds.of(state, digest).length > 0
      const ended = state?.pending.has(digest) === true ? digest : undefined
      if (state !== undefined)
        holds.removed(repositoryKey(repository), removeMember(state, digest, all.edges), ended)
      if (isMember && options?.deletedAtMs !== undefined)
        followers.noteDeleted(digest, options.deletedAtMs)
      if (isMember && options?.followedSinceMs !== undefined)
        followers.follow(state, digest, {
          sinceMs: options.followedSinceMs,
          follows: each => wasHeld || holds.of(state, each).length === 0,
        })
      outbox.withdraw(options)
      return true
    },
    expirePendingBlob: pending =>
      holds.removed(
        repositoryKey(pending.repository),
        expirePendingBlob(all.find(pending.repository), pending, all.edges),
        pending.digest,
      ),
    recordDelivery: delivery => outbox.add(delivery),
    changeDelivery: (id, change) => outbox.change(id, change),
    removeDelivery: (id, settled) => {
      holds.removeDelivery(id, settled)
      const state = settled && all.find(settled.repository)
      if (settled === undefined || state === undefined) return
      settleTags(state, settled, last => last > id && outbox.has(last))
    },
    letGo: record => space.letGo(record),
    stampLoose: atMs => {
      space.stampLoose(atMs)
      followers.stamp(atMs)
    },
    endFollowing: image => followers.end(image),
    finishLeaving: digests => space.finishLeaving(digests),
    tidy: ({ beforeMs }) => space.tidy(beforeMs),
    // Here it is counted anew with each write.
    recount: () => {},
    lease: record => space.lease(record),
    expireLeases: beforeMs => space.expireLeases(beforeMs),
    putBack: times => {
      space.putBack(times)
      putPendingBack(all.all(), times)
      followers.putBack(times.nowMs)
    },
    adopt: (files, atMs, isUnclear) => space.adopt(files, atMs, isUnclear),
    noteStock: (isAllFound, butFor) => space.noteStock(isAllFound, butFor),
    evictImage: eviction => images.evictImage(eviction),
    trimGhosts: roomBytes => images.trimGhosts(roomBytes),
  }
}
