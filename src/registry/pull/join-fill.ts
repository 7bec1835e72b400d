// A blob that is on its way, or has to be fetched: joins the fill that runs or starts one, and
// answers with what comes by it. Whether it is here is decided in pull-blob.ts.
import { unlessAborted } from '../../async/aborting.ts'
import { LATE, within } from '../../async/within.ts'
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { BlobAnswer, BlobFile, BlobHead, Source } from '../answers.ts'
import { asking, confirm, type PullBlobDeps } from './blob-upstream.ts'
import { queuedAnswer, sizeInTime } from '../fill/queued-fill.ts'
import type { Fill } from '../fill/fill.ts'
import type { Followed } from '../fill/fill-progress.ts'
import { follow, sendableUntil } from '../fill/follow.ts'
import { passOn, withoutFile } from '../fill/pass-on.ts'
import { BESIDE_AFTER_MS } from '../fill/read-beside.ts'
import type { Namespace } from '../routing/namespaces.ts'
import { UpstreamError } from '../ports/upstream.ts'
import { openBlob } from './open-blob.ts'
import { goingOn } from '../reading/going-on.ts'
import { blobFile, type OpenFile } from '../reading/open-file.ts'
import { mayGive, shareWith } from '../routing/sharing.ts'
import { withClientErrors, eachWithClientErrors } from '../refusals/upstream-failure.ts'

export interface WantedBlob {
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
  /**
   * The blob once more, when the fill is over whose file the disk could not read. Undefined: who
   * meets that goes to the upstream by itself, as where there is no disk.
   */
  readonly again: (() => Promise<BlobAnswer>) | undefined
}

/** What is known of the blob so far. */
interface Known extends WantedBlob {
  /** What a manifest of the repository says of its length; undefined before anybody looked. */
  readonly declared: { readonly bytes: number | undefined } | undefined
}

type Step = 'look at the disk' | 'look up the length' | 'confirm' | 'pass on' | 'join or start'

/** Joins the running fill or starts one. What has just been published is read from disk instead. */
export async function joinFill(
  deps: PullBlobDeps,
  repository: Repository,
  wanted: WantedBlob,
): Promise<BlobAnswer> {
  const { digest, namespace } = wanted
  let known: Known = { ...wanted, declared: undefined }
  for (;;) {
    switch (nextStep(deps, repository, known)) {
      case 'look at the disk': {
        known = { ...known, lookedAt: deps.fills.moment }
        const isOurs = await mayGive(deps, repository, { digest, isHeld: known.mayJoin })
        // Who met bad places before needs no disk any more, and is cut off by none.
        const instead = known.again ?? (() => passedOn(deps, repository, { digest, namespace }))
        const here = isOurs
          ? await openBlob(deps, repository, { digest, source: 'hit', instead })
          : undefined
        if (here !== undefined) return here.lastAnswer()
        break
      }
      case 'look up the length':
        known = { ...known, declared: { bytes: await deps.catalog.sizeOf(repository, digest) } }
        break
      case 'confirm':
        await confirm(deps, repository, { digest, namespace })
        known = { ...known, mayJoin: true }
        break
      case 'pass on':
        return passedOn(deps, repository, { digest, namespace })
      case 'join or start': {
        const answer = await joinOrStart(deps, repository, known)
        if (answer !== undefined) return answer
      }
    }
  }
}

/** Of what may change at any time; nothing is awaited between this and the step. */
function nextStep(
  { fills, namespaces }: PullBlobDeps,
  repository: Repository,
  { digest, lookedAt, declared, mayJoin }: Known,
): Step {
  const running = fills.find(digest)
  // A fill may have ended since the disk was looked at; without another look the blob would be
  // fetched twice.
  const isUnseen = lookedAt === undefined || fills.hasEndedSince(digest, lookedAt)
  if (running === undefined && isUnseen) return 'look at the disk'
  // Not for a crowd that joins what is on its way: whoever began it has asked, and the upstream
  // tells.
  if (declared === undefined && running?.isQueued !== false) return 'look up the length'
  if (running === undefined || !runsForAnother(running, repository)) return 'join or start'
  // What it brings is not given here, two cannot write the same file, and nobody waits for what
  // another's upstream sends.
  if (!shareWith(namespaces, running.task.repository.registry, repository.registry))
    return 'pass on'
  return mayJoin ? 'join or start' : 'confirm'
}

/** Undefined when that fill is over: the disk has the blob, or nobody has. @throws UpstreamError */
async function joinOrStart(
  deps: PullBlobDeps,
  repository: Repository,
  known: Known,
): Promise<BlobAnswer | undefined> {
  const { digest, namespace, isHeadOut, again } = known
  const declaredBytes = known.declared?.bytes
  const { fill, joined } = deps.fills.start({ repository, digest, namespace, declaredBytes })
  if (fill.isGivenUp) {
    await fill.over
    return undefined
  }
  const source = joined ? 'joined' : 'miss'
  if (fill.isQueued && declaredBytes !== undefined && !isHeadOut) {
    const head = { digest, sizeBytes: declaredBytes, source } as const
    return queued(deps, repository, { head, wanted: known })
  }
  const answer = await follower(deps, repository, { fill, source, isHeadOut, again })
  if (answer !== undefined) return answer
  // Its file was closed already.
  await fill.over
  // What another repository was told says nothing about this one.
  const isOwn = !runsForAnother(fill, repository)
  if (isOwn && fill.progress.state === 'failed') throw fill.progress.error
  return undefined
}

/** Does it run for another repository? */
export function runsForAnother({ task }: Fill, repository: Repository): boolean {
  return repositoryKey(task.repository) !== repositoryKey(repository)
}

/**
 * The head at once, and the body by the same way as ever: whether the upstream gives it is found
 * out when its turn comes.
 */
function queued(
  deps: PullBlobDeps,
  repository: Repository,
  { head, wanted }: { head: BlobHead; wanted: WantedBlob },
): BlobAnswer {
  const coming = asking(deps, repository, { digest: wanted.digest }, () =>
    joinFill(deps, repository, { ...wanted, isHeadOut: true }),
  )
  return queuedAnswer({ ...deps, repository, head, coming })
}

interface Joining extends Pick<WantedBlob, 'isHeadOut' | 'again'> {
  readonly fill: Fill
  readonly source: Source
}

/** Undefined when the fill failed before its length was known, or is over. */
async function follower(
  deps: PullBlobDeps,
  repository: Repository,
  { fill, source, isHeadOut, again }: Joining,
): Promise<BlobAnswer | undefined> {
  const sizeBytes = isHeadOut
    ? await fill.progress.whenSized.catch(() => undefined)
    : await sizeInTime(fill, deps.clock)
  if (sizeBytes === undefined) return undefined
  const { digest } = fill.task
  const open = fill.hold()
  if (open === undefined && fill.progress.state !== 'uncached') return undefined
  const head = { digest, sizeBytes, source }
  const afterwards = (signal: AbortSignal) => readAfterwards(deps, { fill, again, signal })
  return following(deps, repository, { head, followed: fill, open, afterwards })
}

interface Afterwards extends Pick<Joining, 'fill' | 'again'> {
  readonly signal: AbortSignal
}

/**
 * For who meets a place of the file that the disk cannot read: what the fill has made of it, as the
 * next comer is given it, so that all fetch it together. Undefined: by itself, as some may while
 * it runs.
 * @throws what the fill failed with; the signal's reason
 */
async function readAfterwards(
  { clock }: PullBlobDeps,
  { fill, again, signal }: Afterwards,
): Promise<BlobAnswer | undefined> {
  const state = () => fill.progress.state
  if (again === undefined) return undefined
  do {
    if (state() === 'uncached' || fill.beside.take(clock.monotonicMs())) return undefined
  } while ((await within(clock, BESIDE_AFTER_MS, unlessAborted(fill.over, signal))) === LATE)
  if (state() === 'failed') throw fill.progress.error
  return state() === 'uncached' ? undefined : again()
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
  const followed = withoutFile({ repository, digest, namespace, declaredBytes }, sizeBytes)
  const answer = { digest, sizeBytes, source: 'miss' } as const
  return following(deps, repository, { head: answer, followed, open: undefined })
}

interface Following {
  readonly head: BlobHead
  readonly followed: Followed
  readonly open: OpenFile | undefined
  /** As readAfterwards. Default: there is nothing. */
  readonly afterwards?: (signal: AbortSignal) => Promise<BlobAnswer | undefined>
}

function following(
  deps: PullBlobDeps,
  repository: Repository,
  { head, followed, open, afterwards }: Following,
): BlobAnswer {
  const { buffers, clock } = deps
  const context = { fill: followed, handle: open, buffers, clock }
  const until: BlobFile['until'] = (position, last, signal) =>
    withClientErrors(repository, 'BLOB_UNKNOWN', () =>
      sendableUntil(position, last, { ...context, signal }),
    )
  const how = { readyBytes: followed.progress.readableBytes, isProven: () => true, until }
  const byItself: Pick<BlobAnswer, 'read' | 'close'> = {
    read: (range, signal, position = range.first) =>
      passOn(range, { ...context, signal, position }),
    close: async () => {},
  }
  const read: BlobAnswer['read'] = (range, signal, from) => {
    const bytes = follow(range, { ...context, signal, from })
    const instead = async () => (await afterwards?.(signal)) ?? byItself
    const whole = goingOn(bytes, { range, signal, from, instead })
    return eachWithClientErrors(repository, 'BLOB_UNKNOWN', whole)
  }
  return {
    ...head,
    file: open === undefined ? undefined : blobFile(open, how),
    read,
    giveBack: chunk => buffers.giveBack(chunk),
    close: async () => open?.release(),
  }
}
