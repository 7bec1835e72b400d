// How Entrepot is judged: by ratios to another server in the same round, by its own counts, or by what a client saw. The list of
// what it must reach stands in goals.ts.
import type { RowResult, Sample } from './figures.ts'
import { ENTREPOT } from './servers.ts'
import { formatNumber, formatSpread, median } from './statistics.ts'

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
}

export type Limit = { readonly atMost: number } | { readonly atLeast: number }

export interface Aim {
  readonly row: string
  readonly measure: string
  /** Lines of the row's table; each must hold by itself. */
  readonly lines: readonly string[]
  /** What is measured, in words. */
  readonly what: string
  readonly limit: Limit
  readonly why?: string
}

/** Entrepot's measure over that of `server`, round by round; the median of these counts. */
export function ratioTo(server: string, aim: Aim): Target {
  return target(aim, ` × ${server}`, 2, (result, line) => ratios(result, server, { ...aim, line }))
}

/** A measure of Entrepot's own; the median counts. */
export function ownCount(aim: Aim, digits = 0): Target {
  return target(aim, '', digits, (result, line) =>
    find(result, ENTREPOT, { ...aim, line }).map(({ value }) => value),
  )
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
      return { met: good.test(seen), seen }
    },
  }
}

function target(
  { row, what, lines, limit, why }: Aim,
  unit: string,
  digits: number,
  valuesOf: (result: RowResult, line: string) => readonly number[],
): Target {
  const isMost = 'atMost' in limit
  const bound = isMost ? limit.atMost : limit.atLeast
  return {
    row,
    must: `${what} ${isMost ? '≤' : '≥'} ${formatNumber(bound, Number.isInteger(bound) ? 0 : 2)}${unit}`,
    judge: result => {
      const seen = lines.map(line => ({ line, values: valuesOf(result, line) }))
      if (seen.some(({ values }) => values.length === 0)) return undefined
      return {
        met: seen.every(({ values }) =>
          isMost ? median(values) <= bound : median(values) >= bound,
        ),
        seen: seen.map(({ line, values }) => `${line}: ${formatSpread(values, digits)}`).join('; '),
      }
    },
    ...(why === undefined ? {} : { why }),
  }
}

interface Place {
  readonly line: string
  readonly measure: string
}

/** Empty when one of the two is missing. */
export function ratios(result: RowResult, server: string, place: Place): readonly number[] {
  const others = find(result, server, place)
  return find(result, ENTREPOT, place).flatMap(({ round, value }) => {
    const other = others.find(each => each.round === round)
    return other === undefined ? [] : [value / other.value]
  })
}

function find({ samples }: RowResult, server: string, { line, measure }: Place) {
  const own = (sample: Sample) => sample.server === server && sample.line === line
  return samples.filter(own).flatMap(({ round, measures }) => {
    const value = measures[measure]
    return typeof value === 'number' ? [{ round, value }] : []
  })
}
