// Goal: naming a digest in a manifest is no right to its bytes (R179): what a manifest lists, and
// does not mean to be had from its own registry, stays whose it is. Method: the whole edge in
// process before two stub registries; one's layer, asked for through the other.
import t, { type Test } from 'tap'
import { patternBlob } from '../../kit/content.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { type Document, document, makeImage, MEDIA_TYPES } from '../../kit/image.ts'
import { startStubRegistry, type StubRegistry } from '../../kit/stubs/stub-registry.ts'

const CORP = 'registry.corp.example'
const owned = makeImage({ seed: 'owned', layers: [5_000] })
const [secret] = owned.layers
if (secret === undefined) throw new Error('the image has a layer')

const ways = {
  'with URLs': { urls: ['https://elsewhere.example/layer'] },
  'as not distributable': {
    mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  },
  'as foreign': { mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' },
}

/** An image whose layer is to be had from elsewhere. */
function naming(members: object): Document {
  const { manifest, config, layer } = MEDIA_TYPES.oci
  const configured = { mediaType: config, digest: owned.config.digest, size: 2 }
  const foreign = { mediaType: layer, digest: secret?.digest, size: secret?.sizeBytes, ...members }
  const parts = { config: configured, layers: [foreign] }
  return document(manifest, { schemaVersion: 2, mediaType: manifest, ...parts })
}

/** Both registries behind one edge, which has somebody's layer from the first. */
async function startBoth(t: Test): Promise<{ edge: TestEdge; hub: StubRegistry }> {
  const [corp, hub] = [await startStubRegistry(), await startStubRegistry()]
  for (const stub of [corp, hub]) t.teardown(() => stub.stop())
  corp.addImage('team/secret', 'v1', owned)
  const upstreams = {
    'docker.io': { url: hub.url, prefetch: false },
    [CORP]: { url: corp.url, prefetch: false },
  }
  const edge = await startTestEdge(t, { upstreams })
  t.equal((await edge.get(`/v2/${CORP}/team/secret/blobs/${secret?.digest}`)).status, 200)
  await edge.untilLogged('fill ended')
  return { edge, hub }
}

for (const [way, members] of Object.entries(ways)) {
  t.test(`R179, R250: a manifest that lists another's layer ${way} does not open it`, async t => {
    const { edge, hub } = await startBoth(t)
    hub.addDocument('some/body', 'v1', naming(members))
    t.equal((await edge.get('/v2/some/body/manifests/v1')).status, 200)
    const path = `/v2/some/body/blobs/${secret?.digest}`
    t.equal((await edge.send('HEAD', path)).status, 404)
    t.equal((await edge.get(path)).status, 404)
    t.equal((await edge.get(`/v2/${CORP}/team/secret/blobs/${secret?.digest}`)).status, 200)
  })
}

t.test('R64: a layer that is listed as foreign is had where its registry delivers it', async t => {
  const { edge, hub } = await startBoth(t)
  const foreign = patternBlob('foreign', 700)
  const members = { ...ways['with URLs'], digest: foreign.digest, size: foreign.sizeBytes }
  hub.addDocument('some/body', 'v1', naming(members))
  hub.addBlob('some/body', foreign)
  t.equal((await edge.get('/v2/some/body/manifests/v1')).status, 200)
  const path = `/v2/some/body/blobs/${foreign.digest}`
  t.equal((await edge.get(path)).status, 200)
  await edge.untilLogged('fill ended', 2)
  const asked = hub.requests.length
  t.equal((await edge.get(path)).headers['x-entrepot-source'], 'hit')
  t.equal(hub.requests.length, asked, 'and belongs to the repository from then on')
})
