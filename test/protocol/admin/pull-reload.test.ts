// Goal: reading the configuration again changes what comes next and breaks nothing that is under
// way. Method: the whole edge in process over a stub that holds a download at a barrier while the
// configuration is read again.
import t from 'tap'
import { patternBlob } from '../../kit/content.ts'
import { BLOBS, MANIFESTS, startPair } from '../../kit/worlds/edge-over-stub.ts'
import { makeImage } from '../../kit/image.ts'
import { takenBytes } from '../../kit/storage-limits.ts'
import { createBarrier } from '../../kit/stubs/stub-faults.ts'
import { reachThreads } from '../../kit/clients/thread-clients.ts'

const MiB = 1024 * 1024
const big = patternBlob('reload', 3 * MiB)

t.test('a reload cuts no download: each byte is still asked for once', async t => {
  const { edge, stub } = await startPair(t)
  stub.addBlob('library/app', big)
  const barrier = createBarrier(MiB)
  stub.fault({ kind: 'blob' }, { barrier }, { times: 1 })
  const pulled = edge.get(`${BLOBS}/${big.digest}`)
  await barrier.reached
  edge.reload({ 'docker.io': { url: stub.url, ttl: '1m' } })
  barrier.release()
  const answer = await edge.settle(pulled)
  t.ok(answer.complete && Buffer.compare(answer.body, big.bytes()) === 0)
  t.match(await edge.untilLogged('fill ended'), { outcome: 'stored' })
  t.equal(stub.bytesSent(big.digest), big.sizeBytes)
})

t.test('a reload changes how many blobs are downloaded at once', async t => {
  const [first, second] = [patternBlob('one', 2 * MiB), patternBlob('two', 2 * MiB)]
  const { edge, stub } = await startPair(t, { entry: { fills: 1 } })
  for (const blob of [first, second]) stub.addBlob('library/app', blob)
  await edge.get(`${BLOBS}/${first.digest}`)
  await edge.untilLogged('fill ended')
  const third = patternBlob('three', 2 * MiB)
  stub.addBlob('library/app', third)
  edge.reload({ 'docker.io': { url: stub.url, fills: 2 } })
  const barrier = createBarrier(MiB)
  stub.fault({ kind: 'blob', digest: second.digest }, { barrier }, { times: 1 })
  const held = edge.get(`${BLOBS}/${second.digest}`)
  await barrier.reached
  t.ok((await edge.get(`${BLOBS}/${third.digest}`)).complete)
  barrier.release()
  t.ok((await held).complete)
})

t.test('R332: a reload changes how much may be kept', async t => {
  const { edge, stub } = await startPair(t, { edge: { config: { storage: { maxsize: '64MiB' } } } })
  const upstreams = { 'docker.io': { url: stub.url } }
  const pull = async (name: string, count: number) => {
    const blob = patternBlob(name, 2 * MiB)
    stub.addBlob('library/app', blob)
    t.ok((await edge.get(`${BLOBS}/${blob.digest}`)).complete)
    return (await edge.untilLogged('fill ended', count))['outcome']
  }
  t.equal(await pull('roomy', 1), 'stored')
  await edge.reloaded(upstreams, { storage: { maxsize: '1MiB' } })
  t.equal(await pull('strict', 2), 'uncached', 'it is passed on')
  await edge.reloaded(upstreams, { storage: { maxsize: '64MiB' } })
  t.equal(await pull('roomy again', 3), 'stored')
  await edge.reloaded(upstreams, { storage: { maxsize: '64MiB', minfree: '100%' } })
  t.equal(await pull('for others', 4), 'uncached')
})

t.test('R332: a limit that a reload lowers has content leave', async t => {
  const { edge, stub } = await startPair(t)
  const upstreams = { 'docker.io': { url: stub.url } }
  const [first, last] = ['first', 'last'].map(seed => makeImage({ seed, layers: [4 * MiB] }))
  for (const image of [first, last]) {
    if (image === undefined) throw new Error('two images')
    const tag = image === first ? 'first' : 'last'
    stub.addImage('library/app', tag, image)
    await edge.get(`${MANIFESTS}/${tag}`)
    for (const { digest } of [image.config, ...image.layers]) await edge.get(`${BLOBS}/${digest}`)
    await edge.clock.advance(60_000)
  }
  await edge.untilLogged('fill ended', 4)
  const maxBytes = (await takenBytes(edge)) - MiB
  await edge.reloaded(upstreams, { storage: { maxsize: String(maxBytes) } })
  await edge.settle(edge.untilLogged('content was evicted'))
  t.ok((await takenBytes(edge)) <= 0.95 * maxBytes)
  const layerOf = (image = first) => `${BLOBS}/${image?.layers[0]?.digest}`
  const asked = stub.count({ kind: 'blob', method: 'GET' })
  t.equal((await edge.get(layerOf(last))).headers['x-entrepot-source'], 'hit')
  t.equal(stub.count({ kind: 'blob', method: 'GET' }), asked, 'the image used last is here')
})

// It counted the requests that find the threads, of which there are as many as chance
// will have.
t.test('a reload changes how much is told, on every thread', async t => {
  const { edge, stub } = await startPair(t, {
    edge: { config: { http: { addr: '127.0.0.1:0', threads: 2 } } },
  })
  const clients = await reachThreads(t, edge.url, 2)
  const askAll = async (tag: string) => {
    for (const client of clients) await client.send('GET', `/v2/library/none/manifests/${tag}`)
  }
  const upstreams = { 'docker.io': { url: stub.url } }
  await edge.reloaded(upstreams, { log: { level: 'error' } })
  await askAll('quiet')
  // A request is told when its answer has gone out; once the next one on its connection is
  // answered, it has been.
  await askAll('after-it')
  await edge.reloaded(upstreams, { log: { level: 'info' } })
  await askAll('told')
  // What another thread tells comes in its order.
  await edge.untilLogged('request completed', clients.length, { reference: 'told' })
  t.equal(edge.lines().filter(({ reference }) => reference === 'quiet').length, 0)
})

t.test(
  'R811: a name that a reload shuts out is told so, though its request came before',
  async t => {
    const { edge, stub } = await startPair(t)
    stub.addImage('library/app', 'v1', makeImage({ seed: 'hosts', layers: [1] }))
    const evil = { host: 'evil.example' }
    const ask = () => edge.get(`${MANIFESTS}/v1`, evil)
    const barrier = createBarrier(0)
    stub.fault({ kind: 'manifest', method: 'GET' }, { barrier }, { times: 1 })
    const waiting = ask()
    await barrier.reached
    const http = { addr: '127.0.0.1:0', hosts: ['edge.example'] }
    await edge.reloaded({ 'docker.io': { url: stub.url, ttl: '1h' } }, { http })
    barrier.release()
    t.equal((await waiting).status, 403)
    for (let time = 0; time < 4; time += 1) t.equal((await ask()).status, 403)
    const own = { host: 'edge.example' }
    t.equal((await edge.get(`${MANIFESTS}/v1`, own)).status, 200, 'others are answered as before')
  },
)
