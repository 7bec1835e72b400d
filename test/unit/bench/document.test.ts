// Goal: the document never says "reached" of what was missed, left out or failed. Method: the
// document is made from written results of a real row, and its lines are read.
import t from 'tap'
import { renderPerformanceDoc, renderRow, renderSummary } from '../../../bench/document.ts'
import type { RowResult, Sample } from '../../../bench/figures.ts'
import { GOALS } from '../../../bench/goals.ts'
import { ROWS } from '../../../bench/rows.ts'

const box = { cores: 2, processor: 'p', memoryGiB: 1, kernel: '1', system: 's', node: 'v1' }

function startResult(readyMs: number, more: Partial<RowResult> = {}): RowResult {
  const measures = { readyMs, residentMiB: 100 }
  const samples: Sample[] = [
    { table: 'start', line: 'empty', server: 'Entrepot', round: 1, measures },
  ]
  return {
    row: 'start',
    startedAt: '2020-01-01T00:00:00.000Z',
    seconds: 1,
    rounds: 1,
    full: true,
    foreignCores: 0,
    box: { ...box, versions: { Entrepot: '1.0.0' } },
    absences: [],
    samples,
    ...more,
  }
}

const start = ROWS.find(({ id }) => id === 'start')
if (start === undefined) throw new Error('there is no row of that name')
const linesWith = (text: string, part: string) =>
  text.split('\n').filter(line => line.includes(part))

t.test('a goal is reached or missed, and missed by how much', async t => {
  const [reached] = linesWith(renderRow(start, startResult(300)), 'ready, ms: ≤ 400')
  t.match(reached, /empty: 300 +\| reached +\| +\|$/)
  const [missed] = linesWith(renderRow(start, startResult(500)), 'ready, ms: ≤ 400')
  t.match(missed, /empty: 500 +\| \*\*missed\*\* \| 25 %/)
})

t.test('a row that failed has reached nothing, and says why', async t => {
  const result = startResult(1, { failed: 'the load client ended' })
  t.match(renderRow(start, result), /This row failed:\*\* the load client ended/)
  t.notMatch(renderSummary({ rows: [result] }), /\| reached/)
})

t.test('every goal has a line in the summary; what was not measured is not reached', async t => {
  const summary = renderSummary({ rows: [] })
  t.equal(linesWith(summary, 'not measured').length, GOALS.length)
  t.notMatch(summary, /\| reached/)
})

t.test('every goal belongs to a row', async t => {
  const rows = ROWS.map(({ id }) => id)
  t.same(
    GOALS.filter(({ row }) => !rows.includes(row)),
    [],
  )
})

t.test('the document ends with where the time goes', async t => {
  const text = renderPerformanceDoc({ rows: [startResult(1)] }, '## Where\n\nHere.\n')
  t.ok(text.endsWith('\n\n## Where\n\nHere.\n'))
  t.match(text, /Entrepot 1\.0\.0/)
})
