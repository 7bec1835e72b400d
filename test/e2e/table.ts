// The printed matrix: clients down, cells across. A cell that was not run is empty and counts as a
// failure.

export type Verdict = 'ok' | 'FAILED'

/** `cells[row][column]`; what is missing is printed empty. */
export type Verdicts = ReadonlyMap<string, ReadonlyMap<string, Verdict>>

/** Lines of text, aligned. */
export function matrixTable(
  rows: readonly string[],
  columns: readonly string[],
  verdicts: Verdicts,
): string {
  const lines = [
    ['client', ...columns],
    ...rows.map(row => [row, ...columns.map(column => verdicts.get(row)?.get(column) ?? '')]),
  ]
  const widths = lines[0]?.map((_, index) =>
    Math.max(...lines.map(line => line[index]?.length ?? 0)),
  )
  return lines
    .map(line => line.map((cell, index) => cell.padEnd(widths?.[index] ?? 0)).join(' | '))
    .join('\n')
}

/** Names of the cells that have no verdict. */
export function emptyCells(
  rows: readonly string[],
  columns: readonly string[],
  verdicts: Verdicts,
): readonly string[] {
  return rows.flatMap(row =>
    columns
      .filter(column => verdicts.get(row)?.get(column) === undefined)
      .map(column => `${row}: ${column}`),
  )
}
