// Facts beside a catalog that lives: what a process was doing when it ended may have changed facts
// and no row, and a catalog that is built from them weeks later would believe it. The catalog is
// right, for nobody was told of anything else; but for what was told before it was built, and could
// not be read then (record-earlier-fact.ts). Runs beside the traffic, after a start.
import { parseRepositoryKey } from '../../oci/reference.ts'
import type { Clock } from '../ports/clock.ts'
import type { FactIdentity } from '../ports/facts.ts'
import type { Turns } from '../../async/turns.ts'
import type { BlobPresence } from '../facts/blob-presence.ts'
import { putBack } from '../facts/restore-facts.ts'
import { type EarlierFact, type EarlierFactDeps, recordEarlierFact } from './record-earlier-fact.ts'
import {
  entriesOf,
  localTagsOf,
  missingEntry,
  missingTag,
  repositoriesOf,
  type Wrong,
  wrongBy,
} from './wrong-facts.ts'

export interface CompareFactsDeps extends EarlierFactDeps {
  readonly clock: Clock
  readonly turns: Turns
  readonly presence: BlobPresence
}

export interface ComparedFacts {
  /** Tags, entries of the outbox and facts that were looked at. */
  readonly compared: number
  /** Of these, where a fact was missing, too many, or said something else than the catalog. */
  readonly mended: number
  /**
   * What the catalog does not know because bytes are still gone, or a fact beside it cannot be
   * read; it stays.
   */
  readonly lost: number
  /** Facts that this could not read. */
  readonly unreadable: number
  readonly durationMs: number
}

/** Some milliseconds of work; then whoever pulls has the thread for about as long. */
const AT_ONCE = 64
const PAUSE_MS = 5
/**
 * What waits for the end of a pass: as many as were under way when a process ended are a few. With
 * more, another pass follows.
 */
const LATER_MAX = 1_000

type Mend = (wrong: Wrong | undefined) => Promise<void>

/**
 * Missing facts first, then tags that point elsewhere, then the rest: what was acknowledged is
 * durable before that goes which stood in its place. Idempotent, in constant memory.
 *
 * @throws StoreError when disk or catalog fail; the signal's reason when `signal` aborts
 */
export async function compareFacts(
  deps: CompareFactsDeps,
  signal: AbortSignal,
): Promise<ComparedFacts> {
  const { catalog, clock } = deps
  const startMs = clock.monotonicMs()
  const counts = { compared: 0, mended: 0, lost: 0, unreadable: 0 }
  let steps = 0
  const step = async () => {
    signal.throwIfAborted()
    if (++steps % AT_ONCE === 0) await clock.sleep(PAUSE_MS, signal)
  }
  const mend: Mend = async wrong => {
    const outcome = wrong === undefined ? 'waiting' : await mendOne(deps, wrong)
    if (outcome !== 'waiting' && wrong?.isOld !== true) counts[outcome]++
    counts.compared++
    await step()
  }
  for await (const repository of repositoriesOf(catalog)) {
    await step()
    for await (const tag of localTagsOf(catalog, repository))
      await mend(await missingTag(deps, repository, tag))
  }
  for await (const entry of entriesOf(catalog)) await mend(await missingEntry(deps, entry))
  let isWhole = false
  for (let before = -1; !isWhole && counts.mended > before; ) {
    before = counts.mended
    counts.lost = 0
    const pass = await compareAll(deps, mend)
    counts.unreadable = pass.unreadable
    isWhole = pass.isWhole
  }
  return { ...counts, durationMs: clock.monotonicMs() - startMs }
}

/** One pass over what lies on disk. Not `isWhole` when more was wrong than it could remember. */
async function compareAll(
  deps: CompareFactsDeps,
  mend: Mend,
): Promise<{ readonly isWhole: boolean; readonly unreadable: number }> {
  const later: Wrong[] = []
  let isWhole = true
  let unreadable = 0
  for await (const fact of deps.facts.list()) {
    if (fact === 'unreadable') {
      unreadable += 1
      continue
    }
    const wrong = await wrongBy(deps, fact)
    const { kind } = wrong?.earlier ?? {}
    // What is to be learned: manifests first, since tags lead to them.
    const isRight = wrong === undefined || wrong.isOld === true
    const isNow = kind === undefined ? fact.kind === 'tag' : kind === 'manifest'
    if (isRight || isNow) await mend(wrong)
    else if (later.length < LATER_MAX) later.push(wrong)
    else isWhole = false
  }
  for (const wrong of later) await mend(wrong)
  return { isWhole, unreadable }
}

/**
 * In its turn: no push is in the middle of it there, and what it was is found out anew. What is not
 * `mended` is left as it is.
 */
async function mendOne(
  deps: CompareFactsDeps,
  wrong: Wrong,
): Promise<'mended' | 'lost' | 'waiting'> {
  const { turns, presence, clock } = deps
  const { turn, identities, earlier } = wrong
  return turns.take(turn, async () => {
    const work = async () => {
      const outcome = earlier === undefined ? undefined : await recordIfThere(deps, earlier)
      if (outcome === 'lost' || outcome === 'waiting') return outcome
      await putBack(deps, { identities: await readable(deps, identities), atMs: clock.nowMs() })
      return 'mended'
    }
    const gone = identities.find(({ kind }) => kind === 'deleted')
    return gone?.kind === 'deleted'
      ? presence.alone(parseRepositoryKey(gone.repository), gone.digest, work)
      : work()
  })
}

async function recordIfThere(deps: CompareFactsDeps, fact: EarlierFact) {
  // Taken away since it was read, by a delete or a push.
  return (await deps.facts.has(fact)) ? recordEarlierFact(deps, fact) : undefined
}

/** What cannot be read may be from before, and say what the catalog does not know. */
async function readable(
  { facts }: CompareFactsDeps,
  identities: readonly FactIdentity[],
): Promise<readonly FactIdentity[]> {
  const found: FactIdentity[] = []
  for (const each of identities) if ((await facts.find(each)) !== 'unreadable') found.push(each)
  return found
}
