// Goal: what one repository's upstream does not give is no reason to fetch nothing ahead for
// another one, which counted on its fill: anybody can list a blob where it is not. Method: the
// engine over in-memory twins, and an upstream that refuses one repository when the test says so.
import t from 'tap'
import type { Digest } from '../../../../src/oci/digest.ts'
import { parseRepositoryKey, type Repository } from '../../../../src/oci/reference.ts'
import { type Upstream, UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { blobAnswer, createEngine, repositoryOf, upstreamOf } from '../../../kit/engine.ts'
import { makeImage } from '../../../kit/image.ts'
import { digested } from '../../../kit/clients/push-image.ts'
import { settle } from '../../../kit/settle.ts'

const app = repositoryOf('library/app')
const image = makeImage({ seed: 'ahead', layers: [1_000, 2_000, 3_000] })
const contents = new Map([image.config, ...image.layers].map(each => [each.digest, each]))

function createWorld(refused: Repository) {
  const asked = new Map<string, Digest[]>()
  const refusing = Promise.withResolvers<void>()
  const upstream: Partial<Upstream> = {
    getManifest: async () => {
      const { bytes, mediaType, digest } = image.manifest
      return { bytes, mediaType, declaredDigest: digest, warnings: [] }
    },
    getBlob: async (name, digest, { offset }) => {
      asked.set(name, [...(asked.get(name) ?? []), digest])
      if (name === refused.name) {
        await refusing.promise
        throw new UpstreamError('not-found', 'no such blob')
      }
      const bytes = contents.get(digest)?.bytes() ?? Buffer.alloc(0)
      return blobAnswer([bytes.subarray(offset)], { offset, totalBytes: bytes.length })
    },
  }
  const beside = [{ upstream: upstreamOf({ ...upstream, registry: refused.registry }) }]
  const { registry } = createEngine({
    prefetch: true,
    upstream,
    ...(refused.registry === app.registry ? {} : { beside }),
  })
  const pull = async (repository: Repository) => {
    const request = { ...digested(image.manifest.digest), client: '192.0.2.7' }
    await registry.pullManifest(repository, request)
    await settle()
  }
  const refuse = async () => {
    refusing.resolve()
    await settle()
  }
  return { asked, pull, refuse }
}

for (const [whose, key] of [
  ['another registry', 'anybody.example/evil'],
  ['another repository', 'docker.io/anybody/evil'],
] as const)
  t.test(`prefetch: what ${whose} refuses is asked for where the image is`, async t => {
    const other = parseRepositoryKey(key)
    const { asked, pull, refuse } = createWorld(other)
    await pull(other)
    await pull(app)
    t.equal(asked.get(other.name)?.length, contents.size)
    t.same(asked.get(app.name), undefined, 'each is on its way')
    await refuse()
    t.same(new Set(asked.get(app.name)), new Set(contents.keys()))
    t.equal(asked.get(app.name)?.length, contents.size, 'each once')
    t.equal(asked.get(other.name)?.length, contents.size)
  })

t.test('prefetch: what its own repository refuses is not asked for again', async t => {
  const { asked, pull, refuse } = createWorld(app)
  await pull(app)
  t.equal(asked.get(app.name)?.length, contents.size)
  await refuse()
  t.equal(asked.get(app.name)?.length, contents.size)
})
