// Goal: a blob that the caller may read elsewhere becomes a member of another repository without
// being sent; whatever stands in the way is no error and tells nothing. Method: the engine over
// in-memory twins, with the upstream's mount as a function.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import { type Repository, repositoryKey } from '../../../../src/oci/reference.ts'
import { UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { around } from '../../../kit/around.ts'
import { createEngine, localOf, repositoryOf } from '../../../kit/engine.ts'
import { pushWhole } from '../../../kit/clients/upload-chunks.ts'
import { isMemberOf } from '../../../kit/judges/membership.ts'

const base = localOf('team/base')
const app = localOf('team/app')
const anybody = () => true

t.test('R109: a blob of another repository is mounted, and is a member of both', async t => {
  const { registry, events } = createEngine()
  const digest = await pushWhole(registry, base, 'shared')
  const mounted = await registry.mountBlob(app, { digest, from: base, mayReadAny: anybody })
  t.same(mounted, { digest, sizeBytes: 6 })
  t.match(await registry.headBlob(app, digest), { sizeBytes: 6 })
  t.match(await registry.headBlob(base, digest), { sizeBytes: 6 })
  t.match(events.at(-1), { kind: 'pushed', repository: app, what: 'blob', mode: 'store' })
})

t.test('R109: what is not in the other repository is not mounted, wherever else it is', async t => {
  const { registry, disk } = createEngine()
  const digest = await pushWhole(registry, localOf('team/secret'), 'secret')
  const unknown = digestOf(Buffer.from('nowhere'))
  for (const each of [digest, unknown]) {
    t.equal(
      await registry.mountBlob(app, { digest: each, from: base, mayReadAny: anybody }),
      undefined,
    )
  }
  await t.rejects(registry.headBlob(app, digest), { code: 'BLOB_UNKNOWN' })
  disk.blobs.clear()
  const from = localOf('team/secret')
  t.equal(await registry.mountBlob(app, { digest, from, mayReadAny: anybody }), undefined, 'lost')
})

t.test('R182: without a name only repositories that the caller may read are searched', async t => {
  const { registry } = createEngine()
  const digest = await pushWhole(registry, localOf('team/secret'), 'secret')
  const asked: string[] = []
  const mayReadAny = (repositories: readonly Repository[]) => {
    asked.push(repositories.map(repositoryKey).join(' '))
    return repositories.some(({ name }) => name !== 'team/secret')
  }
  t.equal(await registry.mountBlob(app, { digest, from: undefined, mayReadAny }), undefined)
  await t.rejects(registry.headBlob(app, digest), { code: 'BLOB_UNKNOWN' })
  await pushWhole(registry, localOf('team/zoo'), 'secret')
  t.match(await registry.mountBlob(app, { digest, from: undefined, mayReadAny }), { sizeBytes: 6 })
  t.same(asked, ['localhost/team/secret', 'localhost/team/secret localhost/team/zoo'])
})

t.test('R109: only names of this edge are searched for and mounted without a name', async t => {
  const { registry } = createEngine({ policies: [{ match: 'docker.io/**', push: 'queue' }] })
  const hub = repositoryOf('team/app')
  const digest = await pushWhole(registry, repositoryOf('team/base'), 'shared')
  const anywhere = { digest, from: undefined, mayReadAny: anybody }
  t.equal(await registry.mountBlob(hub, anywhere), undefined)
  t.equal(await registry.mountBlob(app, anywhere), undefined)
})

t.test('R182: nothing is mounted from another registry', async t => {
  const { registry } = createEngine({ policies: [{ match: 'docker.io/**', push: 'queue' }] })
  const digest = await pushWhole(registry, repositoryOf('team/base'), 'shared')
  const from = repositoryOf('team/base')
  t.equal(await registry.mountBlob(app, { digest, from, mayReadAny: anybody }), undefined)
  const hub = { digest, from, mayReadAny: anybody }
  t.match(await registry.mountBlob(repositoryOf('team/app'), hub), { sizeBytes: 6 })
})

t.test('what was only cached is made durable before it is mounted', async t => {
  const kept: string[] = []
  const { registry, store, catalog } = createEngine({
    store: store =>
      around(store, {
        keep:
          keep =>
          (...args) => {
            kept.push(args[0])
            return keep(...args)
          },
      }),
  })
  const bytes = Buffer.from('cached')
  const digest = digestOf(bytes)
  await store.put(digest, bytes, 'cached')
  const blob = { digest, sizeBytes: 6, hold: 'nothing', atMs: 1 } as const
  await catalog.recordBlob({ repository: base, ...blob })
  await registry.mountBlob(app, { digest, from: base, mayReadAny: anybody })
  t.same(kept, [digest])
  t.match(await catalog.findContent(digest), { contentClass: 'kept' })
  await registry.mountBlob(localOf('team/third'), { digest, from: base, mayReadAny: anybody })
  t.same(kept, [digest], 'once is enough')
})

t.test(
  'R117: a forwarded repository mounts at its upstream, or the blob has to be sent',
  async t => {
    const digest = digestOf(Buffer.from('shared'))
    const asked: unknown[] = []
    let answer: () => Promise<boolean> = async () => true
    const { registry, catalog } = createEngine({
      policies: [{ match: 'docker.io/**', push: 'forward' }],
      upstream: {
        mountBlob: (...args) => {
          asked.push(args.slice(0, 3))
          return answer()
        },
        headBlob: async () => ({ sizeBytes: 6 }),
      },
    })
    const hub = repositoryOf('team/app')
    const from = repositoryOf('team/base')
    const mount = { digest, from, mayReadAny: anybody }
    t.same(await registry.mountBlob(hub, mount), { digest, sizeBytes: 6 })
    t.same(asked, [['team/app', digest, 'team/base']])
    t.ok(await isMemberOf(catalog, hub, digest))
    const third = repositoryOf('team/third')
    for (const refusal of [
      async () => false,
      () => Promise.reject(new UpstreamError('denied', 'no')),
      () => Promise.reject(new UpstreamError('unavailable', 'down')),
    ]) {
      answer = refusal
      t.equal(await registry.mountBlob(third, mount), undefined)
    }
    t.notOk(await isMemberOf(catalog, third, digest))
    t.equal(await registry.mountBlob(third, { ...mount, from: undefined }), undefined)
    t.equal(asked.length, 4, 'and nothing is asked without a name')
  },
)

t.test('a mount into a repository that takes no pushes is denied', async t => {
  const { registry } = createEngine()
  const digest = await pushWhole(registry, base, 'shared')
  const mount = { digest, from: base, mayReadAny: anybody }
  await t.rejects(registry.mountBlob(repositoryOf('team/app'), mount), { code: 'DENIED' })
})
