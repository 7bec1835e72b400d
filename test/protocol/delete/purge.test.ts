// Goal: what an operator purges is out of this edge, on every thread, and the next pull asks the
// upstream; what was pushed here goes only when that is said. Method: the edge in process over a
// stub registry, clients over HTTP, commands through its Unix socket.
import { readdir, readlink } from 'node:fs/promises'
import t, { type Test } from 'tap'
import type { PurgeResult } from '../../../src/registry/purge/purge.ts'
import { runCli } from '../../kit/cli.ts'
import { startTestEdge, type TestEdge, type TestEdgeOptions } from '../../kit/edge.ts'
import { filesIn, pushBlob } from '../../kit/worlds/edge-push.ts'
import { type Image, makeArtifact, makeImage, makeIndex } from '../../kit/image.ts'
import { startStub, type StubOptions } from '../../kit/stubs/stub-registry.ts'
import { reachThreads } from '../../kit/clients/thread-clients.ts'

const MiB = 1024 * 1024
/** Each is a request to each thread: far from a second in all. */
const LOOKS_MAX = 100
const PLATFORM = { os: 'linux', architecture: 'arm64' }
// With the same layer, and each with a configuration of its own.
const one = makeImage({ seed: 'shared', layers: [50_000] })
const other = makeImage({ seed: 'shared', layers: [50_000], platform: PLATFORM })
const lone = makeImage({ seed: 'lone', layers: [30_000] })

async function start(t: Test, more: { stub?: StubOptions; edge?: Partial<TestEdgeOptions> } = {}) {
  const stub = await startStub(t, more.stub)
  stub.addImage('library/app', 'v1', one)
  stub.addImage('library/app', 'v2', other)
  stub.addImage('library/lone', 'v1', lone)
  const upstreams = { 'docker.io': { url: stub.url, prefetch: false } }
  const edge = await startTestEdge(t, { upstreams, ...more.edge })
  const run = (...argv: string[]) => runCli([...argv, '--socket', edge.socket])
  const purge = async (...argv: string[]) => {
    const { stdout, ...rest } = await run('purge', ...argv, '--json')
    const { dryRun: _, ...purged } = JSON.parse(stdout) as PurgeResult & { dryRun: boolean }
    return { ...rest, purged }
  }
  /** As a client does it; all must be there. */
  const pull = async (name: string, reference: string, image: Image) => {
    const path = `/v2/docker.io/${name}`
    const manifest = await edge.get(`${path}/manifests/${reference}`)
    t.equal(manifest.status, 200)
    for (const { digest, bytes } of [image.config, ...image.layers]) {
      const { status, body } = await edge.get(`${path}/blobs/${digest}`)
      t.equal(status, 200)
      t.ok(body.equals(bytes()))
    }
  }
  return { stub, edge, run, purge, pull }
}

const layerOf = (image: Image) => image.layers[0]?.digest ?? ''
/** What the disk has of it. */
async function filesOf(edge: TestEdge, { manifest, config, layers }: Image) {
  const files = await filesIn(edge, 'blobs')
  const digests = [manifest, config, ...layers].map(({ digest }) => digest)
  return digests.filter(digest => files.some(name => digest.endsWith(name)))
}
const blocksOf = (bytes: number) => Math.ceil(bytes / 4096) * 4096
const bytesOf = (image: Image) => [
  image.manifest.bytes.length,
  image.config.sizeBytes,
  ...image.layers.map(l => l.sizeBytes),
]

t.test('R350, R352: a purge can be held, and goes on as it was begun', async t => {
  const { edge, run, pull } = await start(t)
  await pull('library/lone', 'v1', lone)
  await run('jobs', 'pause', 'purge')
  const refused = await run('purge', 'docker.io/library/lone')
  t.match(refused, { exitCode: 1, stderr: /"entrepot jobs resume purge"/ })
  t.equal((await filesIn(edge, 'blobs/sha256')).length > 0, true)
  await run('jobs', 'resume', 'purge')
  t.match(await run('purge', 'docker.io/library/lone'), { exitCode: 0 })
  t.strictSame(
    (await filesIn(edge, 'blobs/sha256')).filter(name => lone.manifest.digest.endsWith(name)),
    [],
  )
})

t.test(
  'R352: a purged image is off the disk, and the next pull asks the upstream for all of it',
  async t => {
    const { stub, edge, run, pull } = await start(t)
    await pull('library/lone', 'v1', lone)
    await pull('library/app', 'v1', one)
    const asked = { kind: 'manifest', method: 'GET', repository: 'library/lone' } as const
    t.equal(stub.count(asked), 1)
    const { exitCode, stdout } = await run('purge', 'docker.io/library/lone:v1')
    t.equal(exitCode, 0)
    t.match(stdout, /^docker\.io\/library\/lone:v1 +\d/m)
    t.match(stdout, /^1 gone; /m)
    t.match((await run('jobs', 'ls')).stdout, /^purge +waits +- .*done, 1 gone/m, 'it is a job')
    t.match(await run('jobs', 'run', 'purge'), { exitCode: 1, stderr: /"entrepot purge PATTERN"/ })
    t.same(await filesOf(edge, lone), [])
    await pull('library/lone', 'v1', lone)
    t.equal(stub.count(asked), 2)
    t.equal(stub.count({ kind: 'blob', digest: layerOf(lone) }), 2)
    t.equal(stub.count({ kind: 'blob', digest: layerOf(one) }), 1, 'of others nothing is asked')
  },
)

t.test(
  'R352: what images share goes with the last of them, and a dry run says what the run does',
  async t => {
    const { stub, purge, pull } = await start(t)
    await pull('library/app', 'v1', one)
    await pull('library/app', 'v2', other)
    const first = await purge('docker.io/library/app:v1', '--dry-run')
    const own = blocksOf(one.manifest.bytes.length) + blocksOf(one.config.sizeBytes)
    t.match(first.purged, { count: 1, freedBytes: own, held: [] })
    const both = await purge('docker.io/library/app', '--dry-run')
    const all = [...bytesOf(one), ...bytesOf(other).slice(0, 2)].map(blocksOf)
    t.match(both.purged, {
      freedBytes: all.reduce((sum, bytes) => sum + bytes),
      gone: [{ bytes: own }, {}],
    })
    await pull('library/app', 'v1', one)
    t.equal(stub.count({ kind: 'manifest', method: 'GET' }), 2, 'a dry run takes nothing')
    t.same((await purge('docker.io/library/app')).purged, both.purged)
    await pull('library/app', 'v1', one)
    t.equal(stub.count({ kind: 'blob', digest: layerOf(one) }), 2)
  },
)

t.test(
  'R352: an index goes with its images, by a pattern, by a digest, and in its repositories',
  async t => {
    const index = makeIndex([one, other])
    const { stub, purge, pull, edge } = await start(t)
    stub.addImage('library/multi', 'v1', index)
    const path = '/v2/docker.io/library/multi/manifests'
    const bring = async () => {
      t.equal((await edge.get(`${path}/v1`)).status, 200)
      await pull('library/multi', one.manifest.digest, one)
    }
    await bring()
    t.match((await purge('docker.io/*/multi:v*')).purged, { count: 2 })
    await bring()
    t.match((await purge(index.manifest.digest)).purged, { count: 2 })
    await bring()
    t.match((await purge(`docker.io/library/multi@${index.manifest.digest}`)).purged, { count: 2 })
    await bring()
    t.equal(stub.count({ kind: 'manifest', reference: 'v1', method: 'GET' }), 4)
    t.equal(stub.count({ kind: 'blob', digest: layerOf(one) }), 4)
  },
)

t.test('R352: a purge takes it out of the memory of every thread', async t => {
  const large = makeImage({ seed: 'large', layers: [5 * MiB] })
  const config = { http: { addr: '127.0.0.1:0', threads: 2 } }
  const { stub, edge, run } = await start(t, { edge: { config } })
  stub.addImage('library/large', 'v1', large)
  const clients = await reachThreads(t, edge.url, 2)
  const ask = async () => {
    for (const { send } of clients)
      for (const path of [
        'manifests/v1',
        `blobs/${large.config.digest}`,
        `blobs/${layerOf(large)}`,
      ])
        t.equal((await send('GET', `/v2/docker.io/library/large/${path}`)).status, 200)
  }
  // Twice: what is asked for again is in memory.
  await ask()
  await ask()
  t.equal(stub.count({ kind: 'manifest', repository: 'library/large', method: 'GET' }), 1)
  t.match(await run('purge', 'docker.io/library/large'), { exitCode: 0 })
  const gone = stub.requests.length
  const [, further] = clients
  for (const path of ['manifests/v1', `blobs/${large.config.digest}`, `blobs/${layerOf(large)}`]) {
    const before = stub.requests.length
    const answer = await further?.send('GET', `/v2/docker.io/library/large/${path}`)
    t.equal(answer?.status, 200)
    t.ok(stub.requests.length > before, `the upstream is asked for ${path}`)
  }
  t.ok(stub.requests.length > gone)
})

t.test('the disk has back at once what another thread kept open for who asks next', async t => {
  const large = makeImage({ seed: 'open', layers: [5 * MiB] })
  const config = { http: { addr: '127.0.0.1:0', threads: 2 } }
  const { stub, edge, run } = await start(t, { edge: { config } })
  stub.addImage('library/open', 'v1', large)
  const clients = await reachThreads(t, edge.url, 2)
  // Twice: the first time it is read behind its fill.
  for (const path of ['manifests/v1', `blobs/${layerOf(large)}`, `blobs/${layerOf(large)}`])
    for (const { send } of clients)
      t.equal((await send('GET', `/v2/docker.io/library/open/${path}`)).status, 200)
  const name = layerOf(large).slice('sha256:'.length)
  t.not(await openFiles(name), [], 'it is kept open')
  t.match(await run('purge', 'docker.io/library/open'), { exitCode: 0 })
  // The other thread tells of it within a few turns; by itself it would after seconds.
  for (let look = 0; look < LOOKS_MAX && (await openFiles(name)).length > 0; look += 1)
    for (const { send } of clients) await send('GET', '/v2/')
  t.same(await openFiles(name), [])
})

/** Of this process. */
async function openFiles(name: string): Promise<readonly string[]> {
  const descriptors = await readdir('/proc/self/fd')
  const links = descriptors.map(each => readlink(`/proc/self/fd/${each}`).catch(() => ''))
  return (await Promise.all(links)).filter(link => link.includes(name))
}

t.test('R352: remembered answers that there is nothing go, too, and tokens', async t => {
  const { stub, edge, run } = await start(t, { stub: { profile: 'docker.io' } })
  const ask = async () => (await edge.get('/v2/docker.io/library/new/manifests/v1')).status
  t.equal(await ask(), 404)
  stub.addImage('library/new', 'v1', lone)
  t.equal(await ask(), 404, 'remembered for half a minute')
  const tokens = stub.count({ kind: 'token' })
  const { exitCode, stdout } = await run('purge', 'docker.io/library/new')
  t.equal(exitCode, 0)
  t.match(stdout, /^1 negative answer forgotten$/m)
  t.equal(await ask(), 200)
  t.equal(stub.count({ kind: 'token' }), tokens + 1)
})

t.test('R352: what was pushed here goes only with --kept, and does not come back', async t => {
  const { edge, run, purge } = await start(t)
  for (const blob of [lone.config, ...lone.layers])
    t.equal((await pushBlob(edge, 'localhost/mine/app', Buffer.from(blob.bytes()))).status, 201)
  const { bytes: body, mediaType } = lone.manifest
  const headers = { 'content-type': mediaType }
  t.equal(
    (await edge.send('PUT', '/v2/localhost/mine/app/manifests/v1', { body, headers })).status,
    201,
  )
  const refused = await run('purge', 'localhost/mine/app')
  t.match(refused, {
    exitCode: 1,
    stdout: /^WHAT +FREED +WHY\n\S+ +- +stays: it was pushed here: --kept/,
    stderr: /nothing of it may go/,
  })
  t.equal((await edge.get('/v2/localhost/mine/app/manifests/v1')).status, 200)
  const dry = await purge('localhost/mine/app:v1', '--kept', '--dry-run')
  const bytes = bytesOf(lone).reduce((sum, each) => sum + blocksOf(each), 0)
  t.match(dry.purged, { count: 1, held: [], freedBytes: bytes })
  t.equal((await edge.get('/v2/localhost/mine/app/manifests/v1')).status, 200)
  t.same((await purge('localhost/mine/app:v1', '--kept')).purged, dry.purged)
  t.equal((await edge.get('/v2/localhost/mine/app/manifests/v1')).status, 404)
  t.equal((await edge.get(`/v2/localhost/mine/app/blobs/${layerOf(lone)}`)).status, 404)
  t.notOk((await filesOf(edge, lone)).includes(lone.manifest.digest))
})

t.test(
  'R352: what was pulled leaves its repository though the same was pushed to another, which has it',
  async t => {
    const { stub, edge, purge, pull } = await start(t)
    await pull('library/lone', 'v1', lone)
    for (const blob of [lone.config, ...lone.layers])
      t.equal((await pushBlob(edge, 'localhost/mine/app', Buffer.from(blob.bytes()))).status, 201)
    const { bytes: body, mediaType } = lone.manifest
    const headers = { 'content-type': mediaType }
    const mine = '/v2/localhost/mine/app'
    const pushed = await edge.send('PUT', `${mine}/manifests/v1`, { body, headers })
    t.equal(pushed.status, 201)
    const dry = await purge('docker.io/library/lone', '--dry-run')
    t.match(dry, { exitCode: 0, purged: { count: 1, held: [], freedBytes: 0 } })
    t.same((await purge('docker.io/library/lone')).purged, dry.purged)
    const asked = { kind: 'manifest', method: 'GET', repository: 'library/lone' } as const
    t.equal(stub.count(asked), 1)
    for (const path of [`manifests/${lone.manifest.digest}`, `blobs/${layerOf(lone)}`])
      t.equal((await edge.get(`${mine}/${path}`)).status, 200)
    await pull('library/lone', 'v1', lone)
    t.equal(stub.count(asked), 2)
    const { purged } = await purge(lone.manifest.digest)
    t.match(purged, { count: 1, gone: [{ what: /library\/lone/ }] })
    t.match(purged.held, [{ what: /^localhost\/mine\/app/, reason: /pushed here/ }])
    t.equal((await edge.get(`${mine}/manifests/v1`)).status, 200)
  },
)

t.test('R352: lists of the upstream are asked for anew, also those that were empty', async t => {
  const { stub, edge, run, pull } = await start(t)
  await pull('library/lone', 'v1', lone)
  const tags = '/v2/docker.io/library/lone/tags/list'
  const referrers = `/v2/docker.io/library/lone/referrers/${lone.manifest.digest}`
  const signature = makeArtifact({ seed: 'signed', subject: lone.descriptor })
  const ask = async () => [
    (await edge.get(tags)).body.toString().includes('v2'),
    (await edge.get(referrers)).body.toString().includes(signature.manifest.digest),
  ]
  t.same(await ask(), [false, false])
  stub.addImage('library/lone', 'v2', lone)
  stub.addImage('library/lone', undefined, signature)
  t.same(await ask(), [false, false], 'kept for a while')
  t.match(await run('purge', 'docker.io/library/lone:v1'), { exitCode: 0 })
  t.same(await ask(), [true, true])
})

t.test('R352: where nothing matches nothing is done, and that is 1', async t => {
  const { run, pull } = await start(t)
  await pull('library/lone', 'v1', lone)
  for (const pattern of ['docker.io/library/none', 'ghcr.io/**', `sha256:${'0'.repeat(64)}`])
    t.match(await run('purge', pattern), {
      exitCode: 1,
      stderr: `nothing here matches ${pattern}\n`,
    })
  t.match(await run('purge', 'x*'), { exitCode: 1, stderr: /needs a slash/ })
  t.match(await run('purge'), { exitCode: 2, stderr: /usage: entrepot purge/ })
})

t.test(
  'R352: a DELETE in a repository that is pulled through is a purge of it, and no upstream hears of it',
  async t => {
    const repositories = [{ match: 'docker.io/**', push: 'deny', delete: true }]
    const { stub, edge, pull } = await start(t, { edge: { config: { repositories } } })
    const path = '/v2/docker.io/library/lone'
    await pull('library/lone', 'v1', lone)
    await pull('library/app', 'v1', one)
    const asked = { kind: 'manifest', method: 'GET', repository: 'library/lone' } as const
    t.equal((await edge.send('DELETE', `${path}/manifests/v1`)).status, 202)
    t.equal((await edge.get(`${path}/manifests/${lone.manifest.digest}`)).status, 200)
    t.equal(stub.count(asked), 1, 'a tag takes no image along')
    await pull('library/lone', 'v1', lone)
    t.equal(stub.count(asked), 2, 'and the next pull by it asks the upstream')
    const sent = await edge.send('DELETE', `${path}/manifests/${lone.manifest.digest}`)
    t.equal(sent.status, 202)
    t.same(await filesOf(edge, lone), [])
    await pull('library/lone', 'v1', lone)
    t.equal(stub.count({ kind: 'blob', digest: layerOf(lone) }), 2)
    t.equal(stub.count({ kind: 'blob', digest: layerOf(one) }), 1)
    t.equal(stub.count({ method: 'DELETE' }), 0)
  },
)
