// end-2: a blob by digest: sent when it is here and belongs to the repository, followed when it is
// on its way, fetched when it is neither. Knowing a digest is no right to it: the repository must
// hold it, or its upstream must say so (R96, R179).
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { ByteRange } from '../../oci/range.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { BlobAnswer, BlobFile, BlobHead, Source } from '../answers.ts'
import { answerInTurn, sizedInTime } from '../fill/queued-fill.ts'
import { bestEffort } from '../best-effort.ts'
import type { Fill } from '../fill/fill.ts'
import type { Followed } from '../fill/fill-progress.ts'
import { withoutFile } from '../fill/pass-on.ts'
import type { Fills } from '../fill/fills.ts'
import type { Flights } from '../../async/flights.ts'
import { follow, sendableUntil } from '../fill/follow.ts'
import type { Namespace, Namespaces } from '../namespaces.ts'
import { blobKey, type NegativeCache } from '../negative-cache.ts'
import type { UpstreamBlobHead } from '../ports/upstream-content.ts'
import { type ReadOptions, UpstreamError } from '../ports/upstream.ts'
import type { SilentRepositories } from '../push/head-before-push.ts'
import type { KeptOpen } from '../kept-open.ts'
import { type OpenBlobDeps, openBlob } from './open-blob.ts'
import { type Prefetch, readAs } from './prefetch.ts'
import { blobFile, type OpenFile } from '../open-file.ts'
import type { RepositoryPolicies } from '../repository-policy.ts'
import { isShared, mayGive, shareWith } from '../sharing.ts'
import { telling, tellingEach } from '../upstream-failure.ts'

export interface PullBlobDeps extends OpenBlobDeps {
  readonly namespaces: Namespaces
  readonly negative: NegativeCache
  readonly fills: Fills
  readonly keptOpen: KeptOpen
  /** The upstreams' HEADs that run now, by repository and digest. */
  readonly heads: Flights<UpstreamBlobHead>
  readonly policies: RepositoryPolicies
  readonly silent: SilentRepositories
  readonly prefetch: Prefetch
}

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
  return telling(repository, 'BLOB_UNKNOWN', async () => {
    const namespace = deps.namespaces.find(repository.registry)
    const asked = deps.keptOpen.ask(repository, digest)
    const kept = deps.keptOpen.find(asked)
    if (kept !== undefined) return kept
    const lookedAt = deps.fills.moment
    const running = deps.fills.find(digest)
    // On its way for this repository: it is neither on disk nor to be asked about, and a crowd
    // would do so one by one.
    const isComing = running !== undefined && !isForeign(running, repository)
    const isOurs = isComing || (await mayGive(deps, repository, { digest }))
    if (isOurs && !isComing) {
      const here = await openBlob(deps, repository, {
        digest,
        source: namespace === undefined ? 'local' : 'hit',
      })
      if (here !== undefined) return deps.keptOpen.share(asked, here)
    }
    const upstream = requireUpstream(repository, namespace)
    return asking(deps, repository, digest, async () => {
      const confirmed = !isOurs && (await isSharedHere(deps, repository, digest))
      if (confirmed) await confirm(deps, repository, { digest, namespace: upstream })
      return fill(deps, repository, {
        digest,
        namespace: upstream,
        // That it is coming says nothing about the repository once it has ended: the upstream may
        // have refused.
        mayJoin: (isOurs && !isComing) || confirmed,
        lookedAt: isComing || confirmed ? undefined : lookedAt,
        isHeadOut: false,
      })
    })
  })
}

/** @throws RegistryError BLOB_UNKNOWN where nobody can be asked */
export function requireUpstream(
  repository: Repository,
  namespace: Namespace | undefined,
): Namespace {
  if (namespace !== undefined && !namespace.policy.offline) return namespace
  const why = namespace === undefined ? 'is kept at this edge alone' : 'is configured offline'
  throw new RegistryError('BLOB_UNKNOWN', `the blob is not here and ${repository.registry} ${why}`)
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
  if (running !== undefined)
    return isForeign(running, repository) && isJoinable(deps, repository, running)
  // A file without a row would only be fetched once more; a crowd for a cold blob looks at the disk
  // for nothing.
  if ((await deps.catalog.findContent(digest)) === undefined) return false
  if ((await deps.store.find(digest)) === undefined) return false
  return isShared(deps, repository.registry, digest)
}

function isJoinable(deps: PullBlobDeps, { registry }: Repository, running: Fill): boolean {
  return shareWith(deps.namespaces, running.task.repository.registry, registry)
}

/**
 * Asks the upstream whether this repository has the blob; once for all who want to know at the same
 * time.
 */
export function confirm(
  deps: PullBlobDeps,
  repository: Repository,
  { digest, namespace, options }: { digest: Digest; namespace: Namespace; options?: ReadOptions },
): Promise<UpstreamBlobHead> {
  const { catalog, clock, note, heads } = deps
  return heads.run(`${repositoryKey(repository)} ${digest}`, async () => {
    const head = await namespace.upstream.headBlob(repository.name, digest, options)
    await bestEffort(note, () => catalog.recordMember(repository, digest, clock.nowMs()))
    return head
  }).promise
}

interface Wanted {
  readonly digest: Digest
  readonly namespace: Namespace
  /**
   * The repository is known to hold the blob; else a fill that runs for another one is no right to
   * it (R84).
   */
  readonly mayJoin: boolean
  /**
   * When a look at the disk, or at the catalog, had found nothing to send; see Fills. Undefined
   * where none was made.
   */
  readonly lookedAt: number | undefined
  /** The client has its answer's head, and waits for as long as it takes. */
  readonly isHeadOut: boolean
}

/** Joins the running fill or starts one. What has just been published is read from disk instead. */
async function fill(
  deps: PullBlobDeps,
  repository: Repository,
  wanted: Wanted,
): Promise<BlobAnswer> {
  const { digest, namespace, isHeadOut } = wanted
  let { mayJoin, lookedAt } = wanted
  let declared: { readonly bytes: number | undefined } | undefined
  for (;;) {
    // A fill may have ended since the disk was looked at; without another look the blob would be
    // fetched twice.
    if (
      deps.fills.find(digest) === undefined &&
      (lookedAt === undefined || deps.fills.hasEndedSince(digest, lookedAt))
    ) {
      lookedAt = deps.fills.moment
      const isOurs = await mayGive(deps, repository, { digest, isHeld: mayJoin })
      const here = isOurs ? await openBlob(deps, repository, { digest, source: 'hit' }) : undefined
      if (here !== undefined) return here.lastAnswer()
      continue
    }
    // Not for a crowd that joins what is on its way: whoever began it has asked, and the upstream
    // tells.
    if (declared === undefined && deps.fills.find(digest)?.isQueued !== false) {
      declared = { bytes: await deps.catalog.sizeOf(repository, digest) }
      continue
    }
    // From here to the start nothing is awaited: another repository's fill must not slip in
    // between.
    const others = deps.fills.find(digest)
    const foreign = isForeign(others, repository)
    if (foreign && others !== undefined && !isJoinable(deps, repository, others)) {
      // What it brings is not given here, two cannot write the same file, and nobody waits for what
      // another's upstream sends.
      return passedOn(deps, repository, { digest, namespace })
    }
    if (foreign && !mayJoin) {
      await confirm(deps, repository, { digest, namespace })
      mayJoin = true
      continue
    }
    const { fill: running, joined } = deps.fills.start({
      repository,
      digest,
      namespace,
      declaredBytes: declared?.bytes,
    })
    if (running.isGivenUp) {
      await running.over
      continue
    }
    const source = joined ? 'joined' : 'miss'
    if (running.isQueued && declared?.bytes !== undefined && !isHeadOut) {
      const head = { digest, sizeBytes: declared.bytes, source } as const
      return inTurn(deps, repository, { head, wanted: { ...wanted, mayJoin, lookedAt } })
    }
    const answer = await follower(deps, repository, { running, source, isHeadOut })
    if (answer !== undefined) return answer
    // Its file was closed already: it is over, and the disk has it or nobody has.
    await running.over
    // What another repository was told says nothing about this one.
    if (running.progress.state === 'failed' && !foreign) throw running.progress.error
  }
}

function isForeign(running: Fill | undefined, repository: Repository): boolean {
  return (
    running !== undefined && repositoryKey(running.task.repository) !== repositoryKey(repository)
  )
}

/**
 * The head at once, and the body by the same way as ever: whether the upstream gives it is found
 * out when its turn comes.
 */
function inTurn(
  deps: PullBlobDeps,
  repository: Repository,
  { head, wanted }: { head: BlobHead; wanted: Wanted },
): BlobAnswer {
  const coming = asking(deps, repository, wanted.digest, () =>
    fill(deps, repository, { ...wanted, isHeadOut: true }),
  )
  return answerInTurn({ ...deps, repository, head, coming })
}

/** Undefined when the fill failed before its length was known, or is over. */
async function follower(
  deps: PullBlobDeps,
  repository: Repository,
  { running, source, isHeadOut }: { running: Fill; source: Source; isHeadOut: boolean },
): Promise<BlobAnswer | undefined> {
  const sizeBytes = isHeadOut
    ? await running.progress.whenSized.catch(() => undefined)
    : await sizedInTime(running, deps.clock)
  if (sizeBytes === undefined) return undefined
  const { digest } = running.task
  const handle = running.hold()
  if (handle === undefined && running.progress.state !== 'uncached') return undefined
  return following(deps, repository, { digest, sizeBytes, source, running, handle })
}

/**
 * Straight from the upstream, which says first that the repository has it, and how long it is.
 * @throws UpstreamError
 */
async function passedOn(
  deps: PullBlobDeps,
  repository: Repository,
  { digest, namespace }: { digest: Digest; namespace: Namespace },
): Promise<BlobAnswer> {
  const head = await confirm(deps, repository, { digest, namespace })
  const declaredBytes = await deps.catalog.sizeOf(repository, digest)
  const sizeBytes = head.sizeBytes ?? declaredBytes
  if (sizeBytes === undefined)
    throw new UpstreamError('unavailable', 'nobody says how long the blob is')
  const running = withoutFile({ repository, digest, namespace, declaredBytes }, sizeBytes)
  return following(deps, repository, {
    digest,
    sizeBytes,
    source: 'miss',
    running,
    handle: undefined,
  })
}

function following(
  deps: PullBlobDeps,
  repository: Repository,
  answer: BlobHead & { running: Followed; handle: OpenFile | undefined },
): BlobAnswer {
  const { buffers, clock } = deps
  const { running, handle, ...head } = answer
  const context = { fill: running, handle, buffers, clock }
  const until: BlobFile['until'] = (position, last, signal) =>
    telling(repository, 'BLOB_UNKNOWN', () => sendableUntil(position, last, { ...context, signal }))
  const how = { readyBytes: running.progress.readableBytes, isProven: () => true, until }
  return {
    ...head,
    file: handle === undefined ? undefined : blobFile(handle, how),
    read: (range: ByteRange, signal: AbortSignal, from?: number) =>
      tellingEach(repository, 'BLOB_UNKNOWN', follow(range, { ...context, signal, from })),
    giveBack: chunk => buffers.giveBack(chunk),
    close: async () => handle?.release(),
  }
}

/** One question about a blob; a 404 is remembered for a moment. */
export async function asking<Answer>(
  deps: PullBlobDeps,
  repository: Repository,
  digest: Digest,
  ask: () => Promise<Answer>,
): Promise<Answer> {
  return deps.negative.ask(blobKey(repository, digest), ask)
}
