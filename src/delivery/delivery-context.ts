// One entry on its way to its upstream: what the parts of the carrier `queue` share while they
// deliver it.
import type { Digest } from '../oci/digest.ts'
import type { Repository } from '../oci/reference.ts'
import type { Namespaces } from '../registry/routing/namespaces.ts'
import type { BlobStore } from '../registry/ports/blob-store.ts'
import type { Catalog } from '../registry/ports/catalog.ts'
import { UNKNOWN } from '../registry/ports/blob-store-content.ts'
import { StoreError } from '../registry/ports/store-error.ts'
import {
  type ReadOptions,
  type Upstream,
  UpstreamError,
  type UpstreamFailure,
} from '../registry/ports/upstream.ts'
import type { RepositoryPolicy } from '../registry/routing/repository-policy.ts'

export interface DeliveryContext {
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly namespaces: Namespaces
  readonly repository: Repository
  readonly upstream: Upstream
  readonly policy: RepositoryPolicy
  readonly signal: AbortSignal
  /** What a mirror has or lacks says nothing about the registry. */
  readonly fromRegistry: ReadOptions
  /** What was seen or brought there so far: many children share their blobs. */
  readonly there: Set<Digest>
}

/**
 * Failures of a question that leave it to the write to find out. `denied`: some registries deny
 * what does not exist yet, to whoever may create it.
 */
const NOT_KNOWN_THERE: readonly UpstreamFailure[] = ['not-found', 'unsupported', 'denied']

/**
 * Is it there, as far as the upstream says? `ask` is a HEAD.
 * @throws UpstreamError of an upstream that can't be asked
 */
export async function isThere(ask: () => Promise<unknown>): Promise<boolean> {
  try {
    await ask()
    return true
  } catch (error) {
    if (error instanceof UpstreamError && NOT_KNOWN_THERE.includes(error.failure)) return false
    throw error
  }
}

/**
 * Why an entry cannot be delivered as things are, found out here and not told by an upstream: it is
 * parked.
 */
export class Undeliverable extends Error {
  /** What the operator can do. */
  readonly hint: string

  constructor(reason: string, hint: string) {
    super(reason)
    this.name = 'Undeliverable'
    this.hint = hint
  }
}

/**
 * Of what was not found here: what the disk cannot say anything of may be here, and so is what is
 * there again. It is looked for once more, later. @throws StoreError
 */
export async function requireGone(
  { store }: Pick<DeliveryContext, 'store'>,
  digest: Digest,
): Promise<void> {
  const looked = await store.look(digest)
  if (looked === 'none') return
  const hint = 'see the kernel log (dmesg) for the disk of this edge'
  const what = looked === UNKNOWN ? `cannot look for ${digest}` : `${digest} was gone for a moment`
  throw new StoreError('io', what, { hint })
}
