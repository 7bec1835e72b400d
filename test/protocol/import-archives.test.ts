// Goal: what other programs wrote is here what it was there, under its name, and what is not right
// or not whole of it changes nothing. Method: archives as those programs write them, made here, and
// an edge in process whose upstream is offline; what clients get of it is compared byte for byte.
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import t, { type Test } from 'tap'
import {
  archiveOf,
  byName,
  directory,
  dockerMembers,
  indexOf,
  LAYOUT,
  layoutMembers,
  type Member,
  type NamedImage,
  savedImage,
  skopeoManifest,
  text,
} from '../kit/archives.ts'
import { runCli } from '../kit/cli.ts'
import { patternBlob } from '../kit/content.ts'
import { startTestEdge, type TestEdge, type TestEdgeOptions } from '../kit/edge.ts'
import { type Image, makeImage, makeIndex } from '../kit/image.ts'
import { blobName } from '../../src/bundle/layout.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { pushTo } from '../kit/worlds/lost-edge.ts'

const platform = (architecture: string) => ({ os: 'linux', architecture })
const amd64 = makeImage({ seed: 'amd', layers: [200_000, 500], platform: platform('amd64') })
const arm64 = makeImage({ seed: 'arm', layers: [6_000], platform: platform('arm64') })
const index = makeIndex([amd64, arm64])
const plain = makeImage({ seed: 'plain', layers: [300_000], mediaTypes: 'docker' })
const newer = makeImage({ seed: 'newer', layers: [1_000] })
const signature = makeImage({
  seed: 'signature',
  layers: [200],
  subject: index.descriptor,
  artifactType: 'application/vnd.example.signature',
})
const APP = 'docker.io/library/app:v1'
const PLAIN = 'docker.io/library/plain:v1'
const both = [byName(index, APP), byName(plain, PLAIN)]

/** It is never asked. */
const OFFLINE = { 'docker.io': { url: 'http://127.0.0.1:1', offline: true } }

async function start(t: Test, options: Partial<TestEdgeOptions> = {}) {
  const edge = await startTestEdge(t, { upstreams: OFFLINE, ...options })
  const home = await mkdtemp(join(tmpdir(), 'archives-'))
  t.teardown(() => rm(home, { recursive: true }))
  const write = (bytes: Uint8Array, name = 'archive.tar') => {
    writeFileSync(join(home, name), bytes)
    return join(home, name)
  }
  const imported = (members: readonly Member[], ...args: string[]) =>
    runCli(['import', write(archiveOf(members)), ...args, '--socket', edge.socket])
  return { edge, home, write, imported }
}

const at =
  ({ socket }: TestEdge) =>
  (...argv: string[]) =>
    runCli([...argv, '--socket', socket])

/** All that a client gets of it, byte for byte. */
async function pulls(t: Test, edge: TestEdge, name: string, image: Image, reference = 'v1') {
  const { mediaType: accept, bytes, digest } = image.manifest
  const manifest = await edge.get(`/v2/${name}/manifests/${reference}`, { accept })
  t.match(manifest, { status: 200, headers: { 'docker-content-digest': digest } })
  t.ok(manifest.body.equals(bytes), `${name} as it was`)
  for (const child of image.children) await pulls(t, edge, name, child, child.manifest.digest)
  if (image.children.length > 0) return
  for (const blob of [image.config, ...image.layers]) {
    const answer = await edge.get(`/v2/${name}/blobs/${blob.digest}`)
    t.equal(answer.status, 200)
    t.ok(answer.body.equals(Buffer.from(blob.bytes())), 'byte for byte')
  }
}

const status = async (edge: TestEdge, path: string) =>
  (await edge.get(path, { accept: index.manifest.mediaType })).status

/** No client gets anything by any name that it might have. */
async function publishesNothing(t: Test, edge: TestEdge) {
  for (const name of ['library/app', 'library/plain']) {
    t.equal(await status(edge, `/v2/${name}/manifests/v1`), 404)
    for (const { manifest } of [index, amd64, plain])
      t.equal(await status(edge, `/v2/${name}/manifests/${manifest.digest}`), 404)
  }
  t.match(await at(edge)('ls', '--json'), { exitCode: 0, stdout: /^(?!.*sha256)/s })
}

t.test('R950: a layout is pulled as it was, whatever the order of its members', async t => {
  const members = layoutMembers(both)
  for (const order of [
    members,
    members.toReversed(),
    [...members.slice(4), ...members.slice(0, 4)],
  ]) {
    const { edge, imported } = await start(t)
    const result = await imported(order)
    t.match(result, { exitCode: 0, stderr: '' })
    t.match(result.stdout, /^2 images, .* OCI image layout that nobody signed\n/)
    for (const name of [APP, PLAIN]) t.match(result.stdout, new RegExp(`${name} .* new\n`))
    await pulls(t, edge, 'library/app', index)
    await pulls(t, edge, 'library/plain', plain)
    t.match((await at(edge)('why', APP)).stdout, /an operator imported it/)
    const again = await imported(order)
    t.match(again, { exitCode: 0, stdout: /app:v1 .* was here\n[^]*0 manifest or blobs written/ })
  }
})

t.test('R950: heads of GNU and pax, `./` and files of no layout are passed over', async t => {
  const { edge, imported } = await start(t)
  const pax = Buffer.from('20 comment=an image\n22 mtime=1700000000.5\n')
  const members = layoutMembers([byName(plain, PLAIN)]).map(member => ({
    ...member,
    name: `./${member.name}`,
  }))
  const result = await imported([
    { name: 'pax_global_header', type: 'g', bytes: Buffer.from('15 comment=abc\n') },
    directory('./'),
    { name: 'pax', type: 'x', bytes: pax },
    { name: './README.md', bytes: Buffer.from('of no use') },
    { name: '././@LongLink', type: 'L', bytes: Buffer.from(`./notes/${'x'.repeat(150)}\0`) },
    { name: './notes/x', bytes: Buffer.from('neither') },
    ...members,
  ])
  t.match(result, { exitCode: 0 })
  await pulls(t, edge, 'library/plain', plain)
})

t.test('R950: of an index what is there is imported, and what is about it', async t => {
  const { edge, imported } = await start(t)
  const left = makeIndex([amd64, arm64])
  const without = layoutMembers([byName({ ...left, children: [amd64] }, APP), { image: signature }])
  const result = await imported(without)
  t.match(result, { exitCode: 0, stderr: /1 manifest that indexes list left out/ })
  await pulls(t, edge, 'library/app', amd64, amd64.manifest.digest)
  t.equal(await status(edge, '/v2/library/app/manifests/v1'), 200)
  t.equal(await status(edge, `/v2/library/app/manifests/${arm64.manifest.digest}`), 404)
  const referrers = await edge.get(`/v2/library/app/referrers/${index.manifest.digest}`)
  t.match(JSON.parse(referrers.body.toString()).manifests, [{ digest: signature.manifest.digest }])
})

t.test('R950: what was imported stays, and a later archive moves its tag', async t => {
  const { edge, imported } = await start(t)
  t.match(await imported(layoutMembers([byName(plain, PLAIN)])), { exitCode: 0 })
  await edge.clock.advance(60_000)
  const moved = await imported(layoutMembers([byName(newer, PLAIN)]))
  t.match(moved, { exitCode: 0, stdout: /plain:v1 .* moved here/ })
  // Longer than what a push is promised, and than the grace of what nothing needs.
  for (const _ of ['noted', 'over', 'gone']) await edge.pass(24 * 3_600_000)
  await pulls(t, edge, 'library/plain', newer)
  await pulls(t, edge, 'library/plain', plain, plain.manifest.digest)
})

const layerA = Buffer.from(patternBlob('a', 5_000).bytes())
const layerB = Buffer.from(patternBlob('b', 70_000).bytes())
const saved = [
  savedImage('one', [layerA, layerB], ['app:v1', 'quay.io/team/app:v2']),
  savedImage('two', [layerA], ['localhost/two:v1']),
]

t.test('R951: docker save has the manifest that skopeo makes of it, twice the same', async t => {
  for (const order of [dockerMembers(saved), dockerMembers(saved).toReversed()]) {
    const { edge, imported } = await start(t)
    const result = await imported(order)
    t.match(result, { exitCode: 0 })
    t.match(result.stdout, /^3 images, .* manifests made as skopeo makes them\n/)
    const { bytes, digest } = skopeoManifest(saved[0]!)
    const got = await edge.get('/v2/library/app/manifests/v1', {
      accept: 'application/vnd.docker.distribution.manifest.v2+json',
    })
    t.match(got, { status: 200, headers: { 'docker-content-digest': digest } })
    t.ok(got.body.equals(bytes))
    for (const layer of [layerA, layerB]) {
      const blob = await edge.get(`/v2/library/app/blobs/${digestOf(layer)}`)
      t.ok(blob.body.equals(layer))
    }
    t.equal(await status(edge, '/v2/localhost/two/manifests/v1'), 200)
    const again = await imported(order)
    t.match(again, { exitCode: 0, stdout: /app:v1 .* was here\n/ })
  }
})

t.test('R951: where docker save wrote a layout too, that one counts', async t => {
  const { edge, imported } = await start(t)
  const manifest = [{ Config: 'x', RepoTags: ['other:v1'], Layers: ['y'] }]
  const members = [
    ...layoutMembers([byName(plain, PLAIN)]),
    { name: 'manifest.json', bytes: text(manifest) },
    { name: 'repositories', bytes: text({}) },
  ]
  t.match(await imported(members), { exitCode: 0, stdout: /^1 image, .* OCI image layout/ })
  await pulls(t, edge, 'library/plain', plain)
})

t.test('R951: crane’s packed layers stay as they are, and are what their names say', async t => {
  const packed = gzipSync(layerB)
  const { config } = savedImage('crane', [layerB])
  const hex = digestOf(packed).slice('sha256:'.length)
  const members = (layer: string) => [
    { name: digestOf(config), bytes: config },
    { name: layer, bytes: packed },
    {
      name: 'manifest.json',
      bytes: text([{ Config: digestOf(config), RepoTags: ['app:v1'], Layers: [layer] }]),
    },
  ]
  const { edge, imported } = await start(t)
  const wrong = await imported(members(`${'0'.repeat(64)}.tar.gz`))
  t.match(wrong, { exitCode: 1, stderr: /is not the layer that its name says/ })
  t.match(await imported(members(`${hex}.tar.gz`)), { exitCode: 0 })
  t.ok((await edge.get(`/v2/library/app/blobs/sha256:${hex}`)).body.equals(packed))
})

t.test('R952: an archive that is damaged, cut or short of anything publishes nothing', async t => {
  const members = layoutMembers(both)
  const whole = archiveOf(members)
  const { edge, write, imported } = await start(t)
  const at = (bytes: Uint8Array) => runCli(['import', write(bytes), '--socket', edge.socket])
  for (const share of [0, 0.02, 0.5, 0.98]) {
    const cut = await at(whole.subarray(0, Math.floor(whole.length * share)))
    t.match(cut, {
      exitCode: 1,
      stderr: /no name was imported: it ends at byte \d+, before its end/,
    })
  }
  const blobs = members.filter(({ name, type }) => name.startsWith('blobs/') && type === undefined)
  // A platform of an index need not be there.
  const children = [amd64, arm64].map(({ manifest }) => blobName(manifest.digest))
  for (const gone of blobs.filter(({ name }) => !children.includes(name))) {
    const result = await imported(members.filter(member => member !== gone))
    t.match(result, { exitCode: 1, stderr: /no name was imported: .*does not bring/ }, gone.name)
    await publishesNothing(t, edge)
  }
  for (const wrong of blobs) {
    const bytes = Buffer.from(wrong.bytes ?? [])
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
    const other = await start(t)
    const damaged = members.map(member => (member === wrong ? { ...wrong, bytes } : member))
    const result = await other.imported(damaged)
    t.match(result, { exitCode: 1, stderr: /are others than its digest says/ }, wrong.name)
    await publishesNothing(t, other.edge)
    await other.edge.stop()
  }
})

t.test(
  'R952: sizes that are not those of the manifests, and layers of others, are refused',
  async t => {
    const { edge, imported } = await start(t)
    const { manifest } = plain
    const shorter = JSON.parse(manifest.bytes.toString()) as { layers: { size: number }[] }
    shorter.layers[0]!.size -= 1
    const bytes = text(shorter)
    const changed: Image = { ...plain, manifest: { ...manifest, bytes, digest: digestOf(bytes) } }
    const wrong = await imported(layoutMembers([byName(changed, PLAIN)]))
    t.match(wrong, { exitCode: 1, stderr: /has 300000 bytes, and 299999 by sha256/ })
    const other = { ...saved[0]!, layers: [layerB, layerA] }
    const swapped = await imported(dockerMembers([other]))
    t.match(swapped, { exitCode: 1, stderr: /is not the layer that the configuration says/ })
    const short = await imported(dockerMembers([{ ...saved[0]!, layers: [layerA] }]))
    t.match(short, { exitCode: 1, stderr: /has not the layers of its image/ })
    await publishesNothing(t, edge)
  },
)

t.test('R930: an archive opens nothing of other repositories by naming its digest', async t => {
  const { edge, imported } = await start(t)
  await pushTo(edge, 'localhost/secret/app', { image: plain, tags: ['v1'] })
  const secret = blobName(plain.layers[0]!.digest)
  const others = layoutMembers([byName(plain, PLAIN)])
  const lies = others.map(member =>
    member.name === secret ? { ...member, bytes: Buffer.alloc(300_000) } : member,
  )
  for (const members of [lies, others.filter(({ name }) => name !== secret)])
    t.match(await imported(members), { exitCode: 1, stderr: /no name was imported/ })
  t.equal(await status(edge, '/v2/library/plain/manifests/v1'), 404)
  t.equal(await status(edge, `/v2/library/plain/blobs/${plain.layers[0]!.digest}`), 404)
})

t.test('R954: a tag alone is no name: the error says the command that gives one', async t => {
  const { edge, imported } = await start(t)
  const tagged = (image: Image, tag?: string): NamedImage =>
    tag === undefined
      ? { image }
      : { image, annotations: { 'org.opencontainers.image.ref.name': tag } }
  const one = layoutMembers([tagged(plain, 'v1')])
  const asked = await imported(one)
  t.match(asked, { exitCode: 1, stderr: /it says a tag alone, v1: .*--as REGISTRY\/NAME:v1/ })
  t.match(await imported(one, '--as', 'docker.io/library/plain:v1'), { exitCode: 0 })
  await pulls(t, edge, 'library/plain', plain)
  const nameless = await imported(layoutMembers([tagged(newer)]))
  t.match(nameless, { exitCode: 1, stderr: /no name of an image: .*--as REGISTRY\/NAME:TAG/ })
  const two = layoutMembers([tagged(plain, 'v1'), tagged(newer, 'v2')])
  const both = await imported(two, '--as', 'docker.io/team/app:v1')
  t.match(both, { exitCode: 1, stderr: /has 2 images.*"--as docker.io\/team\/app" each keeps/ })
  t.match(await imported(two, '--as', 'docker.io/team/app'), { exitCode: 0 })
  await pulls(t, edge, 'team/app', plain)
  await pulls(t, edge, 'team/app', newer, 'v2')
  const named = layoutMembers([tagged(newer, 'quay.io/team/tool:v3'), tagged(plain, 'v1')])
  const rest = await imported(named)
  t.match(rest, { exitCode: 0, stdout: /quay\.io\/team\/tool:v3 /, stderr: /1 image left out/ })
})

t.test('R955: where a signature is asked for, nobody else’s archive is taken', async t => {
  const { edge, imported } = await start(t)
  const { key } = JSON.parse((await at(edge)('key', 'show', '--json')).stdout) as { key: string }
  const result = await imported(layoutMembers(both), '--require-signature', key)
  t.match(result, { exitCode: 1, stderr: /none of the keys that are asked for has signed it/ })
  await publishesNothing(t, edge)
})

t.test('R957: packed by gzip or zstd, and from standard input, it is the same', async t => {
  const whole = archiveOf(layoutMembers(both))
  const half = Math.floor(whole.length / 2)
  const parts = [whole.subarray(0, half), whole.subarray(half)]
  const forms = {
    gzip: gzipSync(whole),
    zstd: zstdCompressSync(whole),
    pigz: Buffer.concat(parts.map(part => gzipSync(part))),
    pzstd: Buffer.concat(parts.map(part => zstdCompressSync(part))),
  }
  for (const [form, bytes] of Object.entries(forms)) {
    const { edge, write } = await start(t)
    const cut = write(bytes.subarray(0, bytes.length - 1_000), 'cut')
    const early = await at(edge)('import', cut)
    t.match(early, { exitCode: 1, stderr: /no name was imported: / }, form)
    await publishesNothing(t, edge)
    const stdin = Object.assign(Readable.from([bytes]), { isTTY: false })
    const result = await runCli(['import', '-', '--socket', edge.socket], { stdin })
    t.match(result, { exitCode: 0 }, form)
    await pulls(t, edge, 'library/app', index)
    await edge.stop()
  }
  const { edge, write } = await start(t)
  const xz = write(Buffer.from('\xfd7zXZ\0 and so on', 'latin1'))
  t.match(await at(edge)('import', xz), {
    exitCode: 1,
    stderr: /"xz -dc FILE \| entrepot import -"/,
  })
})

function unpack(home: string, members: readonly Member[]): string {
  for (const { name, bytes, type } of members) {
    const path = join(home, 'layout', name)
    mkdirSync(type === '5' ? path : dirname(path), { recursive: true })
    if (type !== '5') writeFileSync(path, bytes ?? '')
  }
  return join(home, 'layout')
}

t.test('R957: a layout is imported from its directory, that of an edge with its key', async t => {
  const { edge, home } = await start(t)
  const layout = unpack(home, layoutMembers(both))
  t.match(await at(edge)('import', layout), { exitCode: 0, stdout: /OCI image layout/ })
  await pulls(t, edge, 'library/app', index)
  const own = join(home, 'own')
  t.match(await at(edge)('export', APP, PLAIN, '--all-platforms', '-o', `${own}/`), { exitCode: 0 })
  const to = await startTestEdge(t, { upstreams: OFFLINE })
  t.match(await at(to)('import', own), { exitCode: 0, stdout: /of edge .*; signed by/ })
  await pulls(t, to, 'library/app', index)
  const none = await at(edge)('import', home)
  t.match(none, { exitCode: 1, stderr: /is no image layout/ })
  const [victim = ''] = readdirSync(join(layout, 'blobs/sha256'))
  const path = join(layout, 'blobs/sha256', victim)
  await rm(path)
  symlinkSync('/etc/hostname', path)
  t.match(await at(edge)('import', layout), { exitCode: 1, stderr: /links are not followed/ })
})

t.test('R958: a dry run verifies, tells the same, and stores nothing', async t => {
  for (const members of [layoutMembers(both), dockerMembers(saved)]) {
    const { edge, imported } = await start(t)
    const dry = await imported(members, '--dry-run')
    t.match(dry, { exitCode: 0, stdout: /app:v1 .* new\n[^]*would be written/ })
    await publishesNothing(t, edge)
    const wet = await imported(members)
    const plainly = (told: string) => told.replaceAll('would be ', '')
    t.equal(plainly(dry.stdout), wet.stdout, 'as it is told then, also what is written')
    t.match(await imported(members, '--dry-run'), { exitCode: 0, stdout: /app:v1 .* was here\n/ })
    await edge.stop()
  }
  const { imported } = await start(t)
  const large = blobName(plain.layers[0]!.digest)
  const damaged = layoutMembers([byName(plain, PLAIN)]).map(member =>
    member.name === large ? { ...member, bytes: Buffer.alloc(300_000) } : member,
  )
  const refused = await imported(damaged, '--dry-run')
  t.match(refused, { exitCode: 1, stderr: /are others than its digest says/ })
})

t.test('an archive of nothing is told so', async t => {
  const { imported } = await start(t)
  t.match(await imported([]), { exitCode: 1, stderr: /neither index\.json nor manifest\.json/ })
  t.match(await imported([LAYOUT, indexOf([])]), { exitCode: 1, stderr: /no name of an image/ })
  t.match(
    await imported([{ name: 'oci-layout', bytes: text({ imageLayoutVersion: '2' }) }, indexOf([])]),
    {
      exitCode: 1,
      stderr: /of another version/,
    },
  )
})
