// Goal: an upload that was acknowledged is a blob of its repository, kept and recorded; one that
// was not has left nothing behind. Method: the engine over in-memory twins, whose calls are watched
// and fail when the test says so.
import t from 'tap'
import { digestOf, type Digest } from '../../../../src/oci/digest.ts'
import type { ContentClass } from '../../../../src/registry/ports/blob-store-content.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import { ENDED_FOR_MS } from '../../../../src/registry/upload/ended-uploads.ts'
import { around } from '../../../kit/around.ts'
import { createEngine, localOf, readAll, repositoryOf } from '../../../kit/engine.ts'
import { chunkOf, heldBody, nothing, pushWhole } from '../../../kit/clients/upload-chunks.ts'
import { listFacts } from '../../../kit/judges/facts-of.ts'
import { isMemberOf } from '../../../kit/judges/membership.ts'

const app = localOf('team/app')
const sha256 = { algorithm: 'sha256' } as const

t.test('R101: a push ends as a kept blob that its repository has', async t => {
  const { registry, catalog, disk, events } = createEngine()
  const digest = await pushWhole(registry, app, 'hello')
  t.equal(String(await readAll(await registry.pullBlob(app, digest))), 'hello')
  t.match(await registry.headBlob(app, digest), { sizeBytes: 5, source: 'local' })
  t.match(await catalog.findContent(digest), { contentClass: 'kept', sizeBytes: 5 })
  t.equal(disk.uploads.size, 0)
  const pushed = { kind: 'pushed', what: 'blob', mode: 'store', sizeBytes: 5, repository: app }
  t.match(
    events.filter(({ kind }) => kind === 'pushed'),
    [pushed],
  )
})

t.test('R101: all ways to bring the bytes end alike', async t => {
  const { registry } = createEngine()
  const digest = digestOf(Buffer.from('012345'))
  for (const [pieces, last] of [
    [[], '012345'],
    [['012345'], ''],
    [['01', '23'], '45'],
  ] as const) {
    const { id } = await registry.startUpload(app, sha256)
    for (const piece of pieces) await registry.appendUpload(app, id, chunkOf(piece))
    const chunk = last === '' ? nothing() : chunkOf(last)
    t.same(await registry.finishUpload(app, id, { digest, chunk }), { digest, sizeBytes: 6 })
    await t.rejects(registry.uploadState(app, id), { code: 'BLOB_UPLOAD_UNKNOWN' }, 'it is over')
  }
})

t.test(
  'R104: bytes that do not hash to the digest are refused, and nothing of them is left',
  async t => {
    const { registry, disk } = createEngine()
    const { id } = await registry.startUpload(app, sha256)
    const digest = digestOf(Buffer.from('expected'))
    const end = { digest, chunk: chunkOf('different') }
    await t.rejects(registry.finishUpload(app, id, end), { code: 'DIGEST_INVALID', status: 400 })
    t.equal(disk.uploads.size, 0)
    t.equal(disk.blobs.size, 0)
    await t.rejects(registry.pullBlob(app, digest), { code: 'BLOB_UNKNOWN' })
    await t.rejects(registry.uploadState(app, id), { code: 'BLOB_UPLOAD_UNKNOWN' })
  },
)

t.test('R105: the algorithm is that of the digest at the end, declared or not', async t => {
  const { registry } = createEngine()
  for (const declared of ['sha256', 'sha512'] as const) {
    for (const algorithm of ['sha256', 'sha512'] as const) {
      const bytes = Buffer.from(`${declared} ${algorithm}`)
      const digest = digestOf(bytes, algorithm)
      const { id } = await registry.startUpload(app, { algorithm: declared })
      await registry.appendUpload(app, id, chunkOf(bytes))
      await registry.finishUpload(app, id, { digest, chunk: nothing() })
      t.same(await readAll(await registry.pullBlob(app, digest)), bytes)
    }
  }
})

t.test('an empty blob is a blob', async t => {
  const { registry } = createEngine()
  const digest = await pushWhole(registry, app, '')
  t.match(await registry.headBlob(app, digest), { sizeBytes: 0 })
})

t.test(
  'many uploads of one blob into many repositories at once all end well, as one file',
  async t => {
    const { registry, disk, catalog } = createEngine()
    const bytes = Buffer.alloc(100_000, 'x')
    const repositories = Array.from({ length: 50 }, (_, n) => localOf(`team/app-${n}`))
    const digests = await Promise.all(
      repositories.map(repository => pushWhole(registry, repository, bytes)),
    )
    t.equal(new Set(digests).size, 1)
    t.same([...disk.blobs.keys()], [digests[0]])
    for (const repository of repositories) {
      t.ok(await isMemberOf(catalog, repository, digests[0] as Digest))
    }
  },
)

t.test(
  'R179: a pushed blob belongs to the repository that it was pushed to, and to no other',
  async t => {
    const { registry } = createEngine()
    const digest = await pushWhole(registry, app, 'private')
    await t.rejects(registry.pullBlob(localOf('team/other'), digest), { code: 'BLOB_UNKNOWN' })
    await t.rejects(registry.headBlob(localOf('team/other'), digest), { code: 'BLOB_UNKNOWN' })
  },
)

t.test('R116: in a queued repository a blob is kept here and the upstream not asked', async t => {
  const { registry, catalog, events } = createEngine({
    policies: [{ match: 'docker.io/team/**', push: 'queue' }],
    upstream: { headBlob: () => Promise.reject(new Error('nobody asks for this')) },
  })
  const repository = repositoryOf('team/app')
  const digest = await pushWhole(registry, repository, 'hello')
  t.match(await catalog.findContent(digest), { contentClass: 'kept' })
  t.match(await registry.headBlob(repository, digest), { sizeBytes: 5 })
  t.match(events.at(-1), { kind: 'pushed', mode: 'queue' })
})

t.test(
  'R116: where pushes are denied nothing begins, and the refusal says which name to write',
  async t => {
    const { registry, disk } = createEngine()
    const hub = repositoryOf('library/alpine')
    const refused = registry.startUpload(hub, sha256)
    await t.rejects(refused, { code: 'DENIED', status: 403, message: /write localhost\/alpine / })
    const team = registry.startUpload(repositoryOf('team/app'), sha256)
    await t.rejects(team, { message: /write localhost\/team\/app .*under repositories/ })
    t.equal(disk.uploads.size, 0)
  },
)

t.test('an answer waits for the row: what is not recorded is not acknowledged', async t => {
  let fails = true
  const { registry, disk } = createEngine({
    catalog: catalog =>
      around(catalog, {
        recordBlob: recordBlob => async record => {
          if (fails) throw new StoreError('io', 'the disk failed')
          return recordBlob(record)
        },
      }),
  })
  await t.rejects(pushWhole(registry, app, 'hello'), StoreError)
  t.equal(disk.uploads.size, 0)
  fails = false
  await pushWhole(registry, app, 'hello')
})

for (const [failure, told] of [
  ['full', { code: 'UNAVAILABLE', status: 507, message: /^no space left on device: .*full/ }],
  ['io', { name: 'StoreError', failure: 'io' }],
] as const)
  t.test(`an upload that a disk ended is told so again, for a while: ${failure}`, async t => {
    const { registry, clock } = createEngine({
      catalog: catalog =>
        Object.assign(catalog, {
          recordBlob: () => Promise.reject(new StoreError(failure, 'no room, or worse')),
        }),
    })
    const { id } = await registry.startUpload(app, sha256)
    const finish = { digest: digestOf(Buffer.from('hello')), chunk: chunkOf('hello') }
    const again = () => registry.finishUpload(app, id, { ...finish, chunk: chunkOf('hello') })
    await t.rejects(registry.finishUpload(app, id, finish), told)
    await t.rejects(again(), told)
    await clock.advance(ENDED_FOR_MS - 1)
    await t.rejects(again(), told)
    await t.rejects(registry.uploadState(app, id), told)
    await t.rejects(registry.uploadState(localOf('other'), id), { code: 'BLOB_UPLOAD_UNKNOWN' })
    await clock.advance(1)
    await t.rejects(again(), { code: 'BLOB_UPLOAD_UNKNOWN', message: /begin a new one/ })
  })

t.test('kept bytes are committed as such', async t => {
  const classes: ContentClass[] = []
  const { registry } = createEngine({
    store: store =>
      around(store, {
        createUpload:
          createUpload =>
          async (...args) =>
            around(await createUpload(...args), {
              commit: commit => contentClass => {
                classes.push(contentClass)
                return commit(contentClass)
              },
            }),
      }),
  })
  await pushWhole(registry, app, 'hello')
  t.same(classes, ['kept'])
})

t.test('a second end of one upload waits for the first and finds it over', async t => {
  const { registry } = createEngine()
  const { id } = await registry.startUpload(app, sha256)
  await registry.appendUpload(app, id, chunkOf('hello'))
  const digest = digestOf(Buffer.from('hello'))
  const body = heldBody()
  const first = registry.finishUpload(app, id, { digest, chunk: body.chunk })
  await body.bring('')
  body.end()
  await new Promise(setImmediate)
  const second = registry.finishUpload(app, id, { digest, chunk: nothing() })
  t.same(await first, { digest, sizeBytes: 5 })
  await t.rejects(second, { code: 'BLOB_UPLOAD_UNKNOWN' })
})

t.test('a blob that was deleted and pushed again stays, also when the catalog is lost', async t => {
  const { registry, facts } = createEngine()
  const digest = await pushWhole(registry, app, 'hello')
  await registry.deleteBlob(app, digest)
  t.match(await listFacts(facts), [{ kind: 'deleted' }])
  await pushWhole(registry, app, 'hello')
  t.same(await listFacts(facts), [])
  t.match(await registry.headBlob(app, digest), { sizeBytes: 5 })
})
