// Goal: a queued push records where the upstream's tag was when it could be asked, so that its
// delivery takes nothing that somebody else pushed since. Method: the engine over in-memory twins,
// with an upstream that is written in the test.
import t from 'tap'
import { repositoryKey } from '../../../../src/oci/reference.ts'
import { parseDelivery } from '../../../../src/registry/deliveries/delivery-payload.ts'
import type { Catalog } from '../../../../src/registry/ports/catalog.ts'
import { type Upstream, UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { createEngine, repositoryOf } from '../../../kit/engine.ts'
import { makeImage } from '../../../kit/image.ts'
import { pushDocument, pushImage, pushParts, tagged } from '../../../kit/clients/push-image.ts'
import { everywhere } from '../../../kit/worlds/rebuilt.ts'

const app = repositoryOf('team/app')
const image = makeImage({ seed: 'queue', layers: [10] })
const queueing = everywhere({ push: 'queue' })

async function deliveriesOf(catalog: Catalog) {
  const entries = await catalog.listDeliveriesOf(repositoryKey(app))
  return entries.map(({ payload }) => parseDelivery(payload))
}

t.test('R266: where an unknown tag is at the upstream is learned at the push', async t => {
  const there = makeImage({ seed: 'there', layers: [3] }).manifest
  const ask = (headManifest: Upstream['headManifest'], rest: Partial<Upstream> = {}) =>
    createEngine({ policies: queueing, upstream: { headManifest, ...rest } })
  const head = { mediaType: there.mediaType, sizeBytes: there.bytes.length, warnings: [] }
  const expectedAfter = async (engine: ReturnType<typeof createEngine>) => {
    await pushImage(engine.registry, app, image, 'new')
    return (await deliveriesOf(engine.catalog))[0]?.tags
  }
  const told = ask(async () => ({ ...head, digest: there.digest }))
  t.same(await expectedAfter(told), [{ tag: 'new', expected: [there.digest] }])
  const document = { declaredDigest: undefined, warnings: [], ...there }
  const untold = ask(async () => ({ ...head, digest: undefined }), {
    getManifest: async () => document,
  })
  t.same(await expectedAfter(untold), [{ tag: 'new', expected: [there.digest] }], 'by its bytes')
  const down = ask(async () => {
    throw new UpstreamError('unavailable', 'down')
  })
  t.same(
    await expectedAfter(down),
    [{ tag: 'new', expected: [] }],
    'the push is taken all the same',
  )
  const asked: unknown[] = []
  const known = ask(async (_name, reference) => {
    asked.push(reference)
    return { ...head, digest: there.digest }
  })
  const { tag } = tagged('new').reference
  await known.catalog.recordTag(app, tag, image.manifest.digest, { checkedAtMs: 1 })
  t.same(await expectedAfter(known), [{ tag, expected: [image.manifest.digest] }])
  t.notOk(
    asked.some(each => each === tag || (each as { tag?: string }).tag === tag),
    'nobody is asked',
  )
})

t.test('an upstream that is slow to say where a tag is holds no push up', async t => {
  const engine = createEngine({
    policies: queueing,
    upstream: {
      headManifest: (_name, _reference, { signal } = {}) =>
        new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
    },
  })
  await pushParts(engine.registry, app, image)
  const pushing = pushDocument(engine.registry, app, { document: image.manifest, reference: 'new' })
  await engine.clock.advance(2_000)
  await pushing
  t.same((await deliveriesOf(engine.catalog))[0]?.tags, [{ tag: 'new', expected: [] }])
})
