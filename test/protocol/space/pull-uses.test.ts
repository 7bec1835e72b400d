// Goal: whatever a client was given stands in the catalog as a use, also what came out of memory,
// by a HEAD alone or on another thread (R360); and however many they are, they cost a commit now
// and then (R361). Method: the whole edge over a stub registry; what its catalog says once it has
// stopped, and the transactions in the catalog's log meanwhile.
import { join } from 'node:path'
import t from 'tap'
import { parseRepositoryKey } from '../../../src/oci/reference.ts'
import { systemClock } from '../../../src/server/clock.ts'
import { startEdge } from '../../kit/worlds/edge-process.ts'
import { NO_UPSTREAM, pushBlob } from '../../kit/worlds/edge-push.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { makeImage, makeIndex } from '../../kit/image.ts'
import { runCli } from '../../kit/cli.ts'
import { createKeepAliveClient } from '../../kit/clients/keep-alive-client.ts'
import { openCatalog } from '../../kit/open-catalog.ts'
import { startStubRegistry } from '../../kit/stubs/stub-registry.ts'
import { reachThreads } from '../../kit/clients/thread-clients.ts'
import { countCommits } from '../../kit/disk/wal-commits.ts'

const app = parseRepositoryKey('docker.io/library/app')
const imageFor = (architecture: string) =>
  makeImage({ seed: architecture, layers: [1_000], platform: { architecture, os: 'linux' } })
const [amd64, arm64] = [imageFor('amd64'), imageFor('arm64')]
const index = makeIndex([amd64, arm64])
const BY_TAG = '/v2/library/app/manifests/v1'
const BY_DIGEST = `/v2/library/app/manifests/${index.manifest.digest}`
const CHILD = `/v2/library/app/manifests/${amd64.manifest.digest}`
const OTHER_CHILD = `/v2/library/app/manifests/${arm64.manifest.digest}`
const ACCEPT = { accept: [index, amd64].map(({ manifest }) => manifest.mediaType).join(', ') }
/** Uses are handed on after so long, those of what was used a moment ago later. */
const HANDED_ON_MS = 6_000
const HANDED_ON_AGAIN_MS = 66_000
/**
 * One for uses, one for a manifest, and what the edge writes by itself within that minute: a
 * collection and its time, up to six where nothing of it meets in one.
 */
const COMMITS_MAX = 8

type Tap = Parameters<typeof startTestEdge>[0]

async function startStub(t: Tap) {
  const stub = await startStubRegistry()
  t.teardown(() => stub.stop())
  stub.addImage('library/app', 'v1', index)
  return stub
}

async function start(t: Tap, threads: number): Promise<TestEdge> {
  const { url } = await startStub(t)
  const http = { addr: '127.0.0.1:0', threads }
  return startTestEdge(t, {
    upstreams: { 'docker.io': { url, prefetch: false } },
    config: { http },
  })
}

/** What the catalog of an edge that has stopped says of pulls. */
async function pullsIn(t: Parameters<typeof openCatalog>[0], directory: string) {
  const { catalog } = await openCatalog(t, directory)
  const [tag] = await catalog.listTagUsage(app, { limit: 1 })
  const pullsOf = async (image: typeof index) =>
    (await catalog.usageOf(app, image.manifest.digest))?.pulls
  return { v1: tag?.pulls, index: await pullsOf(index), amd64: await pullsOf(amd64) }
}

for (const threads of [1, 2])
  t.test(`R360: every pull is counted, out of memory too; ${threads} thread(s)`, async t => {
    const edge = await start(t, threads)
    const clients = await reachThreads(t, edge.url, threads)
    const asked = { v1: 0, index: 0, amd64: 0 }
    const ask = async (method: string, path: string, times: number) => {
      for (const client of clients)
        for (let time = 0; time < times; time += 1) {
          t.equal((await client.send(method, path, { headers: ACCEPT })).status, 200)
          if (path === BY_TAG) asked.v1 += 1
          asked[path === CHILD ? 'amd64' : 'index'] += 1
        }
    }
    await ask('GET', BY_TAG, 1)
    await ask('GET', CHILD, 1)
    // The first two of each come from disk, the rest from memory.
    await ask('GET', BY_TAG, 20)
    await ask('GET', BY_DIGEST, 20)
    await ask('GET', CHILD, 20)
    await ask('HEAD', BY_TAG, 20)
    await edge.stop()
    t.same(await pullsIn(t, edge.dataDirectory), asked)
  })

t.test('R361: a thousand pulls out of memory cost a commit or two', async t => {
  const edge = await start(t, 1)
  const client = createKeepAliveClient(edge.url)
  t.teardown(() => client.close())
  const file = join(edge.dataDirectory, 'catalog.db')
  const ask = async (path: string, times: number) => {
    for (let time = 0; time < times; time += 1)
      t.equal((await client.ask(path, { headers: ACCEPT })).status, 200)
  }
  await ask(BY_TAG, 3)
  await edge.pass(HANDED_ON_MS)
  // Is recorded behind what was written before it.
  await ask(CHILD, 1)
  const before = countCommits(file)
  t.ok(before > 0)
  await ask(BY_TAG, 1_000)
  t.equal(countCommits(file), before)
  await edge.pass(HANDED_ON_AGAIN_MS)
  await ask(OTHER_CHILD, 1)
  const commits = countCommits(file) - before
  t.ok(commits > 0 && commits <= COMMITS_MAX, `${commits} commits`)
  await edge.stop()
  t.match(await pullsIn(t, edge.dataDirectory), { v1: 1_003 })
})

t.test('R360: a pull by the operator is one use', async t => {
  const edge = await start(t, 1)
  const pulled = await runCli(['pull', 'library/app:v1', '--platform', 'linux/amd64'], {
    env: { ENTREPOT_ADMIN_SOCKET: edge.socket },
  })
  t.equal(pulled.exitCode, 0, pulled.stderr)
  await edge.stop()
  t.same(await pullsIn(t, edge.dataDirectory), { v1: 1, index: 1, amd64: 1 })
})

t.test('R620: retention keeps what another thread gave out of memory a moment ago', async t => {
  const policies = [{ repositories: ['**'], keeptags: [{ mostrecentlypulledcount: 1 }] }]
  // Time is the threads' own.
  const edge = await startTestEdge(t, {
    upstreams: NO_UPSTREAM,
    clock: systemClock,
    config: { http: { addr: '127.0.0.1:0', threads: 2 }, storage: { retention: { policies } } },
  })
  const push = async (tag: string) => {
    const { manifest, config, layers } = makeImage({ seed: tag, layers: [1_000] })
    for (const blob of [config, ...layers]) await pushBlob(edge, 'localhost/app', blob.bytes())
    const put = { headers: { 'content-type': manifest.mediaType }, body: manifest.bytes }
    const { status } = await edge.send('PUT', `/v2/localhost/app/manifests/${tag}`, put)
    t.equal(status, 201)
  }
  for (const client of await reachThreads(t, edge.url, 2)) {
    const ask = async (tag: string, times: number) => {
      for (let time = 0; time < times; time += 1) {
        const path = `/v2/localhost/app/manifests/${tag}`
        t.equal((await client.send('GET', path, { headers: ACCEPT })).status, 200)
      }
    }
    await push('other')
    await push('wanted')
    // The first two of each come from disk, the rest from memory.
    await ask('wanted', 3)
    await ask('other', 3)
    await ask('wanted', 1)
    const env = { ENTREPOT_ADMIN_SOCKET: edge.socket }
    const retained = await runCli(['jobs', 'run', 'retain'], { env })
    t.match(retained.stdout, 'localhost/app:other', retained.stderr)
    const { body } = await edge.send('GET', '/v2/localhost/app/tags/list')
    t.same(JSON.parse(body.toString()).tags, ['wanted'])
  }
})

t.test('why says when an image was pulled last by this name', async t => {
  const edge = await start(t, 1)
  const why = async () => {
    const env = { ENTREPOT_ADMIN_SOCKET: edge.socket }
    const { stdout } = await runCli(['why', 'library/app:v1', '--json'], { env })
    return (JSON.parse(stdout) as { lastUsedAtMs: number }).lastUsedAtMs
  }
  await edge.get(BY_TAG, ACCEPT)
  await edge.pass(3 * 60_000)
  await edge.send('HEAD', BY_TAG, { headers: ACCEPT })
  const pulledAtMs = edge.clock.nowMs()
  await edge.pass(HANDED_ON_MS)
  // Is recorded behind it.
  await edge.get(CHILD, ACCEPT)
  t.equal(await why(), pulledAtMs)
})

t.test('a process that is killed loses its last uses and nothing else', async t => {
  const { url } = await startStub(t)
  const edge = await startEdge({
    upstreams: { 'docker.io': { url, http: true } },
    config: { http: { threads: 2 } },
  })
  t.teardown(() => edge.stop())
  const pull = async (times: number) => {
    for (let time = 0; time < times; time += 1)
      t.equal((await edge.send('GET', BY_TAG, { headers: ACCEPT })).status, 200)
  }
  await pull(10)
  await edge.kill()
  await edge.restart()
  await pull(10)
  await edge.terminate()
  const { v1: pulls = 0 } = await pullsIn(t, edge.dataDirectory)
  t.ok(pulls >= 10 && pulls <= 20, `${pulls} of 20`)
})
