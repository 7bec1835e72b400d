// Goal: the main job in one breath: an image is pulled through, each byte fetched once, then served
// with the upstream gone. Method: a stub registry that counts, the whole edge in process, a raw
// client.
import t from 'tap'
import { startTestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

t.test(
  'an image pulled twice costs its upstream one GET for each part, and none when the upstream is gone',
  async t => {
    const stub = await startStub(t)
    const image = makeImage({ seed: 1, layers: [100_000, 200_000] })
    stub.addImage('library/app', 'v1', image)
    const edge = await startTestEdge(t, {
      upstreams: { 'docker.io': { url: stub.url, ttl: '5m' } },
    })
    const parts = [image.config, ...image.layers]

    for (const round of ['cold', 'warm', 'gone']) {
      if (round === 'gone') await stub.stop()
      const manifest = await edge.get('/v2/library/app/manifests/v1')
      t.match(manifest, { status: 200, complete: true }, `${round}: manifest`)
      t.same(manifest.body, image.manifest.bytes)
      for (const part of parts) {
        const blob = await edge.get(`/v2/library/app/blobs/${part.digest}`)
        t.match(blob, { status: 200, complete: true }, `${round}: blob`)
        t.equal(Buffer.compare(blob.body, part.bytes()), 0)
      }
    }
    t.equal(stub.count({ kind: 'manifest' }), 1)
    t.equal(stub.count({ kind: 'blob' }), parts.length)
  },
)
