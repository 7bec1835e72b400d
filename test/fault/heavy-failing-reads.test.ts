// Goal: a disk that fails for a moment costs nothing that was pushed (R761): no answer is wrong
// meanwhile, and all of it is there afterwards, at once and after the next start. Method: the real
// process, whose reads of content fail with EIO while a preloaded shim is told so: as it serves,
// and as it builds the catalog that was lost.
import { readdirSync, rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { digestOf } from '../../src/oci/digest.ts'
import { patternBlob } from '../kit/content.ts'
import { type EdgeOptions, type EdgeProcess, startEdge } from '../kit/worlds/edge-process.ts'
import { compileFailingReads } from '../kit/disk/failing-reads.ts'
import { COMPARED } from '../kit/worlds/left-by-kill.ts'
import { createBarrier } from '../kit/stubs/stub-faults.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'
import { createPushClient, manifestOver } from '../kit/clients/push-client.ts'

t.setTimeout(300_000)

/** Sent by reading, and by the kernel. */
const LAYER_BYTES = [30_000, 6 * 1024 * 1024, 300_000]

const repositoryOf = (at: number) => `localhost/app${at}`

/** Their paths, with the bytes that are to be found there. */
async function pushAll(t: Test, url: string): Promise<ReadonlyMap<string, Buffer>> {
  const client = createPushClient(url)
  const pushed = new Map<string, Buffer>()
  for (const [at, bytes] of LAYER_BYTES.entries()) {
    const repository = repositoryOf(at)
    const config = Buffer.from(JSON.stringify({ at }))
    const layer = patternBlob(`layer ${at}`, bytes).bytes()
    const manifest = manifestOver(config, [layer])
    for (const blob of [config, layer]) {
      t.equal((await client.blob(repository, blob)).status, 201)
      pushed.set(`/v2/${repository}/blobs/${digestOf(blob)}`, blob)
    }
    t.equal((await client.manifest(repository, 'v1', manifest)).status, 201)
    pushed.set(`/v2/${repository}/manifests/v1`, manifest.bytes)
  }
  client.close()
  return pushed
}

async function assertAllThere(t: Test, edge: EdgeProcess, pushed: ReadonlyMap<string, Buffer>) {
  for (const [path, bytes] of pushed) {
    const { status, body } = await edge.send('GET', path)
    t.equal(status, 200, path)
    t.ok(Buffer.compare(Buffer.from(body), bytes) === 0, `the bytes of ${path}`)
  }
}

/** Ended, with pushed images. */
async function startPushed(t: Test) {
  const { edge, reads } = await start(t, { config: { http: { threads: 1 } } })
  const pushed = await pushAll(t, edge.url)
  // Nothing of it is in memory afterwards.
  await edge.terminate()
  return { edge, reads, pushed }
}

/** With a disk that can be let fail. */
async function start(t: Test, options: EdgeOptions, below: 'blobs' | 'fills' = 'blobs') {
  const reads = await compileFailingReads(below)
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-failing-reads-'))
  const edge = await startEdge({ directory, env: reads.env, ...options })
  t.teardown(async () => {
    await edge.stop()
    await reads.remove()
    await rm(directory, { recursive: true, force: true })
  })
  return { edge, reads }
}

t.test('R761: reads that fail for a moment cost nothing that was pushed', async t => {
  const { edge, reads, pushed } = await startPushed(t)
  await edge.restart()
  await reads.begin()
  for (const path of pushed.keys()) {
    // Large content has begun, and ends in the middle.
    const status = await edge.send('GET', path).then(
      answer => answer.status,
      () => undefined,
    )
    t.ok(status === undefined || status === 503, `${path}: ${status}`)
  }
  await reads.end()
  await assertAllThere(t, edge, pushed)
  t.same(readdirSync(join(edge.dataDirectory, 'quarantine')), [])
  await edge.restart()
  await assertAllThere(t, edge, pushed)
})

t.test('R761: nor while a catalog is built that was lost', async t => {
  const { edge, reads, pushed } = await startPushed(t)
  for (const name of readdirSync(edge.dataDirectory))
    if (name.startsWith('catalog.db')) rmSync(join(edge.dataDirectory, name))
  await reads.begin()
  let from = edge.logs.length
  await edge.restart()
  await edge.untilLogged(({ msg }) => msg === COMPARED, from)
  await reads.end()
  from = edge.logs.length
  await edge.restart()
  await edge.untilLogged(({ msg }) => msg === COMPARED, from)
  await assertAllThere(t, edge, pushed)
})

t.test('R774: what waits for its upstream is delivered once it can be read', async t => {
  const host = 'registry.example.com'
  const stub = await startStub(t)
  const { edge, reads } = await start(t, {
    upstreams: { [host]: { url: stub.url, http: true } },
    config: { default: host, repositories: [{ match: `${host}/**`, push: 'queue' }] },
  })
  const config = Buffer.from('{"queued":true}')
  const manifest = manifestOver(config, [])
  const client = createPushClient(edge.url)
  await reads.begin()
  t.equal((await client.blob(`${host}/app`, config)).status, 201)
  t.equal((await client.manifest(`${host}/app`, 'v1', manifest)).status, 201)
  client.close()
  const failed = await edge.untilLogged(({ msg }) => msg === 'delivery failed and is tried again')
  t.match(failed, { reason: /^the disk here failed: .*EIO/ })
  await reads.end()
  await edge.untilLogged(({ msg }) => msg === 'push delivered')
  t.equal(stub.manifest('app', 'v1')?.digest, manifest.digest)
})

/** Sent by the kernel, in one request of its fill. */
const FOLLOWED_BYTES = 6 * 1024 * 1024
const CROWD = 12

for (const threads of [1, 2])
  t.test(`R776: a crowd behind a bad part asks its upstream twice (${threads})`, async t => {
    const stub = await startStub(t)
    const blob = patternBlob('followed', FOLLOWED_BYTES)
    stub.addBlob('library/app', blob)
    const barrier = createBarrier(FOLLOWED_BYTES - 1)
    stub.fault({ kind: 'blob', method: 'GET' }, { barrier }, { times: 1 })
    const upstreams = { 'docker.io': { url: stub.url, http: true } }
    const { edge, reads } = await start(t, { upstreams, config: { http: { threads } } }, 'fills')
    await reads.begin()
    const all = Array.from({ length: CROWD }, () =>
      edge.send('GET', `/v2/docker.io/library/app/blobs/${blob.digest}`),
    )
    await Promise.race(all)
    t.equal(stub.count({ kind: 'blob', method: 'GET' }), 2, 'one need not wait for the end')
    barrier.release()
    for (const { status, body } of await Promise.all(all)) {
      t.equal(status, 200)
      t.ok(body.equals(blob.bytes()))
    }
    t.equal(stub.count({ kind: 'blob', method: 'GET' }), 2)
  })
