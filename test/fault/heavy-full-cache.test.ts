// Goal: a cache that is full goes on caching, always inside its limit, whoever else uses the disk.
// Method: twenty times the limit is pulled through on a small tmpfs, and on ext4 that somebody else
// fills up meanwhile; the directory is measured from outside whenever something in it changes.
import { open as openFile, writeFile } from 'node:fs/promises'
import { statfsSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { patternBlob } from '../kit/content.ts'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { download, faultOf, pullImage } from '../kit/clients/herd.ts'
import { type Image, makeImage } from '../kit/image.ts'
import { judge } from '../kit/judges/oracle.ts'
import { createPushClient } from '../kit/clients/push-client.ts'
import { mountSmallDisk, type SmallDisk } from '../kit/disk/small-disk.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'
import { watchTaken } from '../kit/disk/taken-bytes.ts'

const MIB = 1024 * 1024
const LIMIT_BYTES = 48 * MIB
const TIMES = 20
/** Largest first: nothing is above the limit by more than this one. */
const LAYERS = [2 * MIB, MIB, MIB - 77, 300_000, 5_000]
const IMAGE_BYTES = LAYERS.reduce((sum, bytes) => sum + bytes, 0)
const CLIENTS = 4
/** Of the images pulled last; so many fit several times. */
const NEWEST = 5
const FILES = 2_000

t.setTimeout(600_000)

const imageOf = (n: number): Image => makeImage({ seed: `full cache ${n}`, layers: LAYERS })

type Settings = Readonly<Record<string, unknown>>

async function open(
  t: Test,
  { disk, ...config }: { disk: SmallDisk; storage: Settings; admin?: Settings },
) {
  const stub = await startStub(t)
  const edge = await startEdge({
    upstreams: { 'docker.io': { url: stub.url, http: true } },
    dataDirectory: join(disk.path, 'data'),
    config,
  })
  t.teardown(async () => {
    await edge.stop()
    await disk.unmount()
  })
  const pull = (n: number) => {
    const image = imageOf(n)
    stub.addImage('library/full', `v${n}`, image)
    const base = `${edge.url}/v2/library/full`
    return pullImage(base, { tag: `v${n}`, image, hash: true, atOnce: 3 })
  }
  /** In their order, by a few clients at once. */
  const pullAll = async (first: number, end: number, pulled: () => void = () => {}) => {
    const faults: string[] = []
    let next = first
    const client = async () => {
      for (let n = next++; n < end; n = next++) {
        faults.push(...(await pull(n)).map(fault => `image ${n}: ${fault}`))
        pulled()
      }
    }
    await Promise.all(Array.from({ length: CLIENTS }, client))
    return faults
  }
  /** At rest: content goes on leaving after the last pull, under whoever reads the directory. */
  const wrongAtRest = async () => {
    await edge.terminate()
    return (await judge(edge.dataDirectory)).wrong
  }
  return { stub, edge, pull, pullAll, wrongAtRest }
}

/** Of seven files that hold next to nothing. */
async function pullSmall(
  { edge, stub }: Pick<Awaited<ReturnType<typeof open>>, 'edge' | 'stub'>,
  n: number,
): Promise<readonly string[]> {
  const image = makeImage({ seed: `small ${n}`, layers: [90, 80, 70, 60, 50] })
  stub.addImage('library/small', `v${n}`, image)
  const base = `${edge.url}/v2/library/small`
  return await pullImage(base, { tag: `v${n}`, image, hash: true, atOnce: 3 })
}

t.test('20 times the limit is pulled through, and the limit holds all the time', async t => {
  const disk = await mountSmallDisk(4 * Math.ceil(LIMIT_BYTES / MIB))
  const storage = { maxsize: `${LIMIT_BYTES}`, minfree: '0' }
  const { stub, edge, pull, pullAll, wrongAtRest } = await open(t, { disk, storage })
  const count = Math.ceil((TIMES * LIMIT_BYTES) / IMAGE_BYTES)
  const taken = watchTaken(edge.dataDirectory)
  t.teardown(() => taken.stop())
  const faults = await pullAll(0, count, () => void taken.look())
  t.same(faults, [], 'no pull failed')
  const over = taken.mostBytes - LIMIT_BYTES
  t.ok(over <= (LAYERS[0] ?? 0), `${over} bytes above the limit at most, of ${taken.looks} looks`)
  t.ok(taken.mostBytes > LIMIT_BYTES / 2, 'and it is used')
  await stub.stop()
  for (let n = count - NEWEST; n < count; n += 1)
    t.same(await pull(n), [], `image ${n} is whole with the upstream gone`)
  t.same(await wrongAtRest(), [])
})

t.test('on a disk that somebody else fills up as well, room is made for them', async t => {
  const disk = await mountSmallDisk(128, 'ext4')
  const minFreeBytes = 24 * MIB
  const storage = { maxsize: '100%', minfree: `${minFreeBytes}` }
  const { pullAll, wrongAtRest } = await open(t, { disk, storage })
  const free = () => {
    const { bavail, bsize } = statfsSync(disk.path)
    return bavail * bsize
  }
  t.same(await pullAll(0, 40), [], 'until it is full')
  for (let theirs = 0; theirs < 40; theirs += 1) {
    await writeFile(join(disk.path, 'theirs'), Buffer.alloc(MIB), { flag: 'a' })
    t.same(await pullAll(40 + theirs, 41 + theirs), [], `${theirs + 1} MiB are theirs`)
    t.ok(free() >= minFreeBytes - (LAYERS[0] ?? 0) - MIB, `${free()} bytes are free`)
  }
  t.same(await wrongAtRest(), [])
})

t.test('R415: on a disk without a free byte content leaves for what is pushed', async t => {
  for (const type of ['tmpfs', 'ext4'] as const) {
    const disk = await mountSmallDisk(128, type)
    const storage = { maxsize: '100%', minfree: `${16 * MIB}` }
    const { edge, pullAll, wrongAtRest } = await open(t, { disk, storage })
    t.same(await pullAll(0, 12), [], 'there is something that may leave')
    await disk.fill()
    const client = createPushClient(edge.url)
    const { status, body } = await client.blob('localhost/app', Buffer.alloc(MIB, type))
    client.close()
    t.equal(status, 201, `${type}: ${body}`)
    t.same(await wrongAtRest(), [])
  }
})

t.test('R415: an edge starts on a disk without a free byte, serves, and makes room', async t => {
  for (const type of ['tmpfs', 'ext4'] as const) {
    const disk = await mountSmallDisk(128, type)
    const storage = { maxsize: '100%', minfree: `${16 * MIB}` }
    const { edge, stub, pull, pullAll, wrongAtRest } = await open(t, { disk, storage })
    t.same(await pullAll(0, 12), [], 'there is something that may leave')
    // In order: then it has no log of the catalog to go on with.
    await edge.terminate()
    await disk.fill()
    await edge.restart()
    const client = createPushClient(edge.url)
    const { status, body } = await client.blob('localhost/app', Buffer.alloc(MIB, type))
    client.close()
    t.equal(status, 201, `${type}: ${body}`)
    await stub.stop()
    t.same(await pull(11), [], `${type}: the last image is whole with the upstream gone`)
    t.same(await wrongAtRest(), [])
  }
})

t.test('R415: so it does where no file can be made any more, with its socket there', async t => {
  for (const type of ['tmpfs', 'ext4'] as const) {
    const disk = await mountSmallDisk(64, type, FILES)
    const storage = { maxsize: '100%', minfree: '0' }
    const socket = join(disk.path, 'data', 'admin.sock')
    const world = await open(t, { disk, storage, admin: { addr: '127.0.0.1:0', socket } })
    const { edge, stub, wrongAtRest } = world
    const count = 60
    for (let n = 0; n < count; n += 1) t.same(await pullSmall(world, n), [])
    await edge.terminate()
    await disk.fillWithFiles()
    await edge.restart()
    const client = createPushClient(edge.url)
    const { status, body } = await client.blob('localhost/app', Buffer.alloc(MIB, type))
    client.close()
    t.equal(status, 201, `${type}: ${body}`)
    await stub.stop()
    const last = await pullSmall(world, count - 1)
    t.same(last, [], `${type}: the last image is whole with the upstream gone`)
    t.same(await wrongAtRest(), [])
  }
})

t.test('R415: a damaged catalog is told of on a disk without a free byte, too', async t => {
  for (const type of ['tmpfs', 'ext4'] as const) {
    const disk = await mountSmallDisk(128, type)
    const { edge } = await open(t, { disk, storage: { maxsize: '100%', minfree: `${16 * MIB}` } })
    await edge.terminate()
    const file = await openFile(join(edge.dataDirectory, 'catalog.db'), 'r+')
    await file.write(Buffer.alloc(4096, 'junk'), 0, 4096, 0)
    await file.close()
    await disk.fill()
    await edge.restart()
    const told = edge.logs.filter(({ failure }) => failure === 'corrupt')
    t.match(told, [{ msg: 'storage failed', reason: /moved to .*catalog\.db\.damaged-/ }], type)
    t.equal(told.length, 1)
  }
})

for (const type of ['tmpfs', 'ext4'] as const)
  t.test(
    `${type} that holds no more files, with room for bytes: the newest images stay`,
    async t => {
      // Half of them are directories, of which there are 256 for each algorithm and kind of file.
      const disk = await mountSmallDisk(64, type, FILES)
      const storage = { maxsize: '100%', minfree: '0' }
      const world = await open(t, { disk, storage })
      const { edge, stub, wrongAtRest } = world
      const isHere = (n: number) => pullSmall(world, n)
      const count = Math.ceil(FILES / 5)
      const faults: string[] = []
      for (let n = 0; n < count; n += 1) faults.push(...(await isHere(n)))
      t.same(faults, [], 'no pull failed')
      t.ok(statfsSync(disk.path).ffree > 0)
      await stub.stop()
      for (let n = count - NEWEST; n < count; n += 1)
        t.same(await isHere(n), [], `image ${n} is whole with the upstream gone`)
      t.same(
        edge.logs.filter(line => line['failure'] === 'full'),
        [],
        'nothing found no room',
      )
      t.same(await wrongAtRest(), [])
    },
  )

t.test('a disk that is full and has room again, 100 times, without a restart', async t => {
  const disk = await mountSmallDisk(24)
  const { stub, edge } = await open(t, { disk, storage: { maxsize: '100%', minfree: '0' } })
  const get = async (seed: string) => {
    const blob = patternBlob(seed, MIB)
    stub.addBlob('library/cycle', blob)
    const url = `${edge.url}/v2/library/cycle/blobs/${blob.digest}`
    const fault = faultOf(await download({ url, hash: true }), blob)
    return { fault, asked: stub.count({ kind: 'blob', method: 'GET', digest: blob.digest }) }
  }
  const faults: unknown[] = []
  for (let cycle = 0; cycle < 100; cycle += 1) {
    await disk.fill()
    const passed = await get(`full ${cycle}`)
    await disk.relieve()
    await get(`free ${cycle}`)
    const kept = await get(`free ${cycle}`)
    if (passed.fault !== undefined || kept.fault !== undefined || kept.asked !== 1)
      faults.push({ cycle, passed, kept })
  }
  t.same(faults, [])
  t.ok(edge.alive)
})
