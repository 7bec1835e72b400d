// What holds an image here, and where it stands among those that leave when there is no room: the
// end of `why`. It looks at what eviction would look at, and changes nothing.
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { Pin } from '../pins/pins.ts'
import type { Hold } from '../ports/holds.ts'
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
import { PAGE_ROWS } from '../pages.ts'

/** So far down the order is looked: nobody waits for a place beyond it. */
const LOOKED_AT_MAX = 10_000

export interface Leaving {
  /** Why it stays whatever room there is; empty for what leaves in its turn. */
  readonly held: readonly (Hold | 'pinned' | 'leased')[]
  /**
   * How many images leave before it when there is no room; undefined where it is held, or not here,
   * or further down than is looked.
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
}

const WHY_FOLLOWING =
  'what listed it, or what it is about, was deleted: it goes when storage.gc.delay is over, unless a tag, another image or a pin reaches it by then'

export async function explainLeaving(
  deps: Pick<OperatorDeps, 'catalog' | 'pins' | 'clock' | 'retention' | 'registry' | 'jobs'>,
  { repository, digest, tag }: FoundImage,
): Promise<Leaving> {
  if (digest === undefined)
    return { held: [], before: undefined, pulls: 0, retention: undefined, sentences: [] }
  const { catalog, pins, clock } = deps
  const holds = await catalog.holdsOf(repository, digest)
  const pin = await pins.find(repository, digest)
  const untilMs = await catalog.leasedUntil(repository, digest)
  const isLeased = untilMs !== undefined && untilMs > clock.nowMs()
  const held = [
    ...holds,
    ...(pin === undefined ? [] : (['pinned'] as const)),
    ...(isLeased ? (['leased'] as const) : []),
  ]
  const order = held.length > 0 ? undefined : await placeOf(catalog, repository, digest)
  const retained = holds.includes('pushed')
    ? await judged(deps, { repository, digest, tag: tag?.tag })
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
      ...(order === undefined ? [] : [order.sentence]),
    ],
  }
}

/** Nothing is said where there are no policies at all. */
async function judged(
  { catalog, pins, clock, retention, registry, jobs }: Parameters<typeof explainLeaving>[0],
  image: Retained,
): Promise<{ readonly outlook: Outlook | undefined; readonly sentences: readonly string[] }> {
  const rules = retention()
  const nowMs = clock.nowMs()
  if (rules.policies.length === 0) return { outlook: undefined, sentences: [] }
  const timeRun = await registry.timeRun()
  const by = { catalog, pins, nowMs, leasesOverMs: nowMs, timeRun }
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

/** Undefined for what is not here as an image. */
async function placeOf(
  catalog: Catalog,
  repository: Repository,
  digest: Digest,
): Promise<{ readonly before: number | undefined; readonly sentence: string } | undefined> {
  const manifest = await catalog.findManifest(repository, digest)
  if (manifest === undefined) return undefined
  // An index goes with the last of its manifests that are here.
  const units = new Set([digest])
  for (const { kind, child } of manifest.edges)
    if (kind === 'manifest' && (await catalog.findManifest(repository, child)) !== undefined)
      units.add(child)
  if (units.size > 1) units.delete(digest)
  const found = await lastOf(catalog, repository, units)
  if (found === undefined)
    return {
      before: undefined,
      sentence: `when there is no room, more than ${LOOKED_AT_MAX} images leave before it`,
    }
  const others = found === 1 ? '1 image leaves' : `${found} images leave`
  const sentence = `when there is no room, ${found === 0 ? 'it is the first image to leave' : `${others} before it`}`
  return { before: found, sentence }
}

/** How many leave before the last of these; undefined when that is further down than is looked. */
async function lastOf(
  catalog: Catalog,
  repository: Repository,
  units: Set<Digest>,
): Promise<number | undefined> {
  const key = repositoryKey(repository)
  let looked = 0
  for await (const image of coldestOf(catalog)) {
    const isUnit = repositoryKey(image.repository) === key && units.delete(image.digest)
    if (isUnit && units.size === 0) return looked
    looked += 1
    if (looked === LOOKED_AT_MAX) return undefined
  }
  return undefined
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
