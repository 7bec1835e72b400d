// Goal: who looks for what is large or idle finds it among all that is here, however much that is.
// Method: more tags than a listing has, of which the last by name comes first by each order; the
// engine over in-memory twins.
import t from 'tap'
import { parseTag } from '../../../../src/oci/reference.ts'
import {
  listImages,
  type ListOrder,
  listOrderFrom,
} from '../../../../src/registry/operator/list-images.ts'
import { digestNamed, layerEdge, manifestNamed, pullOf } from '../../../contract/catalog-samples.ts'
import { createEngine, repositoryOf } from '../../../kit/engine.ts'

const repository = repositoryOf('team/app')
const [small, large] = [manifestNamed('small'), manifestNamed('large', [layerEdge('layer')])]
const last = parseTag('z')
const most = 3

t.test('R343: of more than are listed, those come first that are sorted so', async t => {
  const { registry, catalog, store, clock, namespaces } = createEngine()
  const tags = Array.from({ length: 4 * most }, (_, at) => parseTag(`a${at}`))
  await catalog.recordManifest(pullOf(small, { repository }))
  for (const tag of tags)
    await catalog.recordTag(repository, tag, small.digest, { checkedAtMs: clock.nowMs() })
  const use = { repository, digest: small.digest, count: 1, atMs: 5 }
  await catalog.noteUses(tags.map(tag => ({ ...use, tag })))
  await catalog.recordManifest(pullOf(large, { repository, tag: last }))
  const deps = { registry, catalog, store, clock, namespaces, ownNameIn: () => undefined }

  const { images, truncated } = await listImages(deps, { most })
  t.same([images.length, truncated], [most, true])
  t.notOk(
    images.some(({ digest }) => digest === large.digest),
    'by name it is behind them all',
  )
  for (const by of ['size', 'last-pull', 'pulls'] satisfies ListOrder[]) {
    const sorted = await listImages(deps, { by, most })
    t.same([sorted.images.length, sorted.truncated], [most, true])
    t.match(sorted.images[0], { image: 'docker.io/team/app:z', digest: digestNamed('large') }, by)
  }
  const some = await listImages(deps, { pattern: 'team/app:{z,a1}', by: 'size' })
  t.match(some, { images: [{ digest: large.digest }, { digest: small.digest }], truncated: false })
})

t.test('an order that is none is told', async t => {
  t.equal(listOrderFrom(undefined), undefined)
  t.throws(() => listOrderFrom('colour'), { code: 'NAME_INVALID', message: /size, last-pull/ })
  t.throws(() => listOrderFrom('constructor'), { code: 'NAME_INVALID' })
})
