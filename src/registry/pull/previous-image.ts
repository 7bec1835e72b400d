// The image that a tag pointed to before it moved on. A HEAD finds out about a move long before the
// newer manifest and its blobs are here; until they are, an outage is answered with what is whole
// (R91).
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import { type CompletenessDeps, isWholeHere } from '../content/completeness.ts'
import { isServableStale } from './freshness.ts'
import type { Namespace } from '../routing/namespaces.ts'
import type { PreviousDigest, RecordedTag } from '../ports/catalog-tags.ts'

/**
 * What to remember should the tag turn out to have moved: where it points as far as is known here,
 * when that is whole. Undefined keeps what was remembered before, so that the second of two moves
 * without a pull between does not lose the image that is here.
 */
export async function previousOf(
  deps: CompletenessDeps,
  repository: Repository,
  known: RecordedTag | undefined,
): Promise<PreviousDigest | undefined> {
  if (known === undefined || !(await isWholeHere(deps, repository, known.digest))) return undefined
  const { digest, checkedAtMs } = known
  return { digest, checkedAtMs }
}

/**
 * The previous image, when it alone can be delivered without asking anybody: it is whole, the tag's
 * own is not, and it is not older than stale answers may be. A namespace that is offline knows no
 * age limit.
 */
export async function findStandIn(
  deps: CompletenessDeps,
  repository: Repository,
  options: { known: RecordedTag; policy: Namespace['policy']; nowMs: number },
): Promise<PreviousDigest | undefined> {
  const { known, policy, nowMs } = options
  const { previous } = known
  if (previous === undefined) return undefined
  if (!policy.offline && !isServableStale(previous.checkedAtMs, policy.maxStaleMs, nowMs))
    return undefined
  const here = (digest: Digest) => isWholeHere(deps, repository, digest)
  return (await here(previous.digest)) && !(await here(known.digest)) ? previous : undefined
}
