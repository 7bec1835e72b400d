// HEAD of a blob: from here, from what a manifest says of it, or from the upstream's own HEAD;
// never by a download (R62). For who is about to push, from where the push goes
// (head-before-push.ts).
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { BlobHead } from '../answers.ts'
import {
  type HeadCaller,
  isForwarding,
  isPushing,
  orAbsent,
  readOptions,
} from './head-before-push.ts'
import type { Namespace } from '../routing/namespaces.ts'
import { alwaysFrom } from './freshness.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { StoredBlob } from '../ports/blob-store-content.ts'
import { UpstreamError } from '../ports/upstream.ts'
import { asking, confirm, type PullBlobDeps, requireUpstream } from './blob-upstream.ts'
import { mayGive } from '../routing/sharing.ts'
import { blobNotFound, unlessUnread } from './unread.ts'
import { withClientErrors } from '../refusals/upstream-failure.ts'

/** `mayPush` is explained at Registry. @throws RegistryError */
export async function headBlob(
  deps: PullBlobDeps,
  repository: Repository,
  digest: Digest,
  { mayPush }: { mayPush?: boolean | undefined } = {},
): Promise<BlobHead> {
  const { policies, clock, silent } = deps
  const caller = { policies, clock, silent, mayPush }
  const look = () => find(deps, repository, { digest, caller })
  const head = await look()
  if (!isPushing(caller, repository)) return head
  // What is not pushed because it is said to be here has to be here, and to stay.
  const isLeased = isHere(head) && !isForwarding(caller, repository)
  return {
    ...(isLeased ? await leased(deps, repository, { head, look }) : head),
    repeatable: undefined,
  }
}

async function leased(
  { catalog, leases }: PullBlobDeps,
  repository: Repository,
  { head, look }: { head: BlobHead; look: () => Promise<BlobHead> },
): Promise<BlobHead> {
  const { digest } = head
  await leases.offer(repository, digest)
  const isStill =
    (await catalog.findContent(digest)) !== undefined &&
    (await catalog.findMember(repository, digest)) !== undefined
  return isStill ? head : look()
}

function isHere({ source }: BlobHead): boolean {
  return source === 'hit' || source === 'local'
}

function find(
  deps: PullBlobDeps,
  repository: Repository,
  { digest, caller }: { digest: Digest; caller: HeadCaller },
): Promise<BlobHead> {
  return withClientErrors(repository, 'BLOB_UNKNOWN', async () => {
    const namespace = deps.namespaces.find(repository.registry)
    // A file that is about to be removed is none to count on.
    const isLeaving =
      isPushing(caller, repository) && (await deps.catalog.findLeaving(digest)) !== undefined
    const here = isLeaving
      ? undefined
      : await headHere(deps, repository, { digest, caller, isLocal: namespace === undefined })
    const isEnough = !isForwarding(caller, repository) || namespace?.policy.offline === true
    if (here !== undefined && isEnough) return here
    const elsewhere = () => headElsewhere(deps, repository, { digest, caller, here })
    // Whoever may push it is to do so.
    if (isPushing(caller, repository)) return elsewhere()
    return unlessUnread(deps, blobNotFound(deps, repository, digest), elsewhere)
  })
}

async function headElsewhere(
  deps: PullBlobDeps,
  repository: Repository,
  { digest, caller, here }: { digest: Digest; caller: HeadCaller; here: BlobHead | undefined },
): Promise<BlobHead> {
  const namespace = requireUpstream(repository, deps.namespaces.find(repository.registry))
  const listed = isPushing(caller, repository)
    ? undefined
    : await headListed(deps, repository, digest)
  if (listed !== undefined) return listed
  const missing = 'BLOB_UNKNOWN' as const
  const state = { repository, namespace, missing, ...(here && { here }) }
  return orAbsent(caller, state, () =>
    headUpstream(deps, repository, { digest, namespace, caller }),
  )
}

async function headHere(
  deps: PullBlobDeps,
  repository: Repository,
  { digest, caller, isLocal }: { digest: Digest; caller: HeadCaller; isLocal: boolean },
): Promise<BlobHead | undefined> {
  if (!(await mayGive(deps, repository, { digest }))) return undefined
  const { store } = deps
  const isOpened = isLocal && !isPushing(caller, repository)
  const stored = (await store.find(digest)) ?? (isOpened ? await opened(store, digest) : undefined)
  if (stored === undefined) return undefined
  return {
    digest,
    sizeBytes: stored.sizeBytes,
    source: isLocal ? 'local' : 'hit',
    repeatable: alwaysFrom(),
  }
}

/**
 * What could not be read a moment ago is not here for who would push it again. Whoever cannot is
 * told what is so: it is here, and its GET may fail.
 */
async function opened(store: BlobStore, digest: Digest): Promise<StoredBlob | undefined> {
  const found = await store.openRead(digest)
  await found?.handle.close()
  return found?.blob
}

/**
 * A manifest of this repository says how large it is: whoever reads it next is given it from the
 * upstream.
 */
async function headListed(
  { catalog }: PullBlobDeps,
  repository: Repository,
  digest: Digest,
): Promise<BlobHead | undefined> {
  const sizeBytes = await catalog.sizeOf(repository, digest)
  return sizeBytes === undefined ? undefined : { digest, sizeBytes, source: 'miss' }
}

function headUpstream(
  deps: PullBlobDeps,
  repository: Repository,
  { digest, namespace, caller }: { digest: Digest; namespace: Namespace; caller: HeadCaller },
): Promise<BlobHead> {
  const options = readOptions(caller, repository)
  return asking(deps, repository, { digest, endpoints: options.endpoints }, async () => {
    const { sizeBytes } = await confirm(deps, repository, { digest, namespace, options })
    if (sizeBytes !== undefined) return { digest, sizeBytes, source: 'miss' }
    throw new UpstreamError('invalid', 'the upstream does not tell the length of the blob')
  })
}
