// Goal: fsck names whatever is wrong with a data directory, says which of it somebody has to put
// right, and changes nothing. Method: the command over the directory of a whole edge that was
// stopped, harmed behind its back; bytes and times of all files are compared before and after.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { contextOf, runCli } from '../../kit/cli.ts'
import { runCommand } from '../../../src/cli/commands.ts'
import { patternBlob } from '../../kit/content.ts'
import { blobPath } from '../../kit/disk/store-directory.ts'
import { rot } from '../../kit/disk/rot.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { type Image, makeImage } from '../../kit/image.ts'
import { BLOBS, MANIFESTS, startPair } from '../../kit/worlds/edge-over-stub.ts'
import { PROJECT, startArguments } from '../../kit/worlds/edge-process.ts'
import { NO_UPSTREAM, pushBlob } from '../../kit/worlds/edge-push.ts'
import { configured, fsck, manifestFact, tagFact } from '../../kit/worlds/fsck-world.ts'

const SIZE = 30_000
const KEY = 'localhost/app'

async function push(edge: TestEdge, image: Image, reference: string): Promise<void> {
  for (const blob of [image.config, ...image.layers]) await pushBlob(edge, KEY, blob.bytes())
  const { mediaType, bytes } = image.manifest
  const headers = { 'content-type': mediaType }
  const path = `/v2/${KEY}/manifests/${reference}`
  const { status } = await edge.send('PUT', path, { headers, body: bytes })
  if (status !== 201) throw new Error(`the push was answered with ${status}`)
}

/** A pulled image `v1`, and two pushed ones, `a` and one without a tag. */
async function running(t: Test) {
  const pulled = makeImage({ seed: 'pulled', layers: [SIZE, SIZE + 1] })
  const { edge, stub } = await startPair(t, { images: { v1: pulled } })
  await edge.get(`${MANIFESTS}/v1`)
  for (const { digest } of [pulled.config, ...pulled.layers]) await edge.get(`${BLOBS}/${digest}`)
  const [pushed, untagged] = ['pushed', 'untagged'].map(seed =>
    makeImage({ seed, layers: [SIZE + 2, SIZE + 3] }),
  ) as [Image, Image]
  await push(edge, pushed, 'a')
  await push(edge, untagged, untagged.manifest.digest)
  return { edge, stub, root: edge.dataDirectory, pulled, pushed, untagged }
}

async function stopped(t: Test) {
  const world = await running(t)
  await world.edge.stop()
  return { ...world, upstream: world.stub.url }
}

/** Names, bytes, modes and times of everything. */
function stateOf(root: string): ReadonlyMap<string, string> {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).toSorted()
  return new Map(
    ['', ...names].map(name => {
      const path = join(root, name)
      const { mode, mtimeMs, size, ino } = lstatSync(path)
      const isFile = lstatSync(path).isFile()
      const hash = isFile ? createHash('sha256').update(readFileSync(path)).digest('hex') : ''
      return [name, JSON.stringify({ mode, mtimeMs, size: isFile ? size : 0, ino, hash })]
    }),
  )
}

t.test('R970: nothing is wrong with what was stopped in order', async t => {
  const { root } = await stopped(t)
  const found = await fsck({ root }, '--read-data')
  t.match(found, { exitCode: 0, found: [], repairable: 0, operators: 0 })
  t.match(found.looked, { rows: 12, facts: 3, images: 3, readBlobs: 12 })
  t.ok(found.looked.files > 12)
})

t.test('R970: rows without files, files without rows, and other lengths are named', async t => {
  const { root, pulled, pushed } = await stopped(t)
  const [gone, cut] = pulled.layers.map(({ digest }) => digest as string) as [string, string]
  unlinkSync(blobPath(root, gone))
  chmodSync(blobPath(root, cut), 0o600)
  truncateSync(blobPath(root, cut), SIZE / 2)
  chmodSync(blobPath(root, cut), 0o440)
  const [lost] = pushed.layers.map(({ digest }) => digest as string) as [string, string]
  unlinkSync(blobPath(root, lost))
  const stray = patternBlob('stray', 100)
  writeFileSync(blobPath(root, stray.digest), stray.bytes(), { mode: 0o440 })
  const found = await fsck({ root })
  t.equal(found.exitCode, 1)
  t.same(found.whats('cached missing'), [gone])
  t.same(found.whats('wrong size'), [cut])
  t.same(found.whats('kept missing'), [lost])
  t.match(found.details('kept missing')[0], /localhost\/app:a/)
  t.same(found.whats('file without row'), [stray.digest])
  t.match(found, { repairable: 3, operators: 1 })
})

t.test('R970: modes, links and strange names are named', async t => {
  const { root, pulled, pushed } = await stopped(t)
  const [open, forbidden] = pulled.layers.map(({ digest }) => blobPath(root, digest))
  chmodSync(open ?? '', 0o644)
  chmodSync(forbidden ?? '', 0)
  const link = blobPath(root, pushed.config.digest)
  unlinkSync(link)
  symlinkSync('/etc/hostname', link)
  writeFileSync(join(root, 'blobs/sha256/00/notes'), 'x')
  chmodSync(join(root, 'catalog.db'), 0o644)
  const found = await fsck({ root })
  t.same(found.whats('mode'), ['catalog.db', pulled.layers[0]?.digest])
  t.match(found.details('mode'), [/0644: chmod 0600/, /0644: chmod 0440/])
  t.same(found.whats('forbidden'), [pulled.layers[1]?.digest])
  t.same(found.whats('not a file'), [pushed.config.digest])
  t.same(found.whats('strange'), ['blobs/sha256/00/notes'])
})

t.test('R971: facts that are missing, say something else or cannot be read are named', async t => {
  const { root, pushed, untagged } = await stopped(t)
  t.match(await fsck({ root }), { exitCode: 0 })
  rmSync(manifestFact(root, KEY, untagged.manifest.digest))
  const fact = JSON.parse(readFileSync(tagFact(root, KEY, 'a'), 'utf8')) as object
  const other = { ...fact, digest: untagged.manifest.digest }
  chmodSync(tagFact(root, KEY, 'a'), 0o640)
  writeFileSync(tagFact(root, KEY, 'a'), JSON.stringify(other))
  rmSync(manifestFact(root, KEY, pushed.manifest.digest))
  const found = await fsck({ root })
  t.same(found.whats('manifest without fact'), [`${KEY}@${untagged.manifest.digest}`])
  t.same(found.whats('fact contradicts'), [`${KEY}:a`])
  t.same(found.whats('fact missing'), [`${KEY}@${pushed.manifest.digest}`])
  t.match(found, { exitCode: 1, repairable: 2, operators: 1 })
  writeFileSync(tagFact(root, KEY, 'a'), '{')
  const unreadable = await fsck({ root })
  t.match(unreadable.details('fact unreadable'), [/of localhost\/app:a/])
})

t.test('R971: a directory that is gone is no end of it', async t => {
  const { root, pushed } = await stopped(t)
  for (const name of ['facts', 'fills', 'quarantine']) rmSync(join(root, name), { recursive: true })
  const found = await fsck({ root })
  t.same(found.whats('fact missing'), [`${KEY}@${pushed.manifest.digest}`, `${KEY}:a`])
  rmSync(join(root, 'catalog.db'))
  t.match(await fsck({ root }), { exitCode: 1, found: [{ kind: 'catalog missing' }] })
})

t.test('R971: sidecars that cannot be read, and what is left over, are named', async t => {
  const { root } = await stopped(t)
  const hex = 'a'.repeat(64)
  const part = `sha256-${hex}`
  writeFileSync(join(root, 'fills', part), 'x')
  writeFileSync(join(root, 'fills', `${part}.json`), '{"version":9}')
  writeFileSync(join(root, 'fills', `sha256-${'b'.repeat(64)}.json`), '{}')
  writeFileSync(join(root, 'uploads', 'abc'), 'x')
  writeFileSync(join(root, 'tmp', 'abc'), 'x')
  const found = await fsck({ root })
  t.same(found.whats('part of no use'), [`fills/${part}`, `fills/sha256-${'b'.repeat(64)}.json`])
  t.same(found.whats('upload of no use'), ['uploads/abc'])
  t.same(found.whats('leftover'), ['tmp/abc'])
  t.match(found, { exitCode: 1, repairable: 3, operators: 0 })
})

t.test('R971: a catalog that does not hold together is named, and what facts lack', async t => {
  const { root, pushed } = await stopped(t)
  const file = join(root, 'catalog.db')
  rot(file)
  unlinkSync(blobPath(root, pushed.manifest.digest))
  const found = await fsck({ root })
  t.ok(found.count('catalog damaged') > 0)
  t.same(found.whats('kept missing'), [pushed.manifest.digest])
  rmSync(file)
  t.same((await fsck({ root })).whats('catalog missing'), ['catalog.db'])
  writeFileSync(file, 'no database at all, but a text that is longer than a header'.repeat(100))
  t.ok((await fsck({ root })).count('catalog damaged') > 0)
})

t.test('R972: a pushed image whose blob the catalog has no more is named', async t => {
  const { root, pushed, pulled } = await stopped(t)
  const { default: Sqlite } = await import('better-sqlite3')
  const database = new Sqlite(join(root, 'catalog.db'))
  for (const digest of [pushed.layers[0]?.digest, pulled.layers[0]?.digest]) {
    const key = Buffer.from(`01${digest?.slice('sha256:'.length)}`, 'hex')
    database.prepare('UPDATE content SET present = 0 WHERE digest = ?').run(key)
  }
  database.close()
  const found = await fsck({ root })
  t.same(found.whats('image broken'), [`${KEY}@${pushed.manifest.digest}`])
  t.same(found.whats('cached images incomplete'), [
    `docker.io/library/app@${pulled.manifest.digest}`,
  ])
  t.equal(found.count('file without row'), 2)
})

t.test('R973: nothing is changed, not even a time', async t => {
  const { root, pulled } = await stopped(t)
  // As a killed process leaves it.
  const { default: Sqlite } = await import('better-sqlite3')
  const copy = join(t.testdir(), 'data')
  const database = new Sqlite(join(root, 'catalog.db'))
  database.pragma('wal_autocheckpoint = 0')
  database.prepare(`INSERT INTO meta (key, value) VALUES ('of the log', 1)`).run()
  cpSync(root, copy, { recursive: true, preserveTimestamps: true })
  database.close()
  const [wrong] = pulled.layers
  const path = blobPath(copy, wrong?.digest ?? '')
  chmodSync(path, 0o600)
  writeFileSync(path, Buffer.alloc(SIZE))
  chmodSync(path, 0)
  mkdirSync(join(copy, 'strange'))
  writeFileSync(join(copy, 'fills', 'x'), 'x')
  const before = stateOf(copy)
  t.ok(before.has('catalog.db-wal'))
  const found = await fsck({ root: copy }, '--read-data')
  t.equal(found.exitCode, 1)
  t.same(stateOf(copy), before)
})

t.test('R974: every byte, or a part of it, is read where that is asked for', async t => {
  const { root, pulled } = await stopped(t)
  const digest = pulled.layers[0]?.digest ?? ''
  const path = blobPath(root, digest)
  chmodSync(path, 0o600)
  writeFileSync(path, Buffer.alloc(SIZE))
  chmodSync(path, 0o440)
  t.match(await fsck({ root }), { exitCode: 0 }, 'its length is right')
  t.same((await fsck({ root }, '--read-data')).whats('wrong bytes'), [digest])
  let readBlobs = 0
  let wrong = 0
  for (let part = 1; part <= 7; part++) {
    const found = await fsck({ root }, `--read-data=${part}/7`)
    readBlobs += found.looked.readBlobs
    wrong += found.count('wrong bytes')
  }
  t.match({ readBlobs, wrong }, { readBlobs: 12, wrong: 1 }, 'each in one of the parts')
  const env = { ENTREPOT_STORAGE_ROOTDIRECTORY: root }
  for (const part of ['8/7', '0/7', 'x', '1/0'])
    t.equal((await runCli(['fsck', `--read-data=${part}`], { env })).exitCode, 2, part)
})

t.test('R975: exit codes are those of restic, and people are told what to do', async t => {
  const { root, pushed } = await stopped(t)
  const none = { ENTREPOT_STORAGE_ROOTDIRECTORY: join(root, 'none') }
  t.equal((await runCli(['fsck'], { env: none })).exitCode, 10)
  const argv = ['fsck', '--config', configured({ root })]
  const clean = await runCli(argv)
  t.match(clean, { exitCode: 0, stdout: /^looked at 12 rows, \d+ files.*nothing is wrong\n$/ })
  unlinkSync(blobPath(root, pushed.manifest.digest))
  const { exitCode, stdout } = await runCli(argv)
  t.equal(exitCode, 1)
  t.match(stdout, /^kept missing \(1\): .*What to do: push the image again/)
  t.match(stdout, `  ${pushed.manifest.digest}  of localhost/app:a\n`)
  t.match(stdout, /0 of which the server puts right, 1 for you to\n$/)
})

/** Of each kind that somebody puts right without an operator. */
function harm({ root, pulled, pushed }: Awaited<ReturnType<typeof running>>): void {
  const [gone, cut] = pulled.layers.map(({ digest }) => blobPath(root, digest))
  unlinkSync(gone ?? '')
  chmodSync(cut ?? '', 0o600)
  truncateSync(cut ?? '', SIZE / 2)
  chmodSync(cut ?? '', 0o440)
  chmodSync(blobPath(root, pushed.config.digest), 0)
  const stray = patternBlob('stray', 100)
  writeFileSync(blobPath(root, stray.digest), stray.bytes(), { mode: 0o440 })
  rmSync(tagFact(root, KEY, 'a'))
}

const HARMED = ['forbidden', 'wrong size', 'fact missing', 'cached missing', 'file without row']

t.test(
  'R976: --repair does what a start and a scrub would, and a second fsck is clean',
  async t => {
    const world = await stopped(t)
    const { root, upstream } = world
    harm(world)
    writeFileSync(join(root, 'fills', `sha256-${'b'.repeat(64)}.json`), '{}')
    const found = await fsck({ root, upstream })
    t.same(new Set(found.found.map(({ kind }) => kind)), new Set([...HARMED, 'part of no use']))
    const repaired = await fsck({ root, upstream }, '--repair')
    t.equal(repaired.exitCode, 0)
    t.same(
      new Set(repaired.mended?.map(({ kind }) => kind)),
      new Set([...HARMED, 'part of no use']),
    )
    t.match(await fsck({ root, upstream }, '--read-data'), { exitCode: 0, operators: 0 })
  },
)

t.test(
  'R976: --repair with no upstream forgets what was pulled, and never what was pushed',
  async t => {
    const world = await stopped(t)
    const { root, pushed } = world
    harm(world)
    const lost = pushed.layers[0]?.digest ?? ''
    unlinkSync(blobPath(root, lost))
    const repaired = await fsck({ root }, '--repair')
    t.match(repaired, { exitCode: 1, repairable: 0, operators: 1 })
    t.same(repaired.whats('kept missing'), [lost])
    writeFileSync(blobPath(root, lost), pushed.layers[0]?.bytes() ?? '', { mode: 0o440 })
    t.match(await fsck({ root }, '--read-data'), { exitCode: 0 }, 'its row was there')
  },
)

t.test('R976: --repair builds a catalog from facts where it does not hold together', async t => {
  const { root, pushed } = await stopped(t)
  rot(join(root, 'catalog.db'))
  const repaired = await fsck({ root }, '--repair')
  t.match(repaired, { exitCode: 0 })
  t.equal(repaired.count('damaged predecessor'), 1)
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM, directory: dirname(root) })
  const { headers } = await edge.send('HEAD', `/v2/${KEY}/manifests/a`)
  t.equal(headers['docker-content-digest'], pushed.manifest.digest)
})

t.test('R977: a running server looks for itself, and repairs', async t => {
  const world = await running(t)
  const { root, edge, stub, pulled, pushed } = world
  const place = { root, upstream: stub.url }
  t.match(await fsck(place, '--read-data'), { exitCode: 0, found: [], looked: { readBlobs: 12 } })
  harm(world)
  const found = await fsck(place)
  t.same(new Set(found.found.map(({ kind }) => kind)), new Set(HARMED))
  const repaired = await edge.settle(fsck(place, '--repair'))
  t.equal(repaired.exitCode, 0)
  t.same(new Set(repaired.mended?.map(({ kind }) => kind)), new Set(HARMED))
  for (const { digest } of pulled.layers)
    t.ok(statSync(blobPath(root, digest)).size >= SIZE, 'fetched again')
  t.match(await fsck(place, '--read-data', '--socket', edge.socket), { exitCode: 0 })
  unlinkSync(blobPath(root, pushed.manifest.digest))
  t.same((await fsck(place)).whats('kept missing'), [pushed.manifest.digest])
})

t.test('R975: as people run it, in a process of its own, however many files there are', async t => {
  const { root } = await stopped(t)
  const strays = Array.from({ length: 1_000 }, (_, at) => patternBlob(`stray ${at}`, 10))
  for (const stray of strays)
    writeFileSync(blobPath(root, stray.digest), stray.bytes(), { mode: 0o440 })
  const argv = [...(await startArguments()), 'fsck', '--config', configured({ root })]
  const env = { ...process.env, NODE_OPTIONS: '' }
  const run = (...more: readonly string[]) => {
    const command = [...argv, ...more]
    const { status, stdout, stderr } = spawnSync(process.execPath, command, { cwd: PROJECT, env })
    return { status, stdout: stdout.toString(), stderr: stderr.toString() }
  }
  const drawn = await runCli(['fsck', '--config', configured({ root })], { isTerminal: true })
  t.match(drawn.stdout, /\r1000 files, .* so far/)
  const found = run('--read-data')
  t.match(found, { status: 1, stderr: '' })
  t.match(found.stdout, /^file without row \(1000\): /)
  t.match(found.stdout, '  and 950 more\n')
  t.match(found.stdout, /1000 damages, 1000 of which the server puts right, 0 for you to\n$/)
  rmSync(join(root, 'catalog.db'))
  t.match(run(), { status: 1, stderr: '', stdout: /^catalog missing \(1\): [^]*: 1 damage, / })
})

t.test('R975: where it is interrupted, the copy of the catalog goes', async t => {
  const { root } = await stopped(t)
  const before = process.env['TMPDIR']
  t.teardown(() => {
    if (before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
  })
  const scratch = t.testdir()
  process.env['TMPDIR'] = scratch
  const context = contextOf({ onSignal: (_signal, act) => act() })
  const { exitCode } = await runCommand(['fsck', '--config', configured({ root })], context)
  t.equal(exitCode, 130)
  t.same(readdirSync(scratch), [])
})

t.test('R975: a directory that somebody else has, and who does not answer, is 11', async t => {
  const { edge, root } = await running(t)
  const config = configured({ root })
  const elsewhere = { ENTREPOT_ADMIN_SOCKET: join(dirname(root), 'none.sock') }
  const { exitCode, stderr } = await runCli(['fsck', '--config', config], { env: elsewhere })
  t.match({ exitCode, stderr }, { exitCode: 11, stderr: /in use by another process/ })
  await edge.stop()
  const gone = ['fsck', '--config', config, '--socket', edge.socket]
  t.equal((await runCli(gone)).exitCode, 69)
})
