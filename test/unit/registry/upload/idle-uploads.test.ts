// Goal: uploads that clients broke off empty no cache and end no push: where there is no room those
// go that nobody has gone on with for a while, and before that the operator is told of them.
// Method: the engine over in-memory twins with a limit of a few blobs, and a manual clock.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import { UPLOADS_OPEN_MAX } from '../../../../src/registry/upload/upload-crowd.ts'
import { STUCK_FOR_MS } from '../../../../src/registry/upload/upload.ts'
import { IDLE_AFTER_MS } from '../../../../src/registry/upload/upload-growth.ts'
import {
  blobAnswer,
  createEngine,
  type Engine,
  localOf,
  readAll,
  repositoryOf,
} from '../../../kit/engine.ts'
import { chunkOf, heldBody } from '../../../kit/clients/upload-chunks.ts'
import { quietRun } from '../../../kit/quiet-run.ts'

const MiB = 1024 * 1024
const LIMIT = 20 * MiB
/** Four of them leave less than fills leave to pushes. */
const EACH = Math.floor(4.95 * MiB)
/** Of 300: sixteen in a row, and each time half of the rest. */
const FAILED_AT_MOST = 16 + 9
const app = localOf('team/app')
const other = localOf('team/other')
const pulled = repositoryOf('library/app')
const sha256 = { algorithm: 'sha256' } as const
const FULL = { code: 'UNAVAILABLE', status: 507 }
const run = quietRun()
const cached = Buffer.alloc(3 * MiB, 'cached')
const wanted = Buffer.alloc(5 * MiB, 'wanted')
const large = Buffer.alloc(10.75 * MiB, 'large')

function createWorld(after?: Engine) {
  const known = new Map([cached, wanted, large].map(bytes => [digestOf(bytes), bytes]))
  return createEngine({
    ...(after === undefined ? {} : { after }),
    maxStorageBytes: LIMIT,
    upstream: {
      getBlob: async (_name, digest, { offset }) => {
        const bytes = known.get(digest) ?? Buffer.alloc(0)
        const body = [Uint8Array.from(bytes.subarray(offset))]
        return blobAnswer(body, { offset, totalBytes: bytes.length })
      },
    },
  })
}

async function brokenOff({ registry }: Engine, bytes: number): Promise<string> {
  const { id } = await registry.startUpload(app, sha256)
  await registry.appendUpload(app, id, chunkOf(Buffer.alloc(bytes, id)))
  return id
}

/** As another client does, which says how long it is. */
async function push({ registry }: Engine): Promise<void> {
  const { id } = await registry.startUpload(other, sha256)
  const chunk = chunkOf(wanted, { lengthBytes: wanted.length })
  try {
    await registry.finishUpload(other, id, { digest: digestOf(wanted), chunk })
  } finally {
    await registry.cancelUpload(other, id).catch(() => {})
  }
}

/** A disk from which nothing that was left can be removed while it is bad. */
function failingRemovals({ store, disk: { uploads } }: Engine) {
  const left = new Set(uploads.keys())
  const disk = { isBad: true, failed: 0 }
  const remove = store.removeUpload.bind(store)
  Object.assign(store, {
    removeUpload: async (id: string) => {
      if (!disk.isBad || !left.has(id)) return remove(id)
      disk.failed += 1
      throw new StoreError('io', 'cannot remove it: EROFS')
    },
  })
  return disk
}

const purgedFor = ({ events }: Engine) =>
  events.flatMap(event => (event.kind === 'uploads purged' ? [event] : []))

t.test('R750: a push that finds no room takes that of the uploads left for longest', async t => {
  const world = createWorld()
  const first = await brokenOff(world, 6 * MiB)
  await world.clock.advance(1_000)
  const second = await brokenOff(world, 6 * MiB)
  const third = await brokenOff(world, 6 * MiB)
  await world.clock.advance(IDLE_AFTER_MS - 1_001)
  await t.rejects(push(world), FULL, 'they may come back')
  await world.clock.advance(1)
  await push(world)
  t.same([...world.disk.uploads.keys()].sort(), [second, third].sort())
  t.match(purgedFor(world), [{ why: 'room', sessions: 1, bytes: 6 * MiB, dryRun: false }])
  await t.rejects(world.registry.uploadState(app, first), { code: 'BLOB_UPLOAD_UNKNOWN' })
})

t.test(
  'R826: where idle uploads would do nothing that is cached goes, however many they are',
  async t => {
    for (const how of ['a look at the room', 'evict']) {
      const world = createWorld()
      const { registry, clock, disk } = world
      const blobs = [cached, wanted, large].map(bytes => digestOf(bytes))
      for (const digest of blobs) await readAll(await registry.pullBlob(pulled, digest))
      const count = 400
      for (let n = 0; n < count; n += 1) await brokenOff(world, 3_060)
      await clock.advance(IDLE_AFTER_MS)
      const foretold = await registry.evict({ ...run, dryRun: true })
      if (how === 'evict') t.match(await registry.evict({ ...run, dryRun: false }), foretold)
      else await registry.keepRoom(run.signal)
      for (const digest of blobs) t.ok(disk.blobs.has(digest), `${how} leaves what is pulled`)
      const gone = count - disk.uploads.size
      t.ok(gone > 256 && gone < count, `${how}: as many go as it takes: ${gone}`)
    }
  },
)

t.test('R750: what a request is about, or was a moment ago, stays', async t => {
  const world = createWorld()
  const { registry, clock } = world
  const { id } = await registry.startUpload(app, sha256)
  const slow = heldBody()
  const coming = registry.appendUpload(app, id, slow.chunk)
  await slow.bring(Buffer.alloc(8 * MiB, 'slow'))
  const asked = await brokenOff(world, 8 * MiB)
  await clock.advance(IDLE_AFTER_MS)
  await registry.uploadState(app, asked)
  await t.rejects(push(world), FULL)
  t.same(purgedFor(world), [])
  slow.end()
  t.equal((await coming).sizeBytes, 8 * MiB)
})

t.test('R820: who has filled the room does not keep it by asking, or by a byte', async t => {
  for (const keep of ['asks', 'brings a byte']) {
    const world = createWorld()
    const { registry, clock } = world
    const held = await brokenOff(world, 16 * MiB)
    for (let time = 0; time < 3; time += 1) {
      await clock.advance(IDLE_AFTER_MS - 1)
      if (keep === 'asks') await registry.uploadState(app, held)
      else await registry.appendUpload(app, held, chunkOf('x'))
    }
    await push(world)
    t.match(purgedFor(world), [{ why: 'room', sessions: 1 }], keep)
  }
})

t.test('R777: who asks has a minute to go on, and no more', async t => {
  for (const waits of [59_999, 60_000]) {
    const world = createWorld()
    const { registry, clock } = world
    const held = await brokenOff(world, 16 * MiB)
    await clock.advance(IDLE_AFTER_MS)
    await registry.uploadState(app, held)
    await clock.advance(waits / 2)
    await registry.uploadState(app, held)
    await clock.advance(waits / 2)
    if (waits < 60_000) await t.rejects(push(world), FULL, 'it is about to go on')
    else await push(world)
    t.equal(world.disk.uploads.has(held), waits < 60_000)
  }
})

t.test('R778: what is sent again, after it was cut back, is growth', async t => {
  const world = createWorld()
  const { registry, clock, disk } = world
  const held = await brokenOff(world, 16 * MiB)
  // Its file is closed for others, and what of it was not durable is lost.
  for (let n = 0; n < UPLOADS_OPEN_MAX; n += 1) await registry.startUpload(other, sha256)
  const left = disk.uploads.get(held)
  if (left === undefined) throw new Error('it was left')
  left.bytes = left.bytes.subarray(0, 8 * MiB)
  await clock.advance(IDLE_AFTER_MS - 1)
  const more = chunkOf(Buffer.alloc(7.5 * MiB))
  t.equal((await registry.appendUpload(app, held, more)).sizeBytes, 15.5 * MiB)
  await clock.advance(IDLE_AFTER_MS - 1)
  await t.rejects(push(world), FULL, 'its client is sending')
  t.ok(disk.uploads.has(held))
})

t.test('R820: nor by a request that brings next to nothing, which is told so', async t => {
  const world = createWorld()
  const { id } = await world.registry.startUpload(app, sha256)
  const slow = heldBody()
  const coming = world.registry.appendUpload(app, id, slow.chunk)
  const refused = t.rejects(coming, { status: 408, message: /begin anew/ })
  await slow.bring(Buffer.alloc(16 * MiB, 'slow'))
  // Whether it grows is found when somebody needs room.
  await t.rejects(push(world), FULL)
  for (let time = 0; time < 2; time += 1) {
    await world.clock.advance(IDLE_AFTER_MS / 2)
    await slow.bring('x')
  }
  await push(world)
  await refused
  t.match(purgedFor(world), [{ why: 'room', sessions: 1 }])
})

t.test('R820: what grows by a part of what there is goes on', async t => {
  const world = createWorld()
  const { registry, clock } = world
  const held = await brokenOff(world, 16 * MiB)
  for (let time = 0; time < 3; time += 1) {
    await clock.advance(IDLE_AFTER_MS - 1)
    await registry.appendUpload(app, held, chunkOf(Buffer.alloc(MiB / 2, held)))
  }
  await t.rejects(push(world), FULL)
  t.same(purgedFor(world), [])
})

t.test('R750: one that the disk does not let go keeps no other, nor a push', async t => {
  const before = createWorld()
  const stuck = await brokenOff(before, 6 * MiB)
  await before.clock.advance(1_000)
  for (const bytes of [6 * MiB, 6 * MiB]) await brokenOff(before, bytes)
  await before.registry.stop()
  const world = createWorld(before)
  const remove = world.store.removeUpload.bind(world.store)
  Object.assign(world.store, {
    removeUpload: async (id: string) => {
      if (id === stuck) throw new StoreError('io', 'cannot remove it: EPERM')
      await remove(id)
    },
  })
  await world.clock.advance(IDLE_AFTER_MS)
  await push(world)
  t.ok(world.disk.uploads.has(stuck))
})

t.test('R779: however many the disk does not let go, the others go', async t => {
  const before = createWorld()
  const stuck = new Set<string>()
  for (let n = 0; n < 300; n += 1) stuck.add(await brokenOff(before, 1_024))
  await before.clock.advance(1_000)
  for (let n = 0; n < 3; n += 1) await brokenOff(before, 6 * MiB)
  await before.registry.stop()
  const world = createWorld(before)
  const remove = world.store.removeUpload.bind(world.store)
  const tried: string[] = []
  Object.assign(world.store, {
    removeUpload: async (id: string) => {
      if (!stuck.has(id)) return remove(id)
      tried.push(id)
      throw new StoreError('io', 'cannot remove it: EPERM')
    },
  })
  await world.clock.advance(IDLE_AFTER_MS)
  await push(world)
  await push(world)
  t.equal(tried.length, new Set(tried).size, 'none is tried twice')
  t.ok(tried.length < 2 * FAILED_AT_MOST, `${tried.length} tries`)
  t.match(purgedFor(world)[0], { why: 'room', sessions: 1, bytes: 6 * MiB })
})

t.test('R910: a disk that removes nothing for a moment costs no push after it', async t => {
  const before = createWorld()
  for (let n = 0; n < 300; n += 1) await brokenOff(before, 60 * 1024)
  await before.registry.stop()
  const world = createWorld(before)
  const disk = failingRemovals(world)
  await world.clock.advance(IDLE_AFTER_MS)
  await t.rejects(push(world), { code: 'UNAVAILABLE' })
  t.ok(disk.failed <= FAILED_AT_MOST, `whoever waits does so for ${disk.failed} tries`)
  disk.isBad = false
  await push(world)
})

t.test('R910: nor for long where all that may go was tried', async t => {
  const before = createWorld()
  for (let n = 0; n < 3; n += 1) await brokenOff(before, 6 * MiB)
  await before.registry.stop()
  const world = createWorld(before)
  const disk = failingRemovals(world)
  await world.clock.advance(IDLE_AFTER_MS)
  await t.rejects(push(world), FULL)
  t.equal(disk.failed, 3)
  await world.clock.advance(STUCK_FOR_MS - 1)
  await t.rejects(push(world), FULL)
  t.equal(disk.failed, 3, 'none is tried again at once')
  disk.isBad = false
  await world.clock.advance(1)
  await push(world)
})

t.test('R779: what is tried again comes behind what was never stuck', async t => {
  const before = createWorld()
  const stuck = await brokenOff(before, 6 * MiB)
  await before.clock.advance(1_000)
  for (let n = 0; n < 2; n += 1) await brokenOff(before, 6 * MiB)
  await before.registry.stop()
  const world = createWorld(before)
  const remove = world.store.removeUpload.bind(world.store)
  let tries = 0
  Object.assign(world.store, {
    removeUpload: async (id: string) => {
      if (id !== stuck) return remove(id)
      tries += 1
      throw new StoreError('io', 'cannot remove it: EPERM')
    },
  })
  await world.clock.advance(IDLE_AFTER_MS)
  await push(world)
  await world.clock.advance(STUCK_FOR_MS)
  await push(world)
  t.equal(tries, 1)
})

t.test('R803: those that the disk does not let go free no room for a push', async t => {
  const world = createWorld()
  const create = world.store.createUpload.bind(world.store)
  Object.assign(world.store, {
    createUpload: async (...how: Parameters<typeof create>) => {
      const file = await create(...how)
      const discard = () => Promise.reject(new StoreError('io', 'cannot remove it: EPERM'))
      return Object.assign(file, { discard })
    },
    removeUpload: () => Promise.reject(new StoreError('io', 'cannot remove it: EPERM')),
  })
  for (let n = 0; n < 3; n += 1) await brokenOff(world, 6 * MiB)
  await world.clock.advance(IDLE_AFTER_MS)
  for (let times = 0; times < 2; times += 1) await t.rejects(push(world), FULL)
  t.same(purgedFor(world), [], 'nothing went')
})

t.test('R750: they go before anything that is cached, and for pulls as well', async t => {
  const world = createWorld()
  const { registry, clock, disk } = world
  await readAll(await registry.pullBlob(pulled, digestOf(cached)))
  for (let n = 0; n < 4; n += 1) await brokenOff(world, 4 * MiB)
  await clock.advance(IDLE_AFTER_MS)
  t.ok((await readAll(await registry.pullBlob(pulled, digestOf(wanted)))).equals(wanted))
  await registry.keepRoom(run.signal)
  t.ok(disk.blobs.has(digestOf(cached)))
  t.ok(disk.blobs.has(digestOf(wanted)))
})

t.test('R750: what an earlier process left goes as long after the start', async t => {
  const before = createWorld()
  for (let n = 0; n < 4; n += 1) await brokenOff(before, 4.5 * MiB)
  await before.clock.advance(IDLE_AFTER_MS)
  await before.registry.stop()
  const world = createWorld(before)
  await t.rejects(push(world), FULL)
  world.clock.jump(100 * IDLE_AFTER_MS)
  await t.rejects(push(world), FULL, 'nor by a clock that was set')
  await world.clock.advance(IDLE_AFTER_MS)
  await push(world)
})

t.test('R751: until then the log, the state and an eviction name them', async t => {
  const world = createWorld()
  const { registry, clock } = world
  for (let n = 0; n < 4; n += 1) await brokenOff(world, EACH)
  await t.rejects(push(world), FULL)
  const named = /unfinished uploads.*storage\.maintenance\.uploadpurging\.age/
  t.match(
    world.events.filter(({ kind }) => kind === 'storage failed'),
    [{ failure: 'full', hint: named }],
  )
  t.match(
    world.events.filter(({ kind }) => kind === 'nothing evictable'),
    [{ uploadsBytes: 4 * EACH }],
  )
  t.match(await registry.fullBecause(), named)
  for (const dryRun of [true, false]) {
    const vain = await registry.evict({ ...run, dryRun })
    t.match(vain, { count: 0, note: named })
  }
  await clock.advance(IDLE_AFTER_MS)
  t.equal(await registry.fullBecause(), undefined, 'there could be room')
  const gone = [{ what: 'unfinished uploads', bytes: EACH }]
  t.match(await registry.evict({ ...run, dryRun: true }), { gone })
  t.equal(world.disk.uploads.size, 4)
  t.match(await registry.evict({ ...run, dryRun: false }), { gone })
  t.equal(world.disk.uploads.size, 3)
})
