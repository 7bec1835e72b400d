// Goal: a blob of which the disk cannot read the middle is given whole, from there on out of its
// upstream, and fetched whole beside that; what nobody else has ends in an error. Method: the
// engine over the in-memory store, whose handle of the file fails at one place and is missing after
// that, as the port says.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import type { Repository } from '../../../../src/oci/reference.ts'
import type { BlobStore } from '../../../../src/registry/ports/blob-store.ts'
import { UNKNOWN } from '../../../../src/registry/ports/blob-store-content.ts'
import { UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import { around } from '../../../kit/around.ts'
import { blobAnswer, createEngine, localOf, readAll, repositoryOf } from '../../../kit/engine.ts'

const app = repositoryOf('library/app')
const MiB = 1024 * 1024
const BAD_AT = 3 * MiB + 5
const bytes = Buffer.from(Array.from({ length: 6 * MiB }, (_, n) => (n * 7) % 251))
const digest = digestOf(bytes)

/** No read gets past BAD_AT of the file that is opened first. */
function badDisk(store: BlobStore): BlobStore {
  let isBad = true
  return around(store, {
    openRead:
      openRead =>
      async (...wanted) => {
        const opened = await openRead(...wanted)
        if (opened === undefined || !isBad) return opened
        const { handle } = opened
        const read: typeof handle.read = async (buffer, position) => {
          if (position + buffer.length <= BAD_AT) return handle.read(buffer, position)
          if (isBad) await store.remove(digest)
          isBad = false
          throw new StoreError('io', 'cannot read it: EIO')
        }
        return { ...opened, handle: { ...handle, read } }
      },
  })
}

/**
 * The same where the file stays, as what was pushed does; `met` is told of each such read, which
 * fails `times` times.
 */
const stayingBad =
  (met: () => number, times = Number.POSITIVE_INFINITY) =>
  (store: BlobStore): BlobStore => {
    let isFailing = false
    return around(store, {
      look:
        look =>
        async (...wanted) =>
          isFailing ? UNKNOWN : look(...wanted),
      openRead:
        openRead =>
        async (...wanted) => {
          const opened = await openRead(...wanted)
          if (opened === undefined) return opened
          const { handle } = opened
          const read: typeof handle.read = async (buffer, position) => {
            if (position + buffer.length <= BAD_AT) return handle.read(buffer, position)
            isFailing = true
            if (met() > times) return handle.read(buffer, position)
            throw new StoreError('io', 'cannot read it: EIO')
          }
          return { ...opened, handle: { ...handle, read } }
        },
    })
  }

async function engineWith(
  repository: Repository,
  hold: 'nothing' | 'awaited',
  disk: (store: BlobStore) => BlobStore = badDisk,
) {
  const offsets: number[] = []
  const engine = createEngine({
    store: disk,
    upstream: {
      getBlob: async (_name, _digest, { offset }) => {
        offsets.push(offset)
        return blobAnswer([bytes.subarray(offset)])
      },
    },
  })
  await engine.store.put(digest, bytes, hold === 'nothing' ? 'cached' : 'kept')
  const record = { sizeBytes: bytes.length, hold, atMs: 1 } as const
  await engine.catalog.recordBlob({ repository, digest, ...record })
  return { ...engine, offsets }
}

t.test('R747: the rest comes from the upstream, from the byte that cannot be read', async t => {
  const { registry, store, offsets } = await engineWith(app, 'nothing')
  const answer = await registry.pullBlob(app, digest)
  t.equal(answer.source, 'hit')
  t.ok((await readAll(answer)).equals(bytes))
  t.same(offsets, [0], 'it is fetched once')
  await answer.close()
  const again = await registry.pullBlob(app, digest)
  t.ok((await readAll(again)).equals(bytes))
  await again.close()
  t.same(offsets, [0], 'and here by then')
  t.ok(await store.find(digest))
})

t.test('R776: who meets that later is given what the first has brought', async t => {
  const { registry, offsets } = await engineWith(app, 'nothing')
  const [first, ...later] = await Promise.all([1, 2, 3].map(() => registry.pullBlob(app, digest)))
  if (first === undefined) throw new Error('there are three')
  t.ok((await readAll(first)).equals(bytes))
  await (await registry.pullBlob(app, digest)).close()
  for (const answer of later) t.ok((await readAll(answer)).equals(bytes))
  t.same(offsets, [0])
})

t.test('R748: what was pushed ends there, and is told as missing', async t => {
  const home = localOf('app')
  const { registry, catalog, events } = await engineWith(home, 'awaited')
  const answer = await registry.pullBlob(home, digest)
  await t.rejects(readAll(answer), StoreError)
  await answer.close()
  await t.rejects(registry.headBlob(home, digest), { code: 'BLOB_UNKNOWN' })
  t.match(await catalog.findContent(digest), { contentClass: 'kept' }, 'its row stays')
  t.match(events, [{ kind: 'storage failed', failure: 'corrupt', reason: digest }])
})

t.test('R809: a place that stays bad is read once more, and then fetched', async t => {
  let met = 0
  const disk = stayingBad(() => (met += 1))
  const { registry, offsets } = await engineWith(app, 'awaited', disk)
  const answer = await registry.pullBlob(app, digest)
  t.ok((await readAll(answer)).equals(bytes))
  await answer.close()
  t.equal(met, 2)
  t.equal(offsets.length, 1)
})

t.test(
  'R809: nor where its upstream cannot give it now does a moment of a disk cut it',
  async t => {
    let met = 0
    const disk = stayingBad(() => (met += 1), 1)
    const { registry, store, catalog } = createEngine({
      store: disk,
      upstream: {
        getBlob: () => Promise.reject(new UpstreamError('not-found', 'not delivered yet')),
      },
    })
    await store.put(digest, bytes, 'kept')
    const record = { sizeBytes: bytes.length, hold: 'awaited', atMs: 1 } as const
    await catalog.recordBlob({ repository: app, digest, ...record })
    const answer = await registry.pullBlob(app, digest)
    t.ok((await readAll(answer)).equals(bytes))
    await answer.close()
  },
)

t.test(
  'R809: what no upstream has is read there again, since a disk may fail for a moment',
  async t => {
    let met = 0
    const disk = stayingBad(() => (met += 1))
    const home = localOf('app')
    const { registry } = await engineWith(home, 'awaited', disk)
    const answer = await registry.pullBlob(home, digest)
    await t.rejects(readAll(answer), StoreError)
    await answer.close()
    t.equal(met, 2)
  },
)
