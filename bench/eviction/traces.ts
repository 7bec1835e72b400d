// The traces that are made here: two months of a site of 150 machines that run images of 500 tags,
// by themselves and with what else happens to an edge. A scanner reads everything; each night's
// builds are pulled by runners for a day and never again; one new image is pulled by everybody.
import { Chance, Zipf } from './chance.ts'
import { GrowingRegistry, type Wanted } from './registry.ts'
import { Machine } from './site.ts'
import type { Pull, Trace } from './trace.ts'

export interface TraceKind {
  readonly name: string
  /** Of the tags' popularity. */
  readonly skew: number
  readonly with: readonly Exclude<Pull['by'], 'use'>[]
  /** The share of pulls by digest, often of an image whose tag has gone on. */
  readonly byDigest?: number
  /** On this day half of the tags change places in popularity. */
  readonly turnsOnDay?: number
}

export const TRACE_KINDS: readonly TraceKind[] = [
  { name: 'Zipf 0.7', skew: 0.7, with: [] },
  { name: 'Zipf 0.9', skew: 0.9, with: [] },
  { name: 'Zipf 1.1', skew: 1.1, with: [] },
  { name: 'by digest', skew: 0.9, with: [], byDigest: 0.5 },
  { name: 'turn', skew: 0.9, with: [], turnsOnDay: 35 },
  { name: 'scan', skew: 0.9, with: ['scan'] },
  { name: 'nightly CI', skew: 0.9, with: ['ci'] },
  { name: 'release', skew: 0.9, with: ['release'] },
  { name: 'all', skew: 0.9, with: ['scan', 'ci', 'release'], turnsOnDay: 35 },
]

export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS
const DAYS = 60
const DAYS_BEFORE = 15
export const SCAN_DAYS = [22, 34, 46] as const
const SCAN_HOURS = 6
/** Tags that nobody here uses, and a scanner reads with the others. */
const UNUSED_TAGS = 1500
const RELEASE_DAY = 30
const TAGS = 500
const MACHINES = 150
const PULLS_A_DAY = 1000
/** By machines that are there for one job and have nothing. */
const BY_EMPTY = 0.3
const BY_DIGEST = 0.1
const ON_SECOND_PLATFORM = 0.12
const REPLACED_A_DAY = 3
/** Popularity drifts: so many of the ranks are exchanged each week. */
const DRIFT_A_WEEK = 0.05
const CI_TAGS = 30
const CI_RUNNERS = 20

interface Wish extends Omit<Wanted, 'day'> {
  readonly atMs: number
  /** Which machine; or one that has nothing, or nothing but bases. */
  readonly client: number | 'empty' | 'bases'
  readonly byTag: boolean
  readonly by: Pull['by']
}

export function makeTrace(kind: TraceKind, seed: number): Trace {
  const chance = new Chance(seed)
  const registry = new GrowingRegistry(chance)
  const tags = Array.from({ length: TAGS }, () => addTag(registry, chance))
  const wishes = use(chance, tags, kind)
  if (kind.with.includes('scan')) {
    const unused = Array.from({ length: UNUSED_TAGS }, () => addTag(registry, chance))
    wishes.push(...scans(chance, [...tags, ...unused]))
  }
  if (kind.with.includes('ci')) wishes.push(...builds(chance, registry))
  if (kind.with.includes('release')) wishes.push(...release(chance, registry))
  wishes.sort((a, b) => a.atMs - b.atMs)
  return {
    name: kind.name,
    registry,
    pulls: carryOut(wishes, registry, chance),
    countedFromMs: DAYS_BEFORE * DAY_MS,
  }
}

function addTag(registry: GrowingRegistry, chance: Chance): number {
  const of = chance.share()
  const periods = [1, 7, 7, 30, 30, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY] as const
  return registry.addTag({
    periodDays: chance.pick(periods),
    platforms: chance.isTrue(0.6) ? 2 : 1,
    upstream: of < 0.6 ? 0 : of < 0.9 ? 1 : 2,
    times: chance.isTrue(0.02) ? 40 : 1,
  })
}

function use(chance: Chance, tags: readonly number[], kind: TraceKind): Wish[] {
  const { skew, turnsOnDay, byDigest = BY_DIGEST } = kind
  const zipf = new Zipf(TAGS, skew)
  const ranks = [...tags]
  const secondPlatform = Array.from({ length: MACHINES }, () => chance.isTrue(ON_SECOND_PLATFORM))
  const exchange = (times: number) => {
    for (let n = 0; n < times; n++) {
      const [one, other] = [chance.below(TAGS), chance.below(TAGS)]
      const moved = ranks[one] as number
      ranks[one] = ranks[other] as number
      ranks[other] = moved
    }
  }
  const wishes: Wish[] = []
  for (let day = 0; day < DAYS; day++) {
    if (day % 7 === 0) exchange((TAGS * DRIFT_A_WEEK) / 2)
    if (day === turnsOnDay) exchange(TAGS / 4)
    for (let n = 0; n < PULLS_A_DAY; n++) {
      const client = chance.isTrue(BY_EMPTY) ? 'empty' : chance.below(MACHINES)
      const byTag = !chance.isTrue(byDigest)
      wishes.push({
        atMs: day * DAY_MS + workingHour(chance),
        tag: ranks[zipf.pick(chance)] as number,
        back: byTag ? 0 : chance.failures(0.3),
        platform: typeof client === 'number' && secondPlatform[client] === true ? 1 : 0,
        client,
        byTag,
        by: 'use',
      })
    }
  }
  return wishes
}

/** Most of it happens between eight and eighteen. */
function workingHour(chance: Chance): number {
  const share = chance.share()
  return HOUR_MS * (chance.isTrue(0.75) ? 8 + 10 * share : 24 * share)
}

function scans(chance: Chance, tags: readonly number[]): Wish[] {
  return SCAN_DAYS.flatMap(day =>
    tags.map((tag): Wish => {
      const atMs = day * DAY_MS + HOUR_MS + chance.share() * SCAN_HOURS * HOUR_MS
      return { atMs, tag, back: 0, platform: 0, client: 'empty', byTag: true, by: 'scan' }
    }),
  )
}

function builds(chance: Chance, registry: GrowingRegistry): Wish[] {
  const tags = Array.from({ length: CI_TAGS }, () =>
    registry.addTag({ periodDays: 1, platforms: 1, upstream: 1, times: 1 }),
  )
  return Array.from({ length: DAYS }, (_, day) =>
    tags.flatMap(tag =>
      Array.from({ length: CI_RUNNERS }, (): Wish => {
        const atMs = (day + chance.share()) * DAY_MS
        return { atMs, tag, back: 0, platform: 0, client: 'bases', byTag: true, by: 'ci' }
      }),
    ),
  ).flat()
}

/** By every machine within an hour, and by others for three days. */
function release(chance: Chance, registry: GrowingRegistry): Wish[] {
  const tag = registry.addTag({
    periodDays: Number.POSITIVE_INFINITY,
    platforms: 1,
    upstream: 0,
    times: 20,
  })
  const startMs = RELEASE_DAY * DAY_MS + 9 * HOUR_MS
  const of = { tag, back: 0, platform: 0, byTag: true, by: 'release' as const }
  const first = Array.from(
    { length: MACHINES },
    (_, client): Wish => ({ ...of, client, atMs: startMs + chance.share() * HOUR_MS }),
  )
  const later = Array.from(
    { length: 2 * MACHINES },
    (): Wish => ({ ...of, client: 'empty', atMs: startMs + chance.share() * 3 * DAY_MS }),
  )
  return [...first, ...later]
}

function carryOut(wishes: readonly Wish[], registry: GrowingRegistry, chance: Chance): Pull[] {
  const machines = Array.from({ length: MACHINES }, () => new Machine())
  let today = 0
  return wishes.map(({ atMs, client, byTag, by, ...wanted }) => {
    const day = Math.floor(atMs / DAY_MS)
    for (; today < day; today++)
      for (let n = 0; n < REPLACED_A_DAY; n++) machines[chance.below(MACHINES)]?.clear()
    const image = registry.imageOf({ ...wanted, day })
    const blobs = registry.images[image]?.blobs ?? []
    return { atMs, image, byTag, by, asked: ask(image, blobs) }

    function ask(image: number, blobs: readonly number[]): readonly number[] {
      if (client === 'empty') return blobs
      if (typeof client === 'number') return machines[client]?.pull(image, blobs) ?? blobs
      const had = new Set(registry.baseOf(image))
      return blobs.filter(blob => !had.has(blob))
    }
  })
}
