// Goal: a table of the bench leaves nothing out: each server and line has its row, a missing server
// says why. Method: samples are written by hand and the rendered text is compared.
import t from 'tap'
import type { RowResult, Sample, Table } from '../../../bench/figures.ts'
import { alignTable, renderGrowth, renderTable } from '../../../bench/tables.ts'

const table: Table = {
  table: 'speed',
  title: 'Speed',
  lineHeading: 'clients',
  columns: [
    { measure: 'rate', heading: 'MB/s' },
    { measure: 'seen', heading: 'seen' },
  ],
}

function sample(line: string, server: string, round: number, measures: Sample['measures']): Sample {
  return { table: 'speed', line, server, round, measures }
}

function resultOf(samples: Sample[], absences: RowResult['absences'] = []): RowResult {
  const box = {
    cores: 2,
    processor: 'p',
    memoryGiB: 1,
    kernel: '1',
    system: 's',
    node: 'v1',
    versions: {},
  }
  const when = { startedAt: '2020-01-01T00:00:00.000Z', seconds: 1, rounds: 2, foreignCores: 0 }
  return { row: 'speed', ...when, box, absences, samples }
}

const cells = (text: string) =>
  text.split('\n').map(line =>
    line
      .split('|')
      .slice(1, -1)
      .map(cell => cell.trim()),
  )

t.test('rounds of one server and line become one row with median and spread', async t => {
  const samples = [
    sample('4', 'a', 1, { rate: 10 }),
    sample('4', 'b', 1, { rate: 5 }),
    sample('4', 'a', 2, { rate: 20 }),
    sample('64', 'a', 1, { rate: 7 }),
  ]
  t.same(cells(renderTable(table, resultOf(samples))).slice(2), [
    ['4', 'a', '15 (10–20)', '–'],
    ['4', 'b', '5', '–'],
    ['64', 'a', '7', '–'],
  ])
})

t.test('a round without the figure does not move the others', async t => {
  const rates = [10, 20, Number.NaN, 30]
  const result = resultOf(rates.map((rate, at) => sample('4', 'a', at + 1, { rate })))
  const written = JSON.parse(JSON.stringify(result)) as RowResult
  for (const each of [result, written])
    t.same(cells(renderTable(table, each)).at(-1), ['4', 'a', '20 (10–30)', '–'])
})

t.test('what is no number is a dash, before it was written down and after', async t => {
  const result = resultOf([sample('4', 'a', 1, { rate: Number.NaN })])
  const written = JSON.parse(JSON.stringify(result)) as RowResult
  t.same(cells(renderTable(table, result)).at(-1), ['4', 'a', '–', '–'])
  t.equal(renderTable(table, written), renderTable(table, result))
})

t.test('words are told as they are, and all of them when rounds disagree', async t => {
  const samples = [
    sample('x', 'a', 1, { seen: 'served' }),
    sample('x', 'a', 2, { seen: 'served' }),
    sample('x', 'b', 1, { seen: 'served' }),
    sample('x', 'b', 2, { seen: 'refused' }),
  ]
  const [, , first, second] = cells(renderTable(table, resultOf(samples)))
  t.same(first, ['x', 'a', '–', 'served'])
  t.same(second, ['x', 'b', '–', 'served; then: refused'])
})

t.test('a server that was not there has a row that says why', async t => {
  const text = renderTable(table, resultOf([], [{ server: 'c', why: 'it is not installed' }]))
  t.same(cells(text).at(-1), ['–', 'c', 'not measured: it is not installed', ''])
})

t.test('columns are aligned, so that the text can be read as it is', async t => {
  t.equal(
    alignTable([
      ['a', 'long heading'],
      ['a long cell', 'b'],
    ]),
    [
      '| a           | long heading |',
      '| ----------- | ------------ |',
      '| a long cell | b            |',
    ].join('\n'),
  )
})

t.test('a case that could not be set up has its line, too', async t => {
  const absences = [{ server: 'all', why: 'needs root', line: 'shaped' }]
  t.same(cells(renderTable(table, resultOf([], absences))).at(-1), [
    'shaped',
    'all',
    'not measured: needs root',
    '',
  ])
})

t.test('growth is told of whoever was measured at three sizes', async t => {
  const growing = { ...table, growth: [{ measure: 'rate', what: 'rate with clients' }] }
  const at = (size: number, server: string) => ({
    ...sample(`${size}`, server, 1, { rate: size * size }),
    size,
  })
  const samples = [at(1, 'a'), at(10, 'a'), at(100, 'a'), at(1, 'b'), at(10, 'b')]
  t.same(cells(renderGrowth(growing, resultOf(samples))).slice(2), [
    ['rate with clients', 'a', '1, 10, 100', 'size^2.00'],
  ])
  t.equal(renderGrowth(table, resultOf(samples)), '')
})
