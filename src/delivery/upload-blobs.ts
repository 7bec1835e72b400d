// Brings blobs to an upstream's repository (R117): what is there already costs a HEAD, what another
// repository there holds a mount, and the rest is sent whole from the file here.
import type { Digest } from '../oci/digest.ts'
import { parseRepositoryKey, repositoryKey } from '../oci/reference.ts'
import type { ReadHandle } from '../registry/ports/blob-store-content.ts'
import { StoreError } from '../registry/ports/store-error.ts'
import { createReadBuffer } from '../registry/ports/chunk-memory.ts'
import { UpstreamError, type UpstreamFailure } from '../registry/ports/upstream.ts'
import { mayGive } from '../registry/routing/sharing.ts'
import { type DeliveryContext, isThere, requireGone, Undeliverable } from './delivery-context.ts'

/**
 * The next one's questions are asked while a large one is under way; more would only share the same
 * link.
 */
const AT_ONCE = 3
/**
 * Repositories here that are asked for a mount, each of which costs a request: what is here need
 * not be there yet.
 */
const MOUNTS_TRIED_MAX = 2
/** One of those found is the blob's own repository, mostly. */
const HOLDERS_LISTED = MOUNTS_TRIED_MAX + 1
/**
 * Large enough for a fast disk, small enough for `AT_ONCE` of them in each of the outbox's places.
 */
const READ_BYTES = 256 * 1024

/** Those that say nothing about the blob itself, but that nothing else will succeed either. */
const ENDS_A_MOUNT: readonly UpstreamFailure[] = ['unavailable', 'rate-limited']

/**
 * @throws UpstreamError, Undeliverable, StoreError, or the signal's reason; of several the first,
 * once all have ended
 */
export async function uploadBlobs(
  context: DeliveryContext,
  digests: readonly Digest[],
): Promise<void> {
  const rest = [...new Set(digests)].values()
  const failures: unknown[] = []
  const carryOn = async (): Promise<void> => {
    for (const digest of rest) {
      if (failures.length > 0) return
      await uploadBlob(context, digest).catch(error => failures.push(error))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, carryOn))
  if (failures.length > 0) throw failures[0]
}

async function uploadBlob(context: DeliveryContext, digest: Digest): Promise<void> {
  const { there, upstream, repository, signal, fromRegistry } = context
  signal.throwIfAborted()
  if (there.has(digest)) return
  const isKnown = await isThere(() => upstream.headBlob(repository.name, digest, fromRegistry))
  if (isKnown || (await uploadMissing(context, digest))) there.add(digest)
}

/** False where the manifest may do without it. */
async function uploadMissing(context: DeliveryContext, digest: Digest): Promise<boolean> {
  // Listing is no right to the bytes: what is not in this repository is not taken from another one
  // for it (R179, R252).
  if (await mayGive(context, context.repository, { digest }))
    return (await mount(context, digest)) || send(context, digest)
  return skip(context, digest)
}

async function mount(context: DeliveryContext, digest: Digest): Promise<boolean> {
  const { catalog, upstream, repository, signal } = context
  const own = repositoryKey(repository)
  const { registry } = repository
  const holders = await catalog.listHolders(digest, { registry, limit: HOLDERS_LISTED })
  for (const holder of holders.filter(key => key !== own).slice(0, MOUNTS_TRIED_MAX)) {
    try {
      const { name } = parseRepositoryKey(holder)
      if (await upstream.mountBlob(repository.name, digest, name, signal)) return true
    } catch (error) {
      // A repository that may not be read, or a registry that knows no mounts: the bytes are here.
      if (!(error instanceof UpstreamError) || ENDS_A_MOUNT.includes(error.failure)) throw error
    }
  }
  return false
}

/** False where the manifest may do without it. */
async function send(context: DeliveryContext, digest: Digest): Promise<boolean> {
  const { store, upstream, repository, signal } = context
  const opened = await store.openRead(digest)
  if (opened === undefined) {
    await requireGone(context, digest)
    return skip(context, digest)
  }
  const { blob, handle } = opened
  try {
    const source = { ...blob, read: () => freshBytes(handle, blob.sizeBytes) }
    await upstream.pushBlob(repository.name, source, signal)
    return true
  } finally {
    await handle.close()
  }
}

/**
 * Where it was acknowledged without, it is for the upstream to say whether it takes it so.
 * @throws Undeliverable
 */
function skip(context: DeliveryContext, digest: Digest): false {
  if (context.policy.sparse) return false
  throw missing(context, `the blob ${digest}`)
}

/**
 * Fresh buffers: whoever sends them may hold on to each for as long as the other side does not take
 * it.
 */
async function* freshBytes(handle: ReadHandle, sizeBytes: number): AsyncGenerator<Uint8Array> {
  for (let position = 0; position < sizeBytes; ) {
    const buffer = createReadBuffer(Math.min(READ_BYTES, sizeBytes - position))
    const bytes = await handle.read(buffer, position)
    if (bytes === 0) throw new StoreError('corrupt', 'a blob is shorter than its file said')
    position += bytes
    yield buffer.subarray(0, bytes)
  }
}

/** `what` is neither here nor there. */
export function missing({ repository }: DeliveryContext, what: string): Undeliverable {
  return new Undeliverable(
    `${what} is no longer here, and ${repository.registry} does not have it in ${repository.name}`,
    'push the image once more, then drop this entry',
  )
}
