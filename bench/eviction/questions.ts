// What the tables answer, one question each. Every function runs one round, with one seed.
import { BlobEdge } from './blob-edge.ts'
import { type Figures, figuresOf, replay } from './edge.ts'
import { ImageEdge, type ImageEdgeOptions, USUAL } from './image-edge.ts'
import { leastByteMiss } from './least.ts'
import { AGEINGS, CHOSEN, POLICIES } from './policies.ts'
import { LRU } from './policies/lru.ts'
import type { PolicyKind } from './policies/policy.ts'
import { previousFirst } from './policies/previous-first.ts'
import { S3_FIFO } from './policies/s3-fifo.ts'
import { CACHE_SHARES, type Cell, type RunOptions, nameOf, percent, run } from './runs.ts'
import { type Trace, footprint } from './trace.ts'
import { DAY_MS, HOUR_MS, SCAN_DAYS, TRACE_KINDS, type TraceKind, makeTrace } from './traces.ts'

/** The decision, all of it. */
const AS_CHOSEN: RunOptions = { policy: CHOSEN, previous: 'unless used since' }

/** Lines of tables: each order by itself, and the decision; two others with its rule as well. */
const ORDERS: readonly (readonly [line: string, options: RunOptions])[] = [
  ...POLICIES.map(policy => [policy.name, { policy }] as const),
  [`${CHOSEN.name}, the previous first`, AS_CHOSEN],
  ...[LRU, S3_FIFO].map(
    policy =>
      [
        `${policy.name}, the previous first`,
        { ...AS_CHOSEN, policy: previousFirst(policy) },
      ] as const,
  ),
]

/** By the heading of its table. */
export type Answer = Readonly<Record<string, readonly Cell[]>>

export interface Question {
  readonly name: string
  readonly asks: string
  readonly answer: (seed: number) => Answer
}

function traceOf(name: TraceKind['name'], seed: number): Trace {
  const kind = TRACE_KINDS.find(each => each.name === name)
  if (kind === undefined) throw new Error(`no such trace: ${name}`)
  return makeTrace(kind, seed)
}

/** All orders on one trace, at all sizes. */
export function compare(trace: Trace): Answer {
  const answer: Record<string, Cell[]> = {}
  const put = (heading: string, cell: Cell) => {
    const cells = answer[heading] ?? []
    answer[heading] = [...cells, cell]
  }
  for (const share of CACHE_SHARES) {
    const at = nameOf(share)
    const limitBytes = footprint(trace) * share
    for (const [line, options] of ORDERS) {
      const { figures, costs } = run(trace, share, options)
      const of = { line, column: trace.name }
      put(`${at}: fetched, % of asked`, { ...of, value: percent(figures.byteMiss) })
      put(`${at}: pulls that waited, %`, { ...of, value: percent(figures.imageMiss) })
      put(`${at}: hours waited`, { ...of, value: figures.waitedSeconds / 3600 })
      put('images found half', { ...of, value: figures.half })
      put('state, bytes an image', { ...of, value: costs.stateBytesPerImage })
      put('µs an eviction', { ...of, value: costs.microsecondsPerEviction })
    }
    put(`${at}: fetched, % of asked`, {
      line: 'least possible',
      column: trace.name,
      value: percent(leastByteMiss(trace, { limitBytes, prefetch: true })),
    })
  }
  return answer
}

function orders(seed: number): Answer {
  const answers = TRACE_KINDS.map(kind => compare(makeTrace(kind, seed)))
  const headings = [...new Set(answers.flatMap(answer => Object.keys(answer)))]
  return Object.fromEntries(
    headings.map(heading => [heading, answers.flatMap(answer => answer[heading] ?? [])]),
  )
}

/** How long after a scan it is looked for what it did. */
const AFTER_SCAN_MS = 3 * DAY_MS

function scan(seed: number): Answer {
  const trace = traceOf('scan', seed)
  const without = { ...trace, pulls: trace.pulls.filter(({ by }) => by !== 'scan') }
  const isAfter = (atMs: number) =>
    SCAN_DAYS.some(day => atMs >= day * DAY_MS + HOUR_MS && atMs < day * DAY_MS + AFTER_SCAN_MS)
  const cells = [1 / 50, 1 / 20, 1 / 10, 1 / 5].flatMap(share =>
    ORDERS.map(([line, options]) => {
      const limitBytes = footprint(trace) * share
      const missOf = (pulled: Trace) => {
        const edge = new ImageEdge(trace.registry, { ...USUAL, limitBytes, ...options })
        const counts = ({ by, atMs }: { by: string; atMs: number }) => by === 'use' && isAfter(atMs)
        return percent(figuresOf(pulled, replay(pulled, edge), counts).byteMiss)
      }
      return { at: nameOf(share), line, without: missOf(without), after: missOf(trace) }
    }),
  )
  return {
    'three days after a scan: fetched for others, % of asked': cells.flatMap(
      ({ at, line, ...cell }) => [
        { line, column: `${at}, no scan`, value: cell.without },
        { line, column: `${at}, scan`, value: cell.after },
      ],
    ),
  }
}

function granularity(seed: number): Answer {
  const answer: Record<string, Cell[]> = { fetched: [], waited: [], whole: [], half: [], bound: [] }
  for (const name of ['Zipf 0.9', 'all']) {
    const trace = traceOf(name, seed)
    for (const share of CACHE_SHARES)
      for (const prefetch of [true, false]) {
        const limitBytes = footprint(trace) * share
        const column = `${name}, ${nameOf(share)}`
        const put = (what: string, figures: Figures) => {
          const line = `${what}, ${prefetch ? 'whole images fetched' : 'as asked for'}`
          answer['fetched']?.push({ line, column, value: percent(figures.byteMiss) })
          answer['waited']?.push({ line, column, value: percent(figures.imageMiss) })
          answer['whole']?.push({ line, column, value: percent(figures.whole) })
          answer['half']?.push({ line, column, value: figures.half })
        }
        const blobs = new BlobEdge(trace.registry, { limitBytes, prefetch })
        put('LRU of blobs', figuresOf(trace, replay(trace, blobs)))
        for (const policy of [LRU, CHOSEN])
          put(`${policy.name} of images`, run(trace, share, { policy, prefetch }).figures)
        const line = `least possible, ${prefetch ? 'whole images fetched' : 'as asked for'}`
        const value = percent(leastByteMiss(trace, { limitBytes, prefetch }))
        answer['bound']?.push({ line, column, value })
      }
  }
  return {
    'fetched, % of asked': [...(answer['fetched'] ?? []), ...(answer['bound'] ?? [])],
    'pulls that waited, %': answer['waited'] ?? [],
    'pulls of images that were here whole, %': answer['whole'] ?? [],
    'images found half': answer['half'] ?? [],
  }
}

function ageing(seed: number): Answer {
  const cells = ['Zipf 0.9', 'turn', 'nightly CI', 'scan', 'all'].flatMap(name => {
    const trace = traceOf(name, seed)
    return AGEINGS.flatMap(policy =>
      [1 / 20, 1 / 5].map(share => ({
        line: policy.name,
        column: `${name}, ${nameOf(share)}`,
        value: percent(run(trace, share, { ...AS_CHOSEN, policy }).figures.byteMiss),
      })),
    )
  })
  return { 'fetched, % of asked': cells }
}

/** One setting, several values of it, the same figures for each. */
function variants(
  seed: number,
  settings: Readonly<Record<string, Partial<ImageEdgeOptions> & { policy: PolicyKind }>>,
): Answer {
  const answer: Record<string, Cell[]> = { fetched: [], waited: [] }
  for (const name of ['Zipf 0.9', 'by digest', 'nightly CI', 'all']) {
    const trace = traceOf(name, seed)
    for (const [line, options] of Object.entries(settings))
      for (const share of [1 / 20, 1 / 5]) {
        const { figures } = run(trace, share, options)
        const column = `${name}, ${nameOf(share)}`
        answer['fetched']?.push({ line, column, value: percent(figures.byteMiss) })
        answer['waited']?.push({ line, column, value: percent(figures.imageMiss) })
      }
  }
  return {
    'fetched, % of asked': answer['fetched'] ?? [],
    'pulls that waited, %': answer['waited'] ?? [],
  }
}

function lowWater(seed: number): Answer {
  const trace = traceOf('all', seed)
  const cells = [1, 0.99, 0.98, 0.95, 0.9, 0.8, 0.7].flatMap(lowWaterShare =>
    [1 / 50, 1 / 20, 1 / 5].flatMap(share => {
      const { figures, costs } = run(trace, share, { ...AS_CHOSEN, lowWaterShare })
      const line = lowWaterShare === 1 ? 'as much as is needed' : `to ${percent(lowWaterShare)} %`
      return [
        { line, column: `${nameOf(share)}: fetched, %`, value: percent(figures.byteMiss) },
        { line, column: 'times a day', value: costs.batches / 60 },
        { line, column: 'images at once', value: costs.evictions / costs.batches },
      ].map((cell, at) =>
        at === 0 ? cell : { ...cell, column: `${nameOf(share)}: ${cell.column}` },
      )
    }),
  )
  return { 'when the cache is full, evict': cells }
}

function previous(seed: number): Answer {
  const settings = ([LRU, CHOSEN] as const).flatMap(policy =>
    (['in turn', 'before their own', 'before all', 'unless used since'] as const)
      .filter(each => policy === CHOSEN || each !== 'unless used since')
      .map(each => [`${policy.name}: the previous ${each}`, { policy, previous: each }] as const),
  )
  return variants(seed, Object.fromEntries(settings))
}

function apart(seed: number): Answer {
  const settings = POLICIES.flatMap(policy =>
    [0, 1, 24].map(
      hours => [`${policy.name}: ${hours} h`, { policy, apartMs: hours * HOUR_MS }] as const,
    ),
  )
  return variants(seed, Object.fromEntries(settings))
}

function restarts(seed: number): Answer {
  const settings = POLICIES.filter(({ inRows }) => !inRows).flatMap(policy =>
    [Number.POSITIVE_INFINITY, 7, 1].map(
      days =>
        [
          `${policy.name}, ${Number.isFinite(days) ? `a start each ${days} d` : 'no restart'}`,
          { policy, restartsEveryMs: days * DAY_MS },
        ] as const,
    ),
  )
  return variants(seed, { [CHOSEN.name]: { policy: CHOSEN }, ...Object.fromEntries(settings) })
}

function outage(seed: number): Answer {
  const trace = traceOf('Zipf 0.9', seed)
  const [fromMs, untilMs] = [30 * DAY_MS, 34 * DAY_MS]
  const cells = [LRU, CHOSEN].flatMap(policy =>
    [false, true].flatMap(itsImagesLast =>
      [1 / 50, 1 / 20, 1 / 10].map(share => {
        const away = { upstream: 0, fromMs, untilMs, itsImagesLast }
        const { figures } = run(trace, share, { policy, outage: away })
        const line = `${policy.name}: its images ${itsImagesLast ? 'last' : 'in turn'}`
        return { line, column: nameOf(share), value: figures.failed }
      }),
    ),
  )
  return { 'pulls that failed while an upstream was away for four days': cells }
}

export const QUESTIONS: readonly Question[] = [
  { name: 'orders', asks: 'which order fetches least', answer: orders },
  { name: 'scan', asks: 'what a scan costs the others', answer: scan },
  { name: 'granularity', asks: 'whole images or blobs', answer: granularity },
  { name: 'ageing', asks: 'how fast uses lose weight, and which count', answer: ageing },
  { name: 'low-water', asks: 'how much to evict at once', answer: lowWater },
  { name: 'previous', asks: 'whether images whose tag went on go first', answer: previous },
  { name: 'apart', asks: 'whether uses close together count as one', answer: apart },
  { name: 'restarts', asks: 'what is lost with what is in memory', answer: restarts },
  { name: 'outage', asks: 'whether images of an upstream that is away go last', answer: outage },
]
