// Goal: a push that fails since the disk is full takes nothing from a push that was acknowledged,
// and none of the room by which a delete is possible there, unless it has to put something back.
// Method: the engine over in-memory twins; from the moment at which the catalog takes no more,
// facts are only written with the room that is kept for what takes content away.
import t from 'tap'
import type { Catalog } from '../../../../src/registry/ports/catalog.ts'
import type { FactStore } from '../../../../src/registry/ports/facts.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import { around } from '../../../kit/around.ts'
import { createEngine, localOf } from '../../../kit/engine.ts'
import { factsOf } from '../../../kit/judges/facts-of.ts'
import { makeImage } from '../../../kit/image.ts'
import { pushDocument, pushImage, pushParts } from '../../../kit/clients/push-image.ts'

const app = localOf('team/app')
const [older, newer] = ['older', 'newer'].map(seed => makeImage({ seed, layers: [10] }))
const full = () => new StoreError('full', 'there is no room')

function createFullDisk() {
  let isFull = false
  let spared = 0
  return {
    fill: () => void (isFull = true),
    /** Writes with the room that is kept. */
    spared: () => spared,
    fills: (catalog: Catalog) =>
      around(catalog, {
        recordPush: () => async () => {
          isFull = true
          throw full()
        },
      }),
    facts: (facts: FactStore) =>
      around(facts, {
        write: write => async (written, options) => {
          if (isFull && options?.takesAway !== true) throw full()
          if (isFull) spared += 1
          await write(written, options)
        },
      }),
  }
}

t.test('R716: on a full disk, too, facts of a failed push are put back', async t => {
  if (older === undefined || newer === undefined) throw new Error('there are two')
  const before = createEngine()
  await pushImage(before.registry, app, older, 'v1')
  await pushParts(before.registry, app, newer)
  const { fills, facts } = createFullDisk()
  const after = { ...before, catalog: fills(before.catalog) }
  const engine = createEngine({ after, facts })
  const push = { document: newer.manifest, reference: 'v1' }
  await t.rejects(pushDocument(engine.registry, app, push))
  t.match(await factsOf(engine.facts, 'tag'), [{ tag: 'v1', digest: older.manifest.digest }])
  t.match(await factsOf(engine.facts, 'manifest'), [{ digest: older.manifest.digest }])
})

for (const image of [older, newer])
  t.test('R771: a push that changed nothing takes none of the room that is kept', async t => {
    if (older === undefined || image === undefined) throw new Error('there are two')
    const before = createEngine()
    await pushImage(before.registry, app, older, 'v1')
    await pushParts(before.registry, app, image)
    const { fill, spared, facts } = createFullDisk()
    const engine = createEngine({ after: before, facts })
    fill()
    const push = { document: image.manifest, reference: 'v1' }
    await t.rejects(pushDocument(engine.registry, app, push))
    t.equal(spared(), 0)
    t.match(await factsOf(engine.facts, 'tag'), [{ tag: 'v1', digest: older.manifest.digest }])
  })
