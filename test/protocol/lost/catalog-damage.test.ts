// Goal: an edge starts on a catalog that its disk has harmed, also when it had no reason to look.
// Method: the whole edge on a data directory whose catalog was closed in order and then harmed
// without a trace in the file's times.
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { alpine, layerEdge, manifestNamed } from '../../contract/catalog-samples.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { openCatalog } from '../../kit/open-catalog.ts'
import { rot } from '../../kit/disk/rot.ts'

/** Nobody is asked. */
const NOWHERE = 'http://127.0.0.1:9'

t.test('damage that the start itself meets is no reason not to start', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'entrepot-damage-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const data = join(directory, 'data')
  mkdirSync(data)
  const { catalog } = await openCatalog(t, data)
  const edges = Array.from({ length: 2000 }, (_, n) => layerEdge(`${n}`))
  const manifest = manifestNamed('m', edges)
  await catalog.recordManifest({ repository: alpine, manifest, atMs: 1 })
  await catalog.close({ inOrder: true })
  rot(join(data, 'catalog.db'))
  const edge = await startTestEdge(t, { directory, upstreams: { 'docker.io': { url: NOWHERE } } })
  t.equal((await edge.get('/v2/')).status, 200)
  t.equal(readdirSync(data).filter(name => name.startsWith('catalog.db.damaged-')).length, 1)
})
