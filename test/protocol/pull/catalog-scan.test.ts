// Goal: names that are kept out of `_catalog` cost who asks for it, and hold up nobody else.
// Method: the whole edge in process over a catalog with many names of a registry that is no
// upstream any more; what is counted is how many of the lists that were asked for first are
// answered before something short.
import t from 'tap'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { startPair } from '../../kit/worlds/edge-over-stub.ts'
import { makeImage } from '../../kit/image.ts'

const HIDDEN = 3_000
const ASKED = 10

const image = makeImage({ seed: 'scan', layers: [10] })

function addHidden(dataDirectory: string): void {
  const db = new Database(join(dataDirectory, 'catalog.db'))
  const insert = db.prepare('INSERT INTO repository (key, pushed) VALUES (?, 1)')
  db.transaction(() => {
    for (let n = 0; n < HIDDEN; n += 1) insert.run(`gone.example/r${n}/x`)
  })()
  db.close()
}

t.test('R286: names that nobody sees hold up nobody while a list passes them', async t => {
  const { edge, stub } = await startPair(t, { images: { v1: image } })
  stub.addImage('library/other', 'v1', image)
  for (const name of ['app', 'other']) await edge.get(`/v2/library/${name}/manifests/v1`)
  edge.reload({ 'docker.io': { url: stub.url }, 'zz.example': { url: stub.url } })
  await edge.get('/v2/zz.example/library/app/manifests/v1')
  addHidden(edge.dataDirectory)
  let listed = 0
  const path = '/v2/_catalog?n=1&last=docker.io%2Flibrary%2Fother'
  const lists = Array.from({ length: ASKED }, async () => {
    const { body } = await edge.get(path)
    listed += 1
    return body.toString()
  })
  // Asked for on a connection of its own, and after them: all of them have begun once one that is
  // asked for later is answered.
  t.equal((await edge.get('/v2/')).status, 200)
  t.equal((await edge.get('/v2/')).status, 200)
  t.equal(listed, 0, 'lists that were answered first')
  const expected = JSON.stringify({ repositories: ['zz.example/library/app'] })
  t.strictSame(new Set(await Promise.all(lists)), new Set([expected]))
})
