// Goal: what was let go leaves the disk, and only that; whoever brings it back meanwhile keeps it;
// and wherever a process ends, the next one leaves no file that nobody counts. Method: each step of
// a leaving is held back while each of those who bring content comes, over in-memory twins; writes
// that break at call k, for every k, also over a real directory.
import t, { type Test } from 'tap'
import { openSqliteCatalog } from '../../../../src/catalog/sqlite/open.ts'
import { createEpochs } from '../../../../src/registry/epochs.ts'
import { LEAVE_REASONS } from '../../../../src/registry/ports/catalog-space.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import { digestNamed } from '../../../contract/catalog-samples.ts'
import { createBreaking } from '../../../kit/worlds/breaking-ports.ts'
import {
  comeBackAt,
  digest,
  makeLeavingWorld,
  memoryPorts,
  NO_TURNS,
  type Ports,
  repository,
  RETURNS,
  STEPS,
  wrongWith,
} from '../../../kit/worlds/leaving-world.ts'
import type { Departed } from '../../../../src/registry/leave/departures.ts'
import { sumOf } from '../../../../src/registry/leave/pass.ts'
import { createManualClock } from '../../../kit/manual-clock.ts'
import { settle } from '../../../kit/settle.ts'
import { storeDirectory } from '../../../kit/disk/store-directory.ts'

/** Of all passes by which something left. */
const filesOf = async (departed: Promise<Departed<unknown>>) => sumOf((await departed).passes)

t.test('R310: what was let go leaves the disk, and nobody keeps it open', async t => {
  const world = makeLeavingWorld()
  await world.begin()
  await world.letGo()
  t.match(await world.leaving.finish(), { files: 1, bytes: 4096 })
  t.strictSame(await world.found(), { file: false, row: false, isLeaving: false })
  t.strictSame(world.closed, [digest])
  t.match(await world.leaving.finish(), { files: 0, bytes: 0 })
})

for (const [who, comeBack] of Object.entries(RETURNS))
  for (const step of STEPS)
    t.test(`R310: ${who} comes back right before ${step}`, async t => {
      const world = makeLeavingWorld()
      const isBack = await comeBackAt(world, step, comeBack)
      t.equal(await wrongWith(world, isBack), undefined)
      const { row } = await world.found()
      t.equal(row, isBack)
    })

t.test('without the turn of a digest content is lost', async t => {
  const wrong: string[] = []
  for (const comeBack of Object.values(RETURNS))
    for (const step of STEPS) {
      const world = makeLeavingWorld(memoryPorts(), NO_TURNS)
      const isBack = await comeBackAt(world, step, comeBack)
      wrong.push((await wrongWith(world, isBack)) ?? 'nothing')
    }
  t.ok(wrong.includes('a row without its file'))
})

t.test('what is let go again while it leaves has an intent of its own', async t => {
  const world = makeLeavingWorld()
  await comeBackAt(world, 'finishLeaving', async each => {
    await each.begin()
    await each.letGo()
    return false
  })
  t.strictSame(await world.found(), { file: false, row: false, isLeaving: false })
})

t.test('no file goes before answers that were made of it are forgotten', async t => {
  const ports = memoryPorts()
  const letGo = ports.catalog.letGo.bind(ports.catalog)
  const announced = Promise.withResolvers<void>()
  ports.catalog.letGo = async record => {
    const left = await letGo(record)
    await announced.promise
    return left
  }
  const world = makeLeavingWorld(ports)
  await world.begin()
  const left = world.leaving.letGo([digest], 'evicted')
  await settle()
  await world.leaving.finish()
  t.match(await world.found(), { file: true, isLeaving: true })
  announced.resolve()
  t.match(await filesOf(left), { files: 1 })
  t.match(await world.found(), { file: false, isLeaving: false })
})

t.test('files of one batch wait for no other of the same moment', async t => {
  const ports = memoryPorts()
  const { catalog } = ports
  const world = makeLeavingWorld(ports)
  const [one, other] = [digestNamed('one'), digestNamed('other')] as const
  await catalog.adopt(
    [one, other].map(each => ({ digest: each, sizeBytes: 1 })),
    1,
  )
  const letGo = catalog.letGo.bind(catalog)
  const announced = Promise.withResolvers<void>()
  catalog.letGo = async record => {
    const left = await letGo(record)
    if (record.digests.includes(other)) await announced.promise
    return left
  }
  const otherLeft = world.leaving.letGo([other], 'evicted')
  await settle()
  t.match(await filesOf(world.leaving.letGo([one], 'evicted')), { files: 1 })
  announced.resolve()
  t.match(await filesOf(otherLeft), { files: 1 })
})

t.test('what cannot be removed stays an intent, is told of once, and goes later', async t => {
  const ports = memoryPorts()
  const remove = ports.store.remove.bind(ports.store)
  const world = makeLeavingWorld(ports)
  await world.begin()
  await world.letGo()
  ports.store.remove = () => Promise.reject(new StoreError('io', 'the disk is broken'))
  t.match(await world.leaving.finish(), { files: 0 })
  t.match(await world.leaving.finish(), { files: 0 })
  t.match(world.events, [{ kind: 'storage failed', failure: 'io' }])
  t.equal(world.events.length, 1)
  t.strictSame(await world.found(), { file: true, row: false, isLeaving: true })
  ports.store.remove = remove
  t.match(await world.leaving.finish(), { files: 1 })
  t.strictSame(await world.found(), { file: false, row: false, isLeaving: false })
})

t.test('R990: what a disk or the catalog failed at for a moment is tried again', async t => {
  const ports = memoryPorts()
  const remove = ports.store.remove.bind(ports.store)
  const finishLeaving = ports.catalog.finishLeaving.bind(ports.catalog)
  const world = makeLeavingWorld(ports)
  await world.begin()
  await world.letGo()
  t.match(await world.leaving.retry(), { files: 0 }, 'nothing has failed yet')
  ports.store.remove = () => Promise.reject(new StoreError('io', 'the disk is broken'))
  await world.leaving.finish()
  ports.store.remove = remove
  ports.catalog.finishLeaving = () => Promise.reject(new StoreError('busy', 'it is locked'))
  await world.leaving.retry()
  ports.catalog.finishLeaving = finishLeaving
  await world.leaving.retry()
  t.strictSame(await world.found(), { file: false, row: false, isLeaving: false })
})

t.test('many files that cannot be removed keep no other one here', async t => {
  const { store, catalog, ...world } = makeLeavingWorld()
  const digests = Array.from({ length: 400 }, (_, at) => digestNamed(`file ${at}`)).sort()
  const stuck = new Set(digests.slice(0, 300))
  const removed = new Set<string>()
  store.remove = async each => {
    if (stuck.has(each)) throw new StoreError('io', 'the directory is broken')
    removed.add(each)
  }
  await catalog.adopt(
    digests.map(each => ({ digest: each, sizeBytes: 1 })),
    1,
  )
  await catalog.letGo({ digests, reason: 'collected', atMs: 2 })
  for (let passes = 0; passes < 30; passes++) await world.leaving.finish()
  t.equal(removed.size, 100)
  t.equal((await catalog.listLeaving({ limit: 400 })).length, 300)
})

t.test('files leave many to a commit, and one that somebody is at holds up no other', async t => {
  const ports = memoryPorts()
  const { catalog, content, leaving, haste, ...world } = makeLeavingWorld(ports)
  const digests = Array.from({ length: 400 }, (_, at) => digestNamed(`file ${at}`))
  await catalog.adopt(
    digests.map(each => ({ digest: each, sizeBytes: 1 })),
    1,
  )
  await catalog.letGo({ digests, reason: 'collected', atMs: 2 })
  const commits: number[] = []
  const finish = catalog.finishLeaving.bind(catalog)
  catalog.finishLeaving = each => {
    commits.push(each.length)
    return finish(each)
  }
  const [busy = digest] = digests
  const goOn = world.hold('find')
  const found = content.recordHere({ repository, digest: busy, atMs: 3, hold: 'nothing' })
  const finished = haste.of(() => leaving.finish())
  await settle()
  t.equal((await catalog.listLeaving({ limit: 400 })).length, 1)
  goOn()
  await Promise.all([found, finished])
  t.match(await finished, { files: 400 })
  t.same(
    commits.toSorted((a, b) => a - b),
    [1, 144, 255],
  )
})

t.test('files of some images go while others are written down, and each counts once', async t => {
  const world = makeLeavingWorld()
  const { catalog, store, leaving } = world
  const images = Array.from({ length: 20 }, (_, at) => {
    return { repository, digest: digestNamed(`image ${at}`) }
  })
  for (const { digest: each } of images)
    await catalog.recordManifest({
      repository,
      manifest: { digest: each, mediaType: 'application/json', sizeBytes: 1, edges: [] },
      atMs: 1,
    })
  const steps: string[] = []
  const written = catalog.evictImage.bind(catalog)
  catalog.evictImage = async eviction => {
    const evicted = await written(eviction)
    steps.push('written')
    return evicted
  }
  const goOn = world.hold('remove')
  store.remove = async () => void steps.push('removed')
  const left = leaving.evict(images, 'evicted')
  await settle()
  t.same(
    steps,
    Array.from({ length: 20 }, () => 'written'),
    'none waited for a file',
  )
  goOn()
  t.match(await filesOf(left), { files: 20, bytes: 20 * 4096 })
  t.equal(steps.filter(each => each === 'removed').length, 20)
})

/** The most that were written at once, of images, and of files that had gone. */
async function portionsOf(haste: 'somebody waits' | 'nobody waits') {
  const world = makeLeavingWorld()
  const { catalog, leaving } = world
  const images = Array.from({ length: 300 }, (_, at) => {
    return { repository, digest: digestNamed(`image ${at}`) }
  })
  for (const { digest: each } of images)
    await catalog.recordManifest({
      repository,
      manifest: { digest: each, mediaType: 'application/json', sizeBytes: 1, edges: [] },
      atMs: 1,
    })
  const most = { images: 0, files: 0 }
  let writing = 0
  const evict = catalog.evictImage.bind(catalog)
  catalog.evictImage = async eviction => {
    writing += 1
    most.images = Math.max(most.images, writing)
    const evicted = await evict(eviction)
    writing -= 1
    return evicted
  }
  const finish = catalog.finishLeaving.bind(catalog)
  catalog.finishLeaving = each => {
    most.files = Math.max(most.files, each.length)
    return finish(each)
  }
  const goOn = world.hold('whichLeave')
  const leave = () => leaving.evict(images, 'evicted')
  const left = haste === 'nobody waits' ? leave() : world.haste.of(leave)
  await settle()
  goOn()
  t.match(await filesOf(left), { files: 300 })
  return most
}

t.test('R763: what nobody waits for leaves little by little', async t => {
  const most = await portionsOf('nobody waits')
  t.ok(most.images > 1 && most.images <= 4, `${most.images} images`)
  t.ok(most.files > 1 && most.files <= 32, `${most.files} files`)
})

t.test('R764: what somebody waits for leaves in few commits', async t => {
  const most = await portionsOf('somebody waits')
  t.equal(most.images, 16)
  t.ok(most.files > 200, `${most.files} files`)
})

t.test('R916: who needs room during a pass at leisure waits for few commits', async t => {
  const { catalog, leaving, haste } = makeLeavingWorld()
  const digests = Array.from({ length: 1_000 }, (_, at) => digestNamed(`file ${at}`))
  await catalog.adopt(
    digests.map(each => ({ digest: each, sizeBytes: 1 })),
    1,
  )
  await catalog.letGo({ digests, reason: 'collected', atMs: 2 })
  const needed = Promise.withResolvers<void>()
  const sizes: number[] = []
  const finish = catalog.finishLeaving.bind(catalog)
  catalog.finishLeaving = each => {
    if (sizes.length === 0) void haste.of(() => needed.promise)
    sizes.push(each.length)
    return finish(each)
  }
  await leaving.finish()
  needed.resolve()
  t.ok((sizes[0] ?? 0) <= 32, 'nobody waited')
  t.equal(Math.max(...sizes), 256)
})

t.test('R764: whoever deletes or purges waits, and nobody for what leaves by itself', async t => {
  const { catalog, leaving, haste } = makeLeavingWorld()
  const seen: Record<string, boolean> = {}
  const letGo = catalog.letGo.bind(catalog)
  catalog.letGo = record => {
    seen[record.reason] = haste.isOn
    return letGo(record)
  }
  for (const reason of LEAVE_REASONS) await leaving.letGo([digest], reason)
  t.strictSame(seen, { evicted: false, collected: false, purged: true, deleted: true })
  t.notOk(haste.isOn)
})

t.test('R415: what the catalog has no room for leaves by halves, each with its files', async t => {
  const { catalog, leaving, store } = makeLeavingWorld()
  let [atOnce, removed] = [0, 0]
  store.remove = async () => void (removed += 1)
  /** As on a full disk, where the spare room is enough for two. */
  const refuse = async (more: number) => {
    atOnce += more
    await settle()
    const isFull = atOnce > 2
    await settle()
    atOnce = 0
    if (isFull) throw new StoreError('full', 'no room')
  }
  const digests = Array.from({ length: 7 }, (_, at) => digestNamed(`file ${at}`))
  await catalog.adopt(
    digests.map(each => ({ digest: each, sizeBytes: 1 })),
    1,
  )
  const letGo = catalog.letGo.bind(catalog)
  catalog.letGo = async record => {
    await refuse(record.digests.length)
    return letGo(record)
  }
  t.match(await filesOf(leaving.letGo(digests, 'collected')), { files: 7, bytes: 7 * 4096 })
  const images = digests.map(each => ({ repository, digest: each }))
  for (const { digest: each } of images)
    await catalog.recordManifest({
      repository,
      manifest: { digest: each, mediaType: 'application/json', sizeBytes: 1, edges: [] },
      atMs: 1,
    })
  const evictImage = catalog.evictImage.bind(catalog)
  catalog.evictImage = async eviction => {
    await refuse(1)
    return evictImage(eviction)
  }
  t.match(await filesOf(leaving.evict(images, 'evicted')), { files: 7, bytes: 7 * 4096 })
  t.equal(removed, 14)
  catalog.letGo = () => Promise.reject(new StoreError('full', 'no room'))
  await t.rejects(leaving.letGo(digests, 'collected'), { message: 'no room' })
})

t.test('a stop waits for what is under way and leaves the rest to the next process', async t => {
  const world = makeLeavingWorld()
  await world.begin()
  await world.letGo()
  const goOn = world.hold('remove')
  const finished = world.leaving.finish()
  await settle()
  const stopped = world.leaving.stop()
  goOn()
  await Promise.all([finished, stopped])
  t.strictSame(await world.found(), { file: false, row: false, isLeaving: false })
})

/** False when nothing broke: all steps were walked through. */
async function breakAt(
  t: Test,
  at: number,
  { how, open }: { how: 'ended' | 'unheard'; open: () => Promise<Ports & { close(): unknown }> },
): Promise<boolean> {
  const breaking = createBreaking()
  const ports = await open()
  const { store, catalog } = ports
  await makeLeavingWorld(ports).begin()
  const cut = { store: breaking.store(store), catalog: breaking.catalog(catalog) }
  const world = makeLeavingWorld(cut)
  breaking.arm(at, how)
  await world.letGo().catch(() => {})
  await world.leaving.finish()
  breaking.disarm()
  await ports.close()
  const next = await open()
  const after = makeLeavingWorld(next)
  t.equal(await wrongWith(after, false), undefined, `at ${at}`)
  await after.leaving.finish()
  const { file, row, isLeaving } = await after.found()
  t.equal(file, row, `at ${at} file and row agree`)
  t.equal(isLeaving, false, `at ${at}`)
  t.equal(row, at === 0 && how === 'ended', `at ${at} it left, unless nobody ever said so`)
  await next.close()
  return breaking.isBroken
}

for (const how of ['ended', 'unheard'] as const) {
  t.test(`R310: wherever a leaving is cut off the next start finishes it, ${how}`, async t => {
    let at = 0
    for (let isBroken = true; isBroken; at++) {
      const ports = memoryPorts()
      isBroken = await breakAt(t, at, { how, open: async () => ({ ...ports, close: () => {} }) })
    }
    t.equal(at, 4, 'three steps can break')
  })

  t.test(`R310: so it does in a real directory, ${how}`, async t => {
    for (let at = 0, isBroken = true; isBroken; at++) {
      const directory = storeDirectory(t, t.testdir({}))
      const open = () => openDirectory(directory)
      isBroken = await breakAt(t, at, { how, open })
    }
  })
}

async function openDirectory(directory: ReturnType<typeof storeDirectory>) {
  const catalog = await openSqliteCatalog({
    directory: directory.root,
    clock: createManualClock(),
    note: () => {},
    epochs: createEpochs(),
  })
  return { catalog, store: await directory.open(), close: () => catalog.close() }
}
