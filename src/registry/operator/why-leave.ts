// What holds an image here, and where it stands among those that leave when there is no room: the
// end of `why`. It looks at what eviction would look at, and changes nothing.
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { Grace } from '../time/grace.ts'
import type { Pin } from '../pins/pins.ts'
import type { Hold, StaysBy } from '../ports/holds.ts'
import type { ColdImage, ColdPlace } from '../ports/catalog-images.ts'
import type { Catalog } from '../ports/catalog.ts'
import {
  type Outlook,
  outlookOf,
  type Retained,
  retentionText,
} from '../retain/explain-retention.ts'
import { formatSelector } from '../pins/selectors.ts'
import type { FoundImage } from './find-image.ts'
import type { OperatorDeps } from './operator-deps.ts'
import { PAGE_ROWS } from '../pacing/pages.ts'

/** So far down the order is looked: nobody waits for a place beyond it. */
const LOOKED_AT_MAX = 10_000

export interface Leaving {
  /** Why it stays whatever room there is; empty for what leaves in its turn. */
  readonly held: readonly StaysBy[]
  /**
   * How many images leave before it when there is no room; undefined where it is held, or not here,
   * or not among them, or further down than is looked.
   */
  readonly before: number | undefined
  /** Of the image, by any tag or by its digest. */
  readonly pulls: number
  /** What the policies say of what was pushed here; undefined where none judges it. */
  readonly retention: Outlook | undefined
  /** Sentences for people, in order. */
  readonly sentences: readonly string[]
}

const WHY_HELD: Readonly<Record<Hold, string>> = {
  pushed:
    'it was pushed here and has no other home: it stays until somebody or a policy deletes it',
  undelivered: 'it waits to be delivered, and stays until it is',
  imported: 'an operator imported it: it stays until somebody deletes or purges it',
}

const WHY_UNCLEAR =
  'something that was pushed here is lost, and may need what this has: it stays until that is found or given up ("When something that was pushed is lost" in docs/operations.md)'

const WHY_FOLLOWING =
  'what listed it, or what it is about, was deleted: it goes when storage.gc.delay is over, unless a tag, another image or a pin reaches it by then, and not while something of its repository is lost or cannot be read'

export async function explainLeaving(
  deps: Pick<OperatorDeps, 'catalog' | 'pins' | 'retention' | 'registry' | 'jobs'>,
  { repository, digest, tag }: FoundImage,
): Promise<Leaving> {
  if (digest === undefined)
    return { held: [], before: undefined, pulls: 0, retention: undefined, sentences: [] }
  const { catalog, pins } = deps
  const holds = await catalog.holdsOf(repository, digest)
  const pin = await pins.find(repository, digest)
  const grace = await deps.registry.graceNow()
  const untilMs = await catalog.leasedUntil(repository, digest)
  const isLeased = untilMs !== undefined && untilMs >= grace.leasesOverMs
  const units = await unitsOf(catalog, repository, digest)
  const isUnclear = holds.length === 0 && (await isAnyUnclear(catalog, units))
  const held = [
    ...holds,
    ...(pin === undefined ? [] : (['pinned'] as const)),
    ...(isLeased ? (['leased'] as const) : []),
    ...(isUnclear ? (['unclear'] as const) : []),
  ]
  const order =
    held.length > 0 || units.size === 0 ? undefined : await placeOf(catalog, repository, units)
  const retained = holds.includes('pushed')
    ? await judged(deps, { repository, digest, tag: tag?.tag }, grace)
    : { outlook: undefined, sentences: [] }
  const usage = await catalog.usageOf(repository, digest)
  const follows = (await catalog.followsSince(repository, digest)) !== undefined
  return {
    held,
    before: order?.before,
    pulls: usage?.pulls ?? 0,
    retention: retained.outlook,
    sentences: [
      ...(follows ? [WHY_FOLLOWING] : []),
      ...holds.filter(hold => !(follows && hold === 'pushed')).map(hold => WHY_HELD[hold]),
      ...retained.sentences,
      ...(pin === undefined ? [] : [pinned(pin)]),
      ...(isLeased ? ['a client that may push was told that it is here: it stays for now'] : []),
      ...(isUnclear ? [WHY_UNCLEAR] : []),
      ...(order === undefined ? [] : [order.sentence]),
    ],
  }
}

/** Nothing is said where there are no policies at all. */
async function judged(
  { catalog, pins, retention, registry, jobs }: Parameters<typeof explainLeaving>[0],
  image: Retained,
  { nowMs, leasesOverMs, timeRun }: Grace,
): Promise<{ readonly outlook: Outlook | undefined; readonly sentences: readonly string[] }> {
  const rules = retention()
  if (rules.policies.length === 0) return { outlook: undefined, sentences: [] }
  const by = { catalog, pins, nowMs, leasesOverMs, timeRun }
  const outlook = await outlookOf(by, rules, image)
  const job = jobs.list().jobs.find(({ name }) => name === 'retain')
  const next = {
    dryRun: rules.dryRun,
    isPaused: job?.isPaused ?? false,
    isLeftAlone: registry.isLeftAlone(image.repository),
    atMs: job?.nextAtMs,
    nowMs,
  }
  return { outlook, sentences: [retentionText(outlook, next)] }
}

function pinned({ selector, from }: Pin): string {
  const where = from === 'configuration' ? 'in the configuration' : 'by a command'
  return `it is pinned as ${formatSelector(selector)}, ${where}, and stays under any pressure`
}

/** What leaves as a whole: an index goes with the last of its manifests that are here. */
async function unitsOf(
  catalog: Catalog,
  repository: Repository,
  digest: Digest,
): Promise<ReadonlySet<Digest>> {
  const manifest = await catalog.findManifest(repository, digest)
  if (manifest === undefined) return new Set()
  const children = new Set<Digest>()
  for (const { kind, child } of manifest.edges)
    if (kind === 'manifest' && (await catalog.findManifest(repository, child)) !== undefined)
      children.add(child)
  return children.size > 0 ? children : new Set([digest])
}

async function isAnyUnclear(catalog: Catalog, units: ReadonlySet<Digest>): Promise<boolean> {
  for (const unit of units) if (await catalog.isUnclear(unit)) return true
  return false
}

async function placeOf(
  catalog: Catalog,
  repository: Repository,
  units: ReadonlySet<Digest>,
): Promise<{ readonly before: number | undefined; readonly sentence: string }> {
  const found = await lastOf(catalog, repository, new Set(units))
  if (typeof found === 'string') return { before: undefined, sentence: NO_PLACE[found] }
  const others = found === 1 ? '1 image leaves' : `${found} images leave`
  const sentence = `when there is no room, ${found === 0 ? 'it is the first image to leave' : `${others} before it`}`
  return { before: found, sentence }
}

const NO_PLACE = {
  'further down': `when there is no room, more than ${LOOKED_AT_MAX} images leave before it`,
  'not among them':
    'it does not leave for want of room: it was pushed, here or to another repository, or somebody was told that it is here',
} as const

/** How many leave before the last of these. */
async function lastOf(
  catalog: Catalog,
  repository: Repository,
  units: Set<Digest>,
): Promise<number | keyof typeof NO_PLACE> {
  const key = repositoryKey(repository)
  let looked = 0
  for await (const image of coldestOf(catalog)) {
    const isUnit = repositoryKey(image.repository) === key && units.delete(image.digest)
    if (isUnit && units.size === 0) return looked
    looked += 1
    if (looked === LOOKED_AT_MAX) return 'further down'
  }
  return 'not among them'
}

/** One after the other; others have their turn between pages. */
async function* coldestOf(catalog: Pick<Catalog, 'listColdest'>): AsyncGenerator<ColdImage> {
  let after: ColdPlace | undefined
  do {
    const page = await catalog.listColdest({ limit: PAGE_ROWS, after })
    yield* page.images
    after = page.next
    await nextTurn()
  } while (after !== undefined)
}
