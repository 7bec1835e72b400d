// The part of the catalog contract about pins: text under names, and no more.
import type { Test } from 'tap'
import type { MakeCatalog } from './catalog-samples.ts'

const one = { name: 'docker.io/**', body: '{"one":1}', atMs: 20 }
const other = { name: 'localhost/a:*', body: '{}', atMs: 10 }

export function pinsContract(t: Test, makeCatalog: MakeCatalog): void {
  t.test('R351: pins are listed as they were given first, the oldest in front', async t => {
    const catalog = await makeCatalog(t)
    t.strictSame(await catalog.listPins(), [])
    await catalog.pin(one)
    await catalog.pin(other)
    await catalog.pin({ ...one, body: 'later', atMs: 5 })
    t.strictSame(await catalog.listPins(), [other, one])
    await catalog.unpin(other.name)
    await catalog.unpin('none')
    t.strictSame(await catalog.listPins(), [one])
  })

  t.test('R351: a pin that is too long is refused', async t => {
    const catalog = await makeCatalog(t)
    const long = 'x'.repeat(1_025)
    await t.rejects(catalog.pin({ ...one, name: long }), { message: /1024/ })
    await t.rejects(catalog.pin({ ...one, body: long }), { message: /1024/ })
    t.strictSame(await catalog.listPins(), [])
  })
}
