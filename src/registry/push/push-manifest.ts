// end-7: a client pushes a manifest (R111–R116). In the order of the protocol's appendix C: what
// the operator's rules say, whether the bytes are what they are called, whether they are a
// manifest, whether what it lists is there. Then, one push of a repository at a time: bytes,
// upstream, facts, catalog; and only then the answer.
import type { Digest } from '../../oci/digest.ts'
import { staleData } from '../../oci/embedded-data.ts'
import { type Manifest, referrerDescriptor } from '../../oci/manifest.ts'
import { type Repository, repositoryKey, type Tag } from '../../oci/reference.ts'
import type { ManifestPush, ManifestPushed } from '../answers.ts'
import {
  assertFewMissing,
  type CheckDeps,
  findMissing,
  type Listed,
  listedBy,
  notThere,
  requireAtUpstream,
  SPARSE_MISSING_MAX,
} from './check-references.ts'
import { bestEffort } from '../best-effort.ts'
import { asRecorded } from '../content/edges.ts'
import { forwardManifest } from './forward-manifest.ts'
import { keepListed } from './keep-listed.ts'
import { learnTags, pointsTo } from './learn-tags.ts'
import { announceTags, type OvertakeDeliveriesDeps, takeTags } from './overtake-deliveries.ts'
import { type PushRules, type PushWay, requirePush } from '../refusals/push-refusal.ts'
import { newDelivery } from './queue-delivery.ts'
import { assertTags, readManifestPush, tagsOf } from './read-manifest-push.ts'
import { requireMovable } from './require-movable.ts'
import type { Leases } from '../content/leases.ts'
import { leaseListed } from './lease-listed.ts'
import { recordPushed, type RecordPushDeps, withoutFact } from './record-push.ts'
import type { Referrer } from './keep-referrers-list.ts'
import { showAtUpstream, type ShowDeps } from './show-at-upstream.ts'
import type { Turns } from '../../async/turns.ts'
import { withFullDiskErrors } from '../upload/upload-refusal.ts'
import { withPushErrors } from '../refusals/upstream-failure.ts'
import { nextOrder } from '../ports/order.ts'
import type { ManifestRoom } from '../space/manifest-room.ts'

export interface PushManifestDeps
  extends PushRules,
    CheckDeps,
    RecordPushDeps,
    ShowDeps,
    OvertakeDeliveriesDeps {
  readonly turns: Turns
  readonly leases: Leases
  readonly room: Pick<ManifestRoom, 'during'>
  /** An entry for the outbox is in the catalog. */
  readonly queued: () => void
}

interface Pushed extends ManifestPush {
  readonly repository: Repository
  readonly digest: Digest
  readonly manifest: Manifest
  readonly listed: readonly Listed[]
  /** Listed, not here, and at the upstream. */
  readonly confirmed: ReadonlySet<Digest>
  /** Where tags of it point at the upstream that are not known here. */
  readonly learned: ReadonlyMap<Tag, Digest>
}

/** @throws RegistryError, in the order above; StoreError */
export async function pushManifest(
  deps: PushManifestDeps,
  repository: Repository,
  push: ManifestPush,
): Promise<ManifestPushed> {
  assertTags(push)
  const way = requirePush(deps, repository)
  const { digest, manifest } = readManifestPush(push)
  const warnings = staleData(manifest)
  const listed = listedBy(manifest)
  if (way.mode !== 'forward') {
    // What is refused leases nothing.
    await requireMovable(deps, way, { repository, digest, manifest, tags: tagsOf(push) })
    // Else what is found here may have left by the time of its turn, and the upstream was not
    // asked.
    await leaseListed(deps, repository, listed)
  }
  const confirmed = await checkListed(deps, repository, { way, listed })
  const learned =
    way.mode === 'queue' ? await learnTags(deps, repository, tagsOf(push)) : new Map<Tag, Digest>()
  const pushed = { ...push, repository, digest, manifest, listed, confirmed, learned }
  const { length: sizeBytes } = push.bytes
  const subject = await withFullDiskErrors(deps.note, () =>
    deps.room.during({ repository, digest, sizeBytes, from: 'client' }, () =>
      deps.turns.take(repositoryKey(repository), () => accept(deps, way, pushed)),
    ),
  )
  deps.note({ kind: 'pushed', repository, what: 'manifest', mode: way.mode, sizeBytes })
  if (way.mode === 'queue') deps.queued()
  return { digest, subject, tags: [...new Set(push.tags)], warnings }
}

/**
 * @throws RegistryError MANIFEST_BLOB_UNKNOWN, or why the upstream that takes the push gave no
 * answer
 */
async function checkListed(
  deps: PushManifestDeps,
  repository: Repository,
  { way, listed }: { way: PushWay; listed: readonly Listed[] },
): Promise<ReadonlySet<Digest>> {
  if (way.policy.sparse && way.mode === 'forward') return new Set()
  const missing = await findMissing(deps, repository, listed)
  if (way.policy.sparse) await requireFewMissing(deps, repository, missing)
  const isOver = way.policy.sparse || missing.length === 0
  return isOver ? new Set() : askWhatIsThere(deps, repository, { way, missing })
}

function askWhatIsThere(
  deps: PushManifestDeps,
  repository: Repository,
  { way, missing }: { way: PushWay; missing: readonly Listed[] },
): Promise<ReadonlySet<Digest>> {
  const asked = { missing, isPatient: way.mode !== 'forward' }
  return withPushErrors(repository, () => requireAtUpstream(deps, repository, asked))
}

/**
 * What is known to be missing costs nothing more: a manifest that was taken can be tagged again.
 * @throws RegistryError MANIFEST_BLOB_UNKNOWN
 */
async function requireFewMissing(
  deps: PushManifestDeps,
  repository: Repository,
  missing: readonly Listed[],
): Promise<void> {
  if (missing.length <= SPARSE_MISSING_MAX) return
  const digests = missing.map(({ digest }) => digest).filter(digest => digest !== undefined)
  assertFewMissing(repository, await withoutFact(deps, repository, digests))
}

/**
 * In the repository's turn. Returns the subject of which it is listed as a referrer from now on, by
 * whoever is to list it.
 */
async function accept(
  deps: PushManifestDeps,
  way: PushWay,
  pushed: Pushed,
): Promise<Digest | undefined> {
  const { repository, listed } = pushed
  await requireMovable(deps, way, { ...pushed, tags: tagsOf(pushed) })
  // From here on nothing leaves of what it lists and is here.
  const leased = way.mode === 'forward' ? undefined : await leaseListed(deps, repository, listed)
  const confirmed = await confirmStill(deps, way, { ...pushed, leased })
  if (way.mode === 'forward') return forward(deps, way, { ...pushed, confirmed })
  await keep(deps, { mode: way.mode, sparse: way.policy.sparse }, pushed)
  return pushed.manifest.subject?.digest
}

/**
 * Something may have been deleted while the upstream was asked, or another push had its turn. What
 * came a moment ago, and is not `leased`, is as if it came after this. Who forwards leases nothing:
 * its upstream is asked for what has left. Resolves to what only the upstream has.
 */
async function confirmStill(
  deps: PushManifestDeps,
  way: PushWay,
  what: Pushed & { readonly leased: ReadonlySet<Digest> | undefined },
): Promise<ReadonlySet<Digest>> {
  const { repository, listed, confirmed, leased } = what
  if (way.policy.sparse) return confirmed
  const missing = new Set(await findMissing(deps, repository, listed))
  const isSure = (each: Listed, digest: Digest) =>
    confirmed.has(digest) || (!missing.has(each) && leased?.has(digest) !== false)
  const gone = listed.filter(each => each.digest === undefined || !isSure(each, each.digest))
  if (gone.length === 0) return confirmed
  if (way.mode !== 'forward') throw notThere(repository, gone)
  const there = await askWhatIsThere(deps, repository, { way, missing: gone })
  return new Set([...confirmed, ...there])
}

async function keep(
  deps: PushManifestDeps,
  { mode, sparse }: { mode: 'store' | 'queue'; sparse: boolean },
  pushed: Pushed,
): Promise<void> {
  const { repository, digest, bytes, listed, confirmed, learned } = pushed
  const { mediaType } = pushed.manifest
  const tags = tagsOf(pushed)
  const atMs = deps.clock.nowMs()
  const queued = { manifest: { digest, mediaType, tags }, learned, atMs }
  const why =
    mode === 'queue'
      ? ({ hold: 'undelivered', delivery: await newDelivery(deps, repository, queued) } as const)
      : ({ hold: 'pushed' } as const)
  const order = nextOrder(deps.catalog)
  const record = { ...recordOf(pushed, tags), ...why, atMs, order }
  await deps.content.durable.during(async durable => {
    const how = { listed, confirmed, sparse, atMs, durable }
    const alsoKept = await keepListed(deps, repository, how)
    await recordPushed(deps, { ...record, bytes, alsoKept, durable: [...durable] })
  })
}

async function forward(
  deps: PushManifestDeps,
  way: Extract<PushWay, { mode: 'forward' }>,
  pushed: Pushed,
): Promise<Digest | undefined> {
  const { content, note } = deps
  const { digest, bytes } = pushed
  // A full disk is found out before the upstream is changed.
  const takeBack = await content.putAhead(digest, bytes)
  try {
    return await forwardNow(deps, way, pushed)
  } finally {
    // Unless the upstream took it.
    await bestEffort(note, takeBack)
  }
}

async function forwardNow(
  deps: PushManifestDeps,
  { namespace }: Extract<PushWay, { mode: 'forward' }>,
  pushed: Pushed,
): Promise<Digest | undefined> {
  const { repository, digest, bytes } = pushed
  const { mediaType } = pushed.manifest
  const [{ upstream }, { name }] = [namespace, repository]
  const tags = tagsOf(pushed)
  const whereIs = (tag: Tag) => withPushErrors(repository, () => pointsTo(upstream, name, { tag }))
  const announced = await announceTags(deps, repository, { tags, digest, whereIs })
  const { accepted, unknown, subject, failure } = await forwardManifest(upstream, name, {
    ...pushed,
    mediaType,
    referrer: referrerOf(pushed),
    once: announced.any,
  })
  const failed = tags.filter(tag => !accepted.includes(tag))
  if (announced.any && failed.length > 0) await announced.failed(failed, unknown)
  if (failure === undefined || accepted.length > 0) {
    const atMs = deps.clock.nowMs()
    const record = recordOf(pushed, accepted)
    await recordPushed(deps, { ...record, hold: 'nothing', atMs, bytes, alsoKept: [] })
    await takeTags(deps, repository, accepted)
    await showAtUpstream(deps, repository, { digest, tags: accepted })
  }
  if (failure !== undefined) await withPushErrors(repository, () => Promise.reject(failure))
  return subject
}

function referrerOf({ manifest, digest, bytes }: Pushed): Referrer | undefined {
  const subject = manifest.subject?.digest
  if (subject === undefined) return undefined
  return { subject, descriptor: referrerDescriptor(manifest, digest, bytes.length) }
}

function recordOf(
  { repository, manifest, digest, bytes, confirmed }: Pushed,
  tags: readonly Tag[],
) {
  return { repository, manifest: asRecorded(manifest, digest, bytes.length), tags, confirmed }
}
