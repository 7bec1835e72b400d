// Goal: what an operator exports is one file, whole and right or not there, and says what is in it;
// what cannot be had is named. Method: the edge in process over a stub registry, commands through
// its Unix socket; files looked at, cut, and damaged on the disk of the edge. Real programs that
// read such a file are in test/e2e/export.test.ts.
import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  bundleKeyFrom,
  type BundleKeyText,
  isSignedBy,
  statementOf,
} from '../../../src/bundle/bundle-key.ts'
import type { InventoryLine } from '../../../src/bundle/inventory.ts'
import { InventoryReader } from '../../../src/bundle/inventory-reader.ts'
import { blobName, INDEX_NAME, INVENTORY_NAME, LAYOUT_NAME } from '../../../src/bundle/layout.ts'
import { tarPieces } from '../../../src/bundle/tar-pieces.ts'
import { digestHex, digestOf } from '../../../src/oci/digest.ts'
import { inPieces } from '../../kit/bundle.ts'
import { runCli, typed } from '../../kit/cli.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { pushBlob } from '../../kit/worlds/edge-push.ts'
import { type Image, makeImage, makeIndex } from '../../kit/image.ts'
import { pushTo } from '../../kit/worlds/lost-edge.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const platform = (architecture: string) => ({ os: 'linux', architecture })
const amd64 = makeImage({ seed: 'amd', layers: [70_000, 500], platform: platform('amd64') })
const arm64 = makeImage({ seed: 'arm', layers: [6_000], platform: platform('arm64') })
const index = makeIndex([amd64, arm64])
const plain = makeImage({ seed: 'plain', layers: [300_000] })
const signature = makeImage({
  seed: 'signature',
  layers: [200],
  subject: plain.descriptor,
  artifactType: 'application/vnd.example.signature',
})

async function start(t: Test, config: Readonly<Record<string, unknown>> = {}) {
  const stub = await startStub(t)
  stub.addImage('library/app', 'v1', index)
  stub.addImage('library/plain', 'v1', plain)
  stub.addImage('library/plain', undefined, signature)
  const edge = await startTestEdge(t, { upstreams: { 'docker.io': { url: stub.url } }, config })
  const directory = await mkdtemp(join(tmpdir(), 'export-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const run = (...argv: string[]) => runCli([...argv, '--socket', edge.socket])
  return { stub, edge, run, path: (name: string) => join(directory, name), directory }
}

/** Members of a bundle, by name. */
async function membersOf(file: string): Promise<ReadonlyMap<string, Buffer>> {
  const members = new Map<string, Buffer[]>()
  let last: Buffer[] = []
  for await (const piece of tarPieces(inPieces(readFileSync(file), 64 * 1024))) {
    if (piece.kind === 'head') members.set(piece.member.name, (last = []))
    if (piece.kind === 'bytes') last.push(Buffer.from(piece.raw))
  }
  return new Map([...members].map(([name, bytes]) => [name, Buffer.concat(bytes)]))
}

function linesOf(inventory: Buffer | undefined): readonly InventoryLine[] {
  const reader = new InventoryReader()
  const lines = [...reader.push(inventory ?? Buffer.alloc(0))]
  reader.finish()
  return lines
}

/** Documents and blobs, of an index those of these children. */
function namesOf(image: Image, children = image.children): readonly string[] {
  const own =
    image.children.length > 0
      ? children.flatMap(child => namesOf(child))
      : [image.config, ...image.layers].map(({ digest }) => blobName(digest))
  return [blobName(image.manifest.digest), ...own]
}

/** Of the blob's file on the disk of the edge. */
function fileOf({ dataDirectory }: TestEdge, digest: Image['manifest']['digest']): string {
  const hex = digestHex(digest)
  return join(dataDirectory, 'blobs', 'sha256', hex.slice(0, 2), hex)
}

t.test('R834: export pulls what is not here, and writes one platform of an index', async t => {
  const { run, path } = await start(t)
  const file = path('app.tar')
  const result = await run('export', 'docker.io/library/app:v1', '-o', file)
  t.match(result, { exitCode: 0, stdout: /1 image: 2 manifests and 3 blobs, .*1 other platform/ })
  const members = await membersOf(file)
  const expected = [LAYOUT_NAME, INDEX_NAME, INVENTORY_NAME, ...namesOf(index, [amd64])]
  t.same([...members.keys()].toSorted(), expected.toSorted(), 'R838: no more than was asked for')
  t.same(members.get(blobName(index.manifest.digest)), index.manifest.bytes)
  const name = 'docker.io/library/app:v1'
  t.match(JSON.parse(String(members.get(INDEX_NAME))), {
    manifests: [
      {
        digest: index.manifest.digest,
        size: index.manifest.bytes.length,
        mediaType: index.manifest.mediaType,
        annotations: {
          'io.containerd.image.name': name,
          'org.opencontainers.image.ref.name': name,
        },
      },
    ],
  })
  const lines = linesOf(members.get(INVENTORY_NAME))
  t.match(lines[1], { image: name, digest: index.manifest.digest })
  const left = { content: arm64.manifest.digest, state: 'left out' }
  t.match(
    lines.filter(line => 'state' in line),
    [left],
    'what is not there is said',
  )
})

t.test('R838: several platforms, or all of them', async t => {
  const { run, path } = await start(t)
  for (const args of [
    ['--platform', 'linux/amd64', '--platform', 'linux/arm64'],
    ['--all-platforms'],
  ]) {
    const result = await run('export', 'docker.io/library/app:v1', ...args, '-o', path('all'))
    t.match(result, { exitCode: 0 })
    const blobs = [...(await membersOf(path('all'))).keys()].filter(name => name.includes('blobs'))
    t.same(blobs.toSorted(), [...new Set(namesOf(index))].toSorted())
  }
  const none = await run(
    'export',
    'docker.io/library/app:v1',
    '--platform',
    'linux/s390x',
    '-o',
    path('none'),
  )
  t.match(none, { exitCode: 1, stderr: /app:v1: .*linux\/amd64, linux\/arm64/ })
})

t.test('R837: what is about an image goes along, unless it is told not to', async t => {
  const { run, path } = await start(t)
  t.match(await run('export', 'docker.io/library/plain:v1', '-o', path('with')), { exitCode: 0 })
  const members = await membersOf(path('with'))
  for (const name of namesOf(signature)) t.ok(members.has(name), name)
  t.match(JSON.parse(String(members.get(INDEX_NAME))).manifests[1], {
    digest: signature.manifest.digest,
    annotations: { 'io.containerd.manifest.subject': plain.manifest.digest },
  })
  const without = ['--no-referrers', '-o', path('without')]
  t.match(await run('export', 'docker.io/library/plain:v1', ...without), { exitCode: 0 })
  const names = [...(await membersOf(path('without'))).keys()]
  t.notOk(names.includes(blobName(signature.manifest.digest)))
})

t.test('R835: the same images make the same file, in whatever order they are named', async t => {
  const { run, path } = await start(t)
  const images = ['docker.io/library/plain:v1', 'docker.io/library/app:v1']
  t.match(await run('export', ...images, '-o', path('one')), { exitCode: 0 })
  t.match(await run('export', ...images.toReversed(), '-o', path('two')), { exitCode: 0 })
  t.match(await run('export', 'docker.io/library/*', '-o', path('three')), { exitCode: 0 })
  for (const other of ['two', 'three'])
    t.ok(readFileSync(path('one')).equals(readFileSync(path(other))), other)
  const piped = await run('export', ...images, '-o', '-')
  t.ok(Buffer.from(piped.stdout, 'latin1').equals(readFileSync(path('one'))), 'through a pipe')
})

t.test('R834: all that cannot be had is named, and nothing is written', async t => {
  const { run, path, stub, edge } = await start(t)
  t.match(await run('export', 'docker.io/library/plain:v1', '-o', path('here')), { exitCode: 0 })
  const images = ['plain:v1', 'gone:v1', 'other:v2'].map(name => `docker.io/library/${name}`)
  const some = await run('export', ...images, '-o', path('some'))
  t.match(some, { exitCode: 1, stderr: /2 images cannot be exported, and nothing was written/ })
  t.match(some.stderr, /library\/gone:v1: [^]*library\/other:v2: /)
  t.notMatch(some.stderr, /plain/)
  t.notOk(existsSync(path('some')) || existsSync(path('some.part')))
  await stub.stop()
  const images2 = ['docker.io/library/plain:v1', 'docker.io/library/app:v1']
  const away = await edge.settle(run('export', ...images2, '-o', path('away')))
  t.match(away, { exitCode: 1, stderr: /1 image cannot be exported[^]*library\/app:v1: / })
  const none = await run('export', 'quay.io/*', '-o', path('none'))
  t.match(none, { exitCode: 1, stderr: /quay\.io\/\*: no image here has such a name/ })
})

/** Another file in its place: nobody writes into a blob. */
function rot(edge: TestEdge, { digest }: Pick<Image['manifest'], 'digest'>): void {
  const file = fileOf(edge, digest)
  const bytes = readFileSync(file)
  const at = bytes.length >> 1
  bytes[at] = (bytes[at] ?? 0) ^ 1
  unlinkSync(file)
  writeFileSync(file, bytes)
}

t.test('R832: a rotten blob ends it with its name, and is pulled anew by the next', async t => {
  const { edge, run, path } = await start(t)
  t.match(await run('pull', 'docker.io/library/plain:v1'), { exitCode: 0 })
  const layer = plain.layers[0] as Image['layers'][0]
  rot(edge, layer)
  const args = ['export', 'docker.io/library/plain:v1', '-o']
  const piped = await run(...args, '-')
  t.match(piped, {
    exitCode: 1,
    stderr: `${layer.digest} of docker.io/library/plain:v1 has rotted`,
  })
  t.notOk(Buffer.from(piped.stdout, 'latin1').includes(layer.bytes().subarray(-100)), 'held back')
  t.match(await run(...args, path('healed')), { exitCode: 0 }, 'as it was told')
  rot(edge, layer)
  const result = await run(...args, path('rotten'))
  t.match(result, { exitCode: 1, stderr: /the same command pulls it anew; what was right stays/ })
  t.notOk(existsSync(path('rotten')))
  t.match(await run(...args, path('rotten')), { exitCode: 0 })
  t.notOk(existsSync(path('rotten.part')))
  t.ok(readFileSync(path('rotten')).equals(readFileSync(path('healed'))))
})

t.test('R832: where what has rotted was pushed here, it is told to push it again', async t => {
  const { edge, run, path } = await start(t)
  for (const blob of [plain.config, ...plain.layers])
    t.equal((await pushBlob(edge, 'localhost/app', blob.bytes())).status, 201)
  const put = { body: plain.manifest.bytes, headers: { 'content-type': plain.manifest.mediaType } }
  t.equal((await edge.send('PUT', '/v2/localhost/app/manifests/v1', put)).status, 201)
  const layer = plain.layers[0] as Image['layers'][0]
  rot(edge, layer)
  const args = ['export', 'localhost/app:v1', '-o', path('x')]
  t.match(await run(...args), { exitCode: 1, stderr: /was pushed here: push it again/ })
  t.equal((await pushBlob(edge, 'localhost/app', layer.bytes())).status, 201)
  t.match(await run(...args), { exitCode: 0 })
})

t.test('R836: an export that was cut goes on, whatever stands at its end', async t => {
  const { run, path } = await start(t)
  const args = ['export', 'docker.io/library/plain:v1', '-o']
  t.match(await run(...args, path('whole')), { exitCode: 0 })
  const whole = readFileSync(path('whole'))
  for (const length of [0, 100, 5_000, whole.length - 2_000, whole.length]) {
    const part = path('cut.part')
    writeFileSync(part, whole)
    truncateSync(part, length)
    const result = await run(...args, path('cut'))
    t.match(result, { exitCode: 0 }, `${length} bytes`)
    const goesOn = length >= 5_000 && length < whole.length
    t.equal(/are there, and right/.test(result.stdout), goesOn, 'what is right is not sent again')
    t.ok(readFileSync(path('cut')).equals(whole), `${length} bytes`)
  }
  const damaged = Buffer.from(whole)
  damaged.fill(0, whole.length - 100_000)
  writeFileSync(path('cut.part'), damaged)
  t.match(await run(...args, path('cut')), { exitCode: 0 })
  t.ok(readFileSync(path('cut')).equals(whole), 'what a power cut left is no part of it')
  writeFileSync(path('cut.part'), readFileSync(path('whole')).subarray(0, 9_000))
  const other = await run('export', 'docker.io/library/app:v1', '-o', path('cut'))
  t.match(other, { exitCode: 0, stderr: /is begun anew/ }, 'of another bundle nothing is taken')
  t.ok((await membersOf(path('cut'))).has(blobName(index.manifest.digest)))
})

t.test('an option without its value is told, and takes no other one for it', async t => {
  const { run } = await start(t)
  const image = 'docker.io/library/plain:v1'
  t.match(await run('export', image, '-o'), { exitCode: 2, stderr: /-o wants a value/ })
  const split = await run('export', image, '--split', '--platform', 'linux/amd64', '-o', 'x')
  t.match(split, { exitCode: 2, stderr: /--split wants a value/ })
  const since = await run('export', image, '-o', 'x', '--since', 'nowhere')
  t.match(since, { exitCode: 1, stderr: /--since nowhere: it cannot be read/ })
})

t.test('where a file cannot be written, nothing is pulled for it', async t => {
  const { run, path, stub } = await start(t)
  const result = await run('export', 'docker.io/library/plain:v1', '-o', path('none/file'))
  t.match(result, {
    exitCode: 1,
    stderr: /none\/file cannot be written: its directory is not there/,
  })
  t.equal(stub.count({ kind: 'blob' }) + stub.count({ kind: 'manifest' }), 0)
})

t.test('R836: after a restart of the edge the same command goes on', async t => {
  const { run, path, stub, edge } = await start(t)
  const args = ['export', 'docker.io/library/plain:v1', '-o']
  t.match(await run(...args, path('whole')), { exitCode: 0 })
  const whole = readFileSync(path('whole'))
  await edge.stop()
  const again = await startTestEdge(t, {
    upstreams: { 'docker.io': { url: stub.url } },
    directory: join(edge.dataDirectory, '..'),
  })
  writeFileSync(path('cut.part'), whole.subarray(0, 100_000))
  const result = await runCli([...args, path('cut'), '--socket', again.socket])
  t.match(result, { exitCode: 0, stdout: /KiB are there, and right/ })
  t.ok(readFileSync(path('cut')).equals(whole))
})

t.test('images of a list, and of what is rendered for a cluster, are exported', async t => {
  const { run, path, edge } = await start(t)
  writeFileSync(path('list'), '# ours\nplain:v1\n\nlibrary/app:v1  # the app\n')
  const listed = await run('export', '--images', path('list'), '-o', path('a'))
  t.match(listed, { exitCode: 0, stdout: /2 images: / })
  const rendered = `
kind: Pod
spec:
  containers:
    - image: "docker.io/library/plain:v1"
      imagePullPolicy: Always
    - name: app
      image: app:v1
`
  const argv = ['export', '--images', '-', '-o', path('b'), '--socket', edge.socket]
  t.match(await runCli(argv, { stdin: typed(rendered) }), { exitCode: 0, stdout: /2 images: / })
  t.ok(readFileSync(path('a')).equals(readFileSync(path('b'))))
  writeFileSync(path('empty'), '# nothing\n')
  const empty = await run('export', '--images', path('empty'), '-o', path('c'))
  t.match(empty, { exitCode: 2, stderr: /no image is named there/ })
})

t.test('inventory writes what is here, signed by the key that key show tells', async t => {
  const { run, path, edge } = await start(t)
  t.match(await run('pull', 'docker.io/library/app:v1', 'docker.io/library/plain:v1'), {
    exitCode: 0,
  })
  const shown = await run('key', 'show', '--json')
  t.match(shown, { exitCode: 0 })
  const { key, id } = JSON.parse(shown.stdout) as { key: string; id: string }
  const told = await run('inventory', '-o', path('all'))
  t.match(told, { exitCode: 0, stdout: new RegExp(`2 images.*signed by ${id}`) })
  const lines = linesOf(readFileSync(path('all')))
  t.match(lines.at(-1), { key, end: { images: 2 } })
  const contents = lines.flatMap(line => ('content' in line ? [line.content] : []))
  const expected = [...namesOf(index, [amd64]), ...namesOf(plain)]
  t.same(contents.map(blobName), expected.toSorted())
  const some = await run('inventory', 'docker.io/library/plain:*')
  const images = linesOf(Buffer.from(some.stdout)).flatMap(line => ('image' in line ? [line] : []))
  t.match(images, [{ image: 'docker.io/library/plain:v1' }])
  t.equal(statSync(join(edge.dataDirectory, 'bundle-key.json')).mode & 0o777, 0o600)
  t.match(await run('key', 'show', '--pem'), { stdout: /^-----BEGIN PUBLIC KEY-----/ })
})

t.test('inventory of what has tags and of what has none is whole', async t => {
  const { run, path, edge } = await start(t)
  const { digest } = plain.manifest
  await pushTo(edge, 'localhost/app', { image: amd64, tags: ['v1'] })
  await pushTo(edge, 'localhost/app', { image: plain, tags: [digest] })
  t.match(await run('inventory', '-o', path('all')), { exitCode: 0, stderr: '' })
  const lines = linesOf(readFileSync(path('all')))
  const images = lines.flatMap(line => ('image' in line ? [line.image] : []))
  t.same(images, ['localhost/app:v1', `localhost/app@${digest}`])
  const delta = ['localhost/app:v1', '--since', path('all'), '-o', path('delta')]
  t.match(await run('export', ...delta), { exitCode: 0 }, 'others read it')
})

t.test('a key that is damaged is not replaced, and it is said what to do', async t => {
  const { run, edge, path } = await start(t)
  writeFileSync(join(edge.dataDirectory, 'bundle-key.json'), '{}')
  const result = await run('key', 'show')
  t.match(result, { exitCode: 1, stderr: /bring its file back from a backup/ })
  const exported = await run('export', 'docker.io/library/plain:v1', '-o', path('x'))
  t.match(exported, { exitCode: 1, stderr: /bundle key/ })
  t.equal(readFileSync(join(edge.dataDirectory, 'bundle-key.json'), 'utf8'), '{}')
})

t.test('R839: volumes are the bundle, each verifiable alone, and the sums come last', async t => {
  const { run, path, directory } = await start(t)
  const args = ['export', 'docker.io/library/plain:v1', '-o']
  t.match(await run(...args, path('whole')), { exitCode: 0 })
  const whole = readFileSync(path('whole'))
  t.match(await run(...args, path('cut'), '--split', '100KiB'), { exitCode: 0 })
  const volumes = () =>
    readdirSync(directory)
      .filter(name => /^cut\.\d+$/.test(name))
      .toSorted()
  const joined = () => Buffer.concat(volumes().map(name => readFileSync(path(name))))
  t.equal(volumes().length, Math.ceil(whole.length / (100 * 1024)))
  t.ok(joined().equals(whole))
  const sums = readFileSync(path('cut.sums'), 'utf8')
  for (const name of volumes()) {
    const bytes = readFileSync(path(name))
    t.match(sums, `# ${bytes.length} bytes\n${digestHex(digestOf(bytes))}  ${name}\n`)
  }
  const { key } = JSON.parse((await run('key', 'show', '--json')).stdout) as { key: string }
  const [text = '', signature = ''] = sums.split(`# ${key} `)
  const statement = statementOf('volumes', digestHex(digestOf(Buffer.from(text))))
  const signed = Buffer.from(signature, 'base64')
  t.equal(isSignedBy(bundleKeyFrom(key) as BundleKeyText, statement, signed), true)
  // As a kill in the middle of the third one leaves it.
  truncateSync(path('cut.003'), 20_000)
  renameSync(path('cut.003'), path('cut.003.part'))
  for (const name of volumes().slice(2)) unlinkSync(path(name))
  unlinkSync(path('cut.sums'))
  const goneOn = await run(...args, path('cut'), '--split', '100KiB')
  t.match(goneOn, { exitCode: 0, stdout: /are there, and right/ })
  t.ok(joined().equals(whole), 'R836: it was gone on with')
  t.equal(readFileSync(path('cut.sums'), 'utf8'), sums)
})

t.test('a directory gets the layout unpacked, with the index last', async t => {
  const { run, path, edge } = await start(t)
  const args = ['export', 'docker.io/library/plain:v1', '-o']
  t.match(await run(...args, path('file')), { exitCode: 0 })
  t.match(await run(...args, `${path('layout')}/`), { exitCode: 0 })
  const members = await membersOf(path('file'))
  for (const [name, bytes] of members)
    t.ok(readFileSync(join(path('layout'), name)).equals(bytes), name)
  const files = readdirSync(path('layout'), { recursive: true, withFileTypes: true })
  t.equal(files.filter(each => each.isFile()).length, members.size, 'and nothing else')
  t.match(await run(...args, path('layout')), { exitCode: 0 }, 'one that is there')
  rot(edge, plain.layers[0] as Image['layers'][0])
  t.match(await run(...args, `${path('cut')}/`), { exitCode: 1, stderr: /has rotted/ })
  t.notOk(existsSync(join(path('cut'), INDEX_NAME)))
})

t.test('R840: a delta leaves out what an inventory says is there, and names it', async t => {
  const { run, path, stub, edge } = await start(t)
  const base = makeImage({ seed: 'delta', layers: [40_000] })
  const next = makeImage({ seed: 'delta-2', layers: [9_000] })
  stub.addImage('library/delta', 'v1', base)
  stub.addImage('library/delta', 'v2', next)
  stub.addImage('library/delta', 'both', makeIndex([base, next]))
  const args = ['--all-platforms', '-o']
  t.match(await run('export', 'docker.io/library/delta:v1', ...args, path('base')), { exitCode: 0 })
  t.match(await run('inventory', '-o', path('inventory')), { exitCode: 0 })
  // Gone from the cache, and not to be pulled again for what the other side has.
  t.match(await run('purge', 'docker.io/library/delta'), { exitCode: 0 })
  const layer = base.layers[0] as Image['layers'][0]
  const pulls = () => stub.count({ kind: 'blob', method: 'GET', digest: layer.digest })
  t.equal(pulls(), 1)
  const sinces = ['base', 'inventory']
  for (const since of sinces) {
    const how = ['--since', path(since), ...args, path(`delta-${since}`)]
    const result = await run('export', 'docker.io/library/delta:both', ...how)
    t.match(result, { exitCode: 0, stdout: /3 of them there already/ }, since)
    const members = await membersOf(path(`delta-${since}`))
    const blobs = [...members.keys()].filter(name => name.startsWith('blobs'))
    const both = makeIndex([base, next])
    t.same(blobs.toSorted(), [blobName(both.manifest.digest), ...namesOf(next)].toSorted())
    const supposed = linesOf(members.get(INVENTORY_NAME)).flatMap(line =>
      'content' in line && line.state === 'supposed' ? [blobName(line.content)] : [],
    )
    t.same(supposed, namesOf(base).toSorted(), 'what it lacks it says')
  }
  t.equal(pulls(), 1)
  t.ok(readFileSync(path('delta-base')).equals(readFileSync(path('delta-inventory'))))
  const none = ['--since', path('delta'), ...args, path('x')]
  writeFileSync(path('delta'), '{"entrepot":"inventory"}\n')
  const wrong = await run('export', 'docker.io/library/delta:both', ...none)
  t.match(wrong, { exitCode: 1, stderr: /--since .*delta: the inventory has version undefined/ })
  t.equal(edge.lines().filter(({ level }) => level === 'error').length, 0)
})
