// Facts beside a catalog that lives: what a process was doing when it ended may have changed facts
// and no row, and a catalog that is built from them weeks later would believe it. The catalog is
// right, for nobody was told of anything else; but for what was told before it was built, and could
// not be read then (record-earlier-fact.ts). Runs beside the traffic, after a start.
import { parseRepositoryKey, repositoryKey, type RepositoryKey } from '../../oci/reference.ts'
import { parseDelivery } from '../deliveries/delivery-payload.ts'
import type { RecordedTag } from '../ports/catalog-tags.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Delivery } from '../ports/outbox.ts'
import type { Clock } from '../ports/clock.ts'
import type { Fact, FactIdentity, ListedFact } from '../ports/facts.ts'
import type { Turns } from '../../async/turns.ts'
import type { BlobPresence } from '../facts/blob-presence.ts'
import {
  recordEarlierFact,
  type EarlierFact,
  type EarlierFactDeps,
  howKnown,
  isEarlierFact,
} from './record-earlier-fact.ts'
import { factByCatalog, saysTheSame } from '../facts/recorded-facts.ts'
import { putBack } from '../facts/restore-facts.ts'
import { rowsOf } from '../pacing/pages.ts'

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

/** What is to be put back together, in which turn. */
interface Wrong {
  readonly turn: string
  readonly identities: readonly FactIdentity[]
  /** To be learned from, and not only put right. */
  readonly earlier?: EarlierFact
  /**
   * Right, and told under a catalog that is lost: told anew it need not be looked through at each
   * start.
   */
  readonly isOld?: true
}

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
 * Of what only its own row tells: a manifest is not taken out without a tombstone, which is looked
 * at.
 */
async function missingTag(
  { facts }: CompareFactsDeps,
  repository: RepositoryKey,
  { tag, digest }: RecordedTag,
): Promise<Wrong | undefined> {
  const identity = { kind: 'tag', repository, tag } as const
  if (await facts.has(identity)) return undefined
  return { turn: repository, identities: [{ kind: 'manifest', repository, digest }, identity] }
}

async function missingEntry(
  { facts }: CompareFactsDeps,
  { id, key, payload }: Delivery,
): Promise<Wrong | undefined> {
  const identity = { kind: 'delivery', id } as const
  if (await facts.has(identity)) return undefined
  const digest = parseDelivery(payload)?.digest
  if (digest === undefined) return { turn: key, identities: [identity] }
  const repository = repositoryKey(parseRepositoryKey(key))
  return { turn: key, identities: [{ kind: 'manifest', repository, digest }, identity] }
}

/** Undefined when nothing is. */
async function wrongBy(deps: CompareFactsDeps, fact: ListedFact): Promise<Wrong | undefined> {
  const right = await factByCatalog(deps.catalog, { identity: fact, atMs: 0 })
  const wrong = concernedBy(fact)
  if (isEarlierFact(fact)) {
    if (right === undefined) return { ...wrong, earlier: fact }
    const known = fact.kind === 'manifest' ? await howKnown(deps, fact) : 'all'
    if (known === 'in part') return { ...wrong, earlier: fact }
    const isToBeTold = fact.kind === 'manifest' || fact.kind === 'deleted'
    if (isToBeTold && known === 'all' && saysTheSame(fact, right)) return { ...wrong, isOld: true }
  }
  return saysTheSame(fact, right) ? undefined : wrong
}

/** Where one of a manifest's fact and its tombstone is wrong, so may be the other. */
function concernedBy(fact: Fact): Wrong {
  if (fact.kind === 'delivery') return { turn: fact.key, identities: [fact] }
  const { kind, repository } = fact
  if (kind === 'tag') return { turn: repository, identities: [fact] }
  const { digest } = fact
  const manifest = { kind: 'manifest', repository, digest } as const
  return { turn: repository, identities: [manifest, { kind: 'deleted', repository, digest }] }
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

function repositoriesOf(catalog: Catalog): AsyncGenerator<RepositoryKey> {
  return rowsOf<RepositoryKey, string>(
    page => catalog.listRepositories(page),
    key => key,
  )
}

function localTagsOf(catalog: Catalog, key: RepositoryKey): AsyncGenerator<RecordedTag> {
  const repository = parseRepositoryKey(key)
  return rowsOf<RecordedTag, string>(
    page => catalog.listLocalTags(repository, page),
    ({ tag }) => tag,
  )
}

function entriesOf(catalog: Catalog): AsyncGenerator<Delivery> {
  return rowsOf<Delivery, number>(
    page => catalog.listDeliveries(page),
    ({ id }) => id,
  )
}
