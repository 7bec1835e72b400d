// Goal: what may pass by itself is tried again for ever, what looks as if it might for some hours,
// and what is wrong with one entry is parked at once. Method: each failure of an upstream in turn,
// and what becomes of the entry after a day.
import t from 'tap'
import { parseRepositoryKey } from '../../../src/oci/reference.ts'
import { UpstreamError, type UpstreamFailure } from '../../../src/registry/ports/upstream.ts'
import { createWorld } from '../../kit/worlds/delivery-world.ts'
import { makeImage } from '../../kit/image.ts'

const app = parseRepositoryKey('docker.io/team/app')
const image = makeImage({ seed: 'app', layers: [10] })
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/**
 * What the entry is after a minute, after four hours and after a day in which the upstream fails
 * like this at each write.
 */
const FATES: Readonly<Record<UpstreamFailure, readonly [string, string, string]>> = {
  unavailable: ['waiting', 'waiting', 'waiting'],
  'rate-limited': ['waiting', 'waiting', 'waiting'],
  refused: ['waiting', 'waiting', 'waiting'],
  denied: ['waiting', 'waiting', 'parked'],
  unsupported: ['waiting', 'waiting', 'parked'],
  invalid: ['waiting', 'waiting', 'parked'],
  'not-found': ['parked', 'parked', 'parked'],
  rejected: ['parked', 'parked', 'parked'],
}

for (const [failure, states] of Object.entries(FATES)) {
  t.test(`R116: an entry whose upstream says ${failure} is ${states.join(', then ')}`, async t => {
    const world = createWorld()
    const error = new UpstreamError(failure as UpstreamFailure, 'it failed')
    world.model.fate = ({ does }) => (does === 'push blob' ? { error } : {})
    await world.push(image, { repository: app })
    const { deliveries } = world.start()
    for (const [n, ms] of [MINUTE_MS, 4 * HOUR_MS, 20 * HOUR_MS].entries()) {
      await world.clock.advance(ms)
      const [entry] = await world.entries()
      t.equal(entry?.state, states[n])
      t.match(entry?.reason, 'docker.io: it failed')
    }
    const last = world.events.findLast(event => event.kind === 'delivery')
    if (states[2] === 'parked') t.type(last?.hint, 'string')
    await deliveries.stop()
  })
}

t.test('R116: a password that is renewed in time lets everything through', async t => {
  const world = createWorld()
  const error = new UpstreamError('denied', 'the password ran out', { status: 401 })
  world.model.fate = () => ({ error })
  await world.push(image, { repository: app, tags: ['v1'] })
  const { deliveries } = world.start()
  await world.clock.advance(5 * HOUR_MS)
  world.model.fate = () => ({})
  await world.clock.advance(6 * MINUTE_MS)
  t.same(await world.entries(), [])
  await deliveries.stop()
})

t.test('R116: the line may be down for longer than a week', async t => {
  const world = createWorld()
  world.model.fate = () => ({ error: new UpstreamError('unavailable', 'down') })
  await world.push(image, { repository: app, tags: ['v1'] })
  const { deliveries } = world.start()
  await world.clock.advance(8 * 24 * HOUR_MS)
  world.model.fate = () => ({})
  await world.clock.advance(5 * MINUTE_MS)
  t.same(await world.entries(), [])
  await deliveries.stop()
})

t.test('Retry-After of the upstream is waited for', async t => {
  const world = createWorld()
  const error = new UpstreamError('rate-limited', 'later', { retryAfterMs: 20 * MINUTE_MS })
  world.model.fate = () => ({ error })
  await world.push(image, { repository: app })
  const { deliveries } = world.start()
  await world.clock.advance(20 * MINUTE_MS - 1)
  t.equal(world.model.calls.length, 1)
  await deliveries.stop()
})

t.test('the reason says what the upstream said, within bounds', async t => {
  const world = createWorld()
  const error = new UpstreamError('rejected', 'refused', {
    sanitizedMessage: `too ${'long '.repeat(200)}`,
  })
  world.model.fate = () => ({ error })
  await world.push(image, { repository: app })
  const { deliveries } = world.start()
  await world.clock.advance(0)
  const [entry] = await world.entries()
  t.match(entry?.reason, /^docker\.io: refused: too long long/)
  t.ok((entry?.reason?.length ?? 0) <= 500)
  await deliveries.stop()
})

t.test('an upstream that is configured offline, or no more, is not asked', async t => {
  for (const [change, reason] of [
    [{ isOffline: true }, 'docker.io is configured offline'],
    [{ isKnown: false }, 'docker.io is no upstream of this edge now'],
  ] as const) {
    const world = createWorld()
    Object.assign(world.namespace, change)
    await world.push(image, { repository: app })
    const { deliveries } = world.start()
    await world.clock.advance(HOUR_MS)
    t.match(await world.entries(), [{ state: 'waiting', attempts: 0, reason }])
    t.same(world.model.calls, [])
    Object.assign(world.namespace, { isOffline: false, isKnown: true })
    deliveries.nudge(app.registry)
    await world.clock.advance(0)
    t.same(await world.entries(), [])
    await deliveries.stop()
  }
})
