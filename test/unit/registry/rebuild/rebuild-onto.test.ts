// Goal: facts are recorded in a catalog that is not empty, and in one that cannot take them all at
// once. Method: the engine over in-memory twins, whose facts are recorded in another catalog.
import t from 'tap'
import { createMemoryCatalog } from '../../../kit/memory/catalog.ts'
import { repositoryKey } from '../../../../src/oci/reference.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import { createEngine, localOf, repositoryOf } from '../../../kit/engine.ts'
import { makeImage } from '../../../kit/image.ts'
import { pushImage, tagged } from '../../../kit/clients/push-image.ts'
import { everywhere, rebuilt } from '../../../kit/worlds/rebuilt.ts'

const app = localOf('team/app')
const proxied = repositoryOf('team/app')
const image = makeImage({ seed: 'rebuild onto', layers: [10, 20] })
const { manifest } = image
const v1 = tagged('v1').reference
const rules = everywhere({ push: 'queue' })

t.test(
  'a catalog with content of its own is given what is missing, and keeps what is newer',
  async t => {
    const engine = createEngine({ policies: rules })
    const other = makeImage({ seed: 'upstream moved on', layers: [10] })
    await pushImage(engine.registry, app, image, 'v1')
    await pushImage(engine.registry, proxied, image, 'v1')
    for (const { id } of await engine.catalog.listDeliveriesOf(repositoryKey(proxied))) {
      const settled = { repository: proxied, digest: manifest.digest, tags: [v1.tag], atMs: 1 }
      await engine.catalog.removeDelivery(id, settled)
      await engine.facts.remove([{ kind: 'delivery', id }])
    }
    // As another version left it: pulled from the upstream since, beside facts that it does not
    // know.
    const catalog = createMemoryCatalog()
    const atMs = engine.clock.nowMs() + 1
    await catalog.recordTag(proxied, v1.tag, other.manifest.digest, { checkedAtMs: atMs })
    const { sizeBytes, digest } = image.config
    const cached = { hold: 'nothing', atMs, sizeBytes, digest } as const
    await catalog.recordBlob({ repository: proxied, ...cached })
    t.match((await rebuilt(engine, rules, catalog)).report, { isDone: true, manifests: 2, tags: 2 })
    t.match(await catalog.findTag(proxied, v1.tag), {
      digest: other.manifest.digest,
      checkedAtMs: atMs,
    })
    t.match(await catalog.findTag(app, v1.tag), { digest: manifest.digest, local: true })
    t.match(await catalog.findContent(digest), { contentClass: 'kept' })
  },
)

t.test('what is too much for the catalog at once is given to it bit by bit', async t => {
  const engine = createEngine({ policies: rules })
  for (let n = 0; n < 9; n++)
    await pushImage(engine.registry, app, makeImage({ seed: `${n}`, layers: [10] }), `v${n}`)
  const catalog = createMemoryCatalog()
  let refusals = 0
  for (const name of ['recordManifest', 'recordPush'] as const) {
    const record = catalog[name].bind(catalog) as (of: never) => Promise<void>
    catalog[name] = async (of: never) => {
      if (refusals++ % 3 === 0) throw new StoreError('busy', 'too many rows wait')
      return record(of)
    }
  }
  const building = rebuilt(engine, rules, catalog)
  const clock = engine.clock
  let isDone = false
  void building.finally(() => {
    isDone = true
  })
  while (!isDone) {
    await new Promise(resolve => setImmediate(resolve))
    await clock.advance(50)
  }
  t.match((await building).report, { manifests: 9, tags: 9, lost: 0 })
  t.ok(refusals > 18)
})
