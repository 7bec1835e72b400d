// Goal: whoever asks whether this edge is ready is told of the parts that it really has: its disk,
// its catalog, its HTTP threads, and that it is stopping. Method: the whole edge, whose data
// directory goes away, whose threads hang or die, and which is stopped while a client still reads.
import { rename } from 'node:fs/promises'
import type { Worker } from 'node:worker_threads'
import t from 'tap'
import { READINESS_LIMIT_MS } from '../../../src/observe/health.ts'
import { patternBlob } from '../../kit/content.ts'
import { BLOBS, MANIFESTS, startPair } from '../../kit/worlds/edge-over-stub.ts'
import type { TestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import { openMortalChannel } from '../../kit/threads/mortal-channel.ts'
import { get } from '../../kit/clients/raw-client.ts'
import { createBarrier } from '../../kit/stubs/stub-faults.ts'

const MiB = 1024 * 1024

async function ready({ adminUrl }: TestEdge) {
  const { status, body } = await get(`${adminUrl}/readyz`)
  return { status, ...(JSON.parse(body.toString()) as object) }
}

t.test('an edge whose data directory is gone is not ready, until it is back', async t => {
  const { edge } = await startPair(t)
  t.equal((await ready(edge)).status, 200)
  const { dataDirectory } = edge
  await rename(dataDirectory, `${dataDirectory}.away`)
  const answer = await ready(edge)
  await rename(`${dataDirectory}.away`, dataDirectory)
  t.match(answer, { status: 503, checks: { store: { ok: false }, catalog: { ok: true } } })
  t.equal((await ready(edge)).status, 200)
})

t.test('an edge that is stopping is not ready while it finishes what is under way', async t => {
  const { edge, stub } = await startPair(t)
  const blob = patternBlob('stopping', 3 * MiB)
  stub.addBlob('library/app', blob)
  const barrier = createBarrier(MiB)
  stub.fault({ kind: 'blob' }, { barrier })
  const pulled = edge.get(`${BLOBS}/${blob.digest}`)
  await barrier.reached
  const stopped = edge.stop()
  const answer = await ready(edge)
  t.match(answer, { status: 503, checks: { store: { ok: true }, drain: { ok: false } } })
  barrier.release()
  t.ok((await edge.settle(pulled)).complete, 'and it finishes')
  await edge.settle(stopped)
})

/** An edge, and the thread that writes its catalog. */
async function startWithWriter(test: Parameters<typeof startPair>[0]) {
  const workers: Worker[] = []
  const seen = (worker: Worker) => workers.push(worker)
  process.on('worker', seen)
  const image = makeImage({ seed: 'written' })
  const { edge } = await startPair(test, { images: { v1: image, v2: image } })
  process.off('worker', seen)
  const writer = workers.find(({ threadName }) => threadName === 'catalog writer')
  if (writer === undefined) throw new Error('no thread writes')
  return { edge, writer }
}

/** Asks when as much time has passed as a check may take. */
async function readyInTime(edge: TestEdge) {
  const asked = ready(edge)
  return await edge.settle(asked, 2 * READINESS_LIMIT_MS)
}

t.test('R300: an edge that can write nothing more into its catalog is not ready', async t => {
  const { edge, writer } = await startWithWriter(t)
  t.equal((await edge.get(`${MANIFESTS}/v1`)).status, 200)
  t.equal((await ready(edge)).status, 200)
  await writer.terminate()
  await edge.untilLogged('storage failed')
  const catalog = { ok: false, reason: /writer thread ended/ }
  t.match(await readyInTime(edge), { status: 503, checks: { store: { ok: true }, catalog } })
  t.equal((await edge.get(`${MANIFESTS}/v1`)).status, 200, 'what is here is served')
})

t.test('R300: while a write into the catalog hangs an edge is not ready', async t => {
  const { edge, writer } = await startWithWriter(t)
  const post = writer.postMessage.bind(writer)
  const held: unknown[] = []
  const written = Promise.withResolvers<void>()
  writer.postMessage = message => {
    held.push(message)
    written.resolve()
  }
  const pulled = edge.get(`${MANIFESTS}/v1`)
  await written.promise
  const catalog = { ok: false, reason: 'no answer in time' }
  t.match(await readyInTime(edge), { status: 503, checks: { store: { ok: true }, catalog } })
  writer.postMessage = post
  for (const message of held) post(message)
  t.equal((await pulled).status, 200)
  t.equal((await readyInTime(edge)).status, 200)
})

t.test('R300: while an HTTP thread hangs an edge is not ready', async t => {
  const { edge } = await startPair(t, {
    edge: {
      config: { http: { addr: '127.0.0.1:0', threads: 2 } },
      threadEntry: new URL('../../kit/threads/mortal-thread.ts', import.meta.url),
    },
  })
  const { channel, say } = openMortalChannel()
  t.teardown(() => channel.close())
  t.equal((await readyInTime(edge)).status, 200)
  const gate = new Int32Array(new SharedArrayBuffer(4))
  const hanging = new Promise(resolve => {
    channel.onmessage = resolve
  })
  say(gate)
  await hanging
  const threads = { ok: false, reason: 'no answer in time' }
  t.match(await readyInTime(edge), { status: 503, checks: { catalog: { ok: true }, threads } })
  Atomics.store(gate, 0, 1)
  Atomics.notify(gate, 0)
  t.equal((await readyInTime(edge)).status, 200)
})
