// end-2: a blob by digest: sent when it is here and belongs to the repository, followed when it is
// on its way, fetched when it is neither. Knowing a digest is no right to it: the repository must
// hold it, or its upstream must say so (R96, R179).
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { BlobAnswer, BlobRead } from '../answers.ts'
import { asking, confirm, type PullBlobDeps, requireUpstream } from './blob-upstream.ts'
import { alwaysFrom } from './freshness.ts'
import { runsForAnother, joinFill } from './join-fill.ts'
import { noteMissingUnlessBack } from '../content/missing-content.ts'
import { noteUse, openBlob } from './open-blob.ts'
import { readAs } from './prefetch.ts'
import { StoreError } from '../ports/store-error.ts'
import { isShared, mayGive, shareWith } from '../routing/sharing.ts'
import { blobNotFound, unlessUnread } from './unread.ts'
import { withClientErrors } from '../refusals/upstream-failure.ts'

/** @throws RegistryError */
export async function pullBlob(
  deps: PullBlobDeps,
  repository: Repository,
  digest: Digest,
): Promise<BlobAnswer> {
  const reading = deps.prefetch.reading(repository, digest)
  try {
    return readAs(reading, await pull(deps, repository, digest))
  } catch (error) {
    reading?.end()
    throw error
  }
}

async function pull(
  deps: PullBlobDeps,
  repository: Repository,
  digest: Digest,
): Promise<BlobAnswer> {
  return withClientErrors(repository, 'BLOB_UNKNOWN', async () => {
    const namespace = deps.namespaces.find(repository.registry)
    const stamped = deps.openBlobs.stampOf(repository, digest)
    const open = deps.openBlobs.find(stamped)
    if (open !== undefined) return open
    const lookedAt = deps.fills.moment
    const running = deps.fills.find(digest)
    // On its way for this repository: it is neither on disk nor to be asked about, and a crowd
    // would do so one by one.
    const isComing = running !== undefined && !runsForAnother(running, repository)
    const isOurs = isComing || (await mayGive(deps, repository, { digest }))
    if (isOurs && !isComing) {
      const here = await openBlob(deps, repository, {
        digest,
        source: namespace === undefined ? 'local' : 'hit',
        instead: () => readAgain(deps, repository, digest),
      })
      if (here !== undefined) return deps.openBlobs.share(stamped, here)
    }
    return unlessUnread(deps, blobNotFound(deps, repository, digest), async () => {
      const upstream = requireUpstream(repository, namespace)
      return asking(deps, repository, { digest }, async () => {
        const confirmed = !isOurs && (await isSharedHere(deps, repository, digest))
        if (confirmed) await confirm(deps, repository, { digest, namespace: upstream })
        return joinFill(deps, repository, {
          digest,
          namespace: upstream,
          // That it is coming says nothing about the repository once it has ended: the upstream may
          // have refused.
          mayJoin: (isOurs && !isComing) || confirmed,
          lookedAt: isComing || confirmed ? undefined : lookedAt,
          isHeadOut: false,
          again: () => readAgain(deps, repository, digest),
        })
      })
    })
  })
}

/**
 * Of what this repository has, for who met a place of its file that the disk could not read: others
 * may have met it before and brought the blob anew, or it is read by now. What was pushed is told
 * as missing where it is not.
 */
async function readAgain(
  deps: PullBlobDeps,
  repository: Repository,
  digest: Digest,
): Promise<BlobAnswer> {
  const instead = async () => {
    await noteMissingUnlessBack(deps, digest)
    return fetchAnew(deps, repository, digest)
  }
  deps.openBlobs.close(digest)
  try {
    const here = await openBlob(deps, repository, { digest, source: 'hit', instead })
    if (here !== undefined) return here.lastAnswer()
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
  }
  return fetchAnew(deps, repository, digest)
}

/** The same by a fill, as if it were not here: where the file could not be moved it still is. */
function fetchAnew(
  deps: PullBlobDeps,
  repository: Repository,
  digest: Digest,
): Promise<BlobAnswer> {
  return withClientErrors(repository, 'BLOB_UNKNOWN', async () => {
    const lookedAt = deps.fills.moment
    const namespace = requireUpstream(repository, deps.namespaces.find(repository.registry))
    const how = { mayJoin: true, lookedAt, isHeadOut: false, again: undefined }
    return asking(deps, repository, { digest }, () =>
      joinFill(deps, repository, { digest, namespace, ...how }),
    )
  })
}

/**
 * Do bytes exist here, whole or on their way, that the word of this repository's upstream is enough
 * for?
 */
async function isSharedHere(
  deps: PullBlobDeps,
  repository: Repository,
  digest: Digest,
): Promise<boolean> {
  const running = deps.fills.find(digest)
  if (running !== undefined) {
    const { registry } = running.task.repository
    const mayShare = shareWith(deps.namespaces, registry, repository.registry)
    return runsForAnother(running, repository) && mayShare
  }
  // A file without a row would only be fetched once more; a crowd for a cold blob looks at the disk
  // for nothing.
  if ((await deps.catalog.findContent(digest)) === undefined) return false
  if ((await deps.store.find(digest)) === undefined) return false
  return isShared(deps, repository.registry, digest)
}

/**
 * As Registry.readWholeBlob: a small blob that is here, whole and hashed, for a memory of answers.
 * @throws StoreError
 */
export async function readWholeBlob(
  deps: PullBlobDeps,
  repository: Repository,
  { digest, maxBytes }: { digest: Digest; maxBytes: number },
): Promise<BlobRead | undefined> {
  const { catalog, store, namespaces } = deps
  if (!(await mayGive(deps, repository, { digest }))) return undefined
  const stored = await store.find(digest)
  if (stored === undefined || stored.sizeBytes > maxBytes) return undefined
  const bytes = await store.readVerified(digest)
  if (bytes === undefined) return undefined
  await noteUse(deps, repository, { blob: stored, known: await catalog.findContent(digest) })
  const source = namespaces.find(repository.registry) === undefined ? 'local' : 'hit'
  return { ...stored, bytes, source, repeatable: alwaysFrom() }
}
