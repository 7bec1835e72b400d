// A run as it is kept, bench/last-run.json: what the document is made from and no more. One line
// for each server and case, its rounds side by side, so that the file is small and a difference
// between two runs can be read.
import type { Measure, RowResult, Run, Sample } from './figures.ts'

/**
 * More than any table shows, and fewer than a double has: the rest is chance. Whole numbers are
 * kept whole.
 */
const SIGNIFICANT_DIGITS = 7

/**
 * The samples of one server and case: each measure is a list beside `rounds`, with null where a
 * round has no figure.
 */
interface Series extends Omit<Sample, 'round' | 'measures'> {
  readonly rounds: readonly number[]
  readonly measures: Readonly<Record<string, readonly (Measure | null)[]>>
}

type KeptRow = Omit<RowResult, 'samples'> & { readonly series: readonly Series[] }

/** JSON that `parseRun` reads. What is no number is left out, numbers are rounded. */
export function formatRun({ rows }: Run): string {
  const texts = rows.map(({ samples, ...about }) => {
    const head = JSON.stringify(about).slice(0, -1)
    const lines = toSeries(samples).map(series => JSON.stringify(series))
    return lines.length === 0
      ? `${head},"series":[]}`
      : `${head},"series":[\n${lines.join(',\n')}\n]}`
  })
  return `{"rows":[\n${texts.join(',\n')}\n]}\n`
}

/** @throws SyntaxError for what is no JSON */
export function parseRun(text: string): Run {
  const { rows } = JSON.parse(text) as { readonly rows: readonly KeptRow[] }
  return {
    rows: rows.map(({ series, ...about }) => ({ ...about, samples: series.flatMap(toSamples) })),
  }
}

function toSeries(samples: readonly Sample[]): readonly Series[] {
  const groups = Map.groupBy(samples, sample => JSON.stringify(placeOf(sample)))
  return [...groups.values()].map(group => {
    const names = [...new Set(group.flatMap(({ measures }) => Object.keys(measures)))]
    const valuesOf = (name: string) => group.map(({ measures }) => kept(measures[name]))
    return {
      ...placeOf(group[0] as Sample),
      rounds: group.map(({ round }) => round),
      measures: Object.fromEntries(names.map(name => [name, valuesOf(name)])),
    }
  })
}

function placeOf({ table, line, server, size }: Sample) {
  return { table, line, ...(size === undefined ? {} : { size }), server }
}

function toSamples({ rounds, measures, ...place }: Series): readonly Sample[] {
  return rounds.map((round, at) => {
    const own = Object.entries(measures).flatMap(([name, values]) => {
      const value = values[at] ?? null
      return value === null ? [] : [[name, value] as const]
    })
    return { ...place, round, measures: Object.fromEntries(own) }
  })
}

function kept(value: Measure | undefined): Measure | null {
  if (typeof value !== 'number') return value ?? null
  if (!Number.isFinite(value)) return null
  return Number.isInteger(value) ? value : Number(value.toPrecision(SIGNIFICANT_DIGITS))
}
