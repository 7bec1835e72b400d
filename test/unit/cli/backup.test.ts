// Goal: a backup has all that was pushed, whole and right, or says what it lacks; and what is
// brought back from it is what was there. Method: the edge in process, commands through its Unix
// socket; files looked at and damaged on disk, and a second edge started on what was brought back.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { statementOf } from '../../../src/bundle/bundle-key.ts'
import { type Digest, digestHex, digestOf } from '../../../src/oci/digest.ts'
import { makeSigner } from '../../kit/bundle.ts'
import { runCli } from '../../kit/cli.ts'
import { pulledFrom, pushTo } from '../../kit/clients/pushed-images.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { makeImage, makeIndex } from '../../kit/image.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const app = makeImage({ seed: 'app', layers: [70_000, 500] })
const other = makeImage({ seed: 'other', layers: [9_000] })
const index = makeIndex([
  makeImage({ seed: 'amd', layers: [6_000], platform: { os: 'linux', architecture: 'amd64' } }),
  makeImage({ seed: 'arm', layers: [6_100], platform: { os: 'linux', architecture: 'arm64' } }),
])
const cached = makeImage({ seed: 'cached', layers: [40_000] })

async function start(t: Test, config: Readonly<Record<string, unknown>> = {}) {
  const stub = await startStub(t)
  stub.addImage('library/cached', 'v1', cached)
  const upstreams = { 'docker.io': { url: stub.url } }
  const edge = await startTestEdge(t, { upstreams, config })
  const directory = await mkdtemp(join(tmpdir(), 'backup-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const run = (...argv: string[]) => runCli([...argv, '--socket', edge.socket])
  const target = join(directory, 'target')
  /** Brought back, and started there. */
  const bringBack = async (...argv: string[]) => {
    const into = await mkdtemp(join(directory, 'back-'))
    const data = join(into, 'data')
    const restored = await runCli(['restore', target, '--into', data, ...argv])
    return { restored, start: () => startTestEdge(t, { upstreams, config, directory: into }) }
  }
  return { stub, edge, run, target, bringBack, directory }
}

function fileUnder(root: string, digest: Digest): string {
  const hex = digestHex(digest)
  return join(root, 'blobs', 'sha256', hex.slice(0, 2), hex)
}

function damage(file: string): void {
  const bytes = readFileSync(file)
  bytes[10] = (bytes[10] ?? 0) ^ 1
  chmodSync(file, 0o600)
  writeFileSync(file, bytes)
}

t.test('R841: what was pushed is in the backup, and is brought back byte for byte', async t => {
  const { edge, run, target, bringBack } = await start(t)
  await pushTo(edge, 'localhost/team/app', app, 'v1')
  await pushTo(edge, 'localhost/team/app', index, 'multi')
  await pushTo(edge, 'localhost/other', other, 'v1')
  t.match(await run('pull', 'docker.io/library/cached:v1'), { exitCode: 0 })
  const written = await run('backup', target)
  t.match(written, { exitCode: 0, stdout: /00000001: 14 manifests and blobs, .*14 new/ })
  t.match(written.stderr, /without the keys, robots and accounts/)
  t.notOk(existsSync(fileUnder(target, cached.layers[0]?.digest as Digest)), 'cached: pulled again')
  t.match(await run('backup', 'verify', target), {
    exitCode: 0,
    stdout: /14 manifests and blobs, .*all right; signed by/,
  })
  await edge.stop()
  rmSync(edge.dataDirectory, { recursive: true })
  const { restored, start: again } = await bringBack()
  t.match(restored, { exitCode: 0, stdout: /14 manifests and blobs/ })
  const back = await again()
  t.equal(await pulledFrom(back, 'localhost/team/app', app, 'v1'), 'whole')
  t.equal(await pulledFrom(back, 'localhost/team/app', index, 'multi'), 'whole')
  t.equal(await pulledFrom(back, 'localhost/other', other, 'v1'), 'whole')
  t.equal(await pulledFrom(back, 'library/cached', cached, 'v1'), 'whole', 'pulled anew')
})

t.test('R842: a second backup copies what is new alone, and lets go of what is gone', async t => {
  const { edge, run, target } = await start(t)
  await pushTo(edge, 'localhost/app', app, 'v1')
  t.match(await run('backup', target), { exitCode: 0, stdout: /4 manifests and blobs.*4 new/ })
  t.match(await run('backup', target), { exitCode: 0, stdout: /00000002: .*none new/ })
  await pushTo(edge, 'localhost/app', other, 'v2')
  const path = `/v2/localhost/app/manifests/${app.manifest.digest}`
  t.match(await edge.send('DELETE', path), { status: 202 })
  const third = await run('backup', target)
  t.match(third, { exitCode: 0, stdout: /00000003: .*3 new/ })
  t.same(readdirSync(join(target, 'backups')), ['00000003'], 'one is kept')
  t.notOk(existsSync(fileUnder(target, app.manifest.digest)), 'with what none lists')
  t.ok(existsSync(fileUnder(target, other.manifest.digest)))
})

t.test('--keep: so many backups stay, with all that they list', async t => {
  const { edge, run, target } = await start(t)
  await pushTo(edge, 'localhost/app', app, 'v1')
  for (let at = 0; at < 3; at += 1)
    t.match(await run('backup', target, '--keep', '2'), { exitCode: 0 })
  t.same(readdirSync(join(target, 'backups')), ['00000002', '00000003'])
  t.match(await run('backup', target, '--keep', '0'), { exitCode: 2 })
})

t.test('R843: a rotten blob is named, stays out, and the rest is backed up', async t => {
  const { edge, run, target, bringBack } = await start(t)
  await pushTo(edge, 'localhost/app', app, 'v1')
  await pushTo(edge, 'localhost/other', other, 'v1')
  const [layer] = app.layers
  damage(fileUnder(edge.dataDirectory, layer?.digest as Digest))
  const written = await run('backup', target)
  t.match(written, {
    exitCode: 1,
    stdout: new RegExp(`${layer?.digest} of localhost/app has rotted`),
  })
  t.match(written.stderr, /without 1 blob that was pushed here/)
  t.notOk(existsSync(fileUnder(target, layer?.digest as Digest)))
  t.match(await run('backup', 'verify', target), {
    exitCode: 1,
    stdout: new RegExp(`${layer?.digest} was not`),
  })
  t.match((await bringBack()).restored, { exitCode: 1, stderr: /nothing is brought back/ })
  const { restored, start: again } = await bringBack('--partial')
  t.match(restored, { exitCode: 1, stderr: /not all of it: 1 fault/ })
  const back = await again()
  t.equal(await pulledFrom(back, 'localhost/other', other, 'v1'), 'whole')
  await back.untilLogged('catalog and content were reconciled', 1, { lost: 1 })
  await pushTo(edge, 'localhost/app', app, 'v1')
  t.match(await run('backup', target), { exitCode: 0 }, 'a push mends it')
})

for (const [how, spoil] of Object.entries({
  'has rotted': damage,
  'is not there': (file: string) => rmSync(file),
}))
  t.test(`R844: of a backup of which a blob ${how} the rest comes back, and not that`, async t => {
    const { edge, run, target, bringBack } = await start(t)
    await pushTo(edge, 'localhost/app', app, 'v1')
    await pushTo(edge, 'localhost/other', other, 'v1')
    t.match(await run('backup', target), { exitCode: 0 })
    const layer = app.layers[0]?.digest as Digest
    spoil(fileUnder(target, layer))
    const { restored, start: again } = await bringBack('--partial')
    t.match(restored, { exitCode: 1, stdout: new RegExp(layer), stderr: /not all of it: 1 fault/ })
    const back = await again()
    t.equal(await pulledFrom(back, 'localhost/other', other, 'v1'), 'whole')
    t.match(await back.get(`/v2/localhost/app/blobs/${layer}`), { status: 404 })
  })

t.test('R844: a backup whose catalog is damaged comes back by its facts', async t => {
  const { edge, run, target, bringBack } = await start(t)
  await pushTo(edge, 'localhost/app', app, 'v1')
  t.match(await run('backup', target), { exitCode: 0 })
  writeFileSync(join(target, 'backups', '00000001', 'catalog.db'), 'none')
  const { restored, start: again } = await bringBack('--partial')
  t.match(restored, { exitCode: 1, stderr: /not all of it/ })
  t.equal(await pulledFrom(await again(), 'localhost/app', app, 'v1'), 'whole')
})

t.test('R844: verify names all that a disk has done to a backup', async t => {
  const { edge, run, target, bringBack } = await start(t)
  await pushTo(edge, 'localhost/app', app, 'v1')
  const of = async (spoil: (path: string) => void) => {
    rmSync(target, { recursive: true, force: true })
    t.match(await run('backup', target), { exitCode: 0 })
    spoil(join(target, 'backups', '00000001'))
    const { restored } = await bringBack()
    t.match(restored, { exitCode: 1 })
    const { exitCode, stdout, stderr } = await run('backup', 'verify', target)
    t.equal(exitCode, 1)
    return stdout + stderr
  }
  const [layer] = app.layers
  const blob = fileUnder(target, layer?.digest as Digest)
  t.match(await of(() => rmSync(blob)), /is not there/)
  t.match(await of(() => (rmSync(blob), writeFileSync(blob, Buffer.alloc(70_000)))), /has rotted/)
  t.match(await of(path => damage(join(path, 'catalog.db'))), /catalog\.db is not what was written/)
  t.match(await of(path => damage(join(path, 'facts'))), /facts is not what was written/)
  t.match(await of(path => damage(join(path, 'list'))), /the backup /)
  t.match(await of(path => rmSync(join(path, 'list'))), /list cannot be read: it is not there/)
})

t.test('R845: one repository alone is brought back, without the rest', async t => {
  const { edge, run, target, bringBack } = await start(t)
  await pushTo(edge, 'localhost/team/app', index, 'v1')
  await pushTo(edge, 'localhost/team/app', app, 'v2')
  await pushTo(edge, 'localhost/other', other, 'v1')
  t.match(await run('backup', target), { exitCode: 0 })
  const { restored, start: again } = await bringBack('--repository', 'localhost/team/**')
  t.match(restored, { exitCode: 0 })
  const back = await again()
  t.equal(await pulledFrom(back, 'localhost/team/app', index, 'v1'), 'whole')
  t.equal(await pulledFrom(back, 'localhost/team/app', app, 'v2'), 'whole')
  t.equal(await pulledFrom(back, 'localhost/other', other, 'v1'), 'none')
  t.notOk(existsSync(fileUnder(back.dataDirectory, other.manifest.digest)))
})

t.test('R846: a directory that is not empty is refused, at both ends', async t => {
  const { edge, run, target, directory } = await start(t)
  await pushTo(edge, 'localhost/app', app, 'v1')
  mkdirSync(target)
  writeFileSync(join(target, 'letter'), 'of somebody')
  t.match(await run('backup', target), { exitCode: 1, stderr: /has files that are no backup/ })
  rmSync(join(target, 'letter'))
  t.match(await run('backup', target), { exitCode: 0 })
  const into = join(directory, 'full')
  mkdirSync(into)
  writeFileSync(join(into, 'letter'), 'of somebody')
  const refused = await runCli(['restore', target, '--into', into])
  t.match(refused, { exitCode: 1, stderr: /is not empty/ })
  t.same(readdirSync(into), ['letter'])
  const none = await runCli(['restore', into, '--into', join(directory, 'new')])
  t.match(none, { exitCode: 1, stderr: /is no directory of backups/ })
})

t.test('R853: a backup that names files elsewhere is none, whoever signed it', async t => {
  const { edge, run, target, bringBack, directory } = await start(t)
  await pushTo(edge, 'localhost/app', app, 'v1')
  t.match(await run('backup', target), { exitCode: 0 })
  const backup = join(target, 'backups', '00000001')
  const letter = Buffer.from('of somebody')
  mkdirSync(join(backup, 'secrets'))
  const elsewhere = '../../outside'
  writeFileSync(join(backup, 'secrets', elsewhere), letter)
  const sha256 = digestHex(digestOf(letter))
  const file = join(backup, 'list')
  const [head = '', ...rest] = readFileSync(file, 'utf8').split('\n').slice(0, -2)
  const secrets = [{ name: elsewhere, size: letter.length, sha256 }]
  const text = [JSON.stringify({ ...JSON.parse(head), secrets }), ...rest, ''].join('\n')
  const signer = makeSigner()
  const sum = digestHex(digestOf(Buffer.from(text)))
  const signature = Buffer.from(signer.sign(statementOf('backup', sum))).toString('base64')
  const end = { end: { contents: rest.length }, sha256: sum, key: signer.key, signature }
  rmSync(file)
  writeFileSync(file, `${text}${JSON.stringify(end)}\n`)
  const refused = /has a file that no backup has/
  t.match(await run('backup', 'verify', target), { exitCode: 1, stdout: refused })
  t.match((await bringBack()).restored, { exitCode: 1 })
  t.match((await bringBack('--partial')).restored, { exitCode: 1 })
  const found = readdirSync(directory, { recursive: true }).filter(name =>
    String(name).endsWith('outside'),
  )
  t.same(found, ['target/backups/outside'], 'where it was, and nowhere else')
})

t.test('R852: what a restore that was cut off has renamed is in the way of none', async t => {
  const { edge, run, target, directory } = await start(t)
  await pushTo(edge, 'localhost/app', app, 'v1')
  t.match(await run('backup', target), { exitCode: 0 })
  const data = join(directory, 'data')
  const restore = () => runCli(['restore', target, '--into', data])
  mkdirSync(join(data, 'restoring'), { recursive: true })
  mkdirSync(join(data, 'blobs'))
  writeFileSync(join(data, 'blobs', 'half'), 'of a file')
  t.match(await restore(), { exitCode: 0 })
  t.same(readdirSync(data).sort(), ['blobs', 'catalog.db', 'facts'])
  t.same(readdirSync(join(data, 'blobs')), ['sha256'])
  mkdirSync(join(data, 'restoring'))
  writeFileSync(join(data, 'lock.db'), '')
  t.match(await restore(), { exitCode: 1, stderr: /is not empty/ }, 'an edge ran there')
  t.ok(existsSync(join(data, 'catalog.db')))
})

t.test('R847: keys and accounts are copied when they are asked for, and not else', async t => {
  const { edge, run, target, bringBack } = await start(t)
  await pushTo(edge, 'localhost/app', app, 'v1')
  const shown = JSON.parse((await run('key', 'show', '--json')).stdout)
  t.match(await run('backup', target), { exitCode: 0 })
  t.notOk(existsSync(join(target, 'backups', '00000001', 'secrets')))
  t.match(await run('backup', target, '--secrets'), { exitCode: 0, stderr: '' })
  const key = join(target, 'backups', '00000002', 'secrets', 'bundle-key.json')
  t.equal(statSync(key).mode & 0o777, 0o600)
  const { restored, start: again } = await bringBack()
  t.match(restored, { exitCode: 0, stdout: /bundle-key\.json/ })
  const back = await again()
  const after = await runCli(['key', 'show', '--json', '--socket', back.socket])
  t.same(JSON.parse(after.stdout), shown)
})

t.test('--all: what is cached comes along, and is served without its upstream', async t => {
  const { stub, run, target, bringBack } = await start(t)
  t.match(await run('pull', 'docker.io/library/cached:v1'), { exitCode: 0 })
  t.match(await run('backup', target, '--all'), { exitCode: 0, stdout: /3 manifests and blobs/ })
  const { start: again } = await bringBack()
  const back = await again()
  const before = stub.requests.length
  t.equal(await pulledFrom(back, 'library/cached', cached), 'whole')
  t.equal(stub.requests.length, before)
})

t.test('backups of another edge are left alone', async t => {
  const one = await start(t)
  const two = await start(t)
  t.match(await one.run('backup', one.target), { exitCode: 0 })
  const refused = await two.run('backup', one.target)
  t.match(refused, { exitCode: 1, stderr: /has backups of another edge/ })
  t.same(readdirSync(join(one.target, 'backups')), ['00000001'])
})

t.test('R848: numbers that were given after the backup are given to nothing else', async t => {
  const { edge, run, target, bringBack } = await start(t)
  await pushTo(edge, 'localhost/app', app, 'v1')
  t.match(await run('backup', target), { exitCode: 0 })
  await pushTo(edge, 'localhost/app', other, 'v2')
  const orderOf = (text: string) =>
    Math.max(
      ...[...text.matchAll(/"order":\{[^}]*"number":(\d+)/g)].map(([, each]) => Number(each)),
    )
  const lost = orderOf((await run('inventory')).stdout)
  const { start: again } = await bringBack()
  const back = await again()
  await pushTo(back, 'localhost/app', other, 'v2')
  const inventory = await runCli(['inventory', '--socket', back.socket])
  t.ok(orderOf(inventory.stdout) > lost)
})

t.test('R849: what is deleted while a backup runs is in it, and goes afterwards', async t => {
  const { edge, run, target } = await start(t)
  await pushTo(edge, 'localhost/app', app, 'v1')
  t.match(await run('jobs', 'pause', 'backup'), { exitCode: 0 })
  const written = run('backup', target)
  const listed = async () => (await run('jobs', 'ls')).stdout
  while (!/^backup +paused, runs since/m.test(await listed()));
  t.match(await run('purge', 'localhost/app', '--kept'), { exitCode: 0 })
  t.match(await run('backup', target), { exitCode: 1, stderr: /a backup is under way/ })
  t.match(await run('jobs', 'resume', 'backup'), { exitCode: 0 })
  t.match(await written, { exitCode: 0, stdout: /4 manifests and blobs/ })
  t.match(await run('backup', 'verify', target), { exitCode: 0 })
  t.notMatch(await listed(), /^backup /m)
})
