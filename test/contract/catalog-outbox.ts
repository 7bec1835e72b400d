// The part of the catalog contract about the outbox: what waits, in which order, and what becomes
// of tags when it is delivered. Method: only the port is used; times are made up.
import type { Test } from 'tap'
import { parseTag } from '../../src/oci/reference.ts'
import type { Catalog } from '../../src/registry/ports/catalog.ts'
import type { Delivery, DeliveryChange } from '../../src/registry/ports/outbox.ts'
import {
  alpine,
  deliveryNamed,
  digestNamed,
  latest,
  type MakeCatalog,
  manifestNamed,
  secret,
} from './catalog-samples.ts'

const WAITING = {
  state: 'waiting',
  attempts: 0,
  nextAtMs: 0,
  inDoubt: false,
  reason: undefined,
} as const satisfies DeliveryChange
const ALL = { carrier: 'queue', limit: 99 } as const

const ids = (deliveries: readonly Delivery[]) => deliveries.map(({ id }) => id)

export function outboxContract(t: Test, makeCatalog: MakeCatalog): void {
  t.test('an entry waits from its creation on, and is recorded once', async t => {
    const catalog = await makeCatalog(t)
    const delivery = deliveryNamed(7, alpine, { payload: '{"ä":"\\u0000"}', createdAtMs: 5 })
    await catalog.recordDelivery(delivery)
    const fresh = { ...delivery, ...WAITING, nextAtMs: 5 }
    t.strictSame(await catalog.findDelivery(7), fresh)
    const failed = { ...WAITING, attempts: 3, nextAtMs: 99, inDoubt: true, reason: 'no route' }
    await catalog.changeDelivery(7, failed)
    t.strictSame(await catalog.findDelivery(7), { ...delivery, ...failed })
    await catalog.recordDelivery({ ...delivery, payload: 'other' })
    t.strictSame(await catalog.listDeliveries({ limit: 9 }), [{ ...delivery, ...failed }])
    const { inDoubt: _, ...parked } = { ...failed, state: 'parked' } as const
    await catalog.changeDelivery(7, parked)
    t.match(await catalog.findDelivery(7), { ...delivery, ...parked, inDoubt: true }, 'not given')
    await catalog.changeDelivery(7, { ...parked, payload: 'what is left' })
    t.match(await catalog.findDelivery(7), { payload: 'what is left', inDoubt: true })
    await catalog.changeDelivery(7, { payload: 'less' })
    await catalog.changeDelivery(7, { inDoubt: true })
    t.match(await catalog.findDelivery(7), { ...parked, payload: 'less' }, 'nor anything else')
    await catalog.changeDelivery(7, { payload: 'what is left' })
    await catalog.changeDelivery(7, { ...parked, inDoubt: false, reason: undefined })
    t.match(await catalog.findDelivery(7), {
      payload: 'what is left',
      inDoubt: false,
      reason: undefined,
    })
    await catalog.removeDelivery(7)
    await catalog.removeDelivery(7)
    await catalog.changeDelivery(7, failed)
    t.equal(await catalog.findDelivery(7), undefined)
    t.strictSame(await catalog.listDeliveries({ limit: 9 }), [])
  })

  t.test('entries are listed by id, page by page, and by key', async t => {
    const catalog = await makeCatalog(t)
    const largest = Number.MAX_SAFE_INTEGER
    for (const id of [30, 10, largest, 20])
      await catalog.recordDelivery(deliveryNamed(id, id === 20 ? secret : alpine))
    t.strictSame(ids(await catalog.listDeliveries({ limit: 2 })), [10, 20])
    t.strictSame(ids(await catalog.listDeliveries({ after: 20, limit: 9 })), [30, largest])
    const keyOf = deliveryNamed(1, alpine).key
    await catalog.changeDelivery(10, { ...WAITING, state: 'parked' })
    t.strictSame(ids(await catalog.listDeliveriesOf(keyOf)), [10, 30, largest])
    t.strictSame(await catalog.listDeliveriesOf('nothing'), [])
  })

  t.test(
    'of each destination the same share is due, and of many those with something first',
    async t => {
      const catalog = await makeCatalog(t)
      const add = (id: number, key: string, createdAtMs: number) =>
        catalog.recordDelivery({ id, carrier: 'queue', key, payload: '', createdAtMs })
      for (let id = 1; id <= 6; id += 1) await add(id, `busy.example/${id}`, id)
      await add(7, 'a.example/x', 9)
      await add(8, 'z.example/y', 8)
      await add(9, 'nothing', 10)
      const due = async (limit: number) => ids(await catalog.listDue({ ...ALL, limit }))
      t.strictSame(await due(8), [1, 2, 8, 7, 9])
      t.strictSame(await due(4), [1, 8, 7, 9])
      t.strictSame(await due(2), [1, 8])
      t.strictSame(await due(99), [1, 2, 3, 4, 5, 6, 8, 7, 9])
      await catalog.changeDelivery(1, { ...WAITING, nextAtMs: 500 })
      t.strictSame(await due(8), [2, 3, 8, 7, 9])
    },
  )

  t.test('of each key only the first entry is due; parked ones step aside', async t => {
    const catalog = await makeCatalog(t)
    const due = async () => ids(await catalog.listDue(ALL))
    for (const id of [2, 3, 1]) await catalog.recordDelivery(deliveryNamed(id, alpine))
    await catalog.recordDelivery(deliveryNamed(9, secret))
    t.strictSame(await due(), [1, 9], 'whatever order they came in')
    await catalog.changeDelivery(1, { ...WAITING, nextAtMs: 500 })
    t.strictSame(await due(), [9, 1], 'what is due later comes later, and holds its key up')
    t.strictSame(ids(await catalog.listDue({ ...ALL, limit: 1 })), [9])
    await catalog.changeDelivery(1, { ...WAITING, state: 'parked' })
    t.strictSame(await due(), [2, 9])
    await catalog.removeDelivery(2)
    t.strictSame(await due(), [3, 9])
    await catalog.changeDelivery(1, WAITING)
    t.strictSame(await due(), [1, 9], 'an operator took it up again')
    await catalog.removeDelivery(1)
    await catalog.removeDelivery(3)
    t.strictSame(await due(), [9])
  })

  t.test('totals count what waits and what is parked, and how old the oldest is', async t => {
    const catalog = await makeCatalog(t)
    const none = { carrier: 'queue', waiting: 0, parked: 0, oldestAtMs: undefined }
    t.strictSame(await catalog.outboxTotals(), [none])
    for (const [id, createdAtMs] of [
      [1, 300],
      [2, 100],
      [3, 200],
    ] as const)
      await catalog.recordDelivery(deliveryNamed(id, alpine, { createdAtMs }))
    t.strictSame(await catalog.outboxTotals(), [{ ...none, waiting: 3, oldestAtMs: 100 }])
    await catalog.changeDelivery(2, { ...WAITING, state: 'parked' })
    await catalog.changeDelivery(2, { ...WAITING, state: 'parked', attempts: 1 })
    t.strictSame(await catalog.outboxTotals(), [
      { ...none, waiting: 2, parked: 1, oldestAtMs: 200 },
    ])
    await catalog.removeDelivery(3)
    await catalog.removeDelivery(1)
    t.strictSame(await catalog.outboxTotals(), [{ ...none, parked: 1 }])
    await catalog.changeDelivery(2, WAITING)
    await catalog.removeDelivery(2)
    t.strictSame(await catalog.outboxTotals(), [none])
  })

  t.test('what is told as well comes after the reason that is there', async t => {
    const catalog = await makeCatalog(t)
    await catalog.recordDelivery(deliveryNamed(1, alpine))
    for (const alsoReason of ['one', 'two']) await catalog.changeDelivery(1, { alsoReason })
    t.equal((await catalog.findDelivery(1))?.reason, 'one; two')
    await catalog.changeDelivery(1, { attempts: 1, reason: 'anew', alsoReason: 'three' })
    t.match(await catalog.findDelivery(1), { reason: 'anew', attempts: 1 })
    await catalog.changeDelivery(1, { alsoReason: 'four', payload: 'less' })
    t.match(await catalog.findDelivery(1), { reason: 'anew; four', payload: 'less' })
  })

  t.test('what is too long is refused or cut', async t => {
    const catalog = await makeCatalog(t)
    const payload = 'x'.repeat(64 * 1024)
    await catalog.recordDelivery(deliveryNamed(1, alpine, { payload }))
    t.equal((await catalog.findDelivery(1))?.payload, payload)
    const refused = { name: 'StoreError', failure: 'io' }
    const longer = { payload: `${payload}x` }
    await t.rejects(catalog.recordDelivery(deliveryNamed(2, alpine, longer)), refused)
    const key = 'k'.repeat(1025)
    await t.rejects(catalog.recordDelivery(deliveryNamed(2, alpine, { key })), refused)
    await t.rejects(catalog.recordDelivery(deliveryNamed(0, alpine)), refused)
    await t.rejects(catalog.recordDelivery(deliveryNamed(1.5, alpine)), refused)
    await t.rejects(catalog.changeDelivery(1, { ...WAITING, ...longer }), refused)
    await catalog.changeDelivery(1, { ...WAITING, reason: 'y'.repeat(5000) })
    t.equal((await catalog.findDelivery(1))?.reason, 'y'.repeat(1000))
    await catalog.changeDelivery(1, { alsoReason: 'z'.repeat(5000) })
    t.equal((await catalog.findDelivery(1))?.reason, 'y'.repeat(1000))
    await catalog.changeDelivery(1, { reason: undefined })
    await catalog.changeDelivery(1, { alsoReason: 'z'.repeat(5000) })
    t.equal((await catalog.findDelivery(1))?.reason, 'z'.repeat(1000))
  })

  settlingContract(t, makeCatalog)
}

/** Pushes the manifest `name` to `alpine` under `latest` and `stable`. */
async function push(catalog: Catalog, name: string, id: number): Promise<void> {
  await catalog.recordPush({
    repository: alpine,
    manifest: manifestNamed(name),
    hold: 'undelivered',
    tags: [latest, stable],
    delivery: deliveryNamed(id, alpine),
    atMs: id,
  })
}

const stable = parseTag('stable')

/** What a carrier says once it delivered `name`. */
const settled = (name: string) => ({
  repository: alpine,
  digest: digestNamed(name),
  tags: [latest, stable, parseTag('never-there')],
  atMs: 1000,
})

function settlingContract(t: Test, makeCatalog: MakeCatalog): void {
  t.test('tags that were delivered are local no longer, and count as checked', async t => {
    const catalog = await makeCatalog(t)
    await push(catalog, 'a', 1)
    await catalog.deleteTag(alpine, stable)
    await catalog.removeDelivery(1, settled('a'))
    t.strictSame(await catalog.listTags(alpine, { limit: 9 }), [
      {
        tag: latest,
        digest: digestNamed('a'),
        checkedAtMs: 1000,
        changedAtMs: 1,
        previous: undefined,
        local: false,
      },
    ])
    await catalog.recordTag(alpine, latest, digestNamed('x'), { checkedAtMs: 2000 })
    t.match(await catalog.findTag(alpine, latest), { digest: digestNamed('x') }, 'as any other')
  })

  t.test('an entry that goes without having been delivered leaves its tags local', async t => {
    const catalog = await makeCatalog(t)
    await push(catalog, 'a', 1)
    await catalog.removeDelivery(1)
    t.match(await catalog.findTag(alpine, latest), { local: true, checkedAtMs: 1 })
  })

  t.test('a tag that was pushed again stays local until that push was delivered', async t => {
    const catalog = await makeCatalog(t)
    const isLocal = async () => (await catalog.findTag(alpine, latest))?.local
    await push(catalog, 'a', 1)
    await push(catalog, 'b', 2)
    await push(catalog, 'a', 3)
    await catalog.removeDelivery(1, settled('a'))
    t.equal(await isLocal(), true, 'it points to the same digest again, by a later push')
    await catalog.removeDelivery(2, settled('b'))
    t.equal(await isLocal(), true, 'it points elsewhere')
    await catalog.removeDelivery(3, settled('a'))
    t.equal(await isLocal(), false)
  })

  t.test(
    'a later push that is dropped, or an earlier one that is parked, holds no tag up',
    async t => {
      const catalog = await makeCatalog(t)
      const isLocal = async () => (await catalog.findTag(alpine, latest))?.local
      await push(catalog, 'a', 1)
      await push(catalog, 'a', 2)
      await catalog.removeDelivery(2)
      await catalog.removeDelivery(1, settled('a'))
      t.equal(await isLocal(), false)
      await push(catalog, 'b', 3)
      await push(catalog, 'b', 4)
      await catalog.changeDelivery(3, { ...WAITING, state: 'parked' })
      await catalog.removeDelivery(4, settled('b'))
      t.equal(await isLocal(), false)
    },
  )

  t.test('only the tags of the repository that was delivered are settled', async t => {
    const catalog = await makeCatalog(t)
    await push(catalog, 'a', 1)
    await catalog.removeDelivery(1, { ...settled('a'), repository: secret })
    t.equal((await catalog.findTag(alpine, latest))?.local, true)
  })
}
