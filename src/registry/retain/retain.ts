// The job `retain`: takes out of the repositories that are kept here what the operator's policies
// let go, by the deletes that clients have, a few at a time in the repository's turn. Judged is all
// of a repository at once; what was pushed or pulled since counts in its turn (still-goes.ts), and
// so do policies that the operator has changed since.
import { isDeepStrictEqual } from 'node:util'
import type { Digest } from '../../oci/digest.ts'
import {
  formatImage,
  parseRepositoryKey,
  type Reference,
  type Repository,
  repositoryKey,
  type RepositoryKey,
} from '../../oci/reference.ts'
import { factsOf, type Unclear, unclearRepositories } from '../facts/unclear-repositories.ts'
import type { Grace } from '../time/grace.ts'
import { type DeleteManifestDeps, removeManifest, removeTag } from '../delete/delete-manifest.ts'
import { type JobResult, type JobRun, Tally } from '../job.ts'
import type { Pins } from '../pins/pins.ts'
import type { NoteEvent } from '../ports/events.ts'
import { freedBytes, Loosened } from '../leave/loosened.ts'
import { type Going, inOrder } from './in-order.ts'
import { judge } from './judge.ts'
import { JUDGED_MAX, readRepository } from './read-repository.ts'
import { StillGoes } from './still-goes.ts'
import { type DecidingPolicy, policyFor, type RetentionRules } from './rules.ts'
import { rowsOf } from '../pacing/pages.ts'

/** While these go no push of the repository has its turn: a fact and a transaction each. */
const GONE_AT_ONCE = 50
/** The same where very much is about one manifest. */
const TOGETHER_MAX = 10 * GONE_AT_ONCE
/**
 * What has changed since a repository was judged is judged once more. Whoever pulls all the time
 * what goes whether pulled or not would have a large one judged again and again: the next run
 * finds it.
 */
const JUDGED_TIMES_MAX = 3
/** Of what goes from one repository: a line of the log is to be read. */
const LOGGED_MAX = 20

const LEFT = 'repositories of which something is lost were left alone: the log names them'
const ALL_LEFT = {
  unreadable: 'nothing was judged, since a file in facts/ cannot be read: the log names it',
  'too many': 'nothing was judged, since of too many repositories something is lost: see the log',
}

export interface RetainDeps extends DeleteManifestDeps {
  readonly note: NoteEvent
  /** Resolves when what was used until now is in the catalog, or lost. */
  readonly usesWritten: () => Promise<void>
  /** Told, by each run, what it takes nothing from, for want of knowledge. MUST NOT throw. */
  readonly leavesAlone: (unclear: Unclear) => void
  /** @throws StoreError */
  readonly asOfNow: () => Promise<Now>
  /** Default: nothing is pinned. */
  readonly pins?: Pick<Pins, 'findWithListed'> | undefined
}

type Now = Pick<Grace, 'nowMs' | 'timeRun' | 'leasesOverMs'>

interface Run extends Omit<RetainDeps, 'asOfNow'> {
  readonly rules: () => RetentionRules
  readonly run: JobRun
  readonly tally: Tally
  readonly loosened: Loosened
  /** Of the whole run, so that one thing does not outlive another by being judged later. */
  readonly now: Now
}

/**
 * What was done stays so when the run is cancelled. `rules`: as they are now; nothing more goes by
 * those that it began with once there are others.
 * @throws StoreError
 */
export async function retain(
  deps: RetainDeps,
  rules: () => RetentionRules,
  run: JobRun,
): Promise<JobResult> {
  const tally = new Tally(run)
  if (rules().policies.length === 0) return tally.result()
  const loosened = new Loosened(deps.catalog)
  const unclear = await unclearRepositories(deps, factsOf(deps.facts, run.signal))
  deps.leavesAlone(unclear)
  if (typeof unclear === 'string') {
    deps.note({ kind: 'too unclear to retain', repository: undefined })
    return { ...tally.result(), note: ALL_LEFT[unclear] }
  }
  const parts = { ...deps, rules, run, tally, loosened, now: await deps.asOfNow() }
  const repositories = rowsOf<RepositoryKey, RepositoryKey>(
    page => deps.catalog.listRepositories(page),
    key => key,
  )
  let isLeft = false
  for await (const key of repositories) {
    await run.pause()
    if (run.signal.aborted) break
    const repository = parseRepositoryKey(key)
    if (!unclear.has(key)) await retainRepository(parts, repository)
    else if (judgedBy(rules(), repository) !== undefined) {
      deps.note({ kind: 'too unclear to retain', repository })
      isLeft = true
    }
  }
  return isLeft ? { ...tally.result(), note: LEFT } : tally.result()
}

/** What one repository is judged by. */
interface JudgedBy {
  readonly policy: DecidingPolicy
  readonly delayMs: number
}

function judgedBy(rules: RetentionRules, repository: Repository): JudgedBy | undefined {
  const policy = policyFor(rules, repository)
  return policy && { policy, delayMs: rules.delayMs }
}

async function retainRepository(parts: Run, repository: Repository): Promise<void> {
  const by = judgedBy(parts.rules(), repository)
  if (by === undefined) return
  const { run } = parts
  const gone = new GoneHere(parts, repository)
  for (let times = 0; times < JUDGED_TIMES_MAX && !run.signal.aborted; times += 1) {
    const judged = await judgeNow(parts, repository, by)
    if (judged === undefined) break
    if (run.dryRun) for (const each of judged.going) await gone.take(each)
    if (run.dryRun || (await takeOut(parts, { repository, gone, ...judged })) !== 'some stay') break
  }
  gone.tell()
}

interface Judged {
  readonly by: JudgedBy
  /** In the order in which it goes. */
  readonly going: readonly Going[]
  readonly still: StillGoes
}

/** Undefined where there is too much of it. */
async function judgeNow(
  { catalog, clock, note, pins, usesWritten, now }: Run,
  repository: Repository,
  by: JudgedBy,
): Promise<Judged | undefined> {
  const deps = { catalog, clock, pins, leasesOverMs: now.leasesOverMs }
  await usesWritten()
  const read = await readRepository(deps, repository)
  if (read === undefined) {
    note({ kind: 'too much to retain', repository, limit: JUDGED_MAX })
    return undefined
  }
  const judgement = await judge({ ...by, nowMs: now.nowMs, timeRun: now.timeRun }, read)
  const going = await inOrder(read, judgement)
  return { by, going, still: await StillGoes.open(deps, repository, { ...read, judgement }) }
}

/** Resolves to what has become of all of it. */
async function takeOut(
  parts: Run,
  { repository, gone, by, going, still }: Judged & { repository: Repository; gone: GoneHere },
): Promise<'gone' | 'some stay' | 'judged by others'> {
  const { run, turns, usesWritten, rules } = parts
  let left = going.length
  for (const step of stepsOf(going)) {
    if (run.signal.aborted) break
    const taken = await turns.take(repositoryKey(repository), async () => {
      // What waits to be written was pulled a moment ago.
      await usesWritten()
      if (!isDeepStrictEqual(judgedBy(rules(), repository), by)) return undefined
      const now = await still.of(step)
      let count = 0
      for (const each of now) {
        if (!(await takeOne(parts, { repository, gone, still }, each))) break
        count += 1
      }
      return count
    })
    if (taken === undefined) return 'judged by others'
    left -= taken
    await run.pause()
  }
  return left === 0 ? 'gone' : 'some stay'
}

/**
 * False when it stays, since a client was told meanwhile that it is here. It may list what comes
 * after it, and that may be about it.
 */
async function takeOne(
  parts: Run,
  { repository, gone, still }: Pick<Judged, 'still'> & { repository: Repository; gone: GoneHere },
  going: Going,
): Promise<boolean> {
  // As it is judged: what ends now is over.
  const unlessLeased = { leasesOverMs: parts.now.leasesOverMs + 1 }
  const isGone = await gone.take(going, async () => {
    if (going.kind === 'manifest')
      return removeManifest(parts, repository, going.digest, { unlessLeased })
    await removeTag(parts, repository, going.tag)
    return true
  })
  if (!isGone && going.kind === 'manifest') still.stays(going.digest)
  return isGone
}

/** What is about a manifest together with it: else one that is pulled in between stays without. */
function* stepsOf(going: readonly Going[]): Generator<readonly Going[]> {
  let step: Going[] = []
  const subjects = new Set<Digest>()
  for (const each of going) {
    step.push(each)
    if (each.kind === 'manifest') subjects.delete(each.digest)
    for (const subject of each.about) subjects.add(subject)
    const isWhole = step.length >= GONE_AT_ONCE && subjects.size === 0
    if (!isWhole && step.length < TOGETHER_MAX) continue
    yield step
    step = []
    subjects.clear()
  }
  if (step.length > 0) yield step
}

/** What goes from one repository, for whoever asked and for the log. */
class GoneHere {
  readonly #parts: Run
  readonly #repository: Repository
  readonly #counts = { tags: 0, manifests: 0, bytes: 0 }
  readonly #first: string[] = []

  constructor(parts: Run, repository: Repository) {
    this.#parts = parts
    this.#repository = repository
  }

  /**
   * `remove` takes it out, and resolves to whether it did: what stays is not told, and false is
   * returned. Default it goes, in a dry run. @throws StoreError, and what `remove` throws
   */
  async take(going: Going, remove: () => Promise<boolean> = async () => true): Promise<boolean> {
    if (going.kind === 'tag') {
      await remove()
      this.#add(going, 0)
      return true
    }
    let isGone = false
    const image = { repository: this.#repository, digest: going.digest }
    // How much the disk has back by it has to be known before.
    const leaves = await this.#parts.loosened.leaveRepository(image, async () => {
      isGone = await remove()
      return isGone
    })
    if (isGone) this.#add(going, freedBytes(leaves))
    return isGone
  }

  /** The bytes are told with the manifest; its tags are told before it. */
  #add(going: Going, bytes: number): void {
    for (const { tag, reason } of going.kind === 'tag' ? [going] : going.tags) {
      this.#counts.tags += 1
      this.#note({ kind: 'tag', tag }, { reason, bytes: 0 })
    }
    if (going.kind === 'tag') return
    const { digest, reason } = going
    this.#counts.manifests += 1
    this.#counts.bytes += bytes
    this.#note({ kind: 'digest', digest }, { reason, bytes })
  }

  #note(reference: Reference, { reason, bytes }: { reason: string; bytes: number }): void {
    const what = formatImage(this.#repository, reference)
    this.#parts.tally.add({ what, reason, bytes })
    if (this.#first.length < LOGGED_MAX) this.#first.push(`${what}: ${reason}`)
  }

  tell(): void {
    const { note, run } = this.#parts
    const { tags, manifests } = this.#counts
    if (tags + manifests === 0) return
    const repository = this.#repository
    const first = this.#first
    note({ kind: 'retained', repository, ...this.#counts, first, dryRun: run.dryRun })
  }
}
