// Goal: what one edge exports is at another one, which no line leads to, what it was at the first;
// a bundle that is not right changes nothing there. Method: two edges in process, the first before
// a stub registry, the second before an upstream that is offline; a file goes from one to the
// other by the commands, whole, older, damaged and cut.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { runCli } from '../kit/cli.ts'
import { startTestEdge, type TestEdge, type TestEdgeOptions } from '../kit/edge.ts'
import { type Image, makeImage, makeIndex } from '../kit/image.ts'
import { pushTo } from '../kit/worlds/lost-edge.ts'
import { at, keyOf, OFFLINE, pulls, startTwoEdges } from '../kit/worlds/two-edges.ts'

const platform = (architecture: string) => ({ os: 'linux', architecture })
const amd64 = makeImage({ seed: 'amd', layers: [200_000, 500], platform: platform('amd64') })
const arm64 = makeImage({ seed: 'arm', layers: [6_000], platform: platform('arm64') })
const index = makeIndex([amd64, arm64])
const plain = makeImage({ seed: 'plain', layers: [300_000] })
const newer = makeImage({ seed: 'newer', layers: [1_000] })
const signature = makeImage({
  seed: 'signature',
  layers: [200],
  subject: index.descriptor,
  artifactType: 'application/vnd.example.signature',
})

async function start(t: Test, options: Partial<TestEdgeOptions> = {}) {
  const world = await startTwoEdges(t, options)
  const { stub } = world
  stub.addImage('library/app', 'v1', index)
  stub.addImage('library/app', undefined, signature)
  stub.addImage('library/plain', 'v1', plain)
  return world
}

const status = async (edge: TestEdge, path: string) =>
  (await edge.get(path, { accept: index.manifest.mediaType })).status

t.test('R890: an imported image is pulled under its name with the upstream offline', async t => {
  const { to, exported } = await start(t)
  const names = ['docker.io/library/app:v1', 'docker.io/library/plain:v1']
  const file = await exported('both.tar', ...names)
  const result = await at(to)('import', file)
  t.match(result, { exitCode: 0, stderr: '' })
  for (const name of names) t.match(result.stdout, new RegExp(`${name} .* new\n`))
  await pulls(t, to, 'library/app', index)
  await pulls(t, to, 'library/app', amd64, amd64.manifest.digest)
  await pulls(t, to, 'library/plain', plain)
  t.equal(await status(to, `/v2/library/app/manifests/${arm64.manifest.digest}`), 404)
  const referrers = await to.get(`/v2/library/app/referrers/${index.manifest.digest}`)
  t.match(JSON.parse(referrers.body.toString()).manifests, [{ digest: signature.manifest.digest }])
  const why = await at(to)('why', names[0] ?? '')
  t.match(why.stdout, /an operator imported it/)
  const again = await at(to)('import', file)
  t.match(again, { exitCode: 0, stdout: /app:v1 .* was here\n[^]*0 manifest or blobs written/ })
})

/** The first edge pulls `image` under the tag, some time later. */
async function moveOn({ stub, from }: Awaited<ReturnType<typeof start>>, image: Image) {
  stub.addImage('library/plain', 'v1', image)
  await from.clock.advance(3_600_000)
  const pull = await at(from)('pull', 'docker.io/library/plain:v1')
  if (pull.exitCode !== 0) throw new Error(pull.stderr)
}

t.test('R891: in whatever order and number bundles come, a tag does not go back', async t => {
  const world = await start(t)
  const { to, exported } = world
  const name = 'docker.io/library/plain:v1'
  const older = await exported('older.tar', name)
  await moveOn(world, newer)
  const later = await exported('later.tar', name)
  t.match(await at(to)('import', later), { exitCode: 0, stdout: /plain:v1 .* new\n/ })
  for (const file of [older, later, older]) {
    t.match(await at(to)('import', file), { exitCode: 0 })
    await pulls(t, to, 'library/plain', newer)
  }
  const told = await at(to)('import', older)
  t.match(told, { exitCode: 0, stdout: /plain:v1 .* left: .* later word[^]*0 images imported/ })
  await pulls(t, to, 'library/plain', plain, plain.manifest.digest)
  const other = await startTestEdge(t, { upstreams: OFFLINE })
  t.match(await at(other)('import', older), { exitCode: 0 })
  t.match(await at(other)('import', later), { exitCode: 0, stdout: /plain:v1 .* moved here/ })
  await pulls(t, other, 'library/plain', newer)
})

t.test('R891: what was pushed here stays, and images of this edge alone are pushes', async t => {
  const { from, to, exported } = await start(t)
  await pushTo(from, 'localhost/app', { image: plain, tags: ['v1', 'v2'] })
  await pushTo(to, 'localhost/app', { image: newer, tags: ['v1'] })
  const file = await exported('own.tar', 'localhost/app:v1', 'localhost/app:v2')
  const result = await at(to)('import', file)
  t.match(result, { exitCode: 0, stdout: /app:v1 .* left: it was pushed here[^]*app:v2 .* new/ })
  await pulls(t, to, 'localhost/app', newer)
  await pulls(t, to, 'localhost/app', plain, 'v2')
  await pushTo(from, 'localhost/app', { image: newer, tags: ['v2'] })
  const again = await exported('again.tar', 'localhost/app:v2')
  t.match(await at(to)('import', again), { exitCode: 0, stdout: /app:v2 .* moved here/ })
  await pulls(t, to, 'localhost/app', newer, 'v2')
  t.match(await at(to)('import', file), { exitCode: 0, stdout: /app:v2 .* left: .* later word/ })
})

t.test('R892: of a bundle that is damaged anywhere nothing wrong is published', async t => {
  const { path, exported } = await start(t)
  const whole = readFileSync(await exported('whole.tar', 'docker.io/library/plain:v1'))
  let refused = 0
  for (let part = 0; part < 8; part += 1) {
    const place = Math.floor(((part + 0.5) * (whole.length - 1024)) / 8)
    // The first ones in what stands before the blobs.
    const byte = part < 4 ? 300 + part * 1_311 : place
    const damaged = Buffer.from(whole)
    damaged[byte] = (damaged[byte] ?? 0) ^ 1
    writeFileSync(path('damaged.tar'), damaged)
    const to = await startTestEdge(t, { upstreams: OFFLINE })
    const result = await at(to)('import', path('damaged.tar'))
    if (result.exitCode === 0) await pulls(t, to, 'library/plain', plain)
    else {
      refused += 1
      t.match(result, { exitCode: 1, stderr: /no name was imported: / }, `byte ${byte}`)
      t.equal(await status(to, '/v2/library/plain/manifests/v1'), 404)
      t.equal(await status(to, `/v2/library/plain/manifests/${plain.manifest.digest}`), 404)
    }
    await to.stop()
  }
  t.ok(refused >= 5, `${refused} of 8: zeros between members say nothing here`)
})

t.test('R893: an import that was cut goes on, and writes nothing twice', async t => {
  const { to, path, exported } = await start(t)
  const names = ['docker.io/library/app:v1', 'docker.io/library/plain:v1']
  const file = await exported('whole.tar', ...names)
  const whole = readFileSync(file)
  for (const share of [0.02, 0.5, 0.98]) {
    writeFileSync(path('cut.tar'), whole.subarray(0, Math.floor(whole.length * share)))
    const cut = await at(to)('import', path('cut.tar'))
    t.match(cut, { exitCode: 1, stderr: /before its end; .*the same command goes on/ })
    t.equal(await status(to, '/v2/library/app/manifests/v1'), 404)
  }
  const rest = await at(to)('import', file)
  t.match(rest, { exitCode: 0, stdout: / [12] manifest or blobs? written, .* were here/ })
  await pulls(t, to, 'library/app', amd64, amd64.manifest.digest)
  await pulls(t, to, 'library/plain', plain)
})

t.test('R894: what was imported outlives its catalog, and stays', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'import-edge-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const world = await start(t, { directory })
  const { to: first, exported } = world
  const names = ['docker.io/library/app:v1', 'docker.io/library/plain:v1']
  const older = await exported('older.tar', ...names)
  await moveOn(world, newer)
  const file = await exported('later.tar', ...names)
  t.match(await at(first)('import', file), { exitCode: 0 })
  await first.stop()
  for (const name of readdirSync(first.dataDirectory))
    if (name.startsWith('catalog.db')) rmSync(join(first.dataDirectory, name))
  const to = await startTestEdge(t, { upstreams: OFFLINE, directory })
  // Longer than what a push is promised, and than the grace of what nothing needs.
  for (const _ of ['noted', 'over', 'gone']) await to.pass(24 * 3_600_000)
  await pulls(t, to, 'library/app', index)
  await pulls(t, to, 'library/app', amd64, amd64.manifest.digest)
  await pulls(t, to, 'library/plain', newer)
  const referrers = await to.get(`/v2/library/app/referrers/${index.manifest.digest}`)
  t.match(JSON.parse(referrers.body.toString()).manifests, [{ digest: signature.manifest.digest }])
  t.match(await at(to)('why', names[1] ?? ''), { stdout: /an operator imported it/ })
  const back = await at(to)('import', older)
  t.match(back, { exitCode: 0, stdout: /plain:v1 .* left: .* later word/ })
})

t.test('R895: a dry run verifies, tells the same, and changes nothing', async t => {
  const { to, path, exported } = await start(t)
  const file = await exported('whole.tar', 'docker.io/library/plain:v1')
  const dry = await at(to)('import', file, '--dry-run')
  t.match(dry, { exitCode: 0, stdout: /plain:v1 .* new\n[^]*3 manifest or blobs would be written/ })
  t.equal(await status(to, '/v2/library/plain/manifests/v1'), 404)
  const damaged = readFileSync(file)
  damaged[damaged.length - 100_000] = (damaged[damaged.length - 100_000] ?? 0) ^ 1
  writeFileSync(path('damaged'), damaged)
  const refused = await at(to)('import', path('damaged'), '--dry-run')
  t.match(refused, { exitCode: 1, stderr: /bytes of sha256:\w+ are others than its digest says/ })
  const wet = await at(to)('import', file)
  t.match(wet, { exitCode: 0, stdout: /plain:v1 .* new\n[^]* 3 manifest or blobs written/ })
  const here = await at(to)('import', file, '--dry-run')
  t.match(here, { exitCode: 0, stdout: /plain:v1 .* was here\n/ })
})

t.test('R896: where a signature is asked for, nobody else has anything imported', async t => {
  const { from, to, exported } = await start(t)
  const file = await exported('whole.tar', 'docker.io/library/plain:v1')
  const wrong = await at(to)('import', file, '--require-signature', await keyOf(to))
  t.match(wrong, { exitCode: 1, stderr: /none of the keys that are asked for/ })
  t.equal(await status(to, '/v2/library/plain/manifests/v1'), 404)
  const none = await at(to)('import', file, '--require-signature', 'ed25519:x')
  t.match(none, { exitCode: 2, stderr: /ed25519:x is no key/ })
  const right = await at(to)('import', file, '--require-signature', await keyOf(from))
  t.match(right, { exitCode: 0 })
})

t.test('volumes are imported as they lie, and standard input', async t => {
  const { from, to, path } = await start(t)
  const args = ['export', 'docker.io/library/plain:v1', '-o', path('cut.tar')]
  t.match(await at(from)(...args, '--split', '100KiB'), { exitCode: 0 })
  t.match(await at(to)('import', path('cut.tar')), { exitCode: 0 })
  await pulls(t, to, 'library/plain', plain)
  const volumes = readdirSync(path('')).filter(name => /^cut\.tar\.\d+$/.test(name))
  const bytes = Buffer.concat(volumes.toSorted().map(name => readFileSync(path(name))))
  const stdin = Object.assign(Readable.from([bytes]), { isTTY: false })
  const piped = await runCli(['import', '-', '--socket', to.socket], { stdin })
  t.match(piped, { exitCode: 0, stdout: /was here/ })
  const none = await at(to)('import', path('none'))
  t.match(none, { exitCode: 1, stderr: /there is no .*none, and no .*none\.001/ })
})

t.test('where the edge has no such upstream it is told', async t => {
  const { to, exported } = await start(t, {
    upstreams: { 'quay.io': { url: 'http://127.0.0.1:1' } },
    config: { default: 'quay.io' },
  })
  const file = await exported('whole.tar', 'docker.io/library/plain:v1')
  t.match(await at(to)('import', file), {
    exitCode: 0,
    stderr: /nothing of docker\.io can be pulled/,
  })
})
