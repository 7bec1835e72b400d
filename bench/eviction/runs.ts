// One run of a trace through an edge, and what it showed; and tables of many runs.
import { formatSpread, median } from '../statistics.ts'
import { alignTable } from '../tables.ts'
import { type Figures, figuresOf, replay } from './edge.ts'
import { ImageEdge, type ImageEdgeOptions, USUAL } from './image-edge.ts'
import { type Trace, footprint } from './trace.ts'

/** Of the footprint. */
export const CACHE_SHARES = [1 / 100, 1 / 50, 1 / 20, 1 / 10, 1 / 5, 1 / 2] as const

export interface Costs {
  /** Remembered for each image that was here, at most. */
  readonly stateBytesPerImage: number
  readonly microsecondsPerEviction: number
  readonly evictions: number
  readonly batches: number
}

/** What one run tells: one line and column of a table, in one round. */
export interface Cell {
  readonly line: string
  readonly column: string
  readonly value: number
}

export type RunOptions = Partial<ImageEdgeOptions> & Pick<ImageEdgeOptions, 'policy'>

export interface Seen {
  readonly figures: Figures
  readonly costs: Costs
  readonly edge: ImageEdge
}

/** Whole images, with a limit that is a share of the footprint unless `options` has one. */
export function run(trace: Trace, share: number, options: RunOptions): Seen {
  const limitBytes = footprint(trace) * share
  const edge = new ImageEdge(trace.registry, { limitBytes, ...USUAL, ...options })
  const figures = figuresOf(trace, replay(trace, edge))
  const { evictions, batches, decisionMs, stateBytes, imagesMost } = edge
  return {
    figures,
    edge,
    costs: {
      stateBytesPerImage: stateBytes / imagesMost,
      microsecondsPerEviction: (decisionMs * 1000) / evictions,
      evictions,
      batches,
    },
  }
}

export const percent = (share: number) => share * 100

/** `1/20` */
export function nameOf(share: number): string {
  return `1/${Math.round(1 / share)}`
}

/** Lines and columns in the order in which they come first, rounds as median and spread. */
export function table(heading: string, cells: readonly Cell[], digits = 1): string {
  const lines = [...new Set(cells.map(({ line }) => line))]
  const columns = [...new Set(cells.map(({ column }) => column))]
  const valuesOf = (line: string, column: string) =>
    cells.filter(cell => cell.line === line && cell.column === column).map(({ value }) => value)
  const rows = lines.map(line => [
    line,
    ...columns.map(column => formatSpread(valuesOf(line, column), digits)),
  ])
  return alignTable([[heading, ...columns], ...rows])
}

/** Each value over that of `base` in the same column: the median of rounds, the mean of columns. */
export function against(base: string, cells: readonly Cell[]): readonly Cell[] {
  const columns = [...new Set(cells.map(({ column }) => column))]
  const middle = (line: string, column: string) =>
    median(
      cells.filter(cell => cell.line === line && cell.column === column).map(({ value }) => value),
    )
  return [...new Set(cells.map(({ line }) => line))].map(line => {
    const logs = columns.map(column => Math.log(middle(line, column) / middle(base, column)))
    const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length
    return { line, column: `of ${base}'s`, value: percent(Math.exp(mean)) }
  })
}
