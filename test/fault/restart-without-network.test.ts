// Goal: what was pulled once is served without any network, by a process that starts without one
// (R23 of the programme). Method: after a pull the upstream's port is taken by a black hole that
// counts who connects and never answers.
import { createServer, type Socket } from 'node:net'
import t from 'tap'
import { type EdgeProcess, startEdge } from '../kit/worlds/edge-process.ts'
import { type Image, makeImage, makeIndex } from '../kit/image.ts'
import { get } from '../kit/clients/raw-client.ts'
import { startStubRegistry } from '../kit/stubs/stub-registry.ts'

t.setTimeout(300_000)

/** Accepts, says nothing, counts. */
async function startBlackHole(port: number) {
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer(socket => {
    connections += 1
    sockets.add(socket.on('error', () => {}))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    connections: () => connections,
    stop: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

/** Everything of the image, by tag and by digest; one sentence for each thing that is not right. */
async function pull(edge: EdgeProcess, index: Image): Promise<string[]> {
  const faults: string[] = []
  const base = `${edge.url}/v2/library/kept`
  const look = async (path: string, right: Buffer) => {
    const { status, body, complete } = await get(base + path, { accept: '*/*' })
    if (status !== 200 || !complete || !body.equals(right)) faults.push(`${path}: ${status}`)
  }
  await look('/manifests/v1', index.manifest.bytes)
  for (const { manifest } of [index, ...index.children]) {
    await look(`/manifests/${manifest.digest}`, manifest.bytes)
  }
  for (const blob of index.children.flatMap(image => [image.config, ...image.layers])) {
    await look(`/blobs/${blob.digest}`, blob.bytes())
  }
  return faults
}

t.test('after a restart with the upstream black-holed all that is cached is served', async t => {
  const stub = await startStubRegistry()
  const edge = await startEdge({ upstreams: { 'docker.io': { url: stub.url, http: true } } })
  t.teardown(() => edge.stop())
  const index = makeIndex([
    makeImage({ seed: 'kept', layers: [10, 100_000, 3_000_000] }),
    makeImage({ seed: 'kept', platform: { architecture: 'arm64', os: 'linux' } }),
  ])
  stub.addImage('library/kept', 'v1', index)
  t.same(await pull(edge, index), [], 'the first pull, from the upstream')
  await edge.terminate()
  await stub.stop()
  const hole = await startBlackHole(Number(new URL(stub.url).port))
  t.teardown(() => hole.stop())

  await edge.restart()
  t.equal((await get(`${edge.url}/v2/`)).status, 200)
  t.same(await pull(edge, index), [], 'the second pull, from the disk')
  t.equal(hole.connections(), 0, 'no attempt to connect')
})

t.test('a tag whose freshness cannot be checked is served stale, and says so', async t => {
  const stub = await startStubRegistry()
  const upstreams = { 'docker.io': { url: stub.url, http: true, ttl: 0 } }
  const edge = await startEdge({ upstreams })
  t.teardown(() => edge.stop())
  const index = makeIndex([makeImage({ seed: 'stale' })])
  stub.addImage('library/kept', 'v1', index)
  t.same(await pull(edge, index), [])
  await edge.terminate()
  await stub.stop()

  await edge.restart()
  const answer = await get(`${edge.url}/v2/library/kept/manifests/v1`, { accept: '*/*' })
  t.same(answer.body, index.manifest.bytes)
  t.match(answer.headers['warning'], /^299 /)
  t.equal(answer.headers['x-entrepot-source'], 'stale')
})
