// Goal: room on the disk is found without taking more than is needed, and who only says that a blob
// is large takes it from nobody. Method: the engine over in-memory twins with parts that failed
// downloads left, before docker.io and a registry that does not share.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import { parseRepositoryKey, type RegistryHost } from '../../../../src/oci/reference.ts'
import type { Pin } from '../../../../src/registry/pins/pins.ts'
import type { BlobStore } from '../../../../src/registry/ports/blob-store.ts'
import { type Upstream, UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { around } from '../../../kit/around.ts'
import {
  blobAnswer,
  createEngine,
  type Engine,
  readAll,
  rejection,
  repositoryOf,
  upstreamOf,
} from '../../../kit/engine.ts'
import { chunkOf } from '../../../kit/clients/upload-chunks.ts'
import { partsLeft } from '../../../kit/disk/parts-left.ts'
import { limitsOf } from '../../../kit/storage-limits.ts'
import { diskOf, ledgerOver } from '../../../kit/ledger.ts'

const MAX_BYTES = 1_000
const app = repositoryOf('library/app')
const pushed = parseRepositoryKey('localhost/app')
const anybody = parseRepositoryKey('anybody.example/app')

function blobOf(sizeBytes: number, text: string) {
  const bytes = Buffer.alloc(sizeBytes, text)
  return { bytes, digest: digestOf(bytes) }
}

const small = blobOf(300, 'small ')
const large = blobOf(MAX_BYTES * 3, 'large ')
const [half, otherHalf] = [blobOf(600, 'half '), blobOf(600, 'other ')]

/** Gives whatever is known here, and never goes on with what stands still. */
function upstreamNamed(registry: RegistryHost): Partial<Upstream> {
  return {
    registry,
    getBlob: async (_name, digest, _request, { signal } = {}) => {
      const found = [small, large, half, otherHalf].find(each => each.digest === digest)
      if (found !== undefined) return blobAnswer([found.bytes])
      const isStill = blobAnswer([Buffer.from('x'), Buffer.from('y')], { totalBytes: 800 }, () => {
        return new Promise((_resolve, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason as Error))
        })
      })
      if (digest === still.digest) return isStill
      throw new UpstreamError('not-found', 'this upstream has nothing')
    },
  }
}

const still = blobOf(800, 'still ')

const PINNED: Pin = {
  selector: { kind: 'repositories', repositories: '**' },
  from: 'configuration',
}

/** Of what is here whole nothing may leave. */
function createWorld(store = (same: BlobStore) => same): Engine {
  return createEngine({
    store,
    maxStorageBytes: MAX_BYTES,
    pins: { findContent: () => PINNED },
    upstream: upstreamNamed(app.registry),
    beside: [{ upstream: upstreamOf(upstreamNamed(anybody.registry)), shares: false }],
  })
}

/** What is left of a failed download, and is older than what is left later. */
async function leave({ store }: Engine, sizeBytes: number, from = app) {
  const { bytes, digest } = blobOf(sizeBytes, `left ${sizeBytes} `)
  const part = await store.openFill(digest)
  await part.expect({ sizeBytes: 5_000, validator: undefined, source: from.registry })
  await part.append(bytes)
  await part.park()
  return digest
}

async function pull({ registry }: Engine, wanted: typeof small, from = app): Promise<Buffer> {
  const bytes = await readAll(await registry.pullBlob(from, wanted.digest))
  await registry.settled(wanted.digest)
  return bytes
}

t.test('R276: a blob that cannot fit takes no part from anybody', async t => {
  const world = createWorld()
  const left = [await leave(world, 200), await leave(world, 400)]
  t.same(await pull(world, large), large.bytes, 'it is passed on')
  t.same(await partsLeft(world.store), left)
})

t.test('R276: the oldest part goes first, and no more than room is missing', async t => {
  const world = createWorld()
  const [first, second] = [await leave(world, 301), await leave(world, 502)]
  if (first === undefined || second === undefined) throw new Error('two parts')
  t.same(await pull(world, small), small.bytes)
  t.ok(await world.store.find(small.digest))
  t.same(await partsLeft(world.store), [second])
})

t.test('R276: a part that is as large as what is missing is enough', async t => {
  const world = createWorld()
  const [, second] = [await leave(world, 100), await leave(world, 700)]
  t.same(await pull(world, small), small.bytes)
  t.ok(await world.store.find(small.digest))
  t.same(await partsLeft(world.store), [second])
})

t.test('R276: a part that cannot be removed is asked for once', async t => {
  let asked = 0
  const removePart = async () => {
    asked += 1
    // Else it would be asked for without end, and nothing else would have its turn.
    if (asked > 20) throw new Error('enough')
    return false
  }
  const world = createWorld(same => Object.assign(same, { removePart }))
  await leave(world, 801)
  t.same(await pull(world, small), small.bytes, 'it is passed on')
  t.equal(asked, 1)
})

t.test('R456: whoever needs the room of very many parts waits no longer than others', async t => {
  let removed = 0
  const world: Engine = createWorld(store =>
    around(store, {
      removePart: removePart => async digest => {
        removed += 1
        // A disk that takes its time over each.
        await world.clock.advance(20)
        return await removePart(digest)
      },
    }),
  )
  for (let at = 0; at < 700; at += 1) {
    const { digest } = blobOf(10, `bits ${at} `)
    const part = await world.store.openFill(digest)
    await part.append(Buffer.from('x'))
    await part.park()
  }
  t.same(await pull(world, half), half.bytes, 'it is passed on')
  t.notOk(await world.store.find(half.digest))
  t.ok(removed < 300, `${removed} were removed before it was given up`)
})

// Less was left than before, and that counted.
t.test('R276: what another download leaves while room is made is no reason to stop', async t => {
  let isFirst = true
  const world: Engine = createWorld(store =>
    around(store, {
      removePart: removePart => async digest => {
        const isRemoved = await removePart(digest)
        if (isFirst) await leave(world, 350)
        isFirst = false
        return isRemoved
      },
    }),
  )
  await leave(world, 301)
  await leave(world, 502)
  t.same(await pull(world, small), small.bytes)
  t.ok(await world.store.find(small.digest))
})

t.test('what nobody has asked for has no room that was promised', async t => {
  const store = {
    space: async () => ({ freeBytes: 1_000, totalBytes: 1_000 }),
    partsBytes: 0,
    quarantineBytes: 100,
    otherBytes: 0,
    describeParts: async () => [],
    removePart: async () => false,
  }
  for (const [maxBytes, spareBytes] of [
    [Number.POSITIVE_INFINITY, 600],
    [1_000, 450],
  ] as const) {
    const usedBytes = async () => 50
    const ledger = ledgerOver(store, { limits: () => limitsOf(maxBytes), usedBytes })
    const giveBack = ledger.count({
      from: 'upstream',
      missingBytes: () => 300,
      wholeBytes: () => 300,
      roomBytes: () => 0,
    })
    t.equal(await ledger.spareBytes(), spareBytes)
    giveBack()
    t.equal(await ledger.spareBytes(), spareBytes + 300)
  }
})

t.test('R252, R276: before it what a registry left that does not share', async t => {
  const world = createWorld()
  const own = await leave(world, 301)
  await leave(world, 502, anybody)
  t.same(await pull(world, small), small.bytes)
  t.same(await partsLeft(world.store), [own])
})

t.test('R252: for a registry that does not share nothing goes that shares', async t => {
  const world = createWorld()
  const own = await leave(world, 801)
  t.same(await pull(world, small, anybody), small.bytes)
  t.same(await partsLeft(world.store), [own])
  t.notOk(await world.store.find(small.digest), 'it is passed on')
})

t.test('R252: what a registry announces that does not share leaves room to others', async t => {
  const world = createWorld()
  const answer = await world.registry.pullBlob(anybody, still.digest)
  t.equal(await world.registry.fullBecause(), undefined)
  t.same(await pull(world, small), small.bytes)
  t.ok(await world.store.find(small.digest), 'it has its room')
  const told = world.events.flatMap(each => (each.kind === 'storage failed' ? each.reason : []))
  t.same(told, ['registries that do not share have used up their half of the room'])
  await answer.close()
  await world.registry.stop()
})

t.test('R276: to ask whether there is room takes no part', async t => {
  const world = createWorld()
  const left = await leave(world, MAX_BYTES + 1)
  t.equal(await world.registry.fullBecause(), undefined, 'it would make room')
  t.same(await partsLeft(world.store), [left])
})

t.test('R276: of two blobs that are short at once, one has the room that there is', async t => {
  const world = createWorld()
  await leave(world, 900)
  const answers = await Promise.all([pull(world, half), pull(world, otherHalf)])
  t.same(answers, [half.bytes, otherHalf.bytes])
  const kept = await Promise.all([half, otherHalf].map(({ digest }) => world.store.find(digest)))
  t.equal(kept.filter(found => found !== undefined).length, 1)
})

t.test('R276: what is announced takes no room from others before it is judged', async t => {
  const judged = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<void>()
  let isHeld = false
  const world = createWorld(store => {
    return around(store, {
      space: space => async () => {
        const seen = await space()
        if (!isHeld) return seen
        isHeld = false
        asked.resolve()
        await judged.promise
        return seen
      },
    })
  })
  const { registry } = world
  const { id } = await registry.startUpload(pushed, { algorithm: 'sha256' })
  isHeld = true
  const absurd = chunkOf('x', { lengthBytes: Number.MAX_SAFE_INTEGER })
  const refused = t.rejects(registry.appendUpload(pushed, id, absurd), { message: /full/ })
  await asked.promise
  t.same(await pull(world, small), small.bytes)
  t.ok(await world.store.find(small.digest), 'it has its room')
  judged.resolve()
  await refused
})

// A blob that was recorded while the disk was looked at counted for nobody.
t.test('R276: a blob that comes to its end while the disk is looked at still counts', async t => {
  const recorded = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<void>()
  let isHeld = false
  const world: Engine = createWorld(store => {
    return around(store, {
      space: space => async () => {
        if (isHeld) {
          isHeld = false
          asked.resolve()
          await recorded.promise
        }
        return space()
      },
    })
  })
  const { registry, disk } = world
  const { id } = await registry.startUpload(pushed, { algorithm: 'sha256' })
  const coming = await registry.pullBlob(app, half.digest)
  isHeld = true
  const chunk = chunkOf(otherHalf.bytes, { lengthBytes: 600 })
  const refused = t.rejects(registry.appendUpload(pushed, id, chunk), {
    cause: { failure: 'full' },
  })
  await asked.promise
  await readAll(coming)
  await registry.settled(half.digest)
  t.ok(disk.blobs.has(half.digest))
  recorded.resolve()
  await refused
})

t.test('R301: what is in the quarantine counts in storage.maxsize', async t => {
  const quarantined = (quarantineBytes: number) =>
    createWorld(store =>
      Object.defineProperty(store, 'quarantineBytes', { value: quarantineBytes }),
    )
  const cached = async ({ registry, disk }: Engine) => {
    t.equal((await readAll(await registry.pullBlob(app, half.digest))).length, 600)
    await registry.settled(half.digest)
    return disk.blobs.has(half.digest)
  }
  t.equal(await cached(quarantined(400)), true, 'there is room for both')
  t.equal(await cached(quarantined(401)), false, 'passed on without being kept')
})

t.test('R295: what was wanted and what is free are told of one measure', async t => {
  const MiB = 1024 * 1024
  const ledgerOf = (freeBytes: number, maxBytes: number, totalBytes = 10_000 * MiB) =>
    ledgerOver(
      diskOf(() => ({ freeBytes, totalBytes })),
      { limits: () => limitsOf(maxBytes) },
    )
  const resumed = {
    from: 'client' as const,
    missingBytes: () => 10 * MiB,
    wholeBytes: () => 100 * MiB,
    roomBytes: () => 0,
  }
  const reserveBytes = 64 * MiB
  for (const [ledger, room] of [
    [
      ledgerOf(reserveBytes + 5 * MiB, Number.POSITIVE_INFINITY),
      { wantedBytes: 10 * MiB, freeBytes: 5 * MiB },
    ],
    [ledgerOf(1_000 * MiB, 95 * MiB), { wantedBytes: 100 * MiB, freeBytes: 95 * MiB }],
    // In whole bytes, also where the reserve is a tenth of a disk that does not divide by ten.
    [ledgerOf(1_000, Number.POSITIVE_INFINITY, 4_096), { wantedBytes: 10 * MiB, freeBytes: 590 }],
  ] as const)
    t.match(await rejection(ledger.admit(resumed, () => {})), { failure: 'full', room })
})
