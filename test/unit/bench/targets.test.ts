// Goal: Entrepot is judged as the words say: against the other server in the same round, at the median, in each line. Method: results
// with two or three samples for each server.
import t from 'tap'
import type { Measure, RowResult } from '../../../bench/figures.ts'
import { ownCount, ratioTo, words } from '../../../bench/targets.ts'

type Row = readonly [line: string, server: string, round: number, value: Measure]

function resultOf(rows: readonly Row[], measure = 'cpu'): RowResult {
  const box = { cores: 2, processor: '', memoryGiB: 1, kernel: '', system: '', node: '' }
  return {
    row: 'r',
    startedAt: '',
    seconds: 1,
    rounds: 3,
    foreignCores: 0,
    box: { ...box, versions: {} },
    absences: [],
    samples: rows.map(([line, server, round, value]) => {
      return { table: 'r', line, server, round, measures: { [measure]: value } }
    }),
  }
}

const aim = { row: 'r', measure: 'cpu', what: 'CPU', lines: ['4'], limit: { atMost: 0.5 } }

t.test('a ratio is taken round by round, and its median counts', async t => {
  const result = resultOf([
    ['4', 'Entrepot', 1, 1],
    ['4', 'Entrepot', 2, 3],
    ['4', 'Entrepot', 3, 1],
    ['4', 'zot', 1, 2],
    ['4', 'zot', 2, 3],
    ['4', 'zot', 3, 4],
  ])
  t.same(ratioTo('zot', aim).judge(result), { met: true, seen: '4: 0.50 (0.25–1.00)' })
  t.equal(ratioTo('zot', aim).must, 'CPU ≤ 0.50 × zot')
})

t.test('every line must hold', async t => {
  const result = resultOf([
    ['4', 'Entrepot', 1, 1],
    ['4', 'zot', 1, 10],
    ['64', 'Entrepot', 1, 9],
    ['64', 'zot', 1, 10],
  ])
  const verdict = ratioTo('zot', { ...aim, lines: ['4', '64'] }).judge(result)
  t.same(verdict, { met: false, seen: '4: 0.10; 64: 0.90' })
})

t.test('without the other server there is no verdict', async t => {
  t.equal(ratioTo('zot', aim).judge(resultOf([['4', 'Entrepot', 1, 1]])), undefined)
})

t.test('a count is judged from both sides', async t => {
  const result = resultOf([['4', 'Entrepot', 1, 2]])
  t.equal(ownCount({ ...aim, limit: { atMost: 2 } }).judge(result)?.met, true)
  t.equal(ownCount({ ...aim, limit: { atLeast: 3 } }).judge(result)?.met, false)
})

t.test('words are judged by what they say', async t => {
  const result = resultOf([['bit flipped', 'Entrepot', 1, 'cut short']], 'seen')
  t.equal(words('bit', 'never whole', /^cut/).judge(result)?.met, true)
  t.equal(words('bit', 'never whole', /^served/).judge(result)?.met, false)
  t.equal(words('tag', 'gone', /./).judge(result), undefined)
})
