// Goal: what an edge announces while nobody can be asked, it can deliver: container tools choose a
// mirror by its manifest and then take every blob from it. Method: one edge fetches an image whole
// and another one in part; a second edge, offline, on the same data.
import t from 'tap'
import { startTestEdge } from '../../kit/edge.ts'
import { makeImage, makeIndex } from '../../kit/image.ts'
import type { RawAnswer } from '../../kit/clients/raw-client.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const stub = await startStub(t)

t.test('R91: offline, a manifest is given only with everything that it names', async t => {
  const whole = makeImage({ seed: 'whole', layers: [1_000, 2_000] })
  const partial = makeImage({ seed: 'partial', layers: [1_000, 2_000] })
  const index = makeIndex([whole, partial])
  stub.addImage('library/app', 'whole', whole)
  stub.addImage('library/app', 'partial', partial)
  stub.addImage('library/app', 'index', index)
  // What nobody asks for stays away.
  const upstream = { url: stub.url, ttl: '1h', prefetch: false }
  const online = await startTestEdge(t, { upstreams: { 'docker.io': upstream } })
  const ask = (path: string) => online.get(`/v2/library/app/${path}`)
  for (const reference of ['whole', 'partial', 'index', whole.manifest.digest]) {
    t.equal((await ask(`manifests/${reference}`)).status, 200)
  }
  const blobs = [whole.config, ...whole.layers, partial.config, ...partial.layers.slice(1)]
  for (const { digest } of blobs) t.equal((await ask(`blobs/${digest}`)).status, 200)
  await online.stop()

  const before = stub.count({})
  const offline = await startTestEdge(t, {
    upstreams: { 'docker.io': { ...upstream, offline: true } },
    config: { storage: { rootdirectory: online.dataDirectory } },
  })
  const manifest = (reference: string): Promise<RawAnswer> => {
    return offline.get(`/v2/library/app/manifests/${reference}`)
  }
  t.match(await manifest('whole'), { status: 200 })
  t.match(await manifest('index'), { status: 200 }, 'one of its platforms is complete')
  for (const reference of ['partial', partial.manifest.digest]) {
    const refused = await manifest(reference)
    t.match(refused, { status: 404 })
    t.match(refused.body.toString(), /MANIFEST_UNKNOWN/)
  }
  t.equal(stub.count({}), before, 'nobody was asked')
})
