// The registry as one thing: every use case of this room, wired over the ports. No HTTP, no disk, no database in here.
import type { Digest } from '../oci/digest.ts'
import type { BlobAnswer, Registry } from './answers.ts'
import { Fills } from './fills.ts'
import { headManifest } from './head-manifest.ts'
import { Flights } from './flights.ts'
import { listReferrers } from './list-referrers.ts'
import { listTags } from './list-tags.ts'
import { ManifestContents } from './manifest-content.ts'
import type { Namespaces } from './namespaces.ts'
import { NegativeCache } from './negative-cache.ts'
import type { BlobStore } from './ports/blob-store.ts'
import type { Catalog } from './ports/catalog.ts'
import type { Clock } from './ports/clock.ts'
import type { NoteEvent } from './ports/events.ts'
import type { FactStore } from './ports/facts.ts'
import type { UpstreamBlobHead } from './ports/upstream.ts'
import { pullBlob, headBlob } from './pull-blob.ts'
import { pullManifest } from './pull-manifest.ts'
import { Readers } from './readers.ts'
import type { RepositoryPolicies } from './repository-policy.ts'
import { TagResolver } from './resolve-tag.ts'
import type { Route } from './route.ts'
import { SpaceLedger } from './space.ts'
import { UpstreamLists } from './upstream-lists.ts'

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
}

export interface RunningRegistry extends Registry {
  /** Resolves when no fill of this blob runs any more; at once when none does. Readers are done before the disk is. */
  settled(digest: Digest): Promise<void>
  /** Parks the fills that run, for the next process to resume. Call it once nobody asks any more. */
  stop(): Promise<void>
}

export function createRegistry(deps: RegistryDeps): RunningRegistry {
  const { catalog, store, clock, namespaces, note } = deps
  const negative = new NegativeCache(clock)
  const contents = new ManifestContents({ ...deps, negative })
  const tags = new TagResolver({ ...deps, negative, contents })
  const lists = new UpstreamLists({ ...deps, negative })
  const usedBytes = async () => (await catalog.totals()).contentBytes
  const space = new SpaceLedger(store, { maxBytes: deps.maxStorageBytes }, usedBytes)
  const fills = new Fills({ ...deps, space })
  const manifestDeps = { ...deps, negative, contents, tags }
  const blobDeps = {
    note,
    store,
    catalog,
    clock,
    namespaces,
    negative,
    fills,
    heads: new Flights<UpstreamBlobHead>(),
    readers: new Readers(),
  }
  const listDeps = { catalog, namespaces, lists, contents }
  return {
    route: deps.route,
    headManifest: (repository, request) => headManifest(manifestDeps, repository, request),
    pullManifest: (repository, request) => pullManifest(manifestDeps, repository, request),
    headBlob: (repository, digest) => headBlob(blobDeps, repository, digest),
    pullBlob: (repository, digest): Promise<BlobAnswer> => pullBlob(blobDeps, repository, digest),
    listTags: (repository, page) => listTags(listDeps, repository, page),
    listReferrers: (repository, digest, artifactTypes) =>
      listReferrers(listDeps, repository, { digest, artifactTypes }),
    listRepositories: async ({ limit, after }) => {
      // One more than shown tells whether more follow.
      const page = { limit: limit + 1, ...(after === undefined ? {} : { after }) }
      const repositories = await catalog.listRepositories(page)
      return { repositories: repositories.slice(0, limit), more: repositories.length > limit }
    },
    settled: async digest => fills.find(digest)?.over,
    stop: () => fills.stop(),
  }
}
