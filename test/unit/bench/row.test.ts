// Goal: what rows are compared by is measured side by side, and nothing that is absent is told
// twice. Method: cases and parts as rows make them, without servers.
import t from 'tap'
import { inRounds, joinSeen } from '../../../bench/row.ts'

t.test('each round goes through all cases, and says so', async t => {
  const told: string[] = []
  const context = { rounds: 2, tell: (text: string) => void told.push(text) }
  const cases = [{ line: 'a', size: 1 }, { line: 'b' }]
  t.same(
    [...inRounds(context, cases)],
    [
      { line: 'a', size: 1, round: 1 },
      { line: 'b', round: 1 },
      { line: 'a', size: 1, round: 2 },
      { line: 'b', round: 2 },
    ],
  )
  t.same(told, ['a, round 1', 'b, round 1', 'a, round 2', 'b, round 2'])
})

t.test(
  'a server that several parts lacked is told of once, a line of its own beside it',
  async t => {
    const sample = { table: 't', line: 'l', server: 's', round: 1, measures: {} }
    const lacks = { server: 'zot', why: 'not there' }
    const lacksLine = { ...lacks, line: 'far' }
    const parts = [
      { samples: [sample], absences: [lacks] },
      { samples: [sample], absences: [lacksLine, lacks] },
    ]
    t.same(joinSeen(parts), { samples: [sample, sample], absences: [lacks, lacksLine] })
  },
)
