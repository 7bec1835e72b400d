// How Entrepot is judged: by ratios to other servers in the same round, by its own counts, by how
// cost grows, or by what a client saw. The list of what it must reach stands in goals.ts. A figure
// with failed answers behind it reaches nothing.
import type { RowResult, Sample } from './figures.ts'
import { ENTREPOT } from './servers/entrepot.ts'
import { formatNumber, formatSpread, growthExponent, median } from './statistics.ts'
import { growthPoints } from './tables.ts'

export interface Target {
  readonly row: string
  /** What must be, in words. */
  readonly must: string
  /** Undefined when this run holds nothing to judge by. */
  readonly judge: (result: RowResult) => Verdict | undefined
  /** The reason why it is missed, as far as it is known; printed only where it is. */
  readonly why?: string
}

export interface Verdict {
  readonly met: boolean
  readonly seen: string
  /** How far the worst line is from its limit; empty when it is met. */
  readonly missedBy: string
}

export type Limit = { readonly atMost: number } | { readonly atLeast: number }

export interface Aim {
  readonly row: string
  readonly measure: string
  /** Lines of the row's table; each must hold by itself. */
  readonly lines: readonly string[]
  /** The same, as far as they were measured: what only the full form has. Default none. */
  readonly alsoLines?: readonly string[]
  /** Whose measure it is. Default: Entrepot's as it is set up by default. */
  readonly judged?: string
  /** What is measured, in words. */
  readonly what: string
  readonly limit: Limit
  readonly why?: string
}

/**
 * Entrepot's measure over that of `server`, round by round; the median of these counts. `called`:
 * what the goal calls that server.
 */
export function ratioTo(server: string, aim: Aim, called = server): Target {
  return target(aim, { unit: ` × ${called}`, digits: 2 }, (result, line) =>
    ratios(result, [server], { ...aim, line }),
  )
}

/**
 * The same against the best of `servers` in each round, as far as they are there: the least where
 * less is better, else the most.
 */
export function ratioToBest(servers: readonly string[], aim: Aim): Target {
  return target(aim, { unit: ' × the best other', digits: 2 }, (result, line) =>
    ratios(result, servers, { ...aim, line }),
  )
}

/** A measure of Entrepot's own; the median counts. */
export function ownCount(aim: Aim, digits = 0): Target {
  return target(aim, { unit: '', digits }, (result, line) =>
    find(result, aim.judged ?? ENTREPOT, { ...aim, line }).map(({ value }) => value),
  )
}

/** The k of Entrepot's size^k over all sizes of `table`; `lines` has no meaning. */
export function ownGrowth(aim: Omit<Aim, 'lines'> & { readonly table: string }): Target {
  return target({ ...aim, lines: [''] }, { unit: '', digits: 2 }, result => {
    const { table, measure } = aim
    const exponent = growthExponent(growthPoints(result, { table, server: ENTREPOT, measure }))
    return Number.isNaN(exponent) ? [] : [exponent]
  })
}

/** Entrepot's measure at the largest size of `table`; `lines` has no meaning. */
export function ownLargest(aim: Omit<Aim, 'lines'> & { readonly table: string }): Target {
  return target({ ...aim, lines: [''] }, { unit: '', digits: 0 }, result => {
    const { table, measure } = aim
    const points = growthPoints(result, { table, server: ENTREPOT, measure })
    return points
      .toSorted((a, b) => b.size - a.size)
      .slice(0, 1)
      .map(({ value }) => value)
  })
}

/** What cannot be measured yet. It stays in the list, so that nobody takes it for reached. */
export function notYet(row: string, must: string): Target {
  return { row, must, judge: () => undefined }
}

/** Words in the table of faults; `line` is how the line begins. */
export function words(line: string, must: string, good: RegExp): Target {
  return {
    row: 'faults',
    must,
    judge: ({ samples }) => {
      const sample = samples.find(each => each.server === ENTREPOT && each.line.startsWith(line))
      if (sample === undefined) return undefined
      const seen = String(sample.measures['seen'])
      const met = good.test(seen)
      return { met, seen, missedBy: met ? '' : 'another answer' }
    },
  }
}

function target(
  { row, what, lines: always, alsoLines = [], judged = ENTREPOT, limit, why }: Aim,
  { unit, digits }: { readonly unit: string; readonly digits: number },
  valuesOf: (result: RowResult, line: string) => readonly number[],
): Target {
  const isMost = 'atMost' in limit
  const bound = isMost ? limit.atMost : limit.atLeast
  const boundText = formatNumber(bound, Number.isInteger(bound) ? 0 : 2)
  return {
    row,
    must: `${what} ${isMost ? '≤' : '≥'} ${boundText}${unit}`,
    judge: result => {
      const lines = [...always, ...alsoLines.filter(line => valuesOf(result, line).length > 0)]
      const seen = lines.map(line => ({ line, values: valuesOf(result, line) }))
      const failures = failuresOf(result, { judged, lines })
      if (failures === 0 && seen.some(({ values }) => values.length === 0)) return undefined
      const worst = seen
        .map(({ values }) => distance(median(values), limit))
        .reduce((most, each) => (each <= most ? most : each), Number.NEGATIVE_INFINITY)
      const missedBy = failures > 0 ? `${failures} failures` : shortfall(worst, limit)
      return {
        met: missedBy === '',
        seen: seen.map(({ line, values }) => named(line, formatSpread(values, digits))).join('; '),
        missedBy,
      }
    },
    ...(why === undefined ? {} : { why }),
  }
}

function named(line: string, text: string): string {
  return line === '' ? text : `${line}: ${text}`
}

/** Above 0 when `value` is on the wrong side; what is no number is wrong by any measure. */
function distance(value: number, limit: Limit): number {
  const over = 'atMost' in limit ? value - limit.atMost : limit.atLeast - value
  return Number.isNaN(over) ? Number.POSITIVE_INFINITY : over
}

/** Empty when there is none. */
function shortfall(worst: number, limit: Limit): string {
  if (worst <= 0) return ''
  const bound = 'atMost' in limit ? limit.atMost : limit.atLeast
  if (!Number.isFinite(worst)) return 'no figure'
  if (bound === 0) return formatNumber(worst, 2)
  const percent = formatNumber((100 * worst) / bound, worst / bound < 0.1 ? 1 : 0)
  return `${percent} %`
}

/** Answers, pulls or pushes that failed in these lines. */
function failuresOf(
  { samples }: RowResult,
  { judged, lines }: { readonly judged: string; readonly lines: readonly string[] },
): number {
  return samples
    .filter(({ server, line }) => server === judged && (lines.includes(line) || lines[0] === ''))
    .reduce((sum, { measures }) => sum + Number(measures['failures'] ?? 0), 0)
}

interface Place {
  readonly line: string
  readonly measure: string
  readonly limit: Limit
  readonly judged?: string
}

/** One for each round in which Entrepot and at least one of the others were measured. */
export function ratios(
  result: RowResult,
  servers: readonly string[],
  place: Place,
): readonly number[] {
  const others = servers.flatMap(server => find(result, server, place))
  const best = 'atMost' in place.limit ? Math.min : Math.max
  return find(result, place.judged ?? ENTREPOT, place).flatMap(({ round, value }) => {
    const same = others.filter(each => each.round === round).map(each => each.value)
    return same.length === 0 ? [] : [value / best(...same)]
  })
}

function find(
  { samples }: RowResult,
  server: string,
  { line, measure }: Pick<Place, 'line' | 'measure'>,
) {
  const own = (sample: Sample) => sample.server === server && sample.line === line
  return samples.filter(own).flatMap(({ round, measures }) => {
    const value = measures[measure]
    // JSON has null for what is no number: before and after it was written down, there is nothing
    // here.
    return typeof value === 'number' && !Number.isNaN(value) ? [{ round, value }] : []
  })
}
