// The registry as one thing: every use case of this room, wired over the ports. No HTTP, no disk,
// no database in here.
import { leaveDeleted } from './delete/leave-deleted.ts'
import { purge, type PurgeDeps } from './purge/purge.ts'
import type { BlobAnswer } from './answers.ts'
import type { Registry } from './use-cases.ts'
import { appendUpload } from './upload/append-upload.ts'
import { noteStorage } from './best-effort.ts'
import { BlobPresence } from './facts/blob-presence.ts'
import { collect, type CollectDeps, GRACE_MS, whatWaits } from './collect/collect.ts'
import { beginGrace, Graces } from './time/grace.ts'
import { deleteBlob } from './delete/delete-blob.ts'
import { deleteAlsoLost } from './delete/delete-also-lost.ts'
import { KnownLostTags } from './delete/lost-manifest.ts'
import { evictDown } from './evict/evict-down.ts'
import { OldDeletes } from './delete/forget-deletes.ts'
import { Fills } from './fill/fills.ts'
import { forget, type IsMeant, type Remembering } from './forget.ts'
import { finishUpload } from './upload/finish-upload.ts'
import { takeFollowers } from './follow/take-followers.ts'
import { headBlob } from './pull/head-blob.ts'
import { headManifest } from './pull/head-manifest.ts'
import { Flights } from '../async/flights.ts'
import { openSpace } from './open-space.ts'
import { OpenBlobs } from './reading/open-blobs.ts'
import { listReferrers, LocalReferrers, referrersKey } from './pull/list-referrers.ts'
import { listRepositories } from './pull/list-repositories.ts'
import { listTags, TAGS_KEY } from './pull/list-tags.ts'
import { Leases } from './content/leases.ts'
import { ManifestContents } from './pull/manifest-content.ts'
import { mountBlob } from './upload/mount-blob.ts'
import { NegativeCache } from './negative-cache.ts'
import { SilentRepositories } from './pull/head-before-push.ts'
import type { UpstreamBlobHead } from './ports/upstream-content.ts'
import { adoptFiles } from './rebuild/adopt-files.ts'
import { compareFacts } from './rebuild/compare-facts.ts'
import { pullBlob, readWholeBlob } from './pull/pull-blob.ts'
import { pullManifest } from './pull/pull-manifest.ts'
import { createImporting } from './push/importing.ts'
import { pushManifest } from './push/push-manifest.ts'
import { expirePendingBlobs } from './upload/expire-pending-blobs.ts'
import { purgeUploads } from './upload/purge-uploads.ts'
import { BufferPool } from './fill/buffer-pool.ts'
import { Prefetch } from './pull/prefetch.ts'
import { TagResolver } from './pull/resolve-tag.ts'
import type { RegistryDeps, RunningRegistry } from './running-registry.ts'
import { retain } from './retain/retain.ts'
import { TimeKeeper } from './time/time-keeper.ts'
import { routeFrom } from './routing/route-from.ts'
import { showAtUpstream } from './push/show-at-upstream.ts'
import { startUpload } from './upload/start-upload.ts'
import { Turns } from '../async/turns.ts'
import { isAmong, KnownUnclear, type Unclear } from './facts/unclear-repositories.ts'
import { Uses } from './reading/uses.ts'
import { UpstreamLists } from './pull/upstream-lists.ts'
import { WantOfSpace } from './space/want-of-space.ts'

/**
 * Uses are written so soon, in one commit with all others that wait; those of what goes on being
 * used a minute later, since eviction thinks in hours, and each write of a page wears the disk.
 */
const USES_EVERY_MS = 5_000
const USES_AGAIN_MS = 60_000

export function createRegistry(given: RegistryDeps): RunningRegistry {
  const parts = openParts(given)
  return { ...pulling(parts), ...pushing(parts), ...besideClients(parts) }
}

type Parts = ReturnType<typeof openParts>

/** Each once, and what groups of use cases need of them. */
function openParts(given: RegistryDeps) {
  const wantOfSpace = new WantOfSpace()
  const note = wantOfSpace.counted(given.note, given.clock)
  const deps = { ...given, note }
  const { catalog, store, clock, namespaces, inUse } = deps
  const negative = new NegativeCache(clock)
  const lists = new UpstreamLists({ ...deps, negative })
  const openBlobs = new OpenBlobs({
    clock,
    epochs: deps.epochs,
    failed: error => noteStorage(note, error),
  })
  const uses = new Uses({
    clock,
    everyMs: USES_EVERY_MS,
    againMs: USES_AGAIN_MS,
    others: deps.elsewhere,
    handOn: each => catalog.noteUses(each),
  })
  const { manifestRoom: room, ...opened } = openSpace(deps, { openBlobs, uses })
  const { leaving, evictor, space, uploads, idleUploads } = opened
  const contents = new ManifestContents({ ...deps, negative, room })
  const tags = new TagResolver({ ...deps, negative, contents })
  const ofManifests = { ...deps, negative, contents, tags }
  const fills = new Fills({ ...deps, space })
  const prefetch = new Prefetch({ ...deps, fills, contents, space })
  const leases = new Leases({ ...deps, graceMs: graceOf(deps) })
  const silent = new SilentRepositories()
  const blobs = {
    note,
    openBlobs,
    store,
    catalog,
    content: deps.content,
    clock,
    namespaces,
    negative,
    fills,
    heads: new Flights<UpstreamBlobHead>(),
    buffers: new BufferPool(deps.readCached),
    inUse,
    policies: deps.policies,
    silent,
    prefetch,
    uses,
    leases,
  }
  const presence = new BlobPresence({ ...deps, negative })
  const turns = new Turns()
  const lostTags = new KnownLostTags(deps)
  const queued = deps.queued ?? (() => {})
  return {
    deps,
    wantOfSpace,
    leaving,
    evictor,
    idleUploads,
    keepRoom: opened.keepRoom,
    turns,
    uses,
    manifests: { ...ofManifests, silent, prefetch, uses, leases },
    blobs,
    lists: { ...deps, lists, local: new LocalReferrers(contents), listTurns: new Turns() },
    blobPushes: { ...deps, space, uploads, presence },
    manifestPushes: { ...ofManifests, lists, turns, presence, queued, leases, room, lostTags },
  }
}

function graceOf({ graceMs = () => GRACE_MS }: Pick<RegistryDeps, 'graceMs'>): () => number {
  return graceMs
}

function pulling({ deps, uses, manifests, blobs, lists }: Parts) {
  const { namespaces } = deps
  const { openBlobs, prefetch } = blobs
  return {
    route: deps.route,
    routeFrom: (target, from, host) => routeFrom(deps.route, target, { from, host }),
    policyOf: repository => deps.policies.find(repository),
    headManifest: (repository, request) => headManifest(manifests, repository, request),
    pullManifest: (repository, request) => pullManifest(manifests, repository, request),
    headBlob: (repository, digest, options) => headBlob(blobs, repository, digest, options),
    pullBlob: (repository, digest): Promise<BlobAnswer> => pullBlob(blobs, repository, digest),
    findOpen: (repository, digest) => openBlobs.find(openBlobs.stampOf(repository, digest)),
    readWholeBlob: (repository, digest, options) =>
      readWholeBlob(blobs, repository, { digest, ...options }),
    createNoteUse: used => uses.createNote(used),
    noteUses: each => uses.add(each),
    notePull: (repository, digest, client) => {
      const namespace = namespaces.find(repository.registry)
      if (namespace !== undefined) prefetch.servedAgain({ repository, namespace, digest, client })
    },
    noteRead: (repository, digest) => prefetch.reading(repository, digest)?.end(),
    listTags: (repository, page) => listTags(lists, repository, page),
    listReferrers: (repository, digest, artifactTypes) =>
      listReferrers(lists, repository, { digest, artifactTypes }),
    listRepositories: page => listRepositories(lists, page),
  } satisfies Partial<Registry>
}

function pushing(parts: Parts) {
  const { deps, leaving, blobPushes, manifestPushes } = parts
  const { uploads } = blobPushes
  const deleted = { ...deps, leaving, forget: (each: IsMeant) => forget(remembering(parts), each) }
  return {
    startUpload: (repository, options) => startUpload(blobPushes, repository, options),
    mountBlob: (repository, mount) => mountBlob(blobPushes, repository, mount),
    uploadState: (repository, id) => uploads.state(repository, id),
    appendUpload: (repository, id, chunk) => appendUpload(blobPushes, repository, { id, chunk }),
    finishUpload: (repository, id, end) => finishUpload(blobPushes, repository, { id, ...end }),
    cancelUpload: (repository, id) => uploads.cancel(repository, id),
    pushManifest: (repository, push) => pushManifest(manifestPushes, repository, push),
    deleteManifest: (repository, reference) => {
      const remove = () => deleteAlsoLost(manifestPushes, repository, reference)
      // It may have been all that reached what follows a deleted manifest.
      if (reference.kind === 'tag') return remove().then(() => beginGrace(deps))
      return leaveDeleted(deleted, { repository, digest: reference.digest }, remove)
    },
    deleteBlob: (repository, digest) =>
      leaveDeleted(deleted, { repository, digest }, () =>
        deleteBlob(manifestPushes, repository, digest),
      ),
  } satisfies Partial<Registry>
}

/** For the operator, for deliveries, and for what works by itself. */
function besideClients(parts: Parts): Omit<RunningRegistry, keyof Registry> {
  const { deps, wantOfSpace, leaving, evictor, turns, uses, blobs, blobPushes, manifestPushes } =
    parts
  const { openBlobs, prefetch, fills } = blobs
  const { space, uploads } = blobPushes
  const oldDeletes = new OldDeletes(manifestPushes)
  const time = new TimeKeeper(deps)
  const graces = new Graces({ ...deps, graceMs: graceOf(deps), time })
  const collects = collecting(parts, graces)
  let leftAlone: Unclear = new Set()
  const retaining = {
    ...manifestPushes,
    usesWritten: () => uses.flush(),
    asOfNow: () => graces.asOfNow(),
    leavesAlone: (unclear: Unclear) => (leftAlone = unclear),
  }
  return {
    turns,
    delivered: (repository, what) => showAtUpstream(manifestPushes, repository, what),
    settled: async digest => fills.find(digest)?.over,
    leaving,
    importing: createImporting(blobPushes, manifestPushes),
    flushUses: () => uses.flush(),
    evict: run => evictDown({ ...parts, space }, run),
    collect: run => collect(collects, run),
    fullBecause: () => space.fullBecause(),
    refusedForSpace: () => wantOfSpace.refused,
    takenBytes: () => deps.store.measureOthers().then(() => space.takenBytes()),
    keepRoom: parts.keepRoom,
    purge: async (selector, options) => {
      try {
        return await purge(purging(parts), selector, options)
      } finally {
        if (!options.dryRun) await beginGrace(deps)
      }
    },
    purgeUploads: options => purgeUploads({ ...blobPushes, time }, options),
    forgetDeletes: signal => oldDeletes.forget(signal),
    expirePendingBlobs: signal =>
      expirePendingBlobs({ ...deps, turns, grace: () => graces.asOfNow() }, signal),
    graceNow: () => graces.asOfNow(),
    noteTime: () => time.write(),
    graceLeftMs: () => graces.leftMs(),
    whatWaits: () => whatWaits(collects),
    isLeftAlone: repository => isAmong(leftAlone, repository),
    retain: async (rules, run) => {
      try {
        return await retain(retaining, rules, run)
      } finally {
        if (!run.dryRun) await beginGrace(deps)
      }
    },
    compareFacts: signal => compareFacts(manifestPushes, signal),
    adoptFiles: how => adoptFiles(deps, { ...how, atMs: deps.clock.nowMs() }),
    stop: async () => {
      prefetch.stop()
      openBlobs.stop()
      // Fills and uploads first, which may be waiting for room and are to know why there is none.
      const waiting = [fills.stop(), uploads.stop()]
      await Promise.all([...waiting, evictor.stop(), uses.stop(), leaving.stop(), time.stop()])
    },
  }
}

function collecting({ deps, leaving, manifestPushes }: Parts, graces: Graces): CollectDeps {
  const following = { ...manifestPushes, leaving, unclear: new KnownUnclear(manifestPushes) }
  return {
    ...deps,
    leaving,
    graces,
    takeFollowers: taking => takeFollowers(following, taking),
  }
}

function purging(parts: Parts): PurgeDeps {
  const { leaving, blobs, manifestPushes } = parts
  const { lists } = manifestPushes
  return {
    ...manifestPushes,
    leaving,
    forget: each => forget(remembering(parts), each),
    countMissing: each => manifestPushes.negative.count(each),
    published: digest => blobs.fills.published(digest),
    takeLists: async (repository, subjects) => {
      for (const key of [TAGS_KEY, ...subjects.map(referrersKey)])
        await lists.take({ repository, key })
    },
  }
}

/** Who of this room remembers, but for the catalog. */
function remembering({ deps, manifests, blobs, lists: { lists } }: Parts): Remembering {
  return { ...manifests, ...blobs, lists, namespaces: deps.namespaces }
}
