// Goal: who announces much and brings little keeps no room from others, and who brings it, however
// slowly, has it. Method: the engine over in-memory twins with a limit, bodies that come when the
// test says so, and a manual clock.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import { blobAnswer, createEngine, localOf, readAll, repositoryOf } from '../../../kit/engine.ts'
import { chunkOf, heldBody, nothing, pushWhole } from '../../../kit/clients/upload-chunks.ts'

const MiB = 1024 * 1024
const LIMIT = 100 * MiB
const sha256 = { algorithm: 'sha256' } as const
const PASSING = { code: 'UNAVAILABLE', status: 503, message: /others/ }
const team = localOf('team/app')
const other = localOf('other/app')
const app = repositoryOf('library/app')
const cached = Buffer.alloc(10 * MiB, 'cached')

function createWorld() {
  return createEngine({
    maxStorageBytes: LIMIT,
    upstream: { getBlob: async () => blobAnswer([cached]) },
  })
}

/** A client that announces so much, and has brought nothing yet. */
async function announce({ registry }: ReturnType<typeof createWorld>, lengthBytes?: number) {
  const { id } = await registry.startUpload(team, sha256)
  const body = heldBody(lengthBytes === undefined ? {} : { lengthBytes })
  const over = registry.appendUpload(team, id, body.chunk).then(
    state => state.sizeBytes,
    (error: unknown) => error,
  )
  const leave = async () => {
    body.breakOff(new Error('the client went away'))
    await over
  }
  return { id, bring: body.bring, end: body.end, over, leave }
}

async function begin({ registry }: ReturnType<typeof createWorld>, bytes: number) {
  const { id } = await registry.startUpload(other, sha256)
  return registry.appendUpload(other, id, chunkOf(Buffer.alloc(bytes), { lengthBytes: bytes }))
}

t.test('R453: all of the room, announced and not brought, is kept from nobody', async t => {
  const world = createWorld()
  const slow = await announce(world, LIMIT - 5 * MiB)
  await slow.bring('x')
  for (let minute = 0; minute < 3; minute += 1) {
    const { sizeBytes } = await begin(world, 20 * MiB)
    t.equal(sizeBytes, 20 * MiB)
    await world.clock.advance(30_000)
    await slow.bring('x')
  }
  const digest = digestOf(cached)
  await readAll(await world.registry.pullBlob(app, digest))
  await world.registry.settled(digest)
  t.ok(world.disk.blobs.has(digest), 'what is pulled is cached')
  await slow.leave()
})

t.test('R453: announcing anew again and again keeps it from nobody either', async t => {
  const world = createWorld()
  for (let at = 0; at < 3; at += 1) {
    const slow = await announce(world, LIMIT - 45 * MiB)
    await slow.bring(Buffer.alloc(64 * 1024))
    t.equal((await begin(world, 20 * MiB)).sizeBytes, 20 * MiB)
    await slow.leave()
  }
})

t.test('R453: who brings it has it promised, and no longer than it comes', async t => {
  const world = createWorld()
  const fast = await announce(world, LIMIT - 10 * MiB)
  await fast.bring(Buffer.alloc(6 * MiB))
  await t.rejects(begin(world, 30 * MiB), PASSING)
  await world.clock.advance(59_000)
  await fast.bring('x')
  await t.rejects(begin(world, 60 * MiB), PASSING, 'a line may be interrupted')
  await world.clock.advance(59_000)
  await fast.bring('x')
  t.equal((await begin(world, 60 * MiB)).sizeBytes, 60 * MiB)
  await fast.leave()
})

t.test('R454: a large blob comes whole over a slow line, whatever others announce', async t => {
  const world = createWorld()
  const { registry, clock } = world
  const sizeBytes = 60 * MiB
  const slow = await announce(world, sizeBytes)
  for (let come = 0; come < sizeBytes; come += MiB) {
    await clock.advance(30_000)
    const rival = await announce(world, 30 * MiB)
    await rival.bring(Buffer.alloc(64 * 1024))
    await slow.bring(Buffer.alloc(MiB))
    await rival.leave()
    await registry.cancelUpload(team, rival.id)
  }
  slow.end()
  t.equal(await slow.over, sizeBytes)
  const digest = digestOf(Buffer.alloc(sizeBytes))
  await registry.finishUpload(team, slow.id, { digest, chunk: nothing() })
  await pushWhole(registry, other, Buffer.alloc(30 * MiB, 'rest'))
})

for (const said of [true, false])
  t.test(`R621: of two that come together one has the last room; length said: ${said}`, async t => {
    const world = createWorld()
    const sizeBytes = 64 * MiB
    const two = [
      await announce(world, said ? sizeBytes : undefined),
      await announce(world, said ? sizeBytes : undefined),
    ]
    // Neither has brought anything yet: there is room for each.
    await new Promise(setImmediate)
    for (let come = 0; come < sizeBytes; come += 16 * MiB)
      await Promise.all(
        two.map(each => Promise.race([each.bring(Buffer.alloc(16 * MiB)), each.over])),
      )
    for (const each of two) each.end()
    const ends = await Promise.all(two.map(each => each.over))
    t.same(ends.filter(end => end === sizeBytes).length, 1)
    t.match(
      ends.find(end => end !== sizeBytes),
      { code: 'UNAVAILABLE' },
    )
  })

/** The next look at the disk ends when it is told to. */
function holdLook({ store }: ReturnType<typeof createWorld>) {
  const [looks, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const look = store.space.bind(store)
  store.space = async () => {
    store.space = look
    looks.resolve()
    await goOn.promise
    return look()
  }
  return { begun: looks.promise, goOn: goOn.resolve }
}

t.test('R629: what an older request waits for in vain does not end the newer one', async t => {
  const world = createWorld()
  const { registry } = world
  const first = await announce(world, 80 * MiB)
  await new Promise(setImmediate)
  await begin(world, 60 * MiB)
  for (let come = 0; come < 2; come += 1) await first.bring(Buffer.alloc(16 * MiB))
  const look = holdLook(world)
  first.bring(Buffer.alloc(16 * MiB)).catch(() => {})
  await look.begun
  const { sizeBytes } = await registry.uploadState(team, first.id)
  const body = heldBody({ lengthBytes: 2 })
  const newer = registry.appendUpload(team, first.id, body.chunk)
  t.match(await first.over, { code: 'BLOB_UPLOAD_INVALID' })
  await body.bring('x')
  look.goOn()
  // Room for others is looked for after that.
  await begin(world, 20 * MiB).catch(() => {})
  await body.bring('y')
  body.end()
  t.match(await newer, { sizeBytes: sizeBytes + 2 })
  t.match(await registry.uploadState(team, first.id), { sizeBytes: sizeBytes + 2 })
})

/** It has brought more than there is room for, and nobody has looked yet. */
async function bringTooMuch(world: ReturnType<typeof createWorld>) {
  const first = await announce(world)
  const beside = await begin(world, 60 * MiB)
  for (let come = 0; come < 2; come += 1) await first.bring(Buffer.alloc(16 * MiB))
  const look = holdLook(world)
  first.bring(Buffer.alloc(16 * MiB)).catch(() => {})
  await look.begun
  return { first, beside, look }
}

for (const isRoom of [true, false])
  t.test(
    `R681: nor where no length was said; the newer one finds ${isRoom ? 'room' : 'none'}`,
    async t => {
      const world = createWorld()
      const { registry } = world
      const { first, beside, look } = await bringTooMuch(world)
      if (isRoom) await registry.cancelUpload(other, beside.id)
      const body = heldBody({ lengthBytes: 2 })
      const newer = registry.appendUpload(team, first.id, body.chunk).then(
        ({ sizeBytes }) => sizeBytes,
        (error: unknown) => error,
      )
      t.match(await first.over, { code: 'BLOB_UPLOAD_INVALID' }, 'before its look is over')
      if (!isRoom) t.match(await newer, { code: 'UNAVAILABLE' }, 'before it brings a byte')
      else {
        await body.bring('x')
        look.goOn()
        // Room for others is looked for after that.
        await begin(world, 60 * MiB).catch(() => {})
        await body.bring('y')
        body.end()
        t.equal(await newer, 48 * MiB + 2)
      }
      look.goOn()
      t.equal((await begin(world, isRoom ? 50 * MiB : 40 * MiB)).sizeBytes / MiB, isRoom ? 50 : 40)
    },
  )

t.test('R681: a stop leaves it to the next process, whatever its room', async t => {
  const world = createWorld()
  const { first, look } = await bringTooMuch(world)
  await world.registry.stop()
  t.match(await first.over, { code: 'UNAVAILABLE', message: /stopping/ })
  look.goOn()
  await new Promise(setImmediate)
  const next = createEngine({ maxStorageBytes: 2 * LIMIT, after: world })
  const { sizeBytes } = await next.registry.uploadState(team, first.id)
  t.equal(sizeBytes, 48 * MiB)
  const more = await next.registry.appendUpload(team, first.id, chunkOf('xy'))
  t.equal(more.sizeBytes, sizeBytes + 2)
})
