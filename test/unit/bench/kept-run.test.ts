// Goal: what is kept of a run is all that its document needs. Method: written results go through
// the text and back, and the tables that are made from either are compared.
import t from 'tap'
import { renderRow } from '../../../bench/document.ts'
import type { RowResult, Sample } from '../../../bench/figures.ts'
import { formatRun, parseRun } from '../../../bench/kept-run.ts'
import { ROWS } from '../../../bench/rows.ts'

function resultOf(row: string, samples: readonly Sample[]): RowResult {
  const box = { cores: 2, processor: 'p', memoryGiB: 1, kernel: '1', system: 's', node: 'v1' }
  const when = { startedAt: '2020-01-01T00:00:00.000Z', seconds: 1, rounds: 2, foreignCores: 0 }
  const absences = [{ server: 'zot', why: 'it is not installed' }]
  return { row, ...when, full: true, box: { ...box, versions: {} }, absences, samples }
}

const measure = (cpuSecondsPerGB: number) => ({ cpuSecondsPerGB, failures: 0 })
const sample = (line: string, server: string, round: number, measures: Sample['measures']) => ({
  table: 'hot-blob',
  line,
  server,
  round,
  size: Number(line),
  measures,
})

t.test('tables and verdicts are the same after a run was written down', async t => {
  const row = ROWS.find(({ id }) => id === 'hot-blob')
  if (row === undefined) throw new Error('there is no row of that name')
  const servers = ['Entrepot', 'nginx, static']
  const samples = [1, 2].flatMap(round =>
    ['4', '16', '64'].flatMap((line, at) =>
      servers.map((server, of) => sample(line, server, round, measure((round + at + of) / 7))),
    ),
  )
  const result = resultOf('hot-blob', samples)
  const text = formatRun({ rows: [result] })
  t.equal(renderRow(row, parseRun(text).rows[0] as RowResult), renderRow(row, result))
  const lines = text.split('\n').filter(line => line.includes('"rounds":['))
  t.equal(lines.length, 6, 'one line for each server and case, however many rounds')
})

t.test('a round without a figure has none afterwards, and words stay words', async t => {
  const samples = [
    sample('4', 'a', 1, { rate: Number.NaN, seen: 'served' }),
    sample('4', 'a', 2, { rate: 1 / 3, bytes: 123_456_789_012 }),
  ]
  const [row] = parseRun(formatRun({ rows: [resultOf('hot-blob', samples)] })).rows
  t.same(
    row?.samples.map(({ measures }) => measures),
    [{ seen: 'served' }, { rate: 0.3333333, bytes: 123_456_789_012 }],
  )
})

t.test('a row that failed says why, and has no figures', async t => {
  const failed = { ...resultOf('start', []), failed: 'the load client ended' }
  t.same(parseRun(formatRun({ rows: [failed] })), { rows: [failed] })
})
