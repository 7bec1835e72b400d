// Goal: a file whose length is not the blob's is no blob: nobody is given it as if it were whole, a
// pull fetches it again, and who pushes is told that it is not there (R271). Method: the whole edge
// in process over a real directory, whose files are cut and lengthened behind its back; a stub
// registry that counts.
import {
  appendFileSync,
  chmodSync,
  readdirSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { QUARANTINE_BYTES } from '../../../src/store/filesystem/quarantine.ts'
import { CLEANUP_EVERY_MS } from '../../../src/upkeep/cleanup.ts'
import { type Content, patternBlob } from '../../kit/content.ts'
import { BLOBS, MANIFESTS, startPair } from '../../kit/worlds/edge-over-stub.ts'
import { filesIn, NO_UPSTREAM, pushBlob } from '../../kit/worlds/edge-push.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import { get } from '../../kit/clients/raw-client.ts'
import { blobPath } from '../../kit/disk/store-directory.ts'

const MiB = 1024 * 1024
/** Kept in memory once asked for twice; sent by reading; sent by the kernel, and open still. */
const SIZES = { small: 700, middling: 3 * MiB, large: 6 * MiB }

type Damage = (path: string, sizeBytes: number) => void

const DAMAGES: Readonly<Record<string, Damage>> = {
  cut: (path, sizeBytes) => truncateSync(path, Math.floor(sizeBytes / 2)),
  'cut to nothing': path => truncateSync(path, 0),
  lengthened: path => appendFileSync(path, 'more'),
}

function harm(edge: TestEdge, { digest, sizeBytes }: Content, damage: Damage): void {
  const path = blobPath(edge.dataDirectory, digest)
  chmodSync(path, 0o600)
  damage(path, sizeBytes)
}

/** Readers are done before disk and catalog are. */
async function untilRecorded(edge: TestEdge): Promise<void> {
  for (;;) {
    const { body } = await get(`${edge.adminUrl}/metrics`)
    if (/^entrepot_blobs 1$/m.test(body.toString())) return
  }
}

for (const [size, sizeBytes] of Object.entries(SIZES))
  for (const [how, damage] of Object.entries(DAMAGES))
    t.test(`R271: a ${size} cached blob that was ${how} is fetched again`, async t => {
      const { edge, stub } = await startPair(t)
      const blob = patternBlob(`${size} ${how}`, sizeBytes)
      stub.addBlob('library/app', blob)
      const path = `${BLOBS}/${blob.digest}`
      await edge.get(path)
      await untilRecorded(edge)
      harm(edge, blob, damage)
      const answer = await edge.get(path)
      t.match(answer, { status: 200, complete: true, headers: { 'x-entrepot-source': 'miss' } })
      t.ok(answer.body.equals(blob.bytes()), 'all of it, and nothing else')
      t.equal(stub.count({ kind: 'blob', method: 'GET' }), 2)
      t.equal((await filesIn(edge, 'quarantine')).length, 1)
      t.ok(
        edge.lines().some(({ failure }) => failure === 'corrupt'),
        'the operator is told',
      )
    })

t.test('R271: an opening that is cut while it is shared is given to one more at most', async t => {
  const { edge, stub } = await startPair(t)
  const blob = patternBlob('shared', SIZES.large)
  stub.addBlob('library/app', blob)
  const path = `${BLOBS}/${blob.digest}`
  await edge.get(path)
  await untilRecorded(edge)
  for (let count = 0; count < 3; count += 1) await edge.get(path)
  harm(edge, blob, DAMAGES['cut'] as Damage)
  const cut = await edge.get(path)
  t.notOk(cut.complete, 'who has it open already is cut off')
  // The clock stands: it would be open still.
  const answer = await edge.get(path)
  t.match(answer, { status: 200, complete: true, headers: { 'x-entrepot-source': 'miss' } })
  t.ok(answer.body.equals(blob.bytes()))
})

for (const [how, damage] of Object.entries(DAMAGES))
  t.test(
    `R271: a pushed blob that was ${how} is 404 for who pushes, and the push heals it`,
    async t => {
      const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
      const blob = patternBlob(`pushed ${how}`, SIZES.middling)
      const path = `/v2/localhost/app/blobs/${blob.digest}`
      await pushBlob(edge, 'localhost/app', blob.bytes())
      for (let count = 0; count < 3; count += 1)
        t.equal((await edge.send('HEAD', path)).status, 200)
      harm(edge, blob, damage)
      t.equal((await edge.send('HEAD', path)).status, 404)
      t.equal((await edge.get(path)).status, 404)
      const evidence = await filesIn(edge, 'quarantine')
      t.match(evidence, [blob.digest.replace(':', '-')], 'the last copy is kept aside')
      t.equal((await pushBlob(edge, 'localhost/app', blob.bytes())).status, 201)
      t.equal((await edge.send('HEAD', path)).status, 200)
      t.ok((await edge.get(path)).body.equals(blob.bytes()))
    },
  )

t.test('R271: a pushed manifest that was cut is 404 for who pushes', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  const image = makeImage({ seed: 'cut manifest' })
  for (const blob of [image.config, ...image.layers])
    await pushBlob(edge, 'localhost/app', blob.bytes())
  const { digest, mediaType, bytes } = image.manifest
  const path = `/v2/localhost/app/manifests/${digest}`
  const push = () => edge.send('PUT', path, { headers: { 'content-type': mediaType }, body: bytes })
  t.equal((await push()).status, 201)
  for (let count = 0; count < 3; count += 1) t.equal((await edge.send('HEAD', path)).status, 200)
  const file = blobPath(edge.dataDirectory, digest)
  chmodSync(file, 0o600)
  truncateSync(file, 10)
  t.equal((await edge.send('HEAD', path)).status, 404)
  t.equal((await push()).status, 201)
  t.equal((await edge.send('HEAD', path)).status, 200)
  t.ok((await edge.get(path)).body.equals(bytes))
})

t.test('R271: a file that was cut while no catalog knew of it is not believed', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-edge-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const image = makeImage({ seed: 'unknown', layers: [SIZES.middling] })
  const [layer] = image.layers
  if (layer === undefined) throw new Error('it has a layer')
  const { edge: first, stub } = await startPair(t, {
    images: { v1: image },
    entry: { prefetch: false },
    edge: { directory },
  })
  await first.get(`${MANIFESTS}/v1`)
  await first.get(`${BLOBS}/${layer.digest}`)
  await first.stop()
  for (const name of readdirSync(first.dataDirectory))
    if (name.startsWith('catalog.db')) unlinkSync(join(first.dataDirectory, name))
  harm(first, layer, DAMAGES['cut'] as Damage)
  const upstreams = { 'docker.io': { url: stub.url, prefetch: false } }
  const edge = await startTestEdge(t, { upstreams, directory })
  // From then on a row says how long the file is.
  await edge.untilLogged('files without rows were adopted')
  await edge.get(`${MANIFESTS}/v1`)
  const answer = await edge.get(`${BLOBS}/${layer.digest}`)
  t.match(answer, { status: 200, complete: true })
  t.equal(digestOf(answer.body), layer.digest)
})

t.test('R271: the last copy of what was pushed outlives the catalog', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-edge-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const image = makeImage({ seed: 'last copy', layers: [SIZES.small, SIZES.small, SIZES.small] })
  const [before, during, after] = image.layers
  if (before === undefined || during === undefined || after === undefined)
    throw new Error('it has three layers')
  const options = { upstreams: NO_UPSTREAM, directory }
  const first = await startTestEdge(t, options)
  for (const blob of [image.config, ...image.layers])
    await pushBlob(first, 'localhost/app', blob.bytes())
  const { mediaType, bytes } = image.manifest
  await first.send('PUT', '/v2/localhost/app/manifests/v1', {
    headers: { 'content-type': mediaType },
    body: bytes,
  })
  const cut = DAMAGES['cut'] as Damage
  const isGone = async (edge: TestEdge, { digest }: Content) =>
    t.equal((await edge.send('HEAD', `/v2/localhost/app/blobs/${digest}`)).status, 404)
  harm(first, before, cut)
  await isGone(first, before)
  await first.stop()
  harm(first, during, cut)
  for (const name of readdirSync(first.dataDirectory))
    if (name.startsWith('catalog.db')) unlinkSync(join(first.dataDirectory, name))
  const edge = await startTestEdge(t, options)
  await isGone(edge, during)
  // Newer than all of them, and as many as may stay.
  for (let count = 100; count < 200; count += 1)
    appendFileSync(
      join(edge.dataDirectory, 'quarantine', `20990101T000000.${count}Z-sha256-${'0'.repeat(64)}`),
      '',
    )
  harm(edge, after, cut)
  await isGone(edge, after)
  const left = (await filesIn(edge, 'quarantine')).join(' ')
  for (const { digest } of [before, during, after])
    t.match(left, digest.replace(':', '-'), 'its last copy is there')
})

/** An edge with an image, whose layer was cut, and was moved away when somebody asked for it. */
async function harmed(t: Test, seed: string) {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-edge-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const image = makeImage({ seed, layers: [SIZES.small] })
  const [layer] = image.layers as [Content]
  const options = { upstreams: NO_UPSTREAM, directory }
  const first = await startTestEdge(t, options)
  for (const blob of [image.config, layer]) await pushBlob(first, 'localhost/app', blob.bytes())
  const { digest, mediaType, bytes } = image.manifest
  const manifest = `/v2/localhost/app/manifests/${digest}`
  const headers = { 'content-type': mediaType }
  t.equal((await first.send('PUT', manifest, { headers, body: bytes })).status, 201)
  harm(first, layer, DAMAGES['cut'] as Damage)
  t.equal((await first.send('HEAD', `/v2/localhost/app/blobs/${layer.digest}`)).status, 404)
  /** Is what was moved away still there? */
  const isThere = async (edge: TestEdge) =>
    (await filesIn(edge, 'quarantine')).join(' ').includes(layer.digest.replace(':', '-'))
  return { options, first, manifest, isThere }
}

/** With more than may be there, all of it newer. */
function fillQuarantine({ dataDirectory }: TestEdge): void {
  for (let count = 100; count < 200; count += 1) {
    const name = `20990101T000000.${count}Z-sha256-${'0'.repeat(64)}`
    appendFileSync(join(dataDirectory, 'quarantine', name), '')
  }
}

t.test('R301: so it does after a start that has found its file missing', async t => {
  const { options, first, manifest, isThere } = await harmed(t, 'deleted and forgotten')
  t.equal((await first.send('DELETE', manifest)).status, 202)
  await first.stop()
  const second = await startTestEdge(t, options)
  t.equal(await isThere(second), true, 'there is room for it')
  // With so many of few files missing it looks at what is here first, and knows nothing before.
  await second.untilLogged('files without rows were adopted')
  await second.stop()
  fillQuarantine(second)
  t.equal(await isThere(await startTestEdge(t, options)), false)
})

t.test('R301: the last copy of what was deleted makes way as any other', async t => {
  const { options, first, manifest, isThere } = await harmed(t, 'deleted')
  fillQuarantine(first)
  await first.stop()
  const second = await startTestEdge(t, options)
  t.equal(await isThere(second), true, 'its image may be mended')
  t.equal((await second.send('DELETE', manifest)).status, 202)
  await second.stop()
  t.equal(await isThere(await startTestEdge(t, options)), false)
})

t.test('R301: so does that of which no row tells any more', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-edge-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const blob = patternBlob('forgotten', SIZES.small)
  const options = { upstreams: NO_UPSTREAM, directory }
  const first = await startTestEdge(t, options)
  await first.stop()
  const name = `20200101T000000.000Z-${blob.digest.replace(':', '-')}-kept`
  // Longer than all that may go may be together.
  writeFileSync(join(first.dataDirectory, 'quarantine', name), '')
  truncateSync(join(first.dataDirectory, 'quarantine', name), QUARANTINE_BYTES + 1)
  const second = await startTestEdge(t, options)
  t.strictSame(await filesIn(second, 'quarantine'), [])
})

t.test('R301: not where a fact cannot be read, which may tell of it', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-edge-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const options = { upstreams: NO_UPSTREAM, directory }
  const first = await startTestEdge(t, options)
  await first.stop()
  for (const name of readdirSync(first.dataDirectory))
    if (name.startsWith('catalog.db')) unlinkSync(join(first.dataDirectory, name))
  writeFileSync(join(first.dataDirectory, 'facts', 'a'.repeat(64)), 'rot')
  const { digest } = patternBlob('told of', SIZES.small)
  const name = `20200101T000000.000Z-${digest.replace(':', '-')}-kept`
  writeFileSync(join(first.dataDirectory, 'quarantine', name), '')
  truncateSync(join(first.dataDirectory, 'quarantine', name), QUARANTINE_BYTES + 1)
  const second = await startTestEdge(t, options)
  await second.untilLogged('files without rows were adopted')
  await second.pass(CLEANUP_EVERY_MS)
  t.strictSame(await filesIn(second, 'quarantine'), [name])
})
