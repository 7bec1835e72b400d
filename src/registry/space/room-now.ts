// How much room there is and what it is taken by, in figures for operators: `status` and the
// metrics tell the same.
import { LOCALHOST, parseRepositoryKey } from '../../oci/reference.ts'
import type { Namespaces } from '../routing/namespaces.ts'
import { BLOCK_BYTES, type BlobStore, type Space, type Unwritable } from '../ports/blob-store.ts'
import type { Catalog } from '../ports/catalog.ts'
import { fencesOf, lowWater, reachableBytes, type StorageLimits } from './limits.ts'
import { eachRepository } from './repository-bytes.ts'

export interface RoomNow {
  /** On the file system that holds the data directory. */
  readonly freeBytes: number
  readonly totalBytes: number
  /** As in Space. */
  readonly files: Space['files']
  /** As in Space. */
  readonly unwritable?: Unwritable
  /** By the whole data directory: content, parts, uploads, catalog, facts and the rest. */
  readonly takenBytes: number
  /** Most that it can come to: `storage.maxsize`, or what the disk can give if that is less. */
  readonly maxBytes: number
  /** Down to here content leaves when there is no room, for `lowwater` and for `minfree`. */
  readonly lowWaterBytes: number
  /** Stays free for others: `storage.minfree`. */
  readonly minFreeBytes: number
  /** What no download may take, for pushes. */
  readonly pushReserveBytes: number
  /** Of what is taken, in whole blocks: content that was pushed here, and stays. */
  readonly keptBytes: number
  /** Content that an upstream has as well. */
  readonly cachedBytes: number
  /** Content whose files are about to be removed. */
  readonly leavingBytes: number
}

export interface RoomNowDeps {
  readonly catalog: Pick<Catalog, 'totals'>
  readonly store: Pick<BlobStore, 'space'>
  readonly registry: { takenBytes(): Promise<number> }
  readonly storageLimits: () => StorageLimits
}

/** @throws StoreError */
export async function roomNow(deps: RoomNowDeps): Promise<RoomNow> {
  // First: it looks, and the rest goes by what it has found.
  const takenBytes = await deps.registry.takenBytes()
  const [totals, space] = await Promise.all([deps.catalog.totals(), deps.store.space()])
  const limits = deps.storageLimits()
  const fences = fencesOf(limits, space)
  const { contentBlocks, keptBlocks, leavingBlocks } = totals
  return {
    freeBytes: space.freeBytes,
    totalBytes: space.totalBytes,
    files: space.files,
    ...(space.unwritable === undefined ? {} : { unwritable: space.unwritable }),
    takenBytes,
    maxBytes: reachableBytes(limits, takenBytes, space),
    lowWaterBytes: lowWater(fences, takenBytes, space),
    minFreeBytes: fences.minFreeBytes,
    pushReserveBytes: fences.pushReserveBytes,
    keptBytes: keptBlocks * BLOCK_BYTES,
    cachedBytes: (contentBlocks - keptBlocks) * BLOCK_BYTES,
    leavingBytes: leavingBlocks * BLOCK_BYTES,
  }
}

/**
 * What the repositories of each upstream hold, and those of `localhost`; `other`: of registries
 * that clients named, or that are no upstreams any more. @throws StoreError
 */
export async function bytesByUpstream(
  catalog: Pick<Catalog, 'listRepositoryBytes'>,
  namespaces: Pick<Namespaces, 'list'>,
): Promise<ReadonlyMap<string, number>> {
  const configured = namespaces.list().filter(({ namedByClient }) => !namedByClient)
  const named = new Set([LOCALHOST, ...configured.map(({ upstream }) => upstream.registry)])
  const sums = new Map<string, number>()
  for await (const { repository, bytes } of eachRepository(catalog)) {
    const { registry } = parseRepositoryKey(repository)
    const upstream = named.has(registry) ? registry : 'other'
    sums.set(upstream, (sums.get(upstream) ?? 0) + bytes)
  }
  return sums
}
