// Goal: what the catalog counted wrongly is counted anew, a part at a time, and told; and what an
// image needs does not leave meanwhile. Method: the counts in the file are damaged from beside,
// which no write of the port can do.
import { join } from 'node:path'
import Sqlite from 'better-sqlite3'
import t, { type Test } from 'tap'
import { digestBytes } from '../../../src/catalog/sqlite/encoding.ts'
import { recount } from '../../../src/registry/collect/recount.ts'
import type { EngineEvent } from '../../../src/registry/ports/events.ts'
import {
  alpine,
  blobOf,
  digestNamed,
  layerEdge,
  manifestNamed,
  pullOf,
  secret,
} from '../../contract/catalog-samples.ts'
import { DRIFTS } from '../../kit/judges/catalog-drift.ts'
import { openCatalog, queryBeside } from '../../kit/open-catalog.ts'

/** Its pauses are for those who push meanwhile. */
const clock = { sleep: async () => {} }
const goesOn = new AbortController().signal

/** Two images with a layer each; the count of what has a name is set. */
async function start(t: Test) {
  const directory = t.testdir()
  const { catalog } = await openCatalog(t, directory)
  for (const [image, layer] of [
    ['one', 'layer'],
    ['two', 'other'],
  ] as const) {
    await catalog.recordManifest(pullOf(manifestNamed(image, [layerEdge(layer)])))
    await catalog.recordBlob(blobOf(layer))
  }
  await catalog.recordBlob(blobOf('lone'))
  const miscount = (name: string, refs: number) => {
    const beside = new Sqlite(join(directory, 'catalog.db'))
    const set = beside.prepare('UPDATE content SET refs = ?, loose_at = NULL WHERE digest = ?')
    set.run(refs, digestBytes(digestNamed(name)))
    beside.close()
  }
  const wrong = () => DRIFTS.flatMap(sql => queryBeside(directory, sql)).length
  const isHere = async (name: string) =>
    (await catalog.findContent(digestNamed(name))) !== undefined
  const loose = async () => (await catalog.listLoose({ limit: 9 })).map(({ digest }) => digest)
  return { catalog, miscount, wrong, isHere, loose }
}

t.test(
  'R405: what is counted wrongly is mended, and what nothing needs may leave again',
  async t => {
    const { catalog, miscount, wrong, loose } = await start(t)
    const events: EngineEvent[] = []
    const run = () => recount({ catalog, clock, note: event => events.push(event) }, goesOn)
    await run()
    t.same([wrong(), events], [0, []])
    miscount('layer', 0)
    miscount('lone', 2)
    t.equal(wrong(), 2)
    t.same(await loose(), [digestNamed('layer')])
    await run()
    t.same([wrong(), events], [0, [{ kind: 'miscounted', contents: 2 }]])
    t.same(await loose(), [digestNamed('lone')])
    await catalog.stampLoose(7)
    t.match(await catalog.listLooseSince({ beforeMs: 8, limit: 9 }), [
      { digest: digestNamed('lone') },
    ])
  },
)

t.test('R405: it goes on where it ended, and begins anew at the end', async t => {
  const { catalog, miscount, wrong } = await start(t)
  const names = ['one', 'layer', 'two', 'other', 'lone']
  for (const name of names) miscount(name, 9)
  const left: number[] = []
  do {
    await catalog.recount(2)
    left.push(wrong())
  } while ((await catalog.recounted()).upTo !== 0)
  t.same(left, [3, 1, 0, 0])
  t.equal((await catalog.recounted()).mended, names.length)
})

t.test('R405: what an image needs does not leave, whatever is counted', async t => {
  const { catalog, miscount, isHere } = await start(t)
  for (const name of ['layer', 'two', 'other']) miscount(name, 0)
  const digests = ['layer', 'two', 'other'].map(digestNamed)
  for (const reason of ['evicted', 'collected'] as const)
    await catalog.letGo({ digests, reason, atMs: 50 })
  for (const name of ['layer', 'two', 'other']) t.equal(await isHere(name), true, name)
})

t.test('R405: nor does an image that another repository has', async t => {
  const { catalog, miscount, isHere } = await start(t)
  const manifest = manifestNamed('one', [layerEdge('layer')])
  await catalog.recordManifest(pullOf(manifest, { repository: secret }))
  miscount('one', 1)
  const { digest } = manifest
  await catalog.evictImage({ repository: alpine, digest, reason: 'evicted', atMs: 50 })
  t.equal(await isHere('one'), true)
  t.equal(await isHere('layer'), true)
})
