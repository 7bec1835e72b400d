// Goal: no number comes twice, whatever fails. Method: the class over a promise that the test
// keeps, and catalogs that are closed and opened; for a process that is killed see
// durability.test.ts.
import t from 'tap'
import { Sequence } from '../../../src/catalog/sqlite/writer/sequence.ts'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import { openCatalog, queryBeside } from '../../kit/open-catalog.ts'

/** More than half of a range, so that another is asked for. */
const MANY = 40_000

t.test('numbers go on above those of earlier starts', async t => {
  const directory = t.testdir({})
  let last = 0
  for (let start = 0; start < 3; start++) {
    const { catalog } = await openCatalog(t, directory)
    for (let n = 0; n < 3; n++) {
      const number = catalog.sequence()
      t.ok(number > last, `${number} > ${last}`)
      last = number
    }
    const [reserved] = queryBeside(directory, `SELECT value FROM meta WHERE key = 'sequence'`)
    t.ok(Number(reserved) > last, 'what is given out is reserved in the file')
    await catalog.close()
  }
})

t.test('R290: after an orderly stop numbers count on where they were', async t => {
  const directory = t.testdir({})
  const given: number[] = []
  for (let start = 0; start < 3; start++) {
    const { catalog } = await openCatalog(t, directory)
    for (let n = 0; n < 2; n++) given.push(catalog.sequence())
    await catalog.markCompared()
    t.throws(() => catalog.sequence(), { name: 'StoreError', failure: 'busy' })
    await catalog.close()
  }
  t.same(given, [1, 2, 3, 4, 5, 6])
  // One that did not end in order, and one after it.
  const torn = (await openCatalog(t, directory)).catalog
  t.equal(torn.sequence(), 7)
  await torn.close()
  const { catalog } = await openCatalog(t, directory)
  t.equal(catalog.compared, false, 'the mark of an earlier stop holds no longer')
  t.ok(catalog.sequence() > 7)
})

t.test('a raised number stays raised at the next start', async t => {
  const directory = t.testdir({})
  const first = (await openCatalog(t, directory)).catalog
  await first.raiseSequence(2 ** 40)
  await first.raiseSequence(7)
  await first.close()
  const { catalog } = await openCatalog(t, directory)
  t.ok(catalog.sequence() > 2 ** 40)
  const tooLarge = Number.MAX_SAFE_INTEGER
  await t.rejects(catalog.raiseSequence(tooLarge), { name: 'StoreError', failure: 'io' })
  t.ok(catalog.sequence() < tooLarge, 'a number that cannot be is not believed')
})

t.test('a number is given only once its range is durable, and the next range in time', async t => {
  const asked: number[] = []
  let durable = Promise.withResolvers<void>()
  const sequence = new Sequence(0, end => {
    asked.push(end)
    return durable.promise
  })
  t.throws(() => sequence.next(), { name: 'StoreError', failure: 'busy' })
  t.equal(asked.length, 1)
  const extended = sequence.extend()
  t.equal(asked.length, 1, 'asked for once')
  durable.resolve()
  await extended
  await Promise.resolve()
  t.equal(sequence.next(), 1)

  durable = Promise.withResolvers()
  let last = 0
  for (let n = 0; n < MANY; n++) last = sequence.next()
  t.equal(last, MANY + 1)
  t.equal(asked.length, 2, 'while half of the first is left')
  t.ok((asked[1] as number) > (asked[0] as number))
  t.throws(
    () => {
      for (;;) last = sequence.next()
    },
    { name: 'StoreError', failure: 'busy' },
  )
  t.equal(last, (asked[0] as number) - 1, 'never beyond what is durable')
  durable.resolve()
  await durable.promise
  await Promise.resolve()
  await Promise.resolve()
  t.equal(sequence.next(), last + 1)
})

t.test('why nothing can be reserved is told, and it heals', async t => {
  let isFull = true
  const sequence = new Sequence(500, async () => {
    if (isFull) throw new StoreError('full', 'no space left')
  })
  await sequence.extend()
  t.throws(() => sequence.next(), { name: 'StoreError', failure: 'full' })
  await t.rejects(sequence.raise(2 ** 30), { name: 'StoreError', failure: 'full' })
  isFull = false
  await sequence.extend()
  t.equal(sequence.next(), 500, 'what could not be reserved was not skipped to')
})
