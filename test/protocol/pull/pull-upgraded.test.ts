// Goal: nobody who pulled before an upgrade has to wait for the line after it. Method: an edge
// fetches images that share a layer; their catalog is written again as version 1002 left it, and
// the edge of today starts on it while no registry can be reached.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parseManifest } from '../../../src/oci/manifest.ts'
import { parseRepositoryKey } from '../../../src/oci/reference.ts'
import { asRecorded } from '../../../src/registry/content/edges.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { type Image, makeImage } from '../../kit/image.ts'
import { startStubRegistry } from '../../kit/stubs/stub-registry.ts'
import { asVersion1002 } from '../../kit/version-1002.ts'

const REPOSITORIES = ['docker.io/team/app', 'registry.corp.example/team/app', 'any.example/app']
const image = makeImage({ seed: 'base', layers: [1_000, 200_000] })
const paths = [
  'manifests/v1',
  `manifests/${image.manifest.digest}`,
  ...[image.config, ...image.layers].map(({ digest }) => `blobs/${digest}`),
]

const factOf = ({ manifest: { bytes, digest, mediaType } }: Image) =>
  asRecorded(parseManifest(bytes, mediaType), digest, bytes.length)

/** The data directory, with the files of the image, and what version 1002 would know of them. */
async function leftByVersion1002(t: Test): Promise<string> {
  const stub = await startStubRegistry()
  stub.addImage('team/app', 'v1', image)
  t.teardown(() => stub.stop())
  const edge = await startTestEdge(t, { upstreams: { 'docker.io': { url: stub.url } } })
  for (const path of paths) t.equal((await edge.get(`/v2/team/app/${path}`)).status, 200, path)
  await edge.stop()
  for (const end of ['', '-wal', '-shm'])
    await rm(join(edge.dataDirectory, `catalog.db${end}`), { force: true })
  asVersion1002(edge.dataDirectory, old => {
    for (const repository of REPOSITORIES.map(parseRepositoryKey)) {
      old.recordManifest(repository, factOf(image))
      old.recordTag(repository, 'v1', image.manifest.digest, edge.clock.nowMs())
      for (const { digest, sizeBytes } of [image.config, ...image.layers])
        old.recordBlob(repository, digest, 'cached', sizeBytes)
    }
  })
  return edge.dataDirectory
}

t.test('R303: what an edge gave before an upgrade it gives after it, without a line', async t => {
  const gone = await startStubRegistry()
  await gone.stop()
  const edge = await startTestEdge(t, {
    config: { storage: { rootdirectory: await leftByVersion1002(t) } },
    upstreams: {
      'docker.io': { url: gone.url },
      'registry.corp.example': { url: gone.url, private: true },
      '*': { http: undefined, offline: true } as never,
    },
  })
  await edge.clock.advance(3_600_000)
  for (const repository of REPOSITORIES) {
    for (const path of paths) {
      const answer = await edge.settle(edge.get(`/v2/${repository}/${path}`))
      t.equal(answer.status, 200, `${repository}/${path}`)
    }
  }
})
