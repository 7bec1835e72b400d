// Goal: no requirement is forgotten, and no test claims to prove one that does not exist. Method:
// the R numbers in the names of all tests are held against the table of requirements.
import t from 'tap'
import { readNamedTests } from '../../kit/protocol-table.ts'
import { REQUIREMENTS, UNPROVEN } from '../../kit/requirements.ts'

const tests = readNamedTests()
const proven = new Set(tests.flatMap(test => test.requirements))
const known = new Set(REQUIREMENTS.map(requirement => requirement.id))

t.test('every P0 requirement has a test, or a reason why not', async t => {
  const missing = REQUIREMENTS.filter(({ id, priority }) => {
    return priority === 'P0' && !proven.has(id) && !UNPROVEN.has(id)
  })
  t.same(
    missing.map(({ id, title }) => `R${id}: ${title}`),
    [],
  )
})

t.test('every number in the name of a test is a requirement', async t => {
  t.ok(tests.length > 0)
  const strays = tests.filter(test => !test.requirements.every(id => known.has(id)))
  t.same(
    strays.map(({ path, sentence }) => `${path}: ${sentence}`),
    [],
  )
})

t.test('what is proven needs no reason why not', async t => {
  t.same(
    [...UNPROVEN.keys()].filter(id => proven.has(id)),
    [],
  )
})

t.test('every requirement stands in the table once', async t => {
  t.equal(known.size, REQUIREMENTS.length)
})
