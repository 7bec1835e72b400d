// Goal: what a real client is about to pull is fetched once and before it asks, where that is
// wanted; and a manifest that is only looked at costs a bounded part of its blobs, of which nothing
// is fetched again. Method: skopeo, which with `inspect --raw` takes a manifest and no blob, a real
// registry as the upstream, and the gate before it, which sees and stops what the edge asks for.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startEdge } from '../kit/worlds/edge-process.ts'
import type { Image } from '../kit/image.ts'
import { blobBytes, openGate } from './gate.ts'
import { blobsOf, layeredImage, push } from './images.ts'
import { freshDirectory, runCommand, within } from './processes.ts'
import { packagedTool } from './tools.ts'
import { UPSTREAM_SERVERS } from './upstream-servers.ts'

t.setTimeout(300_000)

const LAYERS = [30_000, 200_000, 600_000, 1_000_000, 2_000_000]
const HELD_AT_BYTES = 100_000
/** Patience with a client that does not come is five seconds. */
const CANCELLED_WITHIN_MS = 30_000
const LOOK_AGAIN_MS = 20

async function stage(test: Test, entry: Readonly<Record<string, unknown>> = {}) {
  const upstream = UPSTREAM_SERVERS['docker-registry 2.8']()
  await upstream.start()
  const gate = await openGate(upstream.url)
  const edge = await startEdge({
    directory: freshDirectory('edge'),
    upstreams: { 'docker.io': { url: gate.url, http: true, ttl: '1h', ...entry } },
  })
  test.teardown(async () => {
    await edge.stop()
    await gate.close()
    await upstream.stop()
  })
  const image = layeredImage({ seed: 'ahead', layerBytes: LAYERS })
  await push(upstream.url(), image, { name: 'library/ahead', tag: 'v1' })
  const other = layeredImage({ seed: 'other', layerBytes: LAYERS })
  await push(upstream.url(), other, { name: 'library/other', tag: 'v1' })
  return { edge, gate, image, ...skopeoFor(new URL(edge.url).host) }
}

function skopeoFor(authority: string) {
  const directory = freshDirectory('sk')
  const policy = join(directory, 'policy.json')
  writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}')
  const run = (...args: string[]) =>
    runCommand(packagedTool('skopeo'), ['--policy', policy, ...args])
  const source = (name: string) => `docker://${authority}/library/${name}:v1`
  return {
    /** Takes the manifest alone. */
    look: (name: string) => run('inspect', '--raw', '--tls-verify=false', source(name)),
    pull: (name: string) =>
      run('copy', '--src-tls-verify=false', source(name), `dir:${freshDirectory('o')}`),
  }
}

type Stage = Awaited<ReturnType<typeof stage>>

const blobsAsked = ({ gate }: Stage) =>
  gate.passed().filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'))

/** Each blob by one GET, or by ranges that add up to it. */
function assertOnce(test: Test, staged: Stage, image: Image): void {
  for (const { digest, sizeBytes } of blobsOf(image)) {
    test.equal(blobBytes(staged.gate.passed(), digest), sizeBytes, `${sizeBytes} bytes, once`)
  }
}

t.test('prefetch: skopeo finds every blob fetched before it asks, each of them once', async t => {
  const staged = await stage(t)
  const { gate, edge, image } = staged
  const delivered = Promise.all(blobsOf(image).map(({ digest }) => gate.delivered(digest)))
  await staged.look('ahead')
  await within(CANCELLED_WITHIN_MS, 'all blobs to pass the gate', delivered)
  const requests = edge.logs.filter(({ msg }) => msg === 'request completed')
  t.notOk(
    requests.some(({ endpoint }) => endpoint === 'blob'),
    'no client has asked for a blob',
  )
  await staged.pull('ahead')
  assertOnce(t, staged, image)
  t.equal(blobsAsked(staged).length, blobsOf(image).length)
})

t.test('prefetch: a look at a manifest costs what came until patience ended', async t => {
  const staged = await stage(t)
  const { gate, edge, image } = staged
  const large = image.layers.filter(({ sizeBytes }) => sizeBytes > HELD_AT_BYTES)
  const holds = large.map(({ digest }) => gate.hold(digest, HELD_AT_BYTES))
  await staged.look('ahead')
  const reached = Promise.all(holds.map(hold => hold.reached))
  await within(CANCELLED_WITHIN_MS, 'the blobs to come so far', reached)
  await untilCancelled(edge.adminUrl, large.length)
  // The gate hears of it later than the edge counts it.
  await Promise.all(holds.map(({ gone }) => gone))
  for (const hold of holds) hold.release()
  for (const { digest } of large) {
    t.equal(blobBytes(gate.passed(), digest), HELD_AT_BYTES, 'nothing more comes of it')
  }
  await staged.pull('ahead')
  assertOnce(t, staged, image)
  t.ok(blobsAsked(staged).some(({ range }) => range === `bytes=${HELD_AT_BYTES}-`))
})

t.test('prefetch: false asks for nothing before the client does', async t => {
  const staged = await stage(t, { prefetch: false })
  await staged.look('ahead')
  // All that the first look began has had the time of a second one.
  await staged.look('other')
  t.same(blobsAsked(staged), [])
  await staged.pull('ahead')
  assertOnce(t, staged, staged.image)
})

async function untilCancelled(adminUrl: string, count: number): Promise<void> {
  const deadline = Date.now() + CANCELLED_WITHIN_MS
  const line = new RegExp(`^entrepot_prefetched_blobs_total{step="cancelled"} ${count}$`, 'm')
  while (!line.test(await (await fetch(`${adminUrl}/metrics`)).text())) {
    if (Date.now() > deadline) throw new Error('what nobody came for was not given up')
    await wait(LOOK_AGAIN_MS)
  }
}
