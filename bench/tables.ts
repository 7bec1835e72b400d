// Samples as tables, in Markdown whose columns are aligned, so that the same text serves a terminal
// and a document.
import type { Column, Measure, RowResult, Sample, Table } from './figures.ts'
import { formatNumber, formatSpread, growthExponent, median, type Point } from './statistics.ts'

/** Digits of an exponent that a few rounds can tell apart. */
const EXPONENT_DIGITS = 2

/**
 * One table of `result`, with a line for each server that is absent. Empty when there is nothing to
 * show.
 */
export function renderTable(table: Table, result: RowResult): string {
  const samples = result.samples.filter(sample => sample.table === table.table)
  const lines = [...new Set(samples.map(({ line }) => line))]
  const servers = [...new Set(samples.map(({ server }) => server))]
  const head = [table.lineHeading, 'server', ...table.columns.map(({ heading }) => heading)]
  const body = lines.flatMap(line =>
    servers.flatMap(server => {
      const own = samples.filter(sample => sample.line === line && sample.server === server)
      if (own.length === 0) return []
      return [[line, server, ...table.columns.map(column => cell(column, own))]]
    }),
  )
  const absent = result.absences.map(({ server, why, line = '–' }) => [
    line,
    server,
    `not measured: ${why}`,
    ...table.columns.slice(1).map(() => ''),
  ])
  if (body.length + absent.length === 0) return ''
  return alignTable([head, ...body, ...absent])
}

/**
 * How the measures that the table names grow with size. Empty where no server was measured at three
 * sizes.
 */
export function renderGrowth(table: Table, result: RowResult): string {
  const servers = [...new Set(result.samples.map(({ server }) => server))]
  const body = (table.growth ?? []).flatMap(({ measure, what }) =>
    servers.flatMap(server => {
      const points = growthPoints(result, { table: table.table, server, measure })
      const exponent = growthExponent(points)
      if (Number.isNaN(exponent)) return []
      const sizes = points.map(({ size }) => formatNumber(size)).join(', ')
      return [[what, server, sizes, `size^${formatNumber(exponent, EXPONENT_DIGITS)}`]]
    }),
  )
  return body.length === 0 ? '' : alignTable([['grows', 'server', 'at', 'as'], ...body])
}

/** The median of each size. */
export function growthPoints(
  { samples }: RowResult,
  of: { readonly table: string; readonly server: string; readonly measure: string },
): readonly Point[] {
  const own = samples.filter(({ table, server }) => table === of.table && server === of.server)
  const sizes = [...new Set(own.flatMap(({ size }) => (size === undefined ? [] : [size])))]
  return sizes.flatMap(size => {
    const values = own.flatMap(({ size: its, measures }) => {
      const value = measures[of.measure]
      return its === size && typeof value === 'number' ? [value] : []
    })
    return values.length === 0 ? [] : [{ size, value: median(values) }]
  })
}

function cell({ measure, digits }: Column, samples: readonly Sample[]): string {
  const values = samples.flatMap(({ measures }) => {
    // JSON has null for what is no number. A round that does not have the figure says nothing about
    // those that have.
    const value: Measure | null | undefined = measures[measure]
    return value === undefined || value === null || Number.isNaN(value) ? [] : [value]
  })
  const numbers = values.filter(value => typeof value === 'number')
  if (values.length === 0 || numbers.length === values.length) return formatSpread(numbers, digits)
  // Words are not averaged: rounds that disagree are all told.
  return [...new Set(values)].join('; then: ')
}

/** Rows of cells, the first of them the heading, as a Markdown table. */
export function alignTable(rows: readonly (readonly string[])[]): string {
  const columns = Math.max(...rows.map(row => row.length))
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(3, ...rows.map(row => (row[column] ?? '').length)),
  )
  const line = (row: readonly string[]) =>
    `| ${widths.map((width, column) => (row[column] ?? '').padEnd(width)).join(' | ')} |`
  const rule = `| ${widths.map(width => '-'.repeat(width)).join(' | ')} |`
  const [head = [], ...body] = rows
  return [line(head), rule, ...body.map(line)].join('\n')
}
