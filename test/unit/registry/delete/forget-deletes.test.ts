// Goal: what a delete leaves behind goes after a month, and nothing that was deleted comes back by
// it, whatever the clock does meanwhile. Method: the engine over in-memory twins, a day at a time;
// the catalog is lost and built anew in the end.
import t from 'tap'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { type Repository, repositoryKey } from '../../../../src/oci/reference.ts'
import {
  FORGOTTEN_AT_ONCE,
  REMEMBERED_DAYS,
} from '../../../../src/registry/delete/forget-deletes.ts'
import { createEngine, localOf } from '../../../kit/engine.ts'
import { factsOf } from '../../../kit/judges/facts-of.ts'
import { makeImage } from '../../../kit/image.ts'
import type { ManualClock } from '../../../kit/manual-clock.ts'
import { isMemberOf } from '../../../kit/judges/membership.ts'
import { digested, pushImage } from '../../../kit/clients/push-image.ts'
import { everywhere, rebuilt } from '../../../kit/worlds/rebuilt.ts'

const DAY_MS = 86_400_000
const YEARS_MS = 10 * 365 * DAY_MS
const goesOn = new AbortController().signal

const app = localOf('team/app')
const other = localOf('team/other')
const image = makeImage({ seed: 'image', layers: [10, 20] })
const { digest } = image.manifest
const layer = image.layers[0]?.digest as Digest

/** With the pauses that it makes. */
async function carriedOut(clock: ManualClock, work: Promise<void>): Promise<void> {
  let isOver = false
  const over = work.finally(() => (isOver = true))
  while (!isOver) await clock.advance(1)
  await over
}

/** A day has begun before anything is deleted. */
async function start() {
  const engine = createEngine()
  const { registry, clock, facts } = engine
  const day = async (days = 1) => {
    for (let passed = 0; passed < days; passed += 1) {
      await clock.advance(DAY_MS)
      await carriedOut(clock, registry.forgetDeletes(goesOn))
    }
  }
  await day()
  return {
    ...engine,
    day,
    remove: (from: Repository) => registry.deleteManifest(from, digested(digest).reference),
    /** The repositories that something was deleted from, as the facts know. */
    deleted: async () =>
      (await factsOf(facts, 'deleted')).map(({ repository }) => repository).sort(),
  }
}

type World = Awaited<ReturnType<typeof start>>

/** In a catalog that is built from the facts. */
async function isBack(world: World, repository: Repository, what: Digest): Promise<boolean> {
  const { catalog } = await rebuilt(world, everywhere({}))
  return isMemberOf(catalog, repository, what)
}

t.test('R404: a delete is forgotten after thirty days, and what was deleted stays so', async t => {
  const world = await start()
  await pushImage(world.registry, app, image, 'v1')
  await pushImage(world.registry, other, image, 'v1')
  await world.remove(app)
  await world.day(REMEMBERED_DAYS)
  t.same(await world.deleted(), [repositoryKey(app)])
  await world.day()
  t.same(await world.deleted(), [])
  t.equal(await isBack(world, app, digest), false)
  t.equal(await isBack(world, other, digest), true)
})

t.test('R404: as long as a manifest there lists what was deleted, that is remembered', async t => {
  const world = await start()
  await pushImage(world.registry, app, image, 'v1')
  await world.registry.deleteBlob(app, layer)
  await world.day(3 * REMEMBERED_DAYS)
  t.same(await world.deleted(), [repositoryKey(app)])
  t.equal(await isBack(world, app, layer), false)
  await world.remove(app)
  await world.day()
  t.equal((await world.deleted()).length, 1, 'that of the manifest')
  await world.day(REMEMBERED_DAYS)
  t.same(await world.deleted(), [])
  t.equal(await isBack(world, app, layer), false)
})

t.test('R404: what was deleted once more is remembered from then on', async t => {
  const world = await start()
  await pushImage(world.registry, app, image, 'v1')
  await world.remove(app)
  await world.day(20)
  await pushImage(world.registry, app, image, 'v1')
  await world.remove(app)
  await world.day(REMEMBERED_DAYS)
  t.same(await world.deleted(), [repositoryKey(app)])
  await world.day()
  t.same(await world.deleted(), [])
})

t.test(
  'R404: a clock that is wrong by years, for a moment or from then on, costs a day',
  async t => {
    for (const jumps of [[YEARS_MS], [-YEARS_MS], [YEARS_MS, -YEARS_MS], [-YEARS_MS, YEARS_MS]]) {
      const world = await start()
      await pushImage(world.registry, app, image, 'v1')
      await world.remove(app)
      for (const jumpMs of jumps) {
        world.clock.jump(jumpMs)
        await world.day()
        t.same(await world.deleted(), [repositoryKey(app)], `${jumpMs}`)
      }
      await world.day(REMEMBERED_DAYS + 1)
      t.same(await world.deleted(), [], jumps.join(', '))
    }
  },
)

t.test('R404: hours are not days, however often it is looked', async t => {
  const world = await start()
  await pushImage(world.registry, app, image, 'v1')
  await world.remove(app)
  for (let hour = 0; hour < 24 * REMEMBERED_DAYS; hour += 1) {
    await world.clock.advance(DAY_MS / 24)
    await carriedOut(world.clock, world.registry.forgetDeletes(goesOn))
  }
  t.same(await world.deleted(), [repositoryKey(app)])
})

t.test('R404: where facts say what the catalog does not know, nothing is forgotten', async t => {
  const world = await start()
  for (const repository of [app, other]) {
    await pushImage(world.registry, repository, image, 'v1')
    await world.remove(repository)
  }
  const { mediaType } = image.manifest
  const unknown = { digest: digestOf(Buffer.from('lost')), mediaType, atMs: 1 }
  const repository = repositoryKey(app)
  await world.facts.write([{ kind: 'manifest', repository, ...unknown }])
  await world.day(2 * REMEMBERED_DAYS)
  t.same(await world.deleted(), [repository])
  await world.facts.remove([{ kind: 'manifest', repository, ...unknown }])
  await world.day()
  t.same(await world.deleted(), [])
})

t.test('R404: where a fact cannot be read, nothing is forgotten', async t => {
  const world = await start()
  await pushImage(world.registry, app, image, 'v1')
  await world.remove(app)
  world.disk.facts.set('f'.repeat(64), 'torn')
  await world.day(2 * REMEMBERED_DAYS)
  t.same(await world.deleted(), [repositoryKey(app)])
})

t.test('R404: very many are forgotten in several passes, and none once it is to end', async t => {
  const world = await start()
  const { facts, registry, clock } = world
  const repository = repositoryKey(app)
  const old = Array.from({ length: FORGOTTEN_AT_ONCE + 1 }, (_, n) => {
    const each = { repository, digest: digestOf(Buffer.from(`${n}`)) }
    return { kind: 'deleted', ...each, atMs: 1 } as const
  })
  await facts.write(old)
  await world.day(REMEMBERED_DAYS - 1)
  t.equal((await world.deleted()).length, old.length)
  await clock.advance(DAY_MS)
  await registry.forgetDeletes(AbortSignal.abort())
  t.equal((await world.deleted()).length, old.length)
  const pass = () => carriedOut(clock, registry.forgetDeletes(goesOn))
  await pass()
  t.equal((await world.deleted()).length, 1)
  await pass()
  t.same(await world.deleted(), [])
})
