// Goal: uploads take no more room, files and memory than there is for them, and what nobody goes on
// with goes away. Method: the engine over in-memory twins whose disk is small or becomes so, and a
// manual clock.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import { type BlobStore, BLOCK_BYTES } from '../../../../src/registry/ports/blob-store.ts'
import type { UploadFile } from '../../../../src/registry/ports/blob-store-uploads.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import {
  UPLOADS_CLIENT_MAX,
  UPLOADS_MAX,
  UPLOADS_OPEN_MAX,
  VAIN_AFTER_MS,
} from '../../../../src/registry/upload/upload-crowd.ts'
import { STUCK_FOR_MS } from '../../../../src/registry/upload/upload.ts'
import { IDLE_AFTER_MS } from '../../../../src/registry/upload/upload-growth.ts'
import { around } from '../../../kit/around.ts'
import { createEngine, localOf, readAll } from '../../../kit/engine.ts'
import { chunkOf, heldBody, nothing, pushWhole } from '../../../kit/clients/upload-chunks.ts'

const app = localOf('team/app')
/** What an upload has to bring in an hour. */
const GROWTH_BYTES = 64 * 1024
const sha256 = { algorithm: 'sha256' } as const
const FULL = { code: 'UNAVAILABLE', status: 507, message: /^no space left on device: .*full/ }
const PASSING = { code: 'UNAVAILABLE', status: 503, retryAfterSeconds: 5, message: /others/ }
const HOUR_MS = 3_600_000
const WEEK_MS = 168 * HOUR_MS

const CROWD = { ...sha256, client: 'account ci' }

/** A start after a client has begun in vain as many as it may. */
async function crowded() {
  const before = createEngine()
  const { id } = await before.registry.startUpload(app, CROWD)
  await before.registry.stop()
  const left = before.disk.uploads.get(id)
  if (left === undefined) throw new Error('an upload was begun')
  for (let n = 1; n < UPLOADS_CLIENT_MAX; n += 1) before.disk.uploads.set(`left-${n}`, left)
  return createEngine({ after: before })
}

t.test(
  'R126: what cannot fit is refused before a byte is read, and the upload goes on',
  async t => {
    const { registry, disk, events } = createEngine()
    disk.capacityBytes = 1_000
    const { id } = await registry.startUpload(app, sha256)
    const body = heldBody({ lengthBytes: 1_001 })
    let asked = false
    const watched = {
      ...body.chunk,
      body: {
        [Symbol.asyncIterator]: () => {
          asked = true
          return body.chunk.body[Symbol.asyncIterator]()
        },
      },
    }
    await t.rejects(registry.appendUpload(app, id, watched), FULL)
    t.notOk(asked, 'a client that waits for 100 Continue sends nothing')
    t.match(events, [{ kind: 'storage failed', failure: 'full', hint: /free space/ }])
    t.equal((await registry.appendUpload(app, id, chunkOf('fits'))).sizeBytes, 4)
  },
)

t.test('R126: on a full disk no upload begins, and what is here is still read', async t => {
  const { registry, disk } = createEngine()
  const digest = await pushWhole(registry, app, 'hello')
  disk.capacityBytes = 5
  await t.rejects(registry.startUpload(app, sha256), FULL)
  t.equal(disk.uploads.size, 0)
  t.equal(String(await readAll(await registry.pullBlob(app, digest))), 'hello')
})

t.test(
  'R126: a disk that fills up while bytes come ends the upload and gives its room back',
  async t => {
    const { registry, disk } = createEngine()
    disk.capacityBytes = 10_000
    const { id } = await registry.startUpload(app, sha256)
    await registry.appendUpload(app, id, chunkOf(Buffer.alloc(4_000)))
    const body = heldBody()
    const refused = t.rejects(registry.appendUpload(app, id, body.chunk), FULL)
    await body.bring(Buffer.alloc(1_000))
    disk.capacityBytes = 5_500
    body.bring(Buffer.alloc(1_000)).catch(() => {})
    await refused
    await body.left
    t.equal(disk.uploads.size, 0)
    await pushWhole(registry, app, Buffer.alloc(4_000))
    const digest = digestOf(Buffer.alloc(1))
    const repeated: readonly (() => Promise<unknown>)[] = [
      () => registry.appendUpload(app, id, chunkOf('more')),
      () => registry.uploadState(app, id),
      () => registry.finishUpload(app, id, { digest, chunk: nothing() }),
    ]
    for (const again of repeated)
      await t.rejects(again(), FULL, 'and whoever repeats it is told the same')
  },
)

t.test('R126: who waits for an upload that a full disk ends is told so', async t => {
  const full = () => Promise.reject(new StoreError('full', 'no room'))
  const store = (same: BlobStore) =>
    around(same, {
      createUpload:
        createUpload =>
        async (...of) =>
          around(await createUpload(...of), { flush: () => full }),
    })
  const { registry } = createEngine({ store })
  const { id } = await registry.startUpload(app, sha256)
  const body = heldBody()
  const first = t.rejects(registry.appendUpload(app, id, body.chunk), FULL)
  await body.bring('some')
  await t.rejects(registry.appendUpload(app, id, chunkOf('more')), FULL)
  await first
})

t.test('R126: a body of unknown length is watched while it comes', async t => {
  const { registry, disk } = createEngine()
  const MiB = 1024 * 1024
  const { id } = await registry.startUpload(app, sha256)
  const body = heldBody()
  const refused = t.rejects(registry.appendUpload(app, id, body.chunk), FULL)
  await body.bring(Buffer.alloc(8 * MiB))
  // Room for what comes next, but not for the reserve.
  disk.capacityBytes = 19 * MiB
  body.bring(Buffer.alloc(10 * MiB)).catch(() => {})
  await refused
})

t.test('R126: bodies of unknown length are watched together, however many come', async t => {
  const MiB = 1024 * 1024
  const { registry } = createEngine({ maxStorageBytes: 20 * MiB })
  const bodies = Array.from({ length: 4 }, () => heldBody())
  const coming = bodies.map(async ({ chunk }) => {
    const { id } = await registry.startUpload(app, sha256)
    return registry.appendUpload(app, id, chunk)
  })
  const ended = Promise.allSettled(coming)
  await Promise.all(bodies.map(body => body.bring('x')))
  for (const body of bodies) {
    body.bring(Buffer.alloc(12 * MiB)).catch(() => {})
    body.end()
  }
  const refused = (await ended).filter(({ status }) => status === 'rejected')
  t.equal(refused.length, 2, 'of four, each of which alone had room')
})

t.test(
  'uploads count against storage.maxsize, finished or not, also those of earlier processes',
  async t => {
    const half = 5 * BLOCK_BYTES
    const before = createEngine({ maxStorageBytes: 10 * BLOCK_BYTES })
    const { id } = await before.registry.startUpload(app, sha256)
    await before.registry.appendUpload(app, id, chunkOf(Buffer.alloc(6 * BLOCK_BYTES)))
    await before.registry.stop()
    const { registry } = createEngine({ after: before, maxStorageBytes: 10 * BLOCK_BYTES })
    const other = await registry.startUpload(app, sha256)
    const piece = () => chunkOf(Buffer.alloc(half), { lengthBytes: half })
    await t.rejects(registry.appendUpload(app, other.id, piece()), FULL, 'closed')
    await registry.uploadState(app, id)
    await t.rejects(registry.appendUpload(app, other.id, piece()), FULL, 'open')
    await registry.cancelUpload(app, id)
    await registry.appendUpload(app, other.id, piece())
    const digest = digestOf(Buffer.alloc(half))
    await registry.finishUpload(app, other.id, { digest, chunk: nothing() })
    const third = await registry.startUpload(app, sha256)
    const rest = chunkOf(Buffer.alloc(half), { lengthBytes: half })
    await registry.appendUpload(app, third.id, rest)
    const more = chunkOf('x', { lengthBytes: 1 })
    await t.rejects(registry.appendUpload(app, third.id, more), FULL, 'counted as a blob now')
  },
)

for (const where of ['storage.maxsize', 'the disk'] as const)
  t.test(`two clients are not both promised the last room: ${where}`, async t => {
    const isDisk = where === 'the disk'
    const { registry, disk } = createEngine(isDisk ? {} : { maxStorageBytes: 1_000 })
    if (isDisk) disk.capacityBytes = 1_000
    const one = await registry.startUpload(app, sha256)
    const other = await registry.startUpload(app, sha256)
    const body = heldBody({ lengthBytes: 600 })
    const coming = registry.appendUpload(app, one.id, body.chunk).catch(() => {})
    await body.bring('x')
    const piece = (bytes = 600) => chunkOf(Buffer.alloc(bytes), { lengthBytes: bytes })
    // By 507 a client ends its push for good, for what another had announced and never
    // brought.
    await t.rejects(registry.appendUpload(app, other.id, piece()), PASSING)
    await t.rejects(registry.appendUpload(app, other.id, piece(1_000)), FULL, 'what came stays')
    body.breakOff(new Error('the client went away'))
    await coming
    t.equal((await registry.appendUpload(app, other.id, piece())).sizeBytes, 600)
  })

t.test(
  'R126: what others only announced frees what came of a length nobody knew, and it begins anew',
  async t => {
    const MiB = 1024 * 1024
    const { registry, disk } = createEngine({ maxStorageBytes: 100 * MiB })
    const one = await registry.startUpload(app, sha256)
    const other = await registry.startUpload(app, sha256)
    const body = heldBody()
    const refused = t.rejects(registry.appendUpload(app, one.id, body.chunk), PASSING)
    await body.bring(Buffer.alloc(MiB))
    const announced = heldBody({ lengthBytes: 95 * MiB })
    const coming = registry.appendUpload(app, other.id, announced.chunk).catch(() => {})
    await announced.bring(Buffer.alloc(2 * MiB))
    body.bring(Buffer.alloc(16 * MiB)).catch(() => {})
    await refused
    t.notOk(disk.uploads.has(one.id), 'it holds no room that others need')
    announced.breakOff(new Error('the client went away'))
    await coming
    await t.rejects(registry.uploadState(app, one.id), { code: 'BLOB_UPLOAD_UNKNOWN' })
    await pushWhole(registry, app, Buffer.alloc(17 * MiB))
  },
)

t.test(
  'R99: many uploads have few open files: those that wait are closed and go on later',
  async t => {
    let open = 0
    let most = 0
    const watch = (file: UploadFile): UploadFile => {
      most = Math.max(most, ++open)
      for (const end of ['park', 'discard', 'commit'] as const) {
        const original = file[end].bind(file) as (...args: unknown[]) => Promise<never>
        let isOver = false
        Object.assign(file, {
          [end]: async (...args: unknown[]) => {
            if (!isOver) open -= 1
            isOver = true
            return original(...args)
          },
        })
      }
      return file
    }
    const { registry } = createEngine({
      store: store =>
        around(store, {
          createUpload:
            createUpload =>
            async (...args) =>
              watch(await createUpload(...args)),
          openUpload: openUpload => async id => {
            const file = await openUpload(id)
            return file === undefined ? undefined : watch(file)
          },
        }),
    })
    const ids: string[] = []
    for (let n = 0; n < UPLOADS_OPEN_MAX + 40; n += 1) {
      const { id } = await registry.startUpload(app, sha256)
      await registry.appendUpload(app, id, chunkOf(`upload ${n}`))
      ids.push(id)
    }
    t.equal(most, UPLOADS_OPEN_MAX)
    for (const [n, id] of ids.entries()) {
      const digest = digestOf(Buffer.from(`upload ${n}!`))
      await registry.finishUpload(app, id, { digest, chunk: chunkOf('!') })
    }
    t.equal(most, UPLOADS_OPEN_MAX)
  },
)

t.test('when as many uploads come in as may, the next one is told to come back', async t => {
  const { registry } = createEngine()
  const bodies = Array.from({ length: UPLOADS_OPEN_MAX }, () => heldBody())
  const coming = bodies.map(async ({ chunk }) => {
    const { id } = await registry.startUpload(app, sha256)
    return registry.appendUpload(app, id, chunk)
  })
  await Promise.all(bodies.map(body => body.bring('x')))
  const refusal = { code: 'UNAVAILABLE', status: 503, retryAfterSeconds: 5 }
  await t.rejects(registry.startUpload(app, sha256), refusal)
  for (const body of bodies) body.end()
  await Promise.all(coming)
  await registry.startUpload(app, sha256)
})

t.test('R274: who brings an upload a byte at a time gives its place to who waits', async t => {
  const { registry, clock } = createEngine()
  const bodies = Array.from({ length: UPLOADS_OPEN_MAX }, () => heldBody())
  const refused: unknown[] = []
  const coming = bodies.map(async ({ chunk }) => {
    const { id } = await registry.startUpload(app, sha256)
    await registry.appendUpload(app, id, chunk).catch((error: unknown) => refused.push(error))
    return id
  })
  await Promise.all(bodies.map(body => body.bring('x')))
  await t.rejects(registry.startUpload(app, sha256), { code: 'UNAVAILABLE', status: 503 })
  await clock.advance(9_000)
  const [slow, ...fast] = bodies
  for (const body of fast) await body.bring('x'.repeat(64 * 1024))
  await slow?.bring('x')
  await clock.advance(1_000)
  const { id } = await registry.startUpload(app, sha256)
  await registry.appendUpload(app, id, chunkOf('mine'))
  t.match(refused, [{ status: 408, message: /may be resumed/ }], 'one made room')
  for (const body of bodies) body.end()
  const [first = ''] = await Promise.all(coming)
  t.equal((await registry.uploadState(app, first)).sizeBytes, 2, 'what came of it counts')
})

t.test(
  'uploads that were begun and never finished are bounded, and the refusal says what helps',
  async t => {
    const before = createEngine()
    const { disk } = before
    const { id } = await before.registry.startUpload(app, sha256)
    const left = disk.uploads.get(id)
    if (left === undefined) throw new Error('an upload was begun')
    for (let n = 1; n < UPLOADS_MAX; n += 1) disk.uploads.set(`left-${n}`, left)
    const { registry } = createEngine({ after: before })
    const crowded = { code: 'TOOMANYREQUESTS', status: 429, message: /uploadpurging/ }
    await t.rejects(registry.startUpload(app, sha256), crowded)
    await registry.cancelUpload(app, 'left-7')
    await registry.startUpload(app, sha256)
    await t.rejects(registry.startUpload(app, sha256), crowded)
  },
)

t.test('R274: a client that begins uploads without end keeps nobody else from it', async t => {
  const before = createEngine()
  const crowd = { ...sha256, client: '10.0.0.1' }
  const { id } = await before.registry.startUpload(app, crowd)
  const left = before.disk.uploads.get(id)
  if (left === undefined) throw new Error('an upload was begun')
  for (let n = 1; n < UPLOADS_CLIENT_MAX; n += 1) before.disk.uploads.set(`left-${n}`, left)
  // Also of earlier processes.
  const { registry } = createEngine({ after: before })
  await t.rejects(registry.startUpload(app, crowd), { code: 'TOOMANYREQUESTS', status: 429 })
  await registry.startUpload(app, { ...sha256, client: '10.0.0.2' })
  await registry.cancelUpload(app, 'left-7')
  await registry.startUpload(app, crowd)
  await t.rejects(registry.startUpload(app, crowd), { code: 'TOOMANYREQUESTS' })
})

t.test(
  'R274: uploads begun in vain, of now or of before a start, give way to new ones',
  async t => {
    const before = createEngine()
    const crowd = { ...sha256, client: '10.0.0.1' }
    const { id } = await before.registry.startUpload(app, crowd)
    const left = before.disk.uploads.get(id)
    if (left === undefined) throw new Error('an upload was begun')
    for (let n = 2; n < UPLOADS_CLIENT_MAX; n += 1) before.disk.uploads.set(`left-${n}`, left)
    const { registry, clock, disk } = createEngine({ after: before })
    const used = await registry.startUpload(app, crowd)
    await registry.appendUpload(app, used.id, chunkOf('x'))
    await clock.advance(VAIN_AFTER_MS - 1)
    await t.rejects(registry.startUpload(app, crowd), { code: 'TOOMANYREQUESTS' })
    await clock.advance(1)
    for (let n = 0; n < UPLOADS_CLIENT_MAX - 1; n += 1) await registry.startUpload(app, crowd)
    t.equal(disk.uploads.size, UPLOADS_CLIENT_MAX)
    await t.rejects(registry.startUpload(app, crowd), { code: 'TOOMANYREQUESTS' }, 'all are new')
    t.equal((await registry.uploadState(app, used.id)).sizeBytes, 1, 'what has bytes stays')
    await clock.advance(VAIN_AFTER_MS)
    await Promise.all([registry.startUpload(app, crowd), registry.startUpload(app, crowd)])
    t.equal(disk.uploads.size, UPLOADS_CLIENT_MAX, 'two at once take the place of two')
  },
)

t.test('R777: a place costs who holds it more than a byte an hour', async t => {
  const { registry, clock } = createEngine()
  const crowd = { ...sha256, client: 'account ci' }
  const ids: string[] = []
  for (let n = 0; n < UPLOADS_CLIENT_MAX; n += 1)
    ids.push((await registry.startUpload(app, crowd)).id)
  const bringAll = async (bytes: number, some = ids) => {
    for (const id of some) await registry.appendUpload(app, id, chunkOf(Buffer.alloc(bytes)))
  }
  for (let hours = 0; hours < 2; hours += 1) {
    await bringAll(10)
    for (const id of ids) await registry.uploadState(app, id)
    await clock.advance(IDLE_AFTER_MS / 2)
  }
  const [kept = '', ...others] = ids
  await bringAll(GROWTH_BYTES, [kept])
  for (const _ of others) await registry.startUpload(app, crowd)
  t.equal((await registry.uploadState(app, kept)).sizeBytes, GROWTH_BYTES + 20)
  await t.rejects(registry.startUpload(app, crowd), { code: 'TOOMANYREQUESTS' })
})

t.test('R779: those that the disk does not let go keep no place from being made', async t => {
  const { registry, store, clock, events, disk } = await crowded()
  const remove = store.removeUpload.bind(store)
  const stuck = new Set([...disk.uploads.keys()].slice(0, 3))
  Object.assign(store, {
    removeUpload: async (upload: string) => {
      if (stuck.has(upload)) throw new StoreError('io', 'cannot remove it: EPERM')
      await remove(upload)
    },
  })
  await clock.advance(VAIN_AFTER_MS)
  for (let n = stuck.size; n < UPLOADS_CLIENT_MAX; n += 1) await registry.startUpload(app, CROWD)
  await t.rejects(registry.startUpload(app, CROWD), { code: 'TOOMANYREQUESTS' })
  t.match(events, Array(stuck.size).fill({ kind: 'storage failed', failure: 'io' }))
  t.equal(events.length, stuck.size, 'each is tried once')
})

t.test('R910: a disk that removes nothing for a moment costs no place after it', async t => {
  const { registry, store, clock } = await crowded()
  const remove = store.removeUpload.bind(store)
  let [isBad, failed] = [true, 0]
  Object.assign(store, {
    removeUpload: async (upload: string) => {
      if (!isBad) return remove(upload)
      failed += 1
      throw new StoreError('io', 'cannot remove it: EROFS')
    },
  })
  await clock.advance(VAIN_AFTER_MS)
  const more = () => registry.startUpload(app, CROWD)
  await t.rejects(more(), { code: 'TOOMANYREQUESTS' })
  t.ok(failed < 30, `whoever waits does so for ${failed} tries`)
  isBad = false
  for (let n = failed; n < UPLOADS_CLIENT_MAX; n += 1) await more()
  await t.rejects(more(), { code: 'TOOMANYREQUESTS' }, 'those that failed are left')
  await clock.advance(STUCK_FOR_MS - 1)
  await t.rejects(more(), { code: 'TOOMANYREQUESTS' })
  await clock.advance(1)
  await more()
})

t.test('R911: what one beginning has removed makes no place for another', async t => {
  const { registry, store, clock, disk } = await crowded()
  const remove = store.removeUpload.bind(store)
  const asked = Promise.withResolvers<void>()
  const held = Promise.withResolvers<void>()
  Object.assign(store, {
    removeUpload: async (upload: string) => {
      if (upload !== [...disk.uploads.keys()][0]) return remove(upload)
      asked.resolve()
      await held.promise
      throw new StoreError('io', 'cannot remove it: EIO')
    },
  })
  await clock.advance(VAIN_AFTER_MS)
  const first = registry.startUpload(app, CROWD)
  await asked.promise
  await registry.startUpload(app, CROWD)
  held.resolve()
  await first
  t.equal(disk.uploads.size, UPLOADS_CLIENT_MAX)
})

t.test('R818: many that are begun at once are no more than there may be', async t => {
  const { registry, disk, clock } = await crowded()
  const [first = ''] = disk.uploads.keys()
  await registry.cancelUpload(app, first)
  const begin = () => Array.from({ length: 40 }, () => registry.startUpload(app, CROWD))
  const begun = await Promise.allSettled(begin())
  t.equal(begun.filter(({ status }) => status === 'fulfilled').length, 1, 'one place was free')
  t.equal(disk.uploads.size, UPLOADS_CLIENT_MAX)
  await clock.advance(VAIN_AFTER_MS)
  await Promise.all(begin())
  t.equal(disk.uploads.size, UPLOADS_CLIENT_MAX, 'and each of others has one that went for it')
})

t.test('R274: for a client that has too many none of others goes, full as it is', async t => {
  const before = createEngine()
  const ofOthers = { ...sha256, client: 'account other' }
  const others = await before.registry.startUpload(app, ofOthers)
  const mine = await before.registry.startUpload(app, CROWD)
  const [theirs, own] = [others, mine].map(({ id }) => before.disk.uploads.get(id))
  if (theirs === undefined || own === undefined) throw new Error('both were begun')
  const perClient = UPLOADS_CLIENT_MAX
  for (let n = 1; n < UPLOADS_MAX - perClient; n += 1) before.disk.uploads.set(`other-${n}`, theirs)
  before.disk.uploads.delete(mine.id)
  // The youngest: of all, others would go first.
  for (let n = 0; n < perClient; n += 1) before.disk.uploads.set(`own-${n}`, own)
  const { registry, clock, disk } = createEngine({ after: before })
  await clock.advance(VAIN_AFTER_MS)
  await registry.startUpload(app, CROWD)
  t.equal([...disk.uploads.keys()].filter(id => id.startsWith('other-')).length, 7_499)
})

t.test('R821: uploads with bytes that were left alone keep nobody from pushing', async t => {
  const before = createEngine()
  const crowd = { ...sha256, client: 'account ci' }
  const { id } = await before.registry.startUpload(app, crowd)
  await before.registry.appendUpload(app, id, chunkOf('x'))
  await before.registry.stop()
  const left = before.disk.uploads.get(id)
  if (left === undefined) throw new Error('an upload was begun')
  for (let n = 2; n < UPLOADS_CLIENT_MAX; n += 1) before.disk.uploads.set(`left-${n}`, left)
  const { registry, clock, events } = createEngine({ after: before })
  const used = await registry.startUpload(app, crowd)
  await registry.appendUpload(app, used.id, chunkOf('new'))
  await clock.advance(IDLE_AFTER_MS - 1)
  await registry.appendUpload(app, used.id, chunkOf(Buffer.alloc(GROWTH_BYTES)))
  const more = () => registry.startUpload(app, crowd)
  await t.rejects(more(), { code: 'TOOMANYREQUESTS' }, 'they may come back, also after a start')
  await clock.advance(1)
  for (let n = 1; n < UPLOADS_CLIENT_MAX; n += 1) await more()
  await t.rejects(more(), { code: 'TOOMANYREQUESTS' }, 'all are new')
  const { sizeBytes } = await registry.uploadState(app, used.id)
  t.equal(sizeBytes, 3 + GROWTH_BYTES, 'what goes on stays')
  const purged = events.filter(({ kind }) => kind === 'uploads purged')
  t.equal(purged.length, UPLOADS_CLIENT_MAX - 1)
  t.match(purged[0], { why: 'places', sessions: 1, bytes: 1 })
})

t.test('R110: a purge removes what nobody went on with, and tells how much', async t => {
  const { registry, clock, disk, events } = createEngine()
  const old = await registry.startUpload(app, sha256)
  await registry.appendUpload(app, old.id, chunkOf('0123'))
  await clock.advance(WEEK_MS - HOUR_MS)
  const young = await registry.startUpload(app, sha256)
  await clock.advance(HOUR_MS)
  const week = { olderThanMs: WEEK_MS, dryRun: false }
  t.same(await registry.purgeUploads({ ...week, dryRun: true }), { sessions: 1, bytes: 4 })
  t.equal(disk.uploads.size, 2, 'a dry run only counts')
  t.same(await registry.purgeUploads(week), { sessions: 1, bytes: 4 })
  t.same([...disk.uploads.keys()], [young.id])
  await t.rejects(registry.uploadState(app, old.id), { code: 'BLOB_UPLOAD_UNKNOWN' })
  t.match(events, [
    { kind: 'uploads purged', sessions: 1, bytes: 4, dryRun: true },
    { kind: 'uploads purged', sessions: 1, bytes: 4, dryRun: false },
  ])
})

t.test('R110: a purge leaves what is in use, and believes no clock that jumps', async t => {
  const { registry, clock } = createEngine()
  const slow = await registry.startUpload(app, sha256)
  const body = heldBody()
  const coming = registry.appendUpload(app, slow.id, body.chunk)
  await body.bring(Buffer.alloc(GROWTH_BYTES))
  const idle = await registry.startUpload(app, sha256)
  const week = { olderThanMs: WEEK_MS, dryRun: false }
  clock.jump(10 * WEEK_MS)
  t.same(await registry.purgeUploads(week), { sessions: 0, bytes: 0 })
  await clock.advance(2 * WEEK_MS)
  t.same(await registry.purgeUploads(week), { sessions: 1, bytes: 0 }, 'the idle one')
  await t.rejects(registry.uploadState(app, idle.id), { code: 'BLOB_UPLOAD_UNKNOWN' })
  body.end()
  t.equal((await coming).sizeBytes, GROWTH_BYTES)
  t.same(await registry.purgeUploads(week), { sessions: 0, bytes: 0 }, 'it has only just ended')
})

t.test('R632: nor does it believe one of what earlier processes left', async t => {
  const before = createEngine()
  await before.registry.startUpload(app, sha256)
  await before.registry.stop()
  const { registry, clock } = createEngine({ after: before })
  const week = { olderThanMs: WEEK_MS, dryRun: false }
  clock.jump(10 * WEEK_MS)
  t.same(await registry.purgeUploads(week), { sessions: 0, bytes: 0 })
  await clock.advance(WEEK_MS)
  t.same(await registry.purgeUploads(week), { sessions: 1, bytes: 0 })
})

t.test('R688: what a clock that was ahead has dated goes a week after it is put right', async t => {
  let engine = createEngine()
  engine.clock.jump(52 * WEEK_MS)
  const { id } = await engine.registry.startUpload(app, sha256)
  await engine.registry.stop()
  engine.clock.jump(-52 * WEEK_MS)
  engine = createEngine({ after: engine })
  const week = { olderThanMs: WEEK_MS, dryRun: false }
  t.same(await engine.registry.purgeUploads(week), { sessions: 0, bytes: 0 })
  for (let ranMs = 0; ranMs < WEEK_MS; ranMs += HOUR_MS) {
    await engine.clock.advance(HOUR_MS)
    t.same(await engine.registry.purgeUploads(week), { sessions: 0, bytes: 0 })
    await engine.registry.stop()
    engine = createEngine({ after: engine })
  }
  await engine.clock.advance(HOUR_MS)
  t.same(await engine.registry.purgeUploads({ ...week, dryRun: true }), { sessions: 1, bytes: 0 })
  t.same(await engine.registry.purgeUploads(week), { sessions: 1, bytes: 0 })
  await t.rejects(engine.registry.uploadState(app, id), { code: 'BLOB_UPLOAD_UNKNOWN' })
})

t.test('R825: an upload that was dated by a clock in 1970 is not as old as that', async t => {
  let engine = createEngine()
  const { id } = await engine.registry.startUpload(app, sha256)
  const dateIn1970 = () => {
    const left = engine.disk.uploads.get(id)
    if (left !== undefined) left.changedAtMs = 90_000
  }
  await engine.registry.stop()
  engine = createEngine({ after: engine })
  dateIn1970()
  const week = { olderThanMs: WEEK_MS, dryRun: false }
  t.same(await engine.registry.purgeUploads({ ...week, dryRun: true }), { sessions: 0, bytes: 0 })
  t.same(await engine.registry.purgeUploads(week), { sessions: 0, bytes: 0 })
  t.equal((await engine.registry.uploadState(app, id)).sizeBytes, 0, 'its client goes on')
  for (let ranMs = 0; ranMs < WEEK_MS; ranMs += HOUR_MS) {
    await engine.registry.stop()
    engine = createEngine({ after: engine })
    await engine.clock.advance(HOUR_MS)
    t.same(await engine.registry.purgeUploads(week), { sessions: 0, bytes: 0 })
  }
  await engine.clock.advance(HOUR_MS)
  t.same(await engine.registry.purgeUploads(week), { sessions: 1, bytes: 0 }, 'it grows old here')
})

t.test('R110: a purge reaches what earlier processes left, readable or not', async t => {
  const before = createEngine()
  const { id } = await before.registry.startUpload(app, sha256)
  await before.registry.stop()
  const left = before.disk.uploads.get(id)
  if (left === undefined) throw new Error('an upload was begun')
  before.disk.uploads.set('no-note', { ...left, note: '{"repository":7}' })
  const { registry, disk, clock } = createEngine({ after: before })
  await clock.advance(WEEK_MS)
  const purged = await registry.purgeUploads({ olderThanMs: WEEK_MS, dryRun: false })
  t.equal(purged.sessions, 2)
  t.equal(disk.uploads.size, 0)
})
