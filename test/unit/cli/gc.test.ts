// Goal: an operator has what was deleted taken off the disk at once, and is told before what that
// would be. Method: the command through the Unix socket of an edge in process, over a real
// directory.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import type { JobState, ListedJobs } from '../../../src/registry/job.ts'
import { runCli } from '../../kit/cli.ts'
import { filesIn, NO_UPSTREAM, pushBlob } from '../../kit/worlds/edge-push.ts'
import { makeImage, makeIndex } from '../../kit/image.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'

const HOUR_MS = 3_600_000
const bytes = Buffer.from('deleted soon')
const digest = digestOf(bytes)

t.test('R311, R312: gc takes what was deleted, after its grace, and names it', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  const gc = (...options: string[]) => runCli(['gc', '--socket', edge.socket, ...options])
  await pushBlob(edge, 'app', bytes)
  await edge.send('DELETE', `/v2/app/blobs/${digest}`)
  await edge.clock.advance(HOUR_MS)
  t.match(await gc(), { exitCode: 0, stdout: 'nothing gone; 0 B freed\n' })
  // By itself it would begin a minute after that.
  await edge.clock.advance(1)
  const dry = await gc('--dry-run')
  t.match(dry.stdout, /nothing needs it any more\n1 would go; 4.0 KiB would be freed\n$/)
  t.equal((await filesIn(edge, 'blobs/sha256')).length > 0, true)
  const told = {
    outcome: 'done',
    gone: [{ what: digest, reason: 'nothing needs it any more', bytes: 4096 }],
    freedBytes: 4096,
  }
  t.match(JSON.parse((await gc('--json')).stdout), told)
  const left = await filesIn(edge, `blobs/sha256/${digest.slice(7, 9)}`)
  t.strictSame(left, [])
  t.match(await gc('--now'), { exitCode: 2 })
})

t.test('R311: what was deleted waits for its grace, and not for the next pass', async t => {
  const gc = { delay: '1h', interval: '7d' }
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM, config: { storage: { gc } } })
  const other = Buffer.from('deleted a little later')
  /** Once the run that has begun is over: the next one waits for it. */
  const here = async () => {
    const { stdout } = await runCli(['gc', '--dry-run', '--socket', edge.socket])
    t.match(stdout, /^nothing would go/)
    const files = await filesIn(edge, 'blobs/sha256')
    return [bytes, other].map(each => files.some(name => digestOf(each).endsWith(name)))
  }
  await edge.clock.advance(60_000)
  for (const each of [bytes, other]) {
    await pushBlob(edge, 'app', each)
    await edge.send('DELETE', `/v2/app/blobs/${digestOf(each)}`)
    await edge.clock.advance(10_000)
  }
  await edge.clock.advance(HOUR_MS - 20_000)
  t.strictSame(await here(), [true, true])
  await edge.clock.advance(1)
  t.strictSame(await here(), [false, true])
  await edge.clock.advance(59_999)
  t.match((await gcState(edge)).last, { count: 1 }, 'a pass a minute is enough')
  await edge.clock.advance(1)
  t.strictSame(await here(), [false, false])
})

async function pushIndex(edge: TestEdge, tag: string) {
  const images = ['amd64', 'arm64'].map(seed => makeImage({ seed, layers: [10_000] }))
  const index = makeIndex(images)
  for (const { config, layers } of images)
    for (const blob of [config, ...layers]) await pushBlob(edge, 'app', blob.bytes())
  for (const [{ manifest }, reference] of [
    ...images.map(image => [image, image.manifest.digest] as const),
    [index, tag] as const,
  ]) {
    const { bytes: body, mediaType } = manifest
    const headers = { 'content-type': mediaType }
    const { status } = await edge.send('PUT', `/v2/app/manifests/${reference}`, { body, headers })
    if (status !== 201) throw new Error(`${status}`)
  }
  return { images, index }
}

t.test('R384: with an index that a client deletes go its images, by themselves', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  const { images, index } = await pushIndex(edge, 'v1')
  await edge.send('DELETE', `/v2/app/manifests/${index.manifest.digest}`)
  const gc = () => runCli(['gc', '--dry-run', '--socket', edge.socket])
  await edge.clock.advance(60_000)
  t.match(await gc(), { stdout: /^nothing would go/ })
  await edge.clock.advance(HOUR_MS - 60_000)
  const why = await runCli([
    'why',
    `localhost/app@${images[0]?.manifest.digest}`,
    '--socket',
    edge.socket,
  ])
  t.match(why.stdout, /what listed it, or what it is about, was deleted: it goes when/)
  t.equal((await filesIn(edge, 'blobs/sha256')).length, 7)
  await edge.clock.advance(1)
  // Behind the pass that has begun by itself.
  t.match(await gc(), { stdout: /^nothing would go/ })
  t.strictSame(await filesIn(edge, 'blobs/sha256'), [])
})

t.test('R481: status tells what was deleted and when the next of it goes', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  const status = async (...options: string[]) =>
    (await runCli(['status', '--socket', edge.socket, ...options])).stdout
  const { images, index } = await pushIndex(edge, 'v1')
  t.notMatch(await status(), /^deleted/m)
  await edge.send('DELETE', `/v2/app/manifests/${index.manifest.digest}`)
  await edge.clock.advance(30 * 60_000)
  // The index, and two manifests with a config and a layer of three blocks each.
  const whole = 4096 * (1 + 2 * (1 + 1 + 3))
  const deleted = { bytes: whole, isMore: false, nextAtMs: edge.clock.nowMs() + 30 * 60_000 + 1 }
  t.strictSame(JSON.parse(await status('--json')).storage.deleted, deleted)
  t.match(
    await status(),
    /^deleted +44\.0 KiB stay until storage\.gc\.delay is over; the next of it goes in 30 min$/m,
  )
  // Somebody has one of them again: it stays, and its config with it.
  const { bytes: body, mediaType } = images[0]?.manifest ?? index.manifest
  const headers = { 'content-type': mediaType }
  await edge.send('PUT', '/v2/app/manifests/mine', { body, headers })
  t.match(JSON.parse(await status('--json')).storage.deleted, { bytes: 4096 * (1 + 1 + 1 + 3) })
  await edge.clock.advance(30 * 60_000 + 1)
  // Behind the pass that has begun by itself.
  await runCli(['gc', '--dry-run', '--socket', edge.socket])
  t.notMatch(await status(), /^deleted/m)
  t.equal('deleted' in JSON.parse(await status('--json')).storage, false)
})

async function gcState({ socket }: TestEdge): Promise<JobState> {
  const { stdout } = await runCli(['jobs', 'ls', '--json', '--socket', socket])
  const { jobs } = JSON.parse(stdout) as ListedJobs
  return jobs.find(({ name }) => name === 'gc') as JobState
}

t.test('R311: nobody has to ask for it', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  await pushBlob(edge, 'app', bytes)
  await edge.send('DELETE', `/v2/app/blobs/${digest}`)
  /** Behind the run that has begun by itself. */
  const dry = () => runCli(['gc', '--socket', edge.socket, '--dry-run'])
  await edge.clock.advance(60_000)
  await dry()
  await edge.clock.advance(HOUR_MS)
  const { exitCode, stdout } = await dry()
  t.match({ exitCode, stdout }, { exitCode: 0, stdout: /^nothing would go/ })
  const left = await filesIn(edge, `blobs/sha256/${digest.slice(7, 9)}`)
  t.strictSame(left, [])
})
