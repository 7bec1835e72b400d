// Goal: fills wait, end and give back what they hold, whatever happens meanwhile. Method: the
// engine over in-memory twins, a manual clock, and an upstream that goes on when the test says so.
import t from 'tap'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import { parseRepositoryKey } from '../../../../src/oci/reference.ts'
import { type Upstream, UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { around } from '../../../kit/around.ts'
import { blobAnswer, createEngine, readAll, repositoryOf, upstreamOf } from '../../../kit/engine.ts'
import { settle } from '../../../kit/settle.ts'

const app = repositoryOf('library/app')
const MiB = 1024 * 1024

function blobs(count: number, sizeBytes = 100) {
  return Array.from({ length: count }, (_, n) => {
    const bytes = Buffer.alloc(sizeBytes, `blob ${n}`)
    return { bytes, digest: digestOf(bytes) }
  })
}

const turn = () => new Promise<void>(resolve => setImmediate(resolve))

t.test('R236: a stop ends the fills that wait for their turn without beginning them', async t => {
  const contents = blobs(3)
  const opened: Digest[] = []
  const { registry } = createEngine({
    fillsAtOnce: 1,
    store: store =>
      around(store, {
        openFill: openFill => (digest, grown) => {
          opened.push(digest)
          return openFill(digest, grown)
        },
      }),
    upstream: {
      getBlob: (_name, _digest, _request, { signal } = {}) =>
        new Promise((_, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason as Error))
        }),
    },
  })
  const asked = contents.map(({ digest }) => registry.pullBlob(app, digest))
  const ended = Promise.allSettled(asked)
  await turn()
  await registry.stop()
  t.match(await ended, [{ status: 'rejected' }, { status: 'rejected' }, { status: 'rejected' }])
  await t.rejects(registry.pullBlob(app, digestOf(Buffer.from('too late'))))
  t.equal(opened.length, 1)
})

t.test(
  'a blob whose length only the upstream knows gets the time that its length takes',
  async t => {
    const bytes = Buffer.alloc(64 * MiB)
    const digest = digestOf(bytes)
    const goOn = Promise.withResolvers<void>()
    const { registry, clock } = createEngine({
      upstream: {
        getBlob: async (_name, _digest, _request, { signal } = {}) =>
          blobAnswer([bytes.subarray(0, MiB), bytes.subarray(MiB)], {}, async () => {
            await goOn.promise
            signal?.throwIfAborted()
          }),
      },
    })
    const answer = await registry.pullBlob(app, digest)
    // At 16 KiB/s it would take 4096 s more than the quarter of an hour that everything gets.
    await clock.advance(4_000_000)
    goOn.resolve()
    t.equal((await readAll(answer)).length, bytes.length)
  },
)

t.test(
  'a download that is over leaves its place, however long its blob takes to be durable',
  async t => {
    const [first, second] = blobs(2)
    if (first === undefined || second === undefined) throw new Error('two blobs')
    const durable = Promise.withResolvers<void>()
    const { registry, disk } = createEngine({
      fillsAtOnce: 1,
      store: store =>
        around(store, {
          openFill: openFill => async (digest, grown) =>
            around(await openFill(digest, grown), {
              commit: commit => async contentClass => {
                if (digest === first.digest) await durable.promise
                return commit(contentClass)
              },
            }),
        }),
      upstream: {
        getBlob: async (_name, digest) =>
          blobAnswer([digest === first.digest ? first.bytes : second.bytes]),
      },
    })
    t.same(await readAll(await registry.pullBlob(app, first.digest)), first.bytes)
    t.same(await readAll(await registry.pullBlob(app, second.digest)), second.bytes)
    await registry.settled(second.digest)
    t.same([...disk.blobs.keys()], [second.digest])
    durable.resolve()
    await registry.settled(first.digest)
    t.same([...disk.blobs.keys()].toSorted(), [first.digest, second.digest].toSorted())
  },
)

t.test('a crowd that joins a fill of its own repository does not look at the disk', async t => {
  const [blob] = blobs(1)
  if (blob === undefined) throw new Error('one blob')
  const goOn = Promise.withResolvers<void>()
  let looks = 0
  const { registry, events } = createEngine({
    store: store =>
      around(store, {
        find: find => digest => {
          looks += 1
          return find(digest)
        },
        openRead: openRead => digest => {
          looks += 1
          return openRead(digest)
        },
      }),
    catalog: catalog =>
      Object.assign(catalog, {
        findMember: async () => ({ delivered: true, mediaType: undefined }),
      }),
    upstream: {
      getBlob: async () => {
        await goOn.promise
        return blobAnswer([blob.bytes])
      },
    },
  })
  const first = registry.pullBlob(app, blob.digest)
  while (!events.some(({ kind }) => kind === 'fill started')) await turn()
  const before = looks
  const crowd = Array.from({ length: 20 }, () => registry.pullBlob(app, blob.digest))
  await turn()
  goOn.resolve()
  for (const answer of await Promise.all([first, ...crowd]))
    t.same(await readAll(answer), blob.bytes)
  t.equal(looks, before)
})

t.test('what a fill has written already is not counted against the free disk twice', async t => {
  const [large, small] = [...blobs(1, 20 * MiB), ...blobs(2, 6 * MiB)]
  if (large === undefined || small === undefined) throw new Error('two blobs')
  const goOn = Promise.withResolvers<void>()
  const reached = Promise.withResolvers<void>()
  const { registry, disk, events } = createEngine({
    upstream: {
      getBlob: async (_name, digest) => {
        if (digest === small.digest) return blobAnswer([small.bytes])
        const { bytes } = large
        const pieces = [bytes.subarray(0, 19 * MiB), bytes.subarray(19 * MiB)]
        return blobAnswer(pieces, {}, () => {
          reached.resolve()
          return goOn.promise
        })
      },
    },
  })
  // Both fit, and a tenth of the disk that is left free.
  disk.capacityBytes = 32 * MiB
  const first = await registry.pullBlob(app, large.digest)
  await reached.promise
  await readAll(await registry.pullBlob(app, small.digest))
  goOn.resolve()
  await first.close()
  await registry.settled(large.digest)
  await registry.settled(small.digest)
  t.same(
    events.flatMap(event => (event.kind === 'fill ended' ? [event.outcome] : [])),
    ['stored', 'stored'],
  )
})

t.test('a blob counts against maxsize until it is recorded, not until it is written', async t => {
  const [first, second] = blobs(2, 600)
  if (first === undefined || second === undefined) throw new Error('two blobs')
  const recorded = Promise.withResolvers<void>()
  const { registry, events } = createEngine({
    maxStorageBytes: 1_000,
    catalog: catalog =>
      around(catalog, {
        recordBlob: recordBlob => async record => {
          await recorded.promise
          return recordBlob(record)
        },
      }),
    upstream: {
      getBlob: async (_name, digest) =>
        blobAnswer([digest === first.digest ? first.bytes : second.bytes]),
    },
  })
  t.same(await readAll(await registry.pullBlob(app, first.digest)), first.bytes)
  t.same(await readAll(await registry.pullBlob(app, second.digest)), second.bytes)
  recorded.resolve()
  await registry.settled(first.digest)
  await registry.settled(second.digest)
  t.match(events.flatMap(event => (event.kind === 'fill ended' ? [event.outcome] : [])).sort(), [
    'stored',
    'uncached',
  ])
})

t.test(
  'R61: a reader that waited to see how fast a fill is does not miss that it has ended',
  async t => {
    const bytes = Buffer.alloc(3 * MiB, 'tail')
    const digest = digestOf(bytes)
    const goOn = Promise.withResolvers<void>()
    const { registry, clock } = createEngine({
      upstream: {
        getBlob: async () =>
          blobAnswer(
            [bytes.subarray(0, 0), bytes],
            { totalBytes: bytes.length },
            () => goOn.promise,
          ),
      },
    })
    const answer = await registry.pullBlob(app, digest)
    const range = { first: 2 * MiB, last: bytes.length - 1 }
    const chunks = answer.read(range, new AbortController().signal)[Symbol.asyncIterator]()
    const first = chunks.next()
    goOn.resolve()
    await registry.settled(digest)
    await clock.advance(1_000)
    t.match(await Promise.race([first, turn().then(() => 'nothing came')]), { done: false })
    await chunks.return?.()
    await answer.close()
  },
)

t.test(
  'R61: a reader whose own question ahead of the fill is refused waits for the fill',
  async t => {
    const bytes = Buffer.alloc(3 * MiB, 'ahead')
    const digest = digestOf(bytes)
    const goOn = Promise.withResolvers<void>()
    const refused = Promise.withResolvers<void>()
    const { registry, clock } = createEngine({
      upstream: {
        getBlob: async (_name, _digest, { offset }) => {
          if (offset === 0) {
            const pieces = [bytes.subarray(0, 10), bytes.subarray(10)]
            return blobAnswer(pieces, {}, () => goOn.promise)
          }
          refused.resolve()
          throw new UpstreamError('rate-limited', 'one at a time')
        },
      },
    })
    const answer = await registry.pullBlob(app, digest)
    const read = readAll(answer, 2 * MiB)
    read.catch(() => {})
    await clock.advance(1_000)
    await refused.promise
    goOn.resolve()
    t.same(await read, bytes.subarray(2 * MiB))
  },
)

t.test('R276: what is left of failed fills counts in maxsize, and makes room first', async t => {
  const [left, wanted] = blobs(2, 600)
  if (left === undefined || wanted === undefined) throw new Error('two blobs')
  const { registry, disk, store } = createEngine({
    maxStorageBytes: 1_000,
    upstream: {
      getBlob: async (_name, digest) =>
        blobAnswer([digest === left.digest ? left.bytes : wanted.bytes]),
    },
  })
  const part = await store.openFill(left.digest)
  await part.append(left.bytes.subarray(0, 500))
  await part.park()
  t.equal(store.partsBytes, 500)
  t.same(await readAll(await registry.pullBlob(app, wanted.digest)), wanted.bytes)
  await registry.settled(wanted.digest)
  t.same([...disk.blobs.keys()], [wanted.digest])
  t.equal(store.partsBytes, 0, 'both would have been more than there may be')
})

t.test('R276: registries that only clients named have a number of downloads together', async t => {
  const contents = blobs(100)
  const opened = new Set<Digest>()
  const goOn = Promise.withResolvers<void>()
  const getBlob: Upstream['getBlob'] = async (_name, digest) => {
    opened.add(digest)
    await goOn.promise
    return blobAnswer(contents.flatMap(each => (each.digest === digest ? [each.bytes] : [])))
  }
  const hosts = contents.map((_, n) => parseRepositoryKey(`host-${n}.example/app`))
  const { registry } = createEngine({
    upstream: { getBlob },
    beside: hosts.map(({ registry }) => ({
      upstream: upstreamOf({ registry, getBlob }),
      namedByClient: true,
      shares: false,
    })),
  })
  const pulls = contents.map(({ digest }, n) => registry.pullBlob(hosts[n] ?? app, digest))
  await settle()
  t.equal(opened.size, 64)
  const listed = Buffer.from('of a registry that is listed')
  contents.push({ bytes: listed, digest: digestOf(listed) })
  const own = registry.pullBlob(app, digestOf(listed))
  await settle()
  t.ok(opened.has(digestOf(listed)), 'the others have their own places')
  goOn.resolve()
  t.same(await readAll(await own), listed)
  for (const [n, pull] of pulls.entries())
    t.ok((await readAll(await pull)).equals(contents[n]?.bytes ?? listed))
})
