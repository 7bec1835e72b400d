// Goal: what a client that may push was told is there can be listed by its manifest, whatever takes
// content away meanwhile. Method: the engine over in-memory twins; a blob that the upstream has as
// well leaves in the middle of the push. Found by the simulation.
import t from 'tap'
import type { Digest } from '../../../../src/oci/digest.ts'
import { UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import {
  blobAnswer,
  createEngine,
  type Engine,
  readAll,
  repositoryOf,
} from '../../../kit/engine.ts'
import { makeImage } from '../../../kit/image.ts'
import { pushDocument } from '../../../kit/clients/push-image.ts'
import { quietRun } from '../../../kit/quiet-run.ts'

const repository = repositoryOf('team/app')
const image = makeImage({ seed: 'promised', layers: [10] })
const blobs = [image.config, ...image.layers]

/** Its blobs were pulled here; `during` is called in the middle of its push. */
async function createWorld(during: (evict: () => Promise<void>) => Promise<void>) {
  const engine = createEngine({
    policies: [{ match: 'docker.io/team/**', push: 'queue' }],
    upstream: {
      headManifest: async () => {
        await during(evict)
        throw new UpstreamError('not-found', 'no such tag')
      },
      headBlob: async () => ({ sizeBytes: 10 }),
      getBlob: async (_name, digest) => {
        const found = blobs.find(each => each.digest === digest)
        if (found === undefined) throw new UpstreamError('not-found', 'not here')
        return blobAnswer([found.bytes()])
      },
    },
  })
  const { registry } = engine
  async function evict(): Promise<void> {
    const digests = blobs.map(({ digest }) => digest as Digest)
    await registry.leaving.letGo(digests, 'evicted')
  }
  for (const { digest } of blobs) {
    await readAll(await registry.pullBlob(repository, digest))
    await registry.settled(digest)
  }
  return engine
}

t.test('R113: what leaves between its check and its turn does not make a push fail', async t => {
  const { registry, catalog } = await createWorld(evict => evict())
  const document = image.manifest
  await t.resolves(pushDocument(registry, repository, { document, reference: 'v1' }))
  for (const { digest } of blobs)
    t.match(await catalog.findContent(digest), { contentClass: 'kept' })
})

for (const hasIt of [true, false])
  t.test(
    `R113: forward: what leaves between its check and its turn is ${hasIt ? 'asked for' : 'refused if it is at the upstream no more'}`,
    async t => {
      const [layer] = image.layers
      const config = image.config.digest as Digest
      const asked: string[] = []
      const leave = () => registry.leaving.letGo([config], 'evicted')
      const { registry, catalog }: Engine = createEngine({
        policies: [{ match: 'docker.io/team/**', push: 'forward' }],
        upstream: {
          getBlob: async () => blobAnswer([image.config.bytes()]),
          headBlob: async (_name, digest) => {
            asked.push(digest)
            if (digest === layer?.digest) await leave()
            else if (!hasIt) throw new UpstreamError('not-found', 'gone')
            return { sizeBytes: 10 }
          },
          putManifest: async () => ({ subject: undefined }),
        },
      })
      await readAll(await registry.pullBlob(repository, config))
      await registry.settled(config)
      const push = pushDocument(registry, repository, { document: image.manifest, reference: 'v1' })
      if (hasIt) await t.resolves(push)
      else await t.rejects(push, { code: 'MANIFEST_BLOB_UNKNOWN', detail: { digest: config } })
      t.same(asked, [layer?.digest, config], 'what is here is not asked for')
      t.equal((await catalog.findMember(repository, config)) !== undefined, hasIt)
    },
  )

t.test('what a push under way was told is here is not purged', async t => {
  const { registry, catalog } = await createWorld(async () => {})
  const digest = image.config.digest as Digest
  await registry.headBlob(repository, digest, { mayPush: true })
  const options = { ...quietRun(), kept: false }
  const { held } = await registry.purge({ kind: 'content', digest }, options)
  t.match(held, [{ reason: /push under way/ }])
  t.ok(await catalog.findMember(repository, digest))
})
