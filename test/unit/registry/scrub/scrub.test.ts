// Goal: whatever clock and disk do while a scrub reads, and wherever it is ended, each file is read
// once and in its turn, and a disk that gives nothing for a while costs nothing. Method: the engine
// over in-memory twins; the reader is counted, and does things to the clock between two files.
import t from 'tap'
import type { Digest } from '../../../../src/oci/digest.ts'
import type { JobRun } from '../../../../src/registry/job.ts'
import type { Rereader } from '../../../../src/registry/ports/blob-store-content.ts'
import type { EngineEvent } from '../../../../src/registry/ports/events.ts'
import type { ContentSource } from '../../../../src/registry/scrub/healing.ts'
import { scrub, type ScrubExtent } from '../../../../src/registry/scrub/scrub.ts'
import { around } from '../../../kit/around.ts'
import { pushImage } from '../../../kit/clients/push-image.ts'
import { createEngine, localOf } from '../../../kit/engine.ts'
import { makeImage } from '../../../kit/image.ts'
import { quietRun } from '../../../kit/quiet-run.ts'

const app = localOf('team/app')
const DAY_MS = 86_400_000
const YEAR_MS = 365 * DAY_MS

interface World {
  /** Before each file is read, with how many were. */
  readonly before?: (read: number) => unknown
  readonly source?: ContentSource['bring']
}

/** `files` blobs and a manifest, pushed. */
async function createWorld(files: number, world: World = {}) {
  const read: Digest[] = []
  const store = (reader: Rereader): Rereader => ({
    reread: async (digest, how) => {
      await world.before?.(read.length)
      read.push(digest)
      return reader.reread(digest, how)
    },
    close: () => reader.close(),
  })
  const engine = createEngine({
    store: inner => around(inner, { openRereader: open => () => store(open()) }),
  })
  const image = makeImage({ seed: 'scrubbed', layers: Array.from({ length: files - 1 }, () => 10) })
  await pushImage(engine.registry, app, image, 'v1')
  await engine.clock.advance(DAY_MS)
  const brought: Digest[] = []
  const source: ContentSource = {
    bring: async (repository, digest, signal) => {
      brought.push(digest)
      await world.source?.(repository, digest, signal)
    },
  }
  const note = (event: EngineEvent) => void engine.events.push(event)
  const deps = { ...engine, sources: [source], note }
  const run = (given: Partial<JobRun> = {}, extent: Partial<ScrubExtent> = {}) => {
    read.length = 0
    return scrub(deps, quietRun(given), {
      beforeMs: engine.clock.nowMs(),
      broken: { beforeMs: engine.clock.nowMs(), max: Infinity },
      isOver: () => false,
      between: async () => {},
      ...extent,
    })
  }
  const verified = async () => {
    const page = { beforeMs: Number.MAX_SAFE_INTEGER, limit: 1_000 }
    return (await engine.catalog.listUnverified(page)).map(({ verifiedAtMs }) => verifiedAtMs)
  }
  return { ...engine, image, read, brought, run, verified }
}

t.test('R871: a disk that gives nothing ends a scrub early, and nothing is forgotten', async t => {
  const world = await createWorld(300)
  world.disk.isUnreadable = true
  await t.rejects(world.run(), { message: /16 files in a row cannot be read/ })
  t.equal(world.read.length, 16)
  t.equal(world.brought.length, 16, 'and no more was fetched for nothing')
  const first = [...world.read]
  await world.clock.advance(1)
  await t.rejects(world.run(), { message: /in a row/ })
  t.not(
    world.read.some(digest => first.includes(digest)),
    'it goes on behind them',
  )
  world.disk.isUnreadable = false
  await world.clock.advance(1)
  t.match(await world.run(), { count: 0, readBlobs: 301 })
  t.match(await world.catalog.totals(), { blobs: 300, manifests: 1 })
})

t.test('R871: places that cannot be read, here and there, end none', async t => {
  const world = await createWorld(100, {
    before: read => {
      world.disk.isUnreadable = read % 2 === 0
    },
  })
  const { healed } = await world.run()
  t.equal(world.read.length, 101)
  t.match(healed, { broken: 51 })
})

t.test('R872: whatever the clock does, each file is read once, and none is never', async t => {
  for (const jumpMs of [YEAR_MS, -DAY_MS / 2]) {
    const world = await createWorld(250, { before: read => read === 120 && jump() })
    const jump = () => world.clock.jump(jumpMs)
    await world.run()
    t.equal(new Set(world.read).size, 251)
    t.equal(world.read.length, 251)
  }
})

t.test('R872: what a clock that was ahead has verified is verified again', async t => {
  const world = await createWorld(250, { before: read => read === 120 && jump() })
  let jump = () => {}
  world.clock.jump(YEAR_MS)
  await world.run()
  world.clock.jump(-YEAR_MS)
  // And once more while these are read.
  jump = () => world.clock.jump(2 * YEAR_MS)
  await world.run({}, { beforeMs: 0 })
  t.equal(new Set(world.read).size, 251)
  t.equal(world.read.length, 251)
  world.clock.jump(-2 * YEAR_MS)
  const nowMs = world.clock.nowMs()
  t.ok((await world.verified()).every(atMs => atMs <= nowMs))
})

t.test('R873: a scrub that is cancelled keeps what it did, and the next one goes on', async t => {
  const ending = new AbortController()
  const world = await createWorld(250, { before: read => read === 150 && ending.abort() })
  const between = async () => {}
  const done = await world.run({ signal: ending.signal }, { between })
  t.match(done, { readBlobs: 150, count: 0 })
  const first = world.read.slice(0, 150)
  await world.clock.advance(1)
  await world.run()
  t.same(new Set(world.read.slice(-150)), new Set(first), 'what was read comes last')
})

t.test('R873: one that is cancelled while content is brought back ends as any other', async t => {
  const ending = new AbortController()
  const world = await createWorld(10, {
    source: async (_repository, _digest, signal) => {
      ending.abort()
      signal.throwIfAborted()
    },
  })
  const [layer] = world.image.layers
  world.disk.blobs.delete(layer?.digest ?? ('' as Digest))
  await world.run({ signal: ending.signal })
  await world.clock.advance(1)
  t.match(await world.run({}), { healed: { broken: 1 } })
})

t.test(
  'R874: what is broken is told once, and looked at again until its bytes are back',
  async t => {
    const world = await createWorld(30)
    const { events, disk, catalog } = world
    const [one, two, three] = world.image.layers.map(({ digest }) => digest)
    if (one === undefined || two === undefined || three === undefined) throw new Error('it has 29')
    const bytes = disk.blobs.get(one) ?? Buffer.alloc(0)
    for (const digest of [one, two, three]) disk.blobs.delete(digest)
    t.match(await world.run(), { healed: { broken: 3 } })
    const told = () => events.filter(({ kind }) => kind === 'damaged' || kind === 'storage failed')
    t.equal(told().length, 6)
    t.equal(await catalog.countBroken(), 3)
    await world.clock.advance(DAY_MS)
    const nowMs = world.clock.nowMs()
    const asked = { beforeMs: 0, broken: { beforeMs: nowMs, max: 2 } }
    t.match(await world.run({}, asked), { readBlobs: 2, healed: { broken: 2 } }, 'some of them')
    await world.clock.advance(1)
    t.match(await world.run({}, asked), { readBlobs: 1, healed: { broken: 1 } }, 'then the others')
    t.match(await world.run({}, asked), { readBlobs: 0, count: 0 }, 'each of them once')
    t.equal(told().length, 6, 'nothing of it is news')
    disk.blobs.set(one, bytes)
    await world.clock.advance(1)
    t.match(await world.run(), { readBlobs: 31, healed: { broken: 2 } })
    t.equal(await catalog.countBroken(), 2, 'one was brought back by hand')
  },
)
