// Goal: a client that deletes takes nothing of what an immutable tag leads to, also where a part of
// that is lost, or the tag's own fact. Method: the whole edge over a directory whose catalog is
// lost with the bytes of a manifest; afterwards all is found again.
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { RepositoryKey, Tag } from '../../../src/oci/reference.ts'
import { factName } from '../../../src/store/fact-text.ts'
import { runCli } from '../../kit/cli.ts'
import type { TestEdge } from '../../kit/edge.ts'
import { type Image, makeImage, makeIndex } from '../../kit/image.ts'
import { LOST, type LostEdge, loseManifest, partsOf, pushTo } from '../../kit/worlds/lost-edge.ts'
import { createPushClient } from '../../kit/clients/push-client.ts'
import { blobPath } from '../../kit/disk/store-directory.ts'

const APP = 'localhost/app'
const ADOPTED = 'files without rows were adopted'
const config = { repositories: [{ match: 'localhost/**', push: 'store', immutable: ['v*'] }] }
const other = makeImage({
  seed: 'other',
  layers: [20],
  platform: { os: 'linux', architecture: 'arm64' },
})
const pathOf = ({ manifest }: Pick<Image, 'manifest'>) => `/v2/${APP}/manifests/${manifest.digest}`

function factPath({ dataDirectory }: LostEdge, tag: string): string {
  const fact = { kind: 'tag', repository: APP as RepositoryKey, tag: tag as Tag } as const
  return join(dataDirectory, 'facts', factName(fact))
}

async function pushIndex(edge: TestEdge, images: readonly Image[]): Promise<Image> {
  const index = makeIndex([...images])
  const client = createPushClient(edge.url)
  for (const image of images) {
    for (const part of partsOf(image)) await client.blob(APP, Buffer.from(part.bytes()))
    await client.manifest(APP, image.manifest.digest, image.manifest)
  }
  await client.manifest(APP, 'v1', index.manifest)
  client.close()
  return index
}

async function startLooked({ start }: LostEdge): Promise<TestEdge> {
  const edge = await start()
  await edge.settle(edge.untilLogged(ADOPTED))
  return edge
}

/** Once all that was lost is back. */
async function mustBeWhole(t: Test, { start }: LostEdge, images: readonly Image[]): Promise<void> {
  const edge = await start()
  await edge.untilLogged('what is kept beside the content was compared with the catalog')
  await mustGive(t, edge, images)
  await edge.stop()
}

async function mustGive(t: Test, edge: TestEdge, images: readonly Image[]): Promise<void> {
  t.equal((await edge.get(`/v2/${APP}/manifests/v1`)).status, 200)
  for (const image of images) {
    t.equal((await edge.get(pathOf(image))).status, 200)
    for (const { digest } of partsOf(image))
      t.equal((await edge.get(`/v2/${APP}/blobs/${digest}`)).status, 200)
  }
}

t.test('R702: a lost image of an index that an immutable tag leads to stays', async t => {
  const lost = await loseManifest(t, edge => pushIndex(edge, [LOST, other]).then(() => {}), {
    config,
  })
  const edge = await startLooked(lost)
  const { status, body } = await edge.send('DELETE', pathOf(LOST))
  t.equal(status, 403)
  t.match(body.toString(), /the tag v1 of localhost\/app is immutable/)
  await edge.stop()
  await lost.find()
  await mustBeWhole(t, lost, [LOST, other])
})

t.test('R702: and what an index may list that is lost itself', async t => {
  let file = ''
  const lost = await loseManifest(
    t,
    async edge => {
      await pushTo(edge, 'localhost/else', { image: LOST, tags: ['x'] })
      const index = await pushIndex(edge, [other])
      file = blobPath(edge.dataDirectory, index.manifest.digest)
    },
    { config },
  )
  await lost.find()
  const bytes = readFileSync(file)
  rmSync(file)
  const edge = await startLooked(lost)
  const [layer] = other.layers
  for (const path of [pathOf(other), `/v2/${APP}/blobs/${layer?.digest}`]) {
    const { status, body } = await edge.send('DELETE', path)
    t.equal(status, 403)
    t.match(body.toString(), /the tag v1 of localhost\/app is immutable, .* is lost/)
  }
  t.equal((await edge.send('DELETE', '/v2/localhost/else/manifests/x')).status, 202)
  await edge.stop()
  writeFileSync(file, bytes)
  chmodSync(file, 0o440)
  await mustBeWhole(t, lost, [other])
})

t.test('R702: and what a tag may lead to whose fact cannot be read', async t => {
  const lost = await loseManifest(t, edge => pushTo(edge, APP, { image: LOST, tags: ['v1'] }), {
    config,
  })
  const path = factPath(lost, 'v1')
  const text = readFileSync(path)
  rmSync(path)
  writeFileSync(path, 'damaged')
  const edge = await startLooked(lost)
  t.match(await edge.send('DELETE', pathOf(LOST)), { status: 403 })
  await edge.stop()
  rmSync(path)
  writeFileSync(path, text, { mode: 0o640 })
  await lost.find()
  await mustBeWhole(t, lost, [LOST])
})

t.test('R702: nor is anything deleted that such a tag may lead to', async t => {
  const lost = await loseManifest(
    t,
    async edge => {
      await pushTo(edge, 'localhost/else', { image: LOST, tags: ['x'] })
      await pushTo(edge, APP, { image: other, tags: ['v1', 'x'] })
    },
    { config },
  )
  await lost.find()
  const path = factPath(lost, 'v1')
  const text = readFileSync(path)
  rmSync(path)
  writeFileSync(path, 'damaged')
  const edge = await startLooked(lost)
  const [layer] = other.layers
  for (const each of [pathOf(other), `/v2/${APP}/blobs/${layer?.digest}`]) {
    const { status, body } = await edge.send('DELETE', each)
    t.equal(status, 403)
    t.match(body.toString(), /an immutable tag of localhost\/app may be lost, .*cannot be read/)
  }
  t.equal((await edge.send('DELETE', `/v2/${APP}/manifests/x`)).status, 202, 'a tag alone may go')
  await edge.stop()
  rmSync(path)
  writeFileSync(path, text, { mode: 0o640 })
  await mustBeWhole(t, lost, [other])
})

t.test('R702: an operator may give up all of it', async t => {
  const lost = await loseManifest(t, edge => pushIndex(edge, [LOST, other]).then(() => {}), {
    config,
  })
  const edge = await startLooked(lost)
  const image = `${APP}@${LOST.manifest.digest}`
  t.match(await runCli(['purge', image, '--kept', '--socket', edge.socket]), { exitCode: 0 })
  await edge.stop()
})

t.test('R703: no push moves an immutable tag whose manifest is lost', async t => {
  const lost = await loseManifest(t, edge => pushTo(edge, APP, { image: LOST, tags: ['v1'] }), {
    config,
  })
  const edge = await startLooked(lost)
  await t.rejects(pushTo(edge, APP, { image: other, tags: ['v1'] }), /^403.*immutable/)
  await pushTo(edge, APP, { image: LOST, tags: ['v1'] })
  await pushTo(edge, APP, { image: other, tags: ['v2'] })
  await edge.untilLogged(ADOPTED, 2)
  await edge.stop()
  const again = await lost.start()
  await mustGive(t, again, [LOST, other])
  await again.stop()
})

t.test('R703: nor one whose fact cannot be read', async t => {
  const lost = await loseManifest(t, edge => pushTo(edge, APP, { image: LOST, tags: ['v1'] }), {
    config,
  })
  writeFileSync(factPath(lost, 'v1'), 'damaged')
  const edge = await startLooked(lost)
  await t.rejects(pushTo(edge, APP, { image: other, tags: ['v1'] }), /^403.*cannot be read/)
  await edge.stop()
})
