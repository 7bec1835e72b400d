// The registry as one thing: every use case of this room, wired over the ports. No HTTP, no disk,
// no database in here.
import type { Digest } from '../oci/digest.ts'
import { type Repository, repositoryKey, type Tag } from '../oci/reference.ts'
import type { BlobAnswer } from './answers.ts'
import type { Registry } from './use-cases.ts'
import { appendUpload } from './upload/append-upload.ts'
import { noteStorage } from './best-effort.ts'
import { BlobPresence } from './blob-presence.ts'
import { deleteBlob } from './delete/delete-blob.ts'
import { deleteManifest } from './delete/delete-manifest.ts'
import type { Epochs } from './epochs.ts'
import { Fills } from './fill/fills.ts'
import { finishUpload } from './upload/finish-upload.ts'
import { headBlob } from './pull/head-blob.ts'
import { headManifest } from './pull/head-manifest.ts'
import { Flights } from '../async/flights.ts'
import { OpenBlobs } from './open-blobs.ts'
import { listReferrers, LocalReferrers } from './pull/list-referrers.ts'
import { listRepositories } from './pull/list-repositories.ts'
import { listTags } from './pull/list-tags.ts'
import { ManifestContents } from './pull/manifest-content.ts'
import { mountBlob } from './upload/mount-blob.ts'
import type { Namespaces } from './namespaces.ts'
import { NegativeCache } from './negative-cache.ts'
import type { BlobStore } from './ports/blob-store.ts'
import type { Catalog } from './ports/catalog.ts'
import type { Clock } from './ports/clock.ts'
import type { NoteEvent } from './ports/events.ts'
import type { FactStore } from './ports/facts.ts'
import { SilentRepositories } from './pull/head-before-push.ts'
import type { UpstreamBlobHead } from './ports/upstream-content.ts'
import { compareFacts, type ComparedFacts } from './rebuild/compare-facts.ts'
import { pullBlob, readWholeBlob } from './pull/pull-blob.ts'
import { pullManifest } from './pull/pull-manifest.ts'
import { pushManifest } from './push/push-manifest.ts'
import { expirePendingBlobs } from './upload/expire-pending-blobs.ts'
import { type Purged, purgeUploads } from './upload/purge-uploads.ts'
import { type ReadCached, BufferPool } from './fill/buffer-pool.ts'
import { Prefetch } from './pull/prefetch.ts'
import type { RepositoryPolicies } from './repository-policy.ts'
import { TagResolver } from './pull/resolve-tag.ts'
import type { Route } from './route.ts'
import { routeFrom } from './route-from.ts'
import { showAtUpstream } from './push/show-at-upstream.ts'
import { isSharedSource } from './sharing.ts'
import { SpaceLedger } from './space.ts'
import { startUpload } from './upload/start-upload.ts'
import { Uploads } from './upload/uploads.ts'
import { Turns } from '../async/turns.ts'
import { UpstreamLists } from './pull/upstream-lists.ts'
import { type Refused, WantOfSpace } from './want-of-space.ts'

export interface RegistryDeps {
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly clock: Clock
  readonly note: NoteEvent
  readonly namespaces: Namespaces
  readonly route: Route
  readonly facts: FactStore
  readonly policies: RepositoryPolicies
  /** A new upload id at each call: at least 128 random bits. */
  readonly newUploadId: () => string
  /** Most that cached content may take together, in bytes; Infinity when only the disk limits. */
  readonly maxStorageBytes: number
  /** Bumped by every write to `catalog`. Absent: no blob stays open for who asks next. */
  readonly epochs?: Epochs | undefined
  /** For blobs that are sent from here. Absent: every read is the thread pool's. */
  readonly readCached?: ReadCached | undefined
  /** See OvertakeDeliveriesDeps. */
  readonly unsettledMs?: (key: string) => number
  /** Told after each push into a queue, once the catalog has it. */
  readonly queued?: () => void
}

export interface RunningRegistry extends Registry {
  /**
   * A queued push is at its upstream. To be called in the repository's turn, before its entry goes,
   * so that lists have its tags all the time. Throws nothing that disk or catalog brought about.
   */
  delivered(repository: Repository, what: { digest: Digest; tags: readonly Tag[] }): Promise<void>
  /**
   * Those that pushes and deletes take, by the repository's key, for whoever writes down something
   * of the same kind.
   */
  readonly turns: Turns
  /**
   * Resolves when no fill of this blob runs any more; at once when none does. Readers are done
   * before the disk is.
   */
  settled(digest: Digest): Promise<void>
  /**
   * Removes uploads that nobody has gone on with for so long; with `dryRun` only counts them. Tells
   * of it by one event.
   * @throws StoreError
   */
  purgeUploads(options: { olderThanMs: number; dryRun: boolean }): Promise<Purged>
  /**
   * Ends what is pending for pushes that never ended, until `signal` is aborted; see
   * upload/expire-pending-blobs.ts.
   * @throws StoreError
   */
  expirePendingBlobs(signal: AbortSignal): Promise<void>
  /**
   * Why nothing more is kept now, and what to do about it, for people; undefined while there is
   * room.
   * @throws StoreError io
   */
  fullBecause(): Promise<string | undefined>
  /** What found no room since the start. */
  refusedForSpace(): Refused
  /**
   * See rebuild/compare-facts.ts; to be run once after a start.
   * @throws StoreError; the signal's reason
   */
  compareFacts(signal: AbortSignal): Promise<ComparedFacts>
  /**
   * Parks the fills and uploads that run, for the next process to resume. Call it once nobody asks
   * any more.
   */
  stop(): Promise<void>
}

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
  const { catalog, store, clock, namespaces } = deps
  const negative = new NegativeCache(clock)
  const contents = new ManifestContents({ ...deps, negative })
  const tags = new TagResolver({ ...deps, negative, contents })
  const lists = new UpstreamLists({ ...deps, negative })
  const space = new SpaceLedger({
    store,
    maxBytes: deps.maxStorageBytes,
    usedBytes: async () => (await catalog.totals()).contentBytes,
    isShared: source => isSharedSource(namespaces, source),
  })
  const fills = new Fills({ ...deps, space })
  const prefetch = new Prefetch({ ...deps, fills, contents, space })
  const openBlobs = new OpenBlobs({
    clock,
    epochs: deps.epochs,
    failed: error => noteStorage(note, error),
  })
  const silent = new SilentRepositories()
  const blobs = {
    note,
    openBlobs,
    store,
    catalog,
    clock,
    namespaces,
    negative,
    fills,
    heads: new Flights<UpstreamBlobHead>(),
    buffers: new BufferPool(deps.readCached),
    policies: deps.policies,
    silent,
    prefetch,
  }
  const presence = new BlobPresence({ ...deps, negative })
  const uploads = new Uploads({ ...deps, space })
  const turns = new Turns()
  const queued = deps.queued ?? (() => {})
  return {
    deps,
    wantOfSpace,
    turns,
    manifests: { ...deps, silent, negative, contents, tags, prefetch },
    blobs,
    lists: { ...deps, lists, local: new LocalReferrers(contents), listTurns: new Turns() },
    blobPushes: { ...deps, space, uploads, presence },
    manifestPushes: { ...deps, negative, contents, tags, lists, turns, presence, queued },
  }
}

function pulling({ deps, manifests, blobs, lists }: Parts) {
  const { catalog, clock, namespaces } = deps
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
    noteUse: digest => catalog.noteUse(digest, clock.nowMs()),
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

function pushing({ turns, blobPushes, manifestPushes }: Parts) {
  const { uploads } = blobPushes
  return {
    startUpload: (repository, options) => startUpload(blobPushes, repository, options),
    mountBlob: (repository, mount) => mountBlob(blobPushes, repository, mount),
    uploadState: (repository, id) => uploads.state(repository, id),
    appendUpload: (repository, id, chunk) => appendUpload(blobPushes, repository, { id, chunk }),
    finishUpload: (repository, id, end) => finishUpload(blobPushes, repository, { id, ...end }),
    cancelUpload: (repository, id) => uploads.cancel(repository, id),
    pushManifest: (repository, push) => pushManifest(manifestPushes, repository, push),
    deleteManifest: (repository, reference) =>
      deleteManifest(manifestPushes, repository, reference),
    deleteBlob: (repository, digest) =>
      turns.take(repositoryKey(repository), () => deleteBlob(blobPushes, repository, digest)),
  } satisfies Partial<Registry>
}

/** For the operator, for deliveries, and for what works by itself. */
function besideClients(parts: Parts): Omit<RunningRegistry, keyof Registry> {
  const { deps, wantOfSpace, turns, blobs, blobPushes, manifestPushes } = parts
  const { openBlobs, prefetch, fills } = blobs
  const { space, uploads } = blobPushes
  return {
    turns,
    delivered: (repository, what) => showAtUpstream(manifestPushes, repository, what),
    settled: async digest => fills.find(digest)?.over,
    fullBecause: () => space.fullBecause(),
    refusedForSpace: () => wantOfSpace.refused,
    purgeUploads: options => purgeUploads(blobPushes, options),
    expirePendingBlobs: signal => expirePendingBlobs({ ...deps, turns }, signal),
    compareFacts: signal => compareFacts(manifestPushes, signal),
    stop: async () => {
      prefetch.stop()
      openBlobs.stop()
      await Promise.all([fills.stop(), uploads.stop()])
    },
  }
}
