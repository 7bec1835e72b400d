// Goal: who writes a bundle can name any digest, and gains nothing by it: content of other teams is
// read where it was given, and nowhere else. Method: an edge in process with a repository that
// nobody may pull from; bundles by a stranger list its layer under a name that everybody may pull
// from, in each way by which a bundle need not bring what it names.
import { existsSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import t, { type Test } from 'tap'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { type MadeContent, makeBundle, makeSigner } from '../../kit/bundle.ts'
import { runCli } from '../../kit/cli.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { bytesContent } from '../../kit/content.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'
import { document, makeImage } from '../../kit/image.ts'
import { pushTo } from '../../kit/worlds/lost-edge.ts'

/** It is never asked. */
const OFFLINE = { 'docker.io': { url: 'http://127.0.0.1:1', offline: true } }
const SIZE_BYTES = 5_000
const secret = makeImage({ seed: 'secret', layers: [SIZE_BYTES] })
const layer = secret.layers[0]?.digest ?? digestOf(Buffer.of())
const config = Buffer.from('{"of":"the stranger"}')
const manifestType = 'application/vnd.oci.image.manifest.v1+json'
const indexType = 'application/vnd.oci.image.index.v1+json'
const listing = (mediaType: string, digest: Digest, size: number) => ({ mediaType, digest, size })
const manifest = document(manifestType, {
  schemaVersion: 2,
  mediaType: manifestType,
  config: listing('application/vnd.oci.image.config.v1+json', digestOf(config), config.length),
  layers: [listing('application/vnd.oci.image.layer.v1.tar', layer, SIZE_BYTES)],
})
const hidden = secret.manifest
const index = document(indexType, {
  schemaVersion: 2,
  mediaType: indexType,
  manifests: [listing(hidden.mediaType, hidden.digest, hidden.bytes.length)],
})

async function start(t: Test) {
  const edge = await startTestEdge(t, { upstreams: OFFLINE })
  await pushTo(edge, 'localhost/secret/app', { image: secret, tags: ['v1'] })
  const access = ['localhost/public/**', 'docker.io/**'].map(match => ({
    who: '*' as const,
    match,
    allow: ['pull' as const],
  }))
  await edge.reloaded(OFFLINE, { access })
  return edge
}

async function imports(edge: TestEdge, bundle: Buffer, ...options: string[]) {
  const file = join(tmpdir(), `import-rights-${process.pid}.tar`)
  await writeFile(file, bundle)
  try {
    return await runCli(['import', file, ...options, '--socket', edge.socket])
  } finally {
    await rm(file)
  }
}

const WAYS: Record<string, Pick<MadeContent, 'bytes' | 'size' | 'state'>> = {
  'other bytes of its size': { bytes: Buffer.alloc(SIZE_BYTES, 'x') },
  'supposed to be here': { size: SIZE_BYTES, state: 'supposed' },
  'left out': { size: SIZE_BYTES, state: 'left out' },
}

for (const name of ['localhost/public/x', 'docker.io/public/x'])
  for (const [how, way] of Object.entries(WAYS))
    t.test(`R930: a bundle opens no layer of other repositories: ${how}, in ${name}`, async t => {
      const edge = await start(t)
      const bundle = await makeBundle(
        [{ image: `${name}:v1`, digest: manifest.digest, changedAtMs: 1 }],
        [
          { digest: manifest.digest, bytes: manifest.bytes, type: manifestType, in: [name] },
          { digest: digestOf(config), bytes: config },
          { digest: layer, ...way },
        ],
      )
      await imports(edge, bundle)
      t.match(await edge.get(`/v2/${name}/blobs/${layer}`), { status: 404 })
    })

for (const state of ['supposed', 'left out'] as const)
  t.test(`R930: nor a manifest, ${state}`, async t => {
    const edge = await start(t)
    const name = 'localhost/public/x'
    const within = { type: hidden.mediaType, in: [name], size: hidden.bytes.length, state }
    const bundle = await makeBundle(
      [{ image: `${name}:v1`, digest: index.digest, changedAtMs: 1 }],
      [
        { digest: index.digest, bytes: index.bytes, type: indexType, in: [name] },
        { digest: hidden.digest, ...within },
        { digest: secret.config.digest, size: secret.config.sizeBytes, state },
        { digest: layer, size: SIZE_BYTES, state },
      ],
    )
    await imports(edge, bundle)
    for (const path of [`manifests/${hidden.digest}`, `blobs/${hidden.digest}`, `blobs/${layer}`])
      t.match(await edge.get(`/v2/${name}/${path}`), { status: 404 }, path)
  })

t.test('R931: a bundle does not count by the numbers of this edge', async t => {
  const edge = await startTestEdge(t, { upstreams: OFFLINE })
  const name = 'localhost/public/x'
  await pushTo(edge, name, { image: makeImage({ seed: 'ours' }), tags: ['v1'] })
  const inventory = await runCli(['inventory', '--socket', edge.socket])
  const { edge: identity } = JSON.parse(inventory.stdout.split('\n')[0] ?? '')
  const said = (order: { edge: string; number: number }) =>
    makeBundle(
      [{ image: `${name}:v1`, digest: manifest.digest, order }],
      [
        { digest: manifest.digest, bytes: manifest.bytes, type: manifestType, in: [name] },
        { digest: digestOf(config), bytes: config },
        { digest: layer, bytes: secret.layers[0]?.bytes() ?? Buffer.alloc(0) },
      ],
    )
  const own = await imports(edge, await said({ edge: identity, number: 2 ** 52 }))
  t.match(own, { exitCode: 0, stdout: /x:v1 .* left: / })
  const beyond = await imports(edge, await said({ edge: 'x', number: Number.MAX_SAFE_INTEGER }))
  t.match(beyond, { exitCode: 1, stderr: /an order .* that no edge gives/ })
})

t.test('R933: what one registry lists of a private one is exported for neither', async t => {
  const [corp, strange] = [await startStub(t), await startStub(t)]
  corp.addImage('app', 'v1', secret)
  const listed = { ...secret, manifest, layers: [], config: bytesContent(config) }
  strange.addImage('public/x', 'v1', listed)
  const upstreams = {
    'corp.example': { url: corp.url, private: true },
    'docker.io': { url: strange.url },
  }
  const edge = await startTestEdge(t, { upstreams })
  const names = ['corp.example/app:v1', 'docker.io/public/x:v1']
  const file = join(tmpdir(), `export-rights-${process.pid}.tar`)
  const result = await edge.settle(
    runCli(['export', ...names, '-o', file, '--socket', edge.socket]),
  )
  t.match(result, { exitCode: 1, stderr: /docker\.io\/public\/x: docker\.io does not have/ })
  t.notOk(existsSync(file))
})

t.test('R932: many repositories and many layers are bounded by their product', async t => {
  const edge = await start(t)
  const places = Array.from({ length: 1_000 }, (_, at) => `localhost/public/x${at}`)
  const layers = Array.from({ length: 2_500 }, (_, at) => digestOf(Buffer.from(`${at}`)))
  const many = document(manifestType, {
    schemaVersion: 2,
    mediaType: manifestType,
    config: listing('application/vnd.oci.image.config.v1+json', digestOf(config), config.length),
    layers: layers.map(each => listing('application/vnd.oci.image.layer.v1.tar', each, 1)),
  })
  const bundle = await makeBundle(
    [],
    [
      { digest: many.digest, bytes: many.bytes, type: manifestType, in: places },
      { digest: digestOf(config), bytes: config },
      ...layers.map(digest => ({ digest, size: 1, state: 'left out' as const })),
    ],
  )
  t.match(await imports(edge, bundle), { exitCode: 1, stderr: /more than 2000000 links/ })
})

t.test('R930: what brings the bytes may have them, and what a named key supposes', async t => {
  const edge = await start(t)
  const signer = makeSigner()
  const bundleOf = (name: string, way: Partial<MadeContent>) =>
    makeBundle(
      [{ image: `${name}:v1`, digest: manifest.digest, changedAtMs: 1 }],
      [
        { digest: manifest.digest, bytes: manifest.bytes, type: manifestType, in: [name] },
        { digest: digestOf(config), bytes: config },
        { digest: layer, ...way },
      ],
      signer,
    )
  const supposed = { size: SIZE_BYTES, state: 'supposed' } as const
  const strange = await imports(edge, await bundleOf('docker.io/public/x', supposed))
  t.match(strange, { exitCode: 1, stderr: /for other repositories: .*--require-signature/ })
  const named = ['--require-signature', signer.key]
  const right = await imports(edge, await bundleOf('docker.io/public/x', supposed), ...named)
  t.match(right, { exitCode: 0 })
  t.match(await edge.get(`/v2/docker.io/public/x/blobs/${layer}`), { status: 200 })
  const bytes = secret.layers[0]?.bytes() ?? Buffer.alloc(0)
  t.match(await imports(edge, await bundleOf('localhost/public/y', { bytes })), { exitCode: 0 })
  t.match(await edge.get(`/v2/localhost/public/y/blobs/${layer}`), { status: 200 })
})
