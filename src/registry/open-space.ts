// Room on the disk, what leaves to make some, and what takes files away, put together for
// registry.ts.
import { Haste } from '../async/haste.ts'
import type { Digest } from '../oci/digest.ts'
import { Evictor } from './evict/evictor.ts'
import { NO_QUOTAS } from './evict/quotas.ts'
import { Leaving } from './leave/leaving.ts'
import type { OpenBlobs } from './reading/open-blobs.ts'
import { BLOCK_BYTES } from './ports/blob-store.ts'
import type { Catalog } from './ports/catalog.ts'
import type { RegistryDeps } from './running-registry.ts'
import { isSharedSource, shareNow } from './routing/sharing.ts'
import { SpaceLedger } from './space/ledger.ts'
import { usableBytes } from './space/limits.ts'
import { ManifestRoom } from './space/manifest-room.ts'
import { IdleUploadSessions } from './upload/idle-uploads.ts'
import { Uploads } from './upload/uploads.ts'
import type { Uses } from './reading/uses.ts'

export interface OpenedSpace {
  readonly leaving: Leaving
  readonly evictor: Evictor
  readonly space: SpaceLedger
  readonly manifestRoom: ManifestRoom
  /** They take room, and give some. */
  readonly uploads: Uploads
  readonly idleUploads: IdleUploadSessions
  /**
   * One look: what could not leave before, then what is above its quota, before others have to.
   * @throws StoreError
   */
  readonly keepRoom: (signal: AbortSignal) => Promise<void>
}

interface SpaceParts {
  readonly openBlobs: OpenBlobs
  readonly uses: Uses
}

export function openSpace(deps: RegistryDeps, { openBlobs, uses }: SpaceParts): OpenedSpace {
  const { store, catalog, clock, namespaces, inUse, storageLimits } = deps
  const { haste = new Haste() } = deps
  const leaving = new Leaving({
    ...deps,
    haste,
    closeOpen: digest => closeOpen(openBlobs, deps, digest),
  })
  const evictor = new Evictor({
    ...deps,
    uploadsBytes: () => idleUploads.takenBytes,
    leaving,
    haste,
    quotas: deps.quotas ?? (() => NO_QUOTAS),
    usesWritten: () => uses.flush(),
    filling: registry => inUse.filling(from => shareNow(namespaces, from, registry)),
    isInUse: digest => inUse.has(digest),
    maxBytes: async () => usableBytes(storageLimits(), await store.space()),
  })
  const room = {
    store,
    clock,
    limits: storageLimits,
    eviction: evictor,
    haste,
    bytesEach: () => bytesEach(catalog),
    isRecorded: async (digest: Digest) => (await catalog.findContent(digest)) !== undefined,
  }
  const space = new SpaceLedger({
    ...room,
    wanted: deps.roomWanted,
    usedBytes: () => takenBy(catalog),
    isShared: source => isSharedSource(namespaces, source),
    idleUploads: () => idleUploads,
  })
  const uploads = new Uploads({ ...deps, space })
  const idleUploads: IdleUploadSessions = new IdleUploadSessions({ ...deps, uploads })
  const manifestRoom = new ManifestRoom({ ...room, space })
  return {
    leaving,
    evictor,
    space,
    manifestRoom,
    uploads,
    idleUploads,
    keepRoom: async signal => {
      await leaving.retry()
      await evictor.trim(0, { signal })
      await store.measureOthers()
      await space.trim(signal)
    },
  }
}

/** For nobody who asks next, in any thread. */
function closeOpen(
  openBlobs: OpenBlobs,
  { inUse, elsewhere }: Pick<RegistryDeps, 'inUse' | 'elsewhere'>,
  digest: Digest,
): void {
  openBlobs.close(digest)
  // What another thread has open is in use; to wake all for each file would be for nothing.
  if (inUse.has(digest)) elsewhere?.closeOpen(digest)
}

/** What files of content take, those included that are about to go. */
async function takenBy(catalog: Pick<Catalog, 'totals'>): Promise<number> {
  const { contentBlocks, leavingBlocks } = await catalog.totals()
  return (contentBlocks + leavingBlocks) * BLOCK_BYTES
}

async function bytesEach(catalog: Pick<Catalog, 'totals'>): Promise<number> {
  const { contentBlocks, manifests, blobs } = await catalog.totals()
  return Math.max(1, Math.ceil(contentBlocks / Math.max(1, manifests + blobs))) * BLOCK_BYTES
}
