// Goal: blobs that wait for their turn are neither refused nor taken for granted: the head may come
// early, the bytes only when an upstream gave them. Method: the engine over in-memory twins, a
// manual clock, and an upstream that answers when the test says so.
import t from 'tap'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import type { Repository } from '../../../../src/oci/reference.ts'
import { type Upstream, UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import {
  blobAnswer,
  createEngine,
  type EngineOptions,
  readAll,
  rejection,
  repositoryOf,
} from '../../../kit/engine.ts'

const app = repositoryOf('library/app')
const other = repositoryOf('library/other')
const MINUTE_MS = 60_000

const blobs = Array.from({ length: 12 }, (_, n) => {
  const bytes = Buffer.alloc(1_000 + n, `blob ${n}`)
  return { bytes, digest: digestOf(bytes) }
})
type Blob = (typeof blobs)[number]
const [first, second] = blobs as [Blob, Blob]
const bytesOf = (digest: Digest) => blobs.find(blob => blob.digest === digest)?.bytes as Buffer
const turn = () => new Promise<void>(resolve => setImmediate(resolve))

/**
 * An engine that knows the blobs' lengths by a manifest of each of `members`, and an upstream whose
 * every blob waits for `release`.
 */
async function engineOf(
  members: readonly Repository[],
  options: EngineOptions & { getBlob?: Upstream['getBlob'] } = {},
) {
  const released = Promise.withResolvers<void>()
  const asked: Digest[] = []
  const getBlob: Upstream['getBlob'] = async (name, digest, request, signal) => {
    asked.push(digest)
    if (digest === first.digest) await released.promise
    return options.getBlob?.(name, digest, request, signal) ?? blobAnswer([bytesOf(digest)])
  }
  const engine = createEngine({
    fillsAtOnce: 1,
    ...options,
    upstream: { ...options.upstream, getBlob },
  })
  const edges = blobs.map(({ digest, bytes }) => ({
    child: digest,
    kind: 'layer' as const,
    sizeBytes: bytes.length,
    mediaType: 'application/octet-stream',
    platform: undefined,
    distributable: true,
  }))
  for (const repository of members) {
    const digest = digestOf(Buffer.from(`manifest of ${repository.name}`))
    const manifest = { digest, mediaType: 'a/b', sizeBytes: 10, edges }
    await engine.catalog.recordManifest({ repository, manifest, atMs: 1 })
  }
  return { ...engine, asked, release: released.resolve }
}

t.test('blobs beyond the places wait as long as it takes, and come whole', async t => {
  const held = Promise.withResolvers<void>()
  const { registry, clock, release } = await engineOf([app], {
    fillsAtOnce: 8,
    getBlob: async (_name, digest) => {
      await held.promise
      return blobAnswer([bytesOf(digest)])
    },
  })
  const bodies = blobs.map(async ({ digest }) => readAll(await registry.pullBlob(app, digest)))
  const all = Promise.all(bodies)
  await clock.advance(20 * MINUTE_MS)
  held.resolve()
  release()
  t.same(
    await all,
    blobs.map(({ bytes }) => bytes),
  )
})

t.test(
  'a blob whose length no manifest told is told to come back, and keeps its place',
  async t => {
    const { registry, clock, asked, release } = await engineOf([])
    const running = registry.pullBlob(app, first.digest)
    const waiting = rejection(registry.pullBlob(app, second.digest))
    await clock.untilSleeping(25_000)
    await clock.advance(25_000)
    t.match(await waiting, { code: 'UNAVAILABLE', status: 503, retryAfterSeconds: Number })
    t.match(await waiting, { message: /docker\.io are waiting/ })
    t.notMatch(await waiting, { message: /reached/ })
    release()
    await readAll(await running)
    t.same(await readAll(await registry.pullBlob(app, second.digest)), second.bytes)
    t.same(asked, [first.digest, second.digest], 'once each')
  },
)

t.test(
  'where fewer connections are allowed than fills, a blob waits for one as for a place',
  async t => {
    const { registry, asked, release } = await engineOf([app], { fillsAtOnce: 8, connections: 1 })
    const running = registry.pullBlob(app, first.digest)
    await turn()
    const waiting = await registry.pullBlob(app, second.digest)
    t.equal(waiting.sizeBytes, second.bytes.length, 'its head is out')
    t.same(asked, [first.digest])
    release()
    t.same(await readAll(await running), first.bytes)
    t.same(await readAll(waiting), second.bytes)
  },
)

t.test('a refusal that comes with the turn breaks the answer whose head is out', async t => {
  for (const failure of ['not-found', 'denied', 'unavailable', 'invalid'] as const) {
    const { registry, events, release } = await engineOf([app], {
      getBlob: async (_name, digest) => {
        if (digest === second.digest) throw new UpstreamError(failure, 'refused')
        return blobAnswer([bytesOf(digest)])
      },
    })
    const running = registry.pullBlob(app, first.digest)
    const answer = await registry.pullBlob(app, second.digest)
    t.match(answer, { sizeBytes: second.bytes.length, source: 'miss', file: undefined })
    const read = rejection(readAll(answer))
    release()
    t.match(await read, { name: 'RegistryError' }, failure)
    await readAll(await running)
    t.match(
      events
        .filter(event => event.kind === 'fill ended')
        .find(({ outcome }) => outcome !== 'stored'),
      { digest: second.digest, reason: 'refused' },
    )
  }
})

t.test('wrong bytes break the answer whose head is out', async t => {
  const { registry, release } = await engineOf([app], {
    getBlob: async (_name, digest) =>
      blobAnswer([digest === second.digest ? Buffer.alloc(second.bytes.length) : first.bytes]),
  })
  const running = registry.pullBlob(app, first.digest)
  const read = rejection(readAll(await registry.pullBlob(app, second.digest)))
  release()
  t.match(await read, { code: 'UNAVAILABLE', status: 502 })
  await readAll(await running)
})

t.test('R84: no head goes early to a repository that is not known to hold the blob', async t => {
  const { registry, asked, release } = await engineOf([app])
  const running = registry.pullBlob(app, first.digest)
  const waiting = await registry.pullBlob(app, second.digest)
  t.match(await rejection(registry.pullBlob(other, second.digest)), { code: 'BLOB_UNKNOWN' })
  release()
  t.same(await readAll(waiting), second.bytes)
  await readAll(await running)
  t.same(asked, [first.digest, second.digest])
})

t.test(
  'R84: what one repository is refused in its turn does not break another that waits',
  async t => {
    const { registry, release } = await engineOf([app, other], {
      getBlob: async (name, digest) => {
        if (name === app.name && digest === second.digest) throw new UpstreamError('denied', 'no')
        return blobAnswer([bytesOf(digest)])
      },
    })
    const running = registry.pullBlob(app, first.digest)
    const refused = rejection(readAll(await registry.pullBlob(app, second.digest)))
    const joined = readAll(await registry.pullBlob(other, second.digest))
    release()
    t.match(await refused, { code: 'DENIED' })
    t.same(await joined, second.bytes)
    await readAll(await running)
  },
)

t.test('R236: a client that leaves the queue leaves at once, and its fill is kept', async t => {
  const { registry, store, release } = await engineOf([app])
  const running = registry.pullBlob(app, first.digest)
  const answer = await registry.pullBlob(app, second.digest)
  const leaving = new AbortController()
  const range = { first: 0, last: second.bytes.length - 1 }
  const chunks = answer.read(range, leaving.signal)[Symbol.asyncIterator]()
  const chunk = rejection(chunks.next())
  leaving.abort(new Error('the client left'))
  t.match(await chunk, { message: 'the client left' })
  await answer.close()
  release()
  await readAll(await running)
  await registry.settled(second.digest)
  t.match(await store.find(second.digest), { sizeBytes: second.bytes.length })
})

t.test('R62: who asks at once whether a blob is there costs one HEAD', async t => {
  const answered = Promise.withResolvers<void>()
  let heads = 0
  const { registry } = createEngine({
    upstream: {
      headBlob: async () => {
        heads += 1
        await answered.promise
        return { sizeBytes: 5 }
      },
    },
  })
  const asked = Array.from({ length: 20 }, () => registry.headBlob(app, first.digest))
  const elsewhere = registry.headBlob(other, first.digest)
  await turn()
  answered.resolve()
  t.match(
    await Promise.all(asked),
    Array.from({ length: 20 }, () => ({ sizeBytes: 5 })),
  )
  await elsewhere
  t.equal(heads, 2, 'one for each repository')
})
