// Goal: Entrepot is judged as the words say: against the other servers in the same round, at the
// median, in each line, and a miss is never called anything else. Method: results with two or three
// samples for each server, and random ones against a plain definition.
import fc from 'fast-check'
import t from 'tap'
import type { Measure, RowResult } from '../../../bench/figures.ts'
import { median } from '../../../bench/statistics.ts'
import {
  type Limit,
  notYet,
  ownCount,
  ownGrowth,
  ownLargest,
  ratioTo,
  ratioToBest,
  words,
} from '../../../bench/targets.ts'
import { seeding } from '../../kit/arbitraries.ts'

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
  t.same(ratioTo('zot', aim).judge(result), {
    met: true,
    seen: '4: 0.50 (0.25–1.00)',
    missedBy: '',
  })
  t.equal(ratioTo('zot', aim).must, 'CPU ≤ 0.50 × zot')
})

t.test('another set-up is judged by its own figures and failures', async t => {
  const rows: Row[] = [
    ['4', 'Entrepot', 1, 100],
    ['4', 'Entrepot, Bearer token', 1, 90],
  ]
  const judged = 'Entrepot, Bearer token'
  const target = ratioTo('Entrepot', { ...aim, judged, limit: { atLeast: 0.95 } }, 'without')
  t.equal(target.must, 'CPU ≥ 0.95 × without')
  t.match(target.judge(resultOf(rows)), { met: false, seen: '4: 0.90' })
  t.match(ownCount({ ...aim, judged, limit: { atMost: 95 } }).judge(resultOf(rows)), { met: true })
  const failing = (server: string) => {
    const result = resultOf(rows)
    const samples = result.samples.map(each =>
      each.server === server ? { ...each, measures: { ...each.measures, failures: 1 } } : each,
    )
    return { ...result, samples }
  }
  const easy = ratioTo('Entrepot', { ...aim, judged, limit: { atLeast: 0.85 } })
  t.match(easy.judge(failing(judged)), { met: false, missedBy: '1 failures' })
  t.match(easy.judge(failing('Entrepot')), { met: true })
})

t.test('every line must hold', async t => {
  const result = resultOf([
    ['4', 'Entrepot', 1, 1],
    ['4', 'zot', 1, 10],
    ['64', 'Entrepot', 1, 9],
    ['64', 'zot', 1, 10],
  ])
  const verdict = ratioTo('zot', { ...aim, lines: ['4', '64'] }).judge(result)
  t.same(verdict, { met: false, seen: '4: 0.10; 64: 0.90', missedBy: '80 %' })
})

t.test('a line that only the full form has must hold where it was measured', async t => {
  const short: Row[] = [['4', 'Entrepot', 1, 0.1]]
  const full: Row[] = [...short, ['64', 'Entrepot', 1, 0.9]]
  const target = ownCount({ ...aim, alsoLines: ['64'] }, 1)
  t.same(target.judge(resultOf(short)), { met: true, seen: '4: 0.1', missedBy: '' })
  t.same(target.judge(resultOf(full)), { met: false, seen: '4: 0.1; 64: 0.9', missedBy: '80 %' })
  t.equal(target.judge(resultOf(full.slice(1))), undefined)
})

t.test('without the other server there is no verdict', async t => {
  t.equal(ratioTo('zot', aim).judge(resultOf([['4', 'Entrepot', 1, 1]])), undefined)
})

t.test('a count is judged from both sides', async t => {
  const result = resultOf([['4', 'Entrepot', 1, 2]])
  t.equal(ownCount({ ...aim, limit: { atMost: 2 } }).judge(result)?.met, true)
  t.equal(ownCount({ ...aim, limit: { atLeast: 3 } }).judge(result)?.met, false)
})

t.test(
  'the best of the others is the least where less is better, and the most where more is',
  async t => {
    const result = resultOf([
      ['4', 'Entrepot', 1, 6],
      ['4', 'nginx', 1, 4],
      ['4', 'zot', 1, 12],
    ])
    const seen = (limit: Limit) => ratioToBest(['nginx', 'zot'], { ...aim, limit }).judge(result)
    t.match(seen({ atMost: 1 }), { met: false, seen: '4: 1.50', missedBy: '50 %' })
    t.match(seen({ atLeast: 0.95 }), { met: false, seen: '4: 0.50', missedBy: '47 %' })
    t.match(ratioToBest(['zot'], aim).judge(result), { met: true, seen: '4: 0.50' })
    t.equal(ratioToBest(['distribution'], aim).judge(result), undefined)
  },
)

t.test('one failed answer behind a figure, and it is missed', async t => {
  const good = resultOf([['4', 'Entrepot', 1, 0.1]])
  const bad = {
    ...good,
    samples: good.samples.map(each => ({ ...each, measures: { ...each.measures, failures: 1 } })),
  }
  t.equal(ownCount(aim).judge(good)?.met, true)
  t.match(ownCount(aim).judge(bad), { met: false, missedBy: '1 failures' })
  const elsewhere = bad.samples.map(each => ({ ...each, line: '64' }))
  const both = { ...good, samples: [...good.samples, ...elsewhere] }
  t.equal(ownCount(aim).judge(both)?.met, true, 'of another line')
})

t.test('what is no number reaches nothing', async t => {
  t.equal(ownCount(aim).judge(resultOf([['4', 'Entrepot', 1, Number.NaN]])), undefined)
  const result = resultOf([
    ['4', 'Entrepot', 1, 0],
    ['4', 'zot', 1, 0],
  ])
  t.match(ratioTo('zot', aim).judge(result), { met: false, missedBy: 'no figure' })
})

t.test('growth and the largest size are judged over all sizes', async t => {
  const sized = (values: readonly number[]) => {
    const result = resultOf(values.map((value, at): Row => [`${10 ** at}`, 'Entrepot', 1, value]))
    const samples = result.samples.map((each, at) => ({ ...each, size: 10 ** at }))
    return { ...result, samples }
  }
  const flat = { ...aim, table: 'r', limit: { atMost: 0.1 } }
  t.match(ownGrowth(flat).judge(sized([5, 5, 5])), { met: true, seen: '0.00' })
  t.match(ownGrowth(flat).judge(sized([1, 10, 100])), { met: false, seen: '1.00' })
  t.equal(ownGrowth(flat).judge(sized([1, 10])), undefined, 'two sizes show no growth')
  t.match(ownLargest({ ...flat, limit: { atMost: 7 } }).judge(sized([1, 9, 7])), { met: true })
  t.match(ownLargest({ ...flat, limit: { atMost: 7 } }).judge(sized([1, 2, 8])), { met: false })
})

t.test('what cannot be measured yet is not reached', async t => {
  t.equal(notYet('r', 'with a token').judge(resultOf([['4', 'Entrepot', 1, 1]])), undefined)
})

t.test(
  'reached means that every median is within the limit, and a miss says by how much',
  async t => {
    const values = fc.array(fc.double({ min: 0, max: 100, noNaN: true }), {
      minLength: 1,
      maxLength: 5,
    })
    const bound = fc.double({ min: 0.01, max: 100, noNaN: true })
    fc.assert(
      fc.property(values, values, bound, fc.boolean(), (first, second, limit, isMost) => {
        const rows = [first, second].flatMap((list, at) =>
          list.map((value, round): Row => [at === 0 ? '4' : '64', 'Entrepot', round, value]),
        )
        const lines = ['4', '64']
        const bounds = isMost ? { atMost: limit } : { atLeast: limit }
        const verdict = ownCount({ ...aim, lines, limit: bounds }).judge(resultOf(rows))
        const within = [first, second].every(list =>
          isMost ? median(list) <= limit : median(list) >= limit,
        )
        return verdict?.met === within && (verdict.missedBy === '') === within
      }),
      seeding(),
    )
    t.pass('for random values and limits')
  },
)

t.test('words are judged by what they say', async t => {
  const result = resultOf([['bit flipped', 'Entrepot', 1, 'cut short']], 'seen')
  t.equal(words('bit', 'never whole', /^cut/).judge(result)?.met, true)
  t.equal(words('bit', 'never whole', /^served/).judge(result)?.met, false)
  t.equal(words('tag', 'gone', /./).judge(result), undefined)
})
