// Goal: an image that is pulled all the time outlives a lost catalog, weeks in which the edge was
// off, and a clock that is ahead, where a policy goes by age. Method: an edge over a directory,
// stopped and begun again; what is gone is asked for as clients do.
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCli } from '../../kit/cli.ts'
import { NO_UPSTREAM, pushBlob } from '../../kit/worlds/edge-push.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import { createManualClock } from '../../kit/manual-clock.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const START_MS = Date.UTC(2026, 0, 1)
const image = makeImage({ seed: 'image', layers: [10] })

async function directoryOf(t: Test): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-test-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}

function start(t: Test, condition: Readonly<Record<string, string>>, more = {}): Promise<TestEdge> {
  const policies = [{ repositories: ['**'], keeptags: [condition] }]
  const config = { storage: { retention: { policies } } }
  return startTestEdge(t, { upstreams: NO_UPSTREAM, config, ...more })
}

async function push(edge: TestEdge, tag: string): Promise<void> {
  const { manifest, config, layers } = image
  for (const blob of [config, ...layers]) await pushBlob(edge, 'localhost/app', blob.bytes())
  const headers = { 'content-type': manifest.mediaType }
  const put = { headers, body: manifest.bytes }
  const { status } = await edge.send('PUT', `/v2/localhost/app/manifests/${tag}`, put)
  if (status !== 201) throw new Error(`${status}`)
}

const pull = async (edge: TestEdge) => (await edge.get('/v2/localhost/app/manifests/prod')).status

async function retained(edge: TestEdge): Promise<void> {
  const { exitCode } = await runCli(['retain', '--socket', edge.socket])
  if (exitCode !== 0) throw new Error(`${exitCode}`)
}

const CASES = [
  { what: 'a lost catalog', isLost: true, awayMs: 600_000 },
  { what: 'five weeks in which the edge was off', isLost: false, awayMs: 35 * DAY_MS },
]

for (const { what, isLost, awayMs } of CASES)
  t.test(`R423: what is pulled again and again outlives ${what}`, async t => {
    const directory = await directoryOf(t)
    const edge = await start(t, { pulledwithin: '30d' }, { directory })
    await push(edge, 'prod')
    for (let weeks = 0; weeks < 6; weeks += 1) {
      await edge.pass(7 * DAY_MS)
      t.equal(await pull(edge), 200)
    }
    await edge.pass(HOUR_MS)
    const stoppedMs = edge.clock.nowMs()
    await edge.stop()
    const data = join(directory, 'data')
    const catalog = (await readdir(data)).filter(name => isLost && name.startsWith('catalog.db'))
    for (const name of catalog) await rm(join(data, name))
    const clock = createManualClock(stoppedMs + awayMs)
    const next = await start(t, { pulledwithin: '30d' }, { directory, clock })
    await retained(next)
    t.equal(await pull(next), 200)
    await next.stop()
  })

t.test('R424: what was pushed lately outlives a clock that is ahead for an hour', async t => {
  const edge = await start(t, { pushedwithin: '30d' })
  await push(edge, 'prod')
  await edge.pass(23.5 * HOUR_MS)
  edge.clock.jump(365 * DAY_MS)
  await retained(edge)
  t.equal(await pull(edge), 200, 'while it is ahead')
  edge.clock.jump(-365 * DAY_MS)
  await edge.pass(HOUR_MS)
  await retained(edge)
  t.equal(await pull(edge), 200)
})

t.test(
  'R424: what is pushed after a clock was ahead outlives what was pushed meanwhile',
  async t => {
    const edge = await start(t, { mostrecentlypushedcount: '1' })
    edge.clock.jump(365 * DAY_MS)
    await push(edge, 'while')
    edge.clock.jump(-365 * DAY_MS)
    await push(edge, 'prod')
    await retained(edge)
    t.equal(await pull(edge), 200)
  },
)

t.test('R424: and a start with one, and goes when it is old', async t => {
  const directory = await directoryOf(t)
  const edge = await start(t, { pushedwithin: '30d' }, { directory })
  await push(edge, 'prod')
  await edge.pass(25 * HOUR_MS)
  await edge.stop()
  const clock = createManualClock(START_MS + 365 * DAY_MS)
  const next = await start(t, { pushedwithin: '30d' }, { directory, clock })
  await retained(next)
  t.equal(await pull(next), 200)
  await clock.advance(30 * DAY_MS)
  await retained(next)
  t.equal(await pull(next), 404)
  await next.stop()
})

t.test('R753: what is old goes where each boot begins in 1970, and nothing before', async t => {
  const directory = await directoryOf(t)
  let nowMs = START_MS
  const lived: number[] = []
  for (let day = 0; day < 8; day += 1) {
    // As after a boot, until the network puts it right.
    const clock = createManualClock(day * 1_000)
    const edge = await start(t, { pushedwithin: '3d' }, { directory, clock })
    if (day === 0) await push(edge, 'prod')
    await clock.advance(60_000)
    clock.jump(nowMs - clock.nowMs())
    await clock.advance(12 * HOUR_MS)
    await retained(edge)
    if ((await pull(edge)) === 200) lived.push(day)
    await edge.stop()
    nowMs += DAY_MS
  }
  t.same(lived, [0, 1, 2, 3, 4], 'three days, of which each has twelve hours and a minute')
})
