// Goal: a bad place under what is unfinished, a part or an upload, costs that one alone: the edge
// starts, lists and purges the others, and fetches the blob anew. Method: the store and the whole
// edge, on an ext4 of which single files are spoiled while nobody has it open.
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { patternBlob } from '../kit/content.ts'
import { BLOBS, startPair } from '../kit/worlds/edge-over-stub.ts'
import { beginUpload, filesIn, NO_UPSTREAM, pushBlob } from '../kit/worlds/edge-push.ts'
import { startTestEdge, type TestEdge } from '../kit/edge.ts'
import type { LeftUpload } from '../../src/registry/ports/blob-store-uploads.ts'
import { PART_AGE_LIMIT_MS } from '../../src/registry/ports/blob-store-fills.ts'
import { partTakesBytes } from '../../src/store/filesystem/growing/parts.ts'
import { withDigest } from '../kit/clients/raw-push.ts'
import { get } from '../kit/clients/raw-client.ts'
import { mountSmallDisk, type SmallDisk } from '../kit/disk/small-disk.ts'
import { digestBy, type StoreDirectory, storeDirectory } from '../kit/disk/store-directory.ts'

/** Room for a catalog with its log, and a few blobs. */
const DISK_MIB = 96
const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000
/** As many parts or blobs are put aside in a minute. */
const MOVED_MAX = 8

async function mount(t: Test): Promise<SmallDisk> {
  const disk = await mountSmallDisk(DISK_MIB, 'ext4')
  t.teardown(() => disk.unmount())
  return disk
}

const run = promisify(execFile)

/** Paths of what is there of that kind. */
function filesOf(directory: StoreDirectory, kind: 'fills' | 'uploads', what: 'file' | 'sidecar') {
  const names = readdirSync(directory.path(kind)).sort()
  const wanted = names.filter(name => name.endsWith('.json') === (what === 'sidecar'))
  return wanted.map(name => directory.path(kind, name))
}

/** Two uploads of two bytes each, and a part of two bytes of three. */
async function leave(directory: StoreDirectory): Promise<void> {
  const store = await directory.open()
  const fill = await store.openFill(digestBy('sha256', 'abc'))
  await fill.append(Buffer.from('ab'))
  await fill.expect({ sizeBytes: 3, validator: undefined })
  await fill.park()
  for (const id of ['first-of-two-uploads', 'second-of-two-uploads']) {
    const upload = await store.createUpload(id, 'note', 'sha256')
    await upload.append(Buffer.from('ab'))
    await upload.park()
  }
}

for (const how of ['bytes', 'file'] as const)
  t.test(`R801: a start goes on beside a sidecar that cannot be read (${how})`, async t => {
    const disk = await mount(t)
    const directory = storeDirectory(t, join(disk.path, 'data'))
    await leave(directory)
    const [upload] = filesOf(directory, 'uploads', 'sidecar')
    const [part] = filesOf(directory, 'fills', 'sidecar')
    if (upload === undefined || part === undefined) throw new Error('they were left')
    await disk.spoil([upload, part], how)
    const store = await directory.open()
    t.same(sorted(await store.listUploads()).map(told), [
      { id: 'first-of-two-uploads', note: '', sizeBytes: 2 },
      { id: 'second-of-two-uploads', note: 'note', sizeBytes: 2 },
    ])
    t.equal((await store.describeParts()).length, 1, 'it counts, and may go')
    for (const path of [upload, part])
      t.equal(directory.events.filter(event => JSON.stringify(event).includes(path)).length, 1)
    const fill = await store.openFill(digestBy('sha256', 'abc'))
    t.equal(fill.contiguousBytes, 0, 'nobody knows what it is worth')
    await fill.append(Buffer.from('abc'))
    fill.verify(3)
    await fill.commit('cached')
    t.match(await store.find(digestBy('sha256', 'abc')), { sizeBytes: 3 })
  })

t.test('R801: so does a listing while the edge runs, and whoever comes back to it', async t => {
  const disk = await mount(t)
  const directory = storeDirectory(t, join(disk.path, 'data'))
  await leave(directory)
  const store = await directory.open()
  const [bad, good] = filesOf(directory, 'uploads', 'sidecar')
  if (bad === undefined || good === undefined) throw new Error('they were left')
  await disk.spoil([bad], 'bytes')
  for (let times = 0; times < 3; times += 1)
    t.same((await store.listUploads()).map(({ note }) => note).sort(), ['', 'note'])
  t.equal(await store.openUpload('first-of-two-uploads'), undefined)
  t.match(directory.events, [{ kind: 'storage failed', failure: 'io', hint: /dmesg/ }])
  t.equal(directory.events.length, 1, 'told once')
})

for (const kind of ['file', 'sidecar'] as const)
  for (const how of ['bytes', 'file'] as const)
    t.test(
      `R816: a start takes nothing away of which it cannot read the ${kind} (${how})`,
      async t => {
        const disk = await mount(t)
        const directory = storeDirectory(t, join(disk.path, 'data'))
        await leave(directory)
        const before = await (await directory.open()).listUploads()
        await disk.spoil(
          [...filesOf(directory, 'uploads', kind), ...filesOf(directory, 'fills', kind)],
          how,
        )
        const store = await directory.open()
        t.equal((await store.listUploads()).length, 2)
        await disk.heal()
        t.same(sorted(await store.listUploads()), sorted(before))
        const upload = await store.openUpload('first-of-two-uploads')
        t.match(upload, { note: 'note', sizeBytes: 2 })
        await upload?.park()
        await store.removeParts(PART_AGE_LIMIT_MS)
        t.equal(store.partsBytes, partTakesBytes(2))
        const fill = await store.openFill(digestBy('sha256', 'abc'))
        t.equal(fill.contiguousBytes, 2)
        await fill.discard()
        t.same(filesOf(directory, 'fills', 'file'), [])
      },
    )

for (const how of ['bytes', 'file'] as const)
  t.test(`R816: a client goes on with its upload after such a start (${how})`, async t => {
    const disk = await mount(t)
    const options = { upstreams: NO_UPSTREAM, directory: disk.path }
    const first = await startTestEdge(t, options)
    const [one, two] = [Buffer.alloc(50_000, 1), Buffer.alloc(50_000, 2)]
    const location = await beginUpload(first, 'localhost/app')
    t.equal((await first.send('PATCH', location, { body: one })).status, 202)
    await first.stop()
    const uploads = join(first.dataDirectory, 'uploads')
    await disk.spoil(
      readdirSync(uploads).map(name => join(uploads, name)),
      how,
    )
    const failing = await startTestEdge(t, options)
    await failing.stop()
    await disk.heal()
    const edge = await startTestEdge(t, options)
    const here = location.replace(first.url, edge.url)
    const digest = digestBy('sha256', Buffer.concat([one, two]))
    t.equal((await edge.send('PUT', withDigest(here, digest), { body: two })).status, 201)
  })

t.test('R816: an upload whose sidecar cannot be read counts, and goes for its age', async t => {
  const disk = await mount(t)
  const options = { upstreams: NO_UPSTREAM, directory: disk.path }
  const first = await startTestEdge(t, options)
  const location = await beginUpload(first, 'localhost/app')
  await first.send('PATCH', location, { body: Buffer.alloc(5_000_000) })
  await first.stop()
  const uploads = join(first.dataDirectory, 'uploads')
  const names = readdirSync(uploads)
  const bad = names.filter(name => name.endsWith('.json')).map(name => join(uploads, name))
  await disk.spoil(bad, 'bytes')
  const edge = await startTestEdge(t, options)
  t.ok((await takenBytes(edge)) >= 5_000_000)
  t.same(readdirSync(uploads).sort(), names.sort())
  edge.clock.jump(8 * 24 * HOUR_MS)
  // The test's time limit ends this: the purge is beside whoever looks.
  while (readdirSync(uploads).length > 0) await edge.clock.advance(HOUR_MS)
  t.ok((await takenBytes(edge)) < 5_000_000)
})

t.test('R801: an edge with such an upload starts, and takes pushes', async t => {
  const disk = await mount(t)
  const options = { upstreams: NO_UPSTREAM, directory: disk.path }
  const first = await startTestEdge(t, options)
  await first.send('PATCH', await beginUpload(first, 'localhost/app'), {
    body: Buffer.alloc(5_000),
  })
  await first.stop()
  const uploads = join(first.dataDirectory, 'uploads')
  const sidecars = readdirSync(uploads).filter(name => name.endsWith('.json'))
  await disk.spoil(
    sidecars.map(name => join(uploads, name)),
    'bytes',
  )
  const edge = await startTestEdge(t, options)
  t.equal((await pushBlob(edge, 'localhost/app', Buffer.from('x'))).status, 201)
})

t.test('R802: a part that cannot be read is put aside, and its blob is cached', async t => {
  const disk = await mount(t)
  const { edge: first, stub } = await startPair(t, { edge: { directory: disk.path } })
  const blob = patternBlob('cached', 500_000)
  stub.addBlob('library/app', blob)
  await first.stop()
  const directory = storeDirectory(t, first.dataDirectory)
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  const store = await directory.open(bootId)
  const fill = await store.openFill(digestBy('sha256', blob.bytes()))
  await fill.append(blob.bytes().subarray(0, 250_000))
  await fill.expect({ sizeBytes: 500_000, validator: undefined })
  await fill.park()
  await disk.spoil(filesOf(directory, 'fills', 'file'), 'bytes')
  const upstreams = { 'docker.io': { url: stub.url } }
  const edge = await startTestEdge(t, { upstreams, directory: disk.path })
  for (let times = 0; times < 2; times += 1) {
    const answer = await edge.settle(edge.get(`${BLOBS}/${blob.digest}`))
    t.match(answer, { status: 200, complete: true })
    t.ok(answer.body.equals(blob.bytes()))
  }
  t.equal(stub.count({ kind: 'blob', method: 'GET' }), 1, 'the second time from here')
  await edge.untilLogged('fill ended')
  t.same(await filesIn(edge, 'fills'), [])
  t.match(await filesIn(edge, 'quarantine'), [blob.digest.slice('sha256:'.length)])
  const told = edge.lines().filter(({ msg }) => msg === 'storage failed')
  t.match(told, [{ failure: 'io', reason: /part of sha256:.* cannot be read/ }])
})

t.test('R780: where many cannot be read it is the disk, and they stay', async t => {
  const disk = await mount(t)
  const directory = storeDirectory(t, join(disk.path, 'data'))
  const before = await directory.open()
  const digests = Array.from({ length: MOVED_MAX + 2 }, (_, n) => digestBy('sha256', `abc${n}`))
  for (const digest of digests) {
    const fill = await before.openFill(digest)
    await fill.append(Buffer.from('ab'))
    await fill.expect({ sizeBytes: 4, validator: undefined })
    await fill.park()
  }
  await disk.spoil(filesOf(directory, 'fills', 'file'), 'bytes')
  const store = await directory.open()
  const [ninth, ...others] = digests.slice(MOVED_MAX)
  if (ninth === undefined) throw new Error('it was left')
  for (const digest of digests.slice(0, MOVED_MAX)) await (await store.openFill(digest)).discard()
  for (const digest of [ninth, ...others])
    await t.rejects(store.openFill(digest), { failure: 'io', message: /EUCLEAN|EIO/ })
  t.equal(readdirSync(directory.path('quarantine')).length, MOVED_MAX)
  t.equal(filesOf(directory, 'fills', 'file').length, 2)
  await directory.clock.advance(MINUTE_MS)
  await (await store.openFill(ninth)).discard()
  t.equal(filesOf(directory, 'fills', 'file').length, 1)
})

t.test('R781: an upload that cannot be read is over, and its client begins anew', async t => {
  const disk = await mount(t)
  const options = { upstreams: NO_UPSTREAM, directory: disk.path }
  const first = await startTestEdge(t, options)
  const left = await Promise.all([1, 2].map(() => beginUpload(first, 'localhost/app')))
  for (const location of left)
    await first.send('PATCH', location, { body: Buffer.alloc(50_000, location) })
  await first.stop()
  const uploads = join(first.dataDirectory, 'uploads')
  const files = readdirSync(uploads).filter(name => !name.endsWith('.json'))
  await disk.spoil(
    files.map(name => join(uploads, name)),
    'bytes',
  )
  const edge = await startTestEdge(t, options)
  const [asked = '', sent = ''] = left.map(location => location.replace(first.url, edge.url))
  const unknown = { status: 404, body: /BLOB_UPLOAD_UNKNOWN.*begin a new one/ }
  const answered = ({ status, body }: { status: number; body: Buffer }) => ({
    status,
    body: body.toString(),
  })
  for (let times = 0; times < 2; times += 1) {
    t.match(answered(await edge.send('GET', asked)), unknown)
    t.match(answered(await edge.send('PATCH', sent, { body: Buffer.from('more') })), unknown)
  }
  t.same(readdirSync(uploads), [], 'nothing of them takes room')
  // A line a minute at most.
  const failed = edge.lines().find(({ msg }) => msg === 'storage failed')
  t.match(failed, { reason: /uploads\/.* cannot be read \(E/ })
  t.equal((await pushBlob(edge, 'localhost/app', Buffer.from('x'))).status, 201)
})

t.test('R803: a part that the disk does not let go counts with other files', async t => {
  const disk = await mount(t)
  const directory = storeDirectory(t, join(disk.path, 'data'))
  await leave(directory)
  const store = await directory.open()
  const [part] = await store.describeParts()
  if (part === undefined) throw new Error('it was left')
  const [partsBytes, beside] = [store.partsBytes, store.otherBytes]
  await run('chattr', ['+a', directory.path('fills')])
  for (let times = 0; times < 2; times += 1) await store.removeParts(0)
  t.equal(await store.removePart(part.digest), false)
  t.same([store.partsBytes, store.otherBytes], [0, beside + partsBytes])
  t.same(await store.describeParts(), [], 'no room is to be had by it')
  t.match(directory.events, [{ kind: 'storage failed', reason: /cannot remove the part .*EPERM/ }])
  t.equal(directory.events.length, 1)
  await run('chattr', ['-a', directory.path('fills')])
  await store.removeParts(0)
  t.same(filesOf(directory, 'fills', 'file'), [])
  t.same([store.partsBytes, store.otherBytes], [0, beside])
})

t.test('R803: an upload that the disk does not let go is over, and counts', async t => {
  const disk = await mount(t)
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM, directory: disk.path })
  const taken = () => takenBytes(edge)
  const before = await taken()
  const location = await beginUpload(edge, 'localhost/app')
  const bytes = Buffer.alloc(5_000_000)
  t.equal((await edge.send('PATCH', location, { body: bytes })).status, 202)
  const uploads = join(edge.dataDirectory, 'uploads')
  await run('chattr', ['+a', uploads])
  t.equal((await edge.send('DELETE', location)).status, 503)
  t.equal((await edge.send('GET', location)).status, 404)
  t.ok((await taken()) >= before + bytes.length)
  await run('chattr', ['-a', uploads])
  edge.clock.jump(8 * 24 * HOUR_MS)
  // The test's time limit ends this: the purge is beside whoever looks.
  while (readdirSync(uploads).length > 0) await edge.clock.advance(HOUR_MS)
  t.ok((await taken()) < before + bytes.length)
})

async function takenBytes(edge: TestEdge): Promise<number> {
  await edge.pass(20_000)
  const { body } = await get(`${edge.adminUrl}/metrics`)
  const lines = body.toString().split('\n')
  const line = lines.find(each => each.startsWith('entrepot_storage_taken'))
  return Number(line?.split(' ')[1])
}

function told({ id, note, sizeBytes }: LeftUpload) {
  return { id, note, sizeBytes }
}

function sorted(uploads: readonly LeftUpload[]) {
  return [...uploads].sort((a, b) => a.id.localeCompare(b.id))
}
