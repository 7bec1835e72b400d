// Goal: an operator sees what has left and why, how long the cache remembers, and what a larger
// disk would be good for. Method: images pulled through an edge in process with room for four of
// them, over a stub registry; the command through its Unix socket, and the metrics.
import t from 'tap'
import type { Status } from '../../../src/registry/operator/status.ts'
import { runCli } from '../../kit/cli.ts'
import { BLOBS, MANIFESTS, startPair } from '../../kit/worlds/edge-over-stub.ts'
import { type Image, makeImage } from '../../kit/image.ts'
import { get } from '../../kit/clients/raw-client.ts'

const MiB = 1024 * 1024
const DAY_MS = 86_400_000

const images = Object.fromEntries(
  Array.from({ length: 7 }, (_, at) => [
    `v${at}`,
    makeImage({ seed: `left-${at}`, layers: [10 * MiB] }),
  ]),
)

async function start(test: { teardown(fn: () => unknown): unknown }, config = {}) {
  const storage = { maxsize: String(50 * MiB), minfree: '1%' }
  const { edge } = await startPair(test, { images, edge: { config: { storage, ...config } } })
  const run = (...argv: string[]) => runCli([...argv, '--socket', edge.socket])
  const status = async () => JSON.parse((await run('status', '--json')).stdout) as Status
  const pull = async (tag: string) => {
    await edge.settle(edge.get(`${MANIFESTS}/${tag}`))
    const { config, layers } = images[tag] as Image
    for (const { digest } of [config, ...layers]) await edge.settle(edge.get(`${BLOBS}/${digest}`))
    await edge.pass(10_000)
  }
  const metrics = async () => (await get(`${edge.adminUrl}/metrics`)).body.toString()
  return { edge, run, status, pull, metrics }
}

t.test('R344: status tells what left, why, and how long the cache remembers', async t => {
  const { edge, run, status, pull, metrics } = await start(t)
  t.match((await run('status')).stdout, /^left +nothing since the start$/m)
  t.match((await run('status')).stdout, /^pins +none$/m)
  t.notMatch(await metrics(), /^entrepot_evicted_youngest_seconds/m)

  for (const tag of Object.keys(images)) {
    await pull(tag)
    await edge.pass(DAY_MS)
  }
  const { departures } = await status()
  const evicted = departures.left.find(({ reason }) => reason === 'evicted')
  t.ok(departures.evictedImages.room > 0, 'some have left')
  t.ok((evicted?.bytes ?? 0) >= departures.evictedImages.room * 10 * MiB)
  const days = Math.round((departures.rememberedMs ?? 0) / DAY_MS)
  t.ok(days >= 2, `${days} days`)
  const { stdout } = await run('status')
  t.match(stdout, /^left +\d+\.\d MiB evicted \(\d+ images? for want of room\); since the start$/m)
  t.match(
    stdout,
    new RegExp(`^ +remembers about ${days} days: the shortest time from its last use`, 'm'),
  )
  t.notMatch(stdout, /twice the room/)
  const text = await metrics()
  t.match(text, `entrepot_left_bytes_total{reason="evicted"} ${evicted?.bytes}`)
  t.match(text, /^entrepot_evicted_youngest_seconds \d+/m)

  await pull('v0')
  await run('pin', 'docker.io/library/app:v0')
  await run('purge', 'docker.io/library/app:v5')
  t.match(await status(), { pins: 1, departures: { returned: { images: 1 } } })
  const after = (await run('status')).stdout
  t.match(after, /twice the room would have saved fetching 1 image again, 10\.0 MiB in all$/m)
  t.match(after, /evicted \(.*\), 10\.0 MiB purged; since the start$/m)
  t.match(after, /^pins +1, hold \S+ \S+; "entrepot pin --list" tells which$/m)
})

t.test('R344: what left for a quota alone is told as that', async t => {
  const repositories = [{ match: '**', quota: { ceiling: String(15 * MiB) } }]
  const { run, pull } = await start(t, { repositories })
  for (const tag of ['v0', 'v1', 'v2']) await pull(tag)
  await run('evict')
  t.match((await run('status')).stdout, /evicted \(\d images? by a quota\); since the start$/m)
})
