// Goal: an operator sees what waits to be delivered, can have it tried, and can give it up without
// anything that was promised being wrong afterwards. Method: the use cases over an in-memory
// catalog whose queue the test fills.
import t from 'tap'
import { parseRepositoryKey, type Tag } from '../../../../src/oci/reference.ts'
import { whyWaiting } from '../../../../src/registry/operator/queue.ts'
import { createQueueOperator, QUEUED_REPOSITORY } from '../../../kit/worlds/queue-operator.ts'

const v1 = 'v1' as Tag

t.test(
  'the queue is listed in the order of the pushes, parked entries where they stand',
  async t => {
    const { operator, push, change, clock } = createQueueOperator()
    t.same((await operator.queue()).entries, [])
    const first = await push('a', ['v1', 'latest'])
    await clock.advance(60_000)
    const second = await push('b', [])
    await change(first.id, { state: 'parked', attempts: 4, reason: 'the tag moved' })
    const { entries, truncated, nowMs } = await operator.queue()
    t.match(entries, [
      {
        id: first.id,
        state: 'parked',
        repository: 'registry.example.com/team/app',
        digest: first.digest,
        tags: ['v1', 'latest'],
        attempts: 4,
        createdAtMs: nowMs - 60_000,
        reason: 'the tag moved',
      },
      { id: second.id, state: 'waiting', digest: second.digest, tags: [], attempts: 0 },
    ])
    t.equal(truncated, false)
  },
)

t.test('a queue of many pages is listed whole, up to its limit', async t => {
  const { operator, catalog, clock } = createQueueOperator()
  const add = (count: number) =>
    Promise.all(
      Array.from({ length: count }, () =>
        catalog.recordDelivery({
          id: catalog.sequence(),
          carrier: 'queue',
          key: 'registry.example.com/a',
          payload: 'damaged',
          createdAtMs: clock.nowMs(),
        }),
      ),
    )
  await add(1_200)
  const some = await operator.queue()
  t.equal(some.entries.length, 1_200)
  t.match(some.entries[0], { digest: undefined, tags: [] }, 'one that cannot be read is listed')
  await add(8_801)
  t.match(await operator.queue(), { truncated: true, entries: { length: 10_000 } })
})

t.test('R814: why a push waits is told behind any number that are parked', async t => {
  const { push, change, catalog } = createQueueOperator()
  t.equal(await whyWaiting(catalog), undefined)
  const named = (name: string) => parseRepositoryKey(`registry.example.com/${name}`)
  for (let count = 0; count < 150; count += 1) {
    const { id } = await push(`${count}`, [], named(`parked/${count % 2}`))
    await change(id, { state: 'parked', reason: 'the tag moved' })
  }
  await push('new', [], named('team/new'))
  t.equal(await whyWaiting(catalog), undefined)
  const failed = await push('failed', [], named('team/failed'))
  await change(failed.id, { nextAtMs: 90_000, attempts: 1, reason: 'no route' })
  const later = await push('later', [], named('team/later'))
  await change(later.id, { nextAtMs: 5_000, attempts: 1, reason: 'refused' })
  t.equal(await whyWaiting(catalog), 'no route')
})

t.test('retry makes a parked entry wait for nothing, and tells who carries', async t => {
  const { operator, push, change, catalog, clock, nudged } = createQueueOperator()
  const { id } = await push('a', ['v1'])
  const nextAtMs = clock.nowMs() + 3_600_000
  await change(id, { state: 'parked', attempts: 9, nextAtMs, inDoubt: true, reason: 'denied' })
  t.same(await operator.retryQueued(id), { retried: 1 })
  t.match(await catalog.findDelivery(id), {
    state: 'waiting',
    attempts: 0,
    nextAtMs: clock.nowMs(),
    inDoubt: true,
    reason: 'denied',
  })
  t.equal(nudged(), 1)
})

t.test('retry of all reaches every entry', async t => {
  const { operator, push, change, nudged } = createQueueOperator()
  const { id } = await push('a', ['v1'])
  await push('b', ['v1'])
  await change(id, { state: 'parked' })
  t.same(await operator.retryQueued('all'), { retried: 2 })
  t.same(
    (await operator.queue()).entries.map(({ state }) => state),
    ['waiting', 'waiting'],
  )
  t.equal(nudged(), 1)
})

t.test('drop gives the entry up: the upstream has the word on its tags again', async t => {
  const { operator, push, catalog, facts, nudged } = createQueueOperator()
  const { id, digest } = await push('a', ['v1'])
  t.match(await catalog.findTag(QUEUED_REPOSITORY, v1), { local: true })
  t.match(await operator.dropQueued(id), { id, digest, tags: ['v1'] })
  t.same((await operator.queue()).entries, [])
  t.match(await facts(), [{ kind: 'manifest', digest }], 'a rebuilt catalog does not bring it back')
  t.equal((await facts()).length, 1)
  t.match(await catalog.findTag(QUEUED_REPOSITORY, v1), { digest, local: false, checkedAtMs: 0 })
  t.ok(await catalog.findManifest(QUEUED_REPOSITORY, digest), 'by digest it is still here')
  await catalog.evictImage({
    repository: QUEUED_REPOSITORY,
    digest,
    reason: 'evicted',
    atMs: 5,
  })
  t.match(
    await catalog.findContent(digest),
    { contentClass: 'kept' },
    'and stays, for nobody else has it',
  )
  t.equal(nudged(), 1)
})

t.test('drop of an earlier push leaves the later one of the same tag alone', async t => {
  const { operator, push, catalog } = createQueueOperator()
  const first = await push('a', ['v1'])
  const second = await push('b', ['v1'])
  await operator.dropQueued(first.id)
  t.match(await catalog.findTag(QUEUED_REPOSITORY, v1), { digest: second.digest, local: true })
  t.match((await operator.queue()).entries, [{ id: second.id }])
})

t.test('drop of one push leaves a tag alone that the same content was pushed to again', async t => {
  const { operator, push, catalog, facts } = createQueueOperator()
  const first = await push('a', ['v1', 'v2'])
  const second = await push('a', ['v1'])
  await operator.dropQueued(first.id)
  t.match(await catalog.findTag(QUEUED_REPOSITORY, v1), { local: true })
  t.match(await catalog.findTag(QUEUED_REPOSITORY, 'v2' as Tag), { local: false })
  const left = (await facts()).filter(({ kind }) => kind !== 'manifest')
  t.match(left, [
    { kind: 'tag', tag: 'v1' },
    { kind: 'delivery', id: second.id },
  ])
})

t.test('drop where pushes are kept by now gives nothing but the delivery up', async t => {
  const { operator, push, setMode, catalog, facts } = createQueueOperator()
  const { id } = await push('a', ['v1'])
  setMode('store')
  await operator.dropQueued(id)
  t.match(await catalog.findTag(QUEUED_REPOSITORY, v1), { local: true })
  t.same(
    (await facts()).map(({ kind }) => kind),
    ['manifest', 'tag'],
  )
})

t.test('an entry that cannot be read any more can be dropped', async t => {
  const { operator, catalog } = createQueueOperator()
  const id = catalog.sequence()
  const entry = { id, carrier: 'queue', key: 'a.example/b', createdAtMs: 1 } as const
  await catalog.recordDelivery({ ...entry, payload: '{' })
  t.match(await operator.dropQueued(id), { id, digest: undefined })
  t.same((await operator.queue()).entries, [])
})

t.test('an entry that is not there is said so', async t => {
  const { operator, nudged } = createQueueOperator()
  await t.rejects(operator.retryQueued(7), { message: /no entry 7.*queue ls/ })
  await t.rejects(operator.dropQueued(7), { message: /no entry 7/ })
  t.equal(nudged(), 0)
})

t.test(
  'an entry that may still be on its way is not dropped: what follows it would overtake it',
  async t => {
    const { operator, push, change } = createQueueOperator()
    const { id } = await push('a', ['v1'])
    await change(id, { inDoubt: true })
    await t.rejects(operator.dropQueued(id), { code: 'UNAVAILABLE', message: /may still arrive/ })
    t.match((await operator.queue()).entries, [{ id }])
    await change(id, { inDoubt: false })
    await operator.dropQueued(id)
    t.same((await operator.queue()).entries, [])
  },
)

t.test('what is tried again by hand has its upstream asked, whatever was found before', async t => {
  const { operator, push, asked } = createQueueOperator()
  const { id } = await push('a', ['v1'])
  await push('b', ['v1'], parseRepositoryKey('other.example/team/app'))
  await push('c', ['v2'])
  await operator.retryQueued(id)
  t.same(asked, ['registry.example.com'])
  await operator.retryQueued('all')
  t.same(asked.slice(1).toSorted(), ['other.example', 'registry.example.com'], 'each once')
})
