// Points an upstream's tags at a manifest that is there (R116), last of all, and only where that
// takes nothing back: not what somebody else put there meanwhile, and not what a later push of this
// edge put there. docs/adr/0012-outbox.md has the rules and why they suffice.
import type { Turns } from '../async/turns.ts'
import { type Digest, digestAlgorithm, digestOf } from '../oci/digest.ts'
import { type Repository, repositoryKey, type Tag } from '../oci/reference.ts'
import type { DeliveredTag } from '../registry/deliveries/delivery-payload.ts'
import { isFinalFailure } from '../registry/deliveries/final-failure.ts'
import { carriesTag, type OvertakeDeps, takeTagFrom } from '../registry/deliveries/overtake-tag.ts'
import type { Delivery } from '../registry/ports/outbox.ts'
import { UpstreamError } from '../registry/ports/upstream.ts'
import type { Attempt, LeftTag } from './carrier.ts'
import { type DeliveryContext, Undeliverable } from './delivery-context.ts'

export interface TagsToPut {
  readonly digest: Digest
  readonly mediaType: string
  readonly bytes: Uint8Array
  readonly tags: readonly DeliveredTag[]
}

export interface PutTagsParts {
  readonly attempt: Attempt
  /**
   * Takes `tag` from every earlier entry of the same key, durably: none of them puts it from now
   * on.
   */
  readonly overtake: (tag: Tag) => Promise<void>
}

/**
 * Tags that conflict are left alone; the others are put all the same. Returns those that are a
 * later push's already.
 * @throws UpstreamError, Undeliverable, StoreError
 */
export async function putTags(
  context: DeliveryContext,
  manifest: TagsToPut,
  { attempt, overtake }: PutTagsParts,
): Promise<readonly LeftTag[]> {
  const { upstream, repository, signal } = context
  const { bytes, mediaType, digest } = manifest
  const conflicts: string[] = []
  const left: LeftTag[] = []
  for (const { tag, expected, overtaking } of manifest.tags) {
    const found = await findTag(context, tag, manifest)
    // Where it was before the later push was sent it may be without that.
    if (found !== undefined && found === overtaking?.by && found !== overtaking.from) {
      left.push({ tag, at: found })
      continue
    }
    if (found !== undefined && found !== digest && !mayReplace(context, found, { tag, expected })) {
      conflicts.push(`${tag} points to ${found}`)
      continue
    }
    await overtake(tag)
    if (found === digest) continue
    const reference = { kind: 'tag', tag } as const
    const source = { bytes, mediaType, digest, once: true }
    const put = () => upstream.putManifest(repository.name, reference, source, signal)
    await attempt.send(put, isFinalFailure)
  }
  if (conflicts.length > 0) throw conflict(context, conflicts)
  return left
}

/**
 * Where the upstream's tag points now; `digest` of the manifest when to the same bytes by another
 * algorithm.
 */
async function findTag(
  { upstream, repository, fromRegistry }: DeliveryContext,
  tag: Tag,
  { bytes, digest }: TagsToPut,
): Promise<Digest | undefined> {
  const reference = { kind: 'tag', tag } as const
  try {
    const head = await upstream.headManifest(repository.name, reference, fromRegistry)
    const found = head.digest ?? (await digestByGet())
    return digestOf(bytes, digestAlgorithm(found)) === found ? digest : found
  } catch (error) {
    if (error instanceof UpstreamError && error.failure === 'not-found') return undefined
    throw error
  }

  /** Some registries do not say the digest. */
  async function digestByGet(): Promise<Digest> {
    const manifest = await upstream.getManifest(repository.name, reference, fromRegistry)
    return digestOf(manifest.bytes, digestAlgorithm(digest))
  }
}

function mayReplace(
  { policy }: DeliveryContext,
  found: Digest,
  { tag, expected }: Pick<DeliveredTag, 'tag' | 'expected'>,
): boolean {
  return expected.includes(found) || (policy.onConflict === 'overwrite' && !policy.isImmutable(tag))
}

function conflict({ repository }: DeliveryContext, conflicts: readonly string[]): Undeliverable {
  const key = repositoryKey(repository)
  return new Undeliverable(
    `the upstream's tag was moved by somebody else, or was not known here at the push: in ${key} ${conflicts.join(', ')}`,
    `to replace it set onconflict: overwrite for ${key} under repositories and retry this entry, else drop it`,
  )
}

export interface OvertakeParts extends OvertakeDeps {
  readonly turns: Pick<Turns, 'take'>
}

/**
 * Takes a tag from every entry of the repository that is older than `before`. Durable when it
 * resolves.
 * @throws StoreError
 */
export function createOvertake(
  parts: OvertakeParts,
  repository: Repository,
  before: number,
): (tag: Tag) => Promise<void> {
  const key = repositoryKey(repository)
  // Asked once for all tags: none comes to be older.
  let known: readonly Delivery[] | undefined
  return async tag => {
    known ??= (await parts.catalog.listDeliveriesOf(key)).filter(({ id }) => id < before)
    const carrying = known.filter(entry => carriesTag(entry, tag))
    if (carrying.length === 0) return
    // In its turn: no delete or operator takes them out meanwhile.
    await parts.turns.take(key, async () => {
      for (const { id } of carrying) await takeTagFrom(parts, repository, { tag, id })
    })
  }
}
