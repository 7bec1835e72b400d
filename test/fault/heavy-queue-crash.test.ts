// Goal: a push that was acknowledged into the queue gets to the upstream, whenever the process is
// killed: nothing is lost, order is kept per repository, and no tag goes back, also when a request
// of a killed process arrives late (R02, R116). Method: eight clients push through the real
// process, whose line to the upstream comes and goes. It is killed with SIGKILL at each of the
// named moments of worlds/crash-points.ts, in an order drawn from the seed; the clock leaps where
// the product waits for minutes. What was acknowledged is held against all that the upstream was
// ever sent. The same with a request that arrives later than the product reckons with must show a
// tag going back.
import t from 'tap'
import {
  CRASH_POINTS,
  type CrashPoint,
  LATE_TAG,
  needsUpstream,
} from '../kit/worlds/crash-points.ts'
import { type CrashWorld, openCrashWorld, REGISTRY } from '../kit/worlds/crash-world.ts'
import { judgeDelivery } from '../kit/judges/delivery-judge.ts'
import { createLateTag } from '../kit/clients/late-tag.ts'
import { createQueueClient, type QueueClient } from '../kit/clients/queue-clients.ts'
import { createRandom, type Random, seedOf } from '../kit/seeded.ts'
import type { LineMoment } from '../kit/stubs/upstream-line.ts'

const CLIENTS = 8
const IMAGES_MIN = 50
/** In one round, of one client: the upstream is to be reached while there is something to push. */
const IMAGES_PER_ROUND = 2
/** A moment is not always the first of its kind. */
const NTH_MAX = 4

t.setTimeout(600_000)

t.test(`R116: killed at ${CRASH_POINTS.length} named points, the queue loses nothing`, async t => {
  const seed = seedOf(process.env)
  t.comment(`seed ${seed}`)
  const random = createRandom(seed)
  const world = await openCrashWorld(t)
  const clients = makeClients(seed)
  const lost: string[] = []
  const hit: CrashPoint[] = []
  let late = 0
  for (const point of shuffle(CRASH_POINTS, random)) {
    const startedMs = performance.now()
    const { isHit, isLate } = await killAt(point, { world, clients, random })
    if (isHit) hit.push(point)
    if (isLate) late += 1
    const found = await world.findLost(clients)
    lost.push(...found.map(each => `after ${point}: ${each}`))
    const told = isLate ? ', and a tag arrived late' : ''
    t.comment(`${point}: ${Math.round(performance.now() - startedMs)} ms${told}`)
    if (!isHit || found.length > 0) break
  }
  t.same(hit.toSorted(), CRASH_POINTS.toSorted(), 'every point was passed')
  t.same(lost, [], 'nothing was lost on the way')
  const count = () => clients.reduce((sum, { images }) => sum + images.length, 0)
  do await pushAll(world, clients)
  while (count() < IMAGES_MIN)
  t.same(await world.drain(), [], 'nothing is left in the queue, and nothing was parked')
  t.same(await world.findUnreadable(clients), [], 'the edge gives out what it acknowledged')
  t.same(
    clients.flatMap(({ refused }) => refused),
    [],
    'no push was refused',
  )
  const names = clients.map(({ name }) => name)
  t.same([...world.stub.repositories.keys()].sort(), names.sort(), 'in its repositories')
  t.same(judge(world, clients), [], 'the upstream has what was acknowledged, in order')
  // Some of the kills left facts of pushes that nobody was told of: without the catalog they are
  // all that is known.
  await world.loseCatalog()
  t.same(await world.drain(), [], 'what the facts bring into the queue is delivered')
  t.same(judge(world, clients), [], 'and takes nothing back')
  t.comment(
    `${count()} images, ${hit.length} kills, ${late} late tags, ${countPuts(world)} manifests put`,
  )
})

t.test('R116: a request that arrives after the time for late ones takes a tag back', async t => {
  const world = await openCrashWorld(t)
  const [client] = makeClients(seedOf(process.env))
  if (client === undefined) throw new Error('there are clients')
  const late = createLateTag()
  world.see(moment => late.see(moment, () => world.trap.pass(nameOf(moment))))
  const sprung = world.trap.arm(LATE_TAG, 1)
  world.line.up()
  await world.push(client)
  t.ok(await world.spring(sprung))
  await world.edge.restart()
  await world.push(client)
  // The newer one gets there first.
  t.same(await world.drain(), [])
  t.same(judge(world, [client]), [])
  await late.release()
  t.match(judge(world, [client]), [/latest went back: 0 1 0$/, /latest is at image 0/])
})

interface Round {
  readonly world: CrashWorld
  readonly clients: readonly QueueClient[]
  readonly random: Random
}

interface Killed {
  /** Whether the moment came; then the process runs again. */
  readonly isHit: boolean
  /** A tag of the process that was killed got to the upstream after the next one had begun. */
  readonly isLate: boolean
}

async function killAt(point: CrashPoint, { world, clients, random }: Round): Promise<Killed> {
  const { trap, line, edge } = world
  const late = createLateTag()
  const isLost = random.oneIn(2)
  world.see(moment => {
    const isPoint = trap.pass(nameOf(moment))
    // Of other moments it is the first tag on its way.
    const fate = late.see(moment, () => isPoint || (point !== LATE_TAG && !trap.isSprung))
    return fate ?? (isPoint && isLost ? 'lost' : undefined)
  })
  const sprung = trap.arm(point, random.between(1, NTH_MAX))
  line.down()
  if (needsUpstream(point) || random.oneIn(3)) {
    line.up()
    await world.leap()
  }
  await Promise.all(clients.map(client => pushSome(world, client)))
  // Later than the product reckons with would be too late.
  if (!(await world.spring(sprung, { beforeLeap: () => late.release() })))
    return { isHit: false, isLate: false }
  await edge.restart()
  const owner = clients.filter(({ name }) => name === late.heldFor)
  const isLate = owner.length > 0
  if (isLate || random.oneIn(2)) line.up()
  if (!isLate) return { isHit: true, isLate }
  await pushAll(world, owner)
  // Whatever does not wait for the late one has gone by then.
  await world.untilQuiet()
  await late.release()
  return { isHit: true, isLate }
}

async function pushSome(world: CrashWorld, client: QueueClient): Promise<void> {
  for (let images = 0; images < IMAGES_PER_ROUND && !world.trap.isSprung; images += 1)
    if (!(await world.push(client))) return
}

/** The process lives, so that each of them must be acknowledged. */
async function pushAll(world: CrashWorld, clients: readonly QueueClient[]): Promise<void> {
  const ends = await Promise.all(clients.map(client => world.push(client)))
  if (ends.includes(false)) throw new Error(JSON.stringify(clients.map(({ refused }) => refused)))
}

function nameOf({ request, phase }: LineMoment): CrashPoint {
  return `upstream: ${request} ${phase}`
}

function judge({ stub }: CrashWorld, clients: readonly QueueClient[]): readonly string[] {
  return clients.flatMap(client => judgeDelivery(client, stub.repositories.get(client.name)))
}

function countPuts({ stub }: CrashWorld): number {
  return stub.repositories.values().reduce((sum, { puts }) => sum + puts.length, 0)
}

function makeClients(seed: number): readonly QueueClient[] {
  return Array.from({ length: CLIENTS }, (_, index) =>
    createQueueClient({
      registry: REGISTRY,
      name: `team/app-${index + 1}`,
      random: createRandom(seed * CLIENTS + index),
    }),
  )
}

function shuffle<T>(values: readonly T[], random: Random): readonly T[] {
  const rest = [...values]
  return values.flatMap(() => rest.splice(random.below(rest.length), 1))
}
