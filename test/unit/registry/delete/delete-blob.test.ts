// Goal: a blob goes out of one repository, for good, where the operator lets it; nowhere else and
// at no upstream. Method: the engine over in-memory twins.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import { repositoryKey } from '../../../../src/oci/reference.ts'
import { around } from '../../../kit/around.ts'
import { BREAKS, createBreaking } from '../../../kit/worlds/breaking-ports.ts'
import { createEngine, localOf, repositoryOf } from '../../../kit/engine.ts'
import { makeImage } from '../../../kit/image.ts'
import { pushWhole } from '../../../kit/clients/upload-chunks.ts'
import { isMemberOf } from '../../../kit/judges/membership.ts'

const app = localOf('team/app')

t.test('R118: a deleted blob is gone from its repository at once, and only from there', async t => {
  const { registry } = createEngine()
  const other = localOf('team/other')
  const digest = await pushWhole(registry, app, 'shared')
  await pushWhole(registry, other, 'shared')
  await registry.deleteBlob(app, digest)
  await t.rejects(registry.headBlob(app, digest), { code: 'BLOB_UNKNOWN', status: 404 })
  await t.rejects(registry.pullBlob(app, digest), { code: 'BLOB_UNKNOWN' })
  await t.rejects(registry.deleteBlob(app, digest), { code: 'BLOB_UNKNOWN', status: 404 })
  t.match(await registry.headBlob(other, digest), { sizeBytes: 6 })
})

t.test('R118: where deleting is switched off, everything is unsupported, there or not', async t => {
  const { registry } = createEngine({
    policies: [{ match: 'localhost/**', push: 'store', deletable: false }],
  })
  const digest = await pushWhole(registry, app, 'hello')
  const unknown = digestOf(Buffer.from('unknown'))
  for (const each of [digest, unknown]) {
    await t.rejects(registry.deleteBlob(app, each), { code: 'UNSUPPORTED', status: 405 })
  }
  t.match(await registry.headBlob(app, digest), { sizeBytes: 5 })
})

t.test('R119: under a proxied name nothing is deleted unless the rules say so', async t => {
  const { registry } = createEngine({ policies: [{ match: 'docker.io/**', push: 'queue' }] })
  const digest = await pushWhole(registry, repositoryOf('team/app'), 'hello')
  const refused = registry.deleteBlob(repositoryOf('team/app'), digest)
  await t.rejects(refused, { code: 'UNSUPPORTED' })
})

t.test('R118: the tombstone is durable before the row goes', async t => {
  const steps: string[] = []
  const { registry } = createEngine({
    facts: facts =>
      around(facts, {
        write:
          write =>
          async (...args) => {
            await write(...args)
            steps.push(`fact ${args[0][0]?.kind}`)
          },
      }),
    catalog: catalog =>
      around(catalog, {
        removeMember:
          removeMember =>
          (...args) => {
            steps.push('row')
            return removeMember(...args)
          },
      }),
  })
  await registry.deleteBlob(app, await pushWhole(registry, app, 'hello'))
  t.same(steps, ['fact deleted', 'row'])
})

t.test('a manifest is not deleted as a blob: its tags would go unnoticed', async t => {
  const { registry, catalog, store } = createEngine()
  const { manifest } = makeImage({ seed: 'app', layers: [10] })
  const digest = digestOf(manifest.bytes)
  await store.put(digest, manifest.bytes, 'kept')
  await catalog.recordManifest({
    repository: app,
    manifest: {
      digest,
      mediaType: manifest.mediaType,
      sizeBytes: manifest.bytes.length,
      edges: [],
    },
    atMs: 1,
  })
  await t.rejects(registry.deleteBlob(app, digest), { code: 'BLOB_UNKNOWN', message: /manifest/ })
  t.ok(await catalog.findManifest(app, digest))
})

for (const how of BREAKS)
  t.test(
    `R269: a delete of a blob that is cut off leaves no tombstone of what is there, ${how}`,
    async t => {
      for (let at = 0; ; at++) {
        const breaking = createBreaking()
        const engine = createEngine(breaking)
        const digest = await pushWhole(engine.registry, app, 'hello')
        breaking.arm(at, how)
        const isTold = await engine.registry.deleteBlob(app, digest).then(
          () => true,
          () => false,
        )
        breaking.disarm()
        if (how === 'ended' || how === 'torn')
          await createEngine({ after: engine }).registry.compareFacts(new AbortController().signal)
        const isHere = await isMemberOf(engine.catalog, app, digest)
        t.equal(
          await engine.facts.has({ kind: 'deleted', repository: repositoryKey(app), digest }),
          !isHere,
        )
        t.ok(!isHere || !isTold)
        if (breaking.isBroken) continue
        t.equal(isTold, true)
        t.equal(at, 2)
        return
      }
    },
  )
