// Goal: who reads a blob that is on its way is given it whole, though the disk cannot read what it
// holds of it so far: from there on it comes from the upstream. Method: the engine over the
// in-memory store, whose handle of the growing file fails at one place, as the port says.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import type { BlobStore } from '../../../../src/registry/ports/blob-store.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import { UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { blobAnswer, createEngine, readAll, repositoryOf } from '../../../kit/engine.ts'
import { settle } from '../../../kit/settle.ts'

const app = repositoryOf('library/app')
const MiB = 1024 * 1024
const BAD_AT = 3 * MiB + 5
const bytes = Buffer.from(Array.from({ length: 6 * MiB }, (_, n) => (n * 7) % 251))
const digest = digestOf(bytes)

/** A read of a growing file that gets past BAD_AT fails, and each one after that if `isDead`. */
const badDisk =
  (isDead: boolean) =>
  (store: BlobStore): BlobStore => {
    let hasFailed = false
    const openFill = store.openFill.bind(store)
    return Object.assign(store, {
      openFill: async (...wanted: Parameters<BlobStore['openFill']>) => {
        const fill = await openFill(...wanted)
        const openRead = fill.openRead.bind(fill)
        return Object.assign(fill, {
          openRead: async () => {
            const handle = await openRead()
            const read: typeof handle.read = async (buffer, position) => {
              const isBad = position + buffer.length > BAD_AT || (isDead && hasFailed)
              if (!isBad) return handle.read(buffer, position)
              hasFailed = true
              throw new StoreError('io', 'cannot read it: EIO')
            }
            return { ...handle, read }
          },
        })
      },
    })
  }

function engineWith({ asks = Number.POSITIVE_INFINITY, isDead = false } = {}) {
  const offsets: number[] = []
  const engine = createEngine({
    store: badDisk(isDead),
    upstream: {
      getBlob: async (_name, _digest, { offset }) => {
        if (offsets.length >= asks) throw new UpstreamError('unavailable', 'not again')
        offsets.push(offset)
        return blobAnswer([bytes.subarray(offset)], { totalBytes: bytes.length, offset })
      },
    },
  })
  return { ...engine, offsets }
}

t.test('R805: the rest of it comes from the upstream, and the blob is kept', async t => {
  const { registry, store, offsets } = engineWith()
  const answer = await registry.pullBlob(app, digest)
  t.equal(answer.source, 'miss')
  t.ok((await readAll(answer)).equals(bytes))
  t.match(offsets, [0, Number], 'the fill, and the rest')
  t.ok((offsets[1] ?? 0) > 2 * MiB, 'which is no more than that')
  t.ok(await store.find(digest))
})

t.test('R805: all of it comes again where the disk does not give the beginning', async t => {
  const { registry, offsets } = engineWith({ isDead: true })
  t.ok((await readAll(await registry.pullBlob(app, digest))).equals(bytes))
  t.same(offsets, [0, 0])
})

t.test('R805: a range of it, too', async t => {
  const { registry, store } = engineWith()
  const answer = await registry.pullBlob(app, digest)
  while ((await store.find(digest)) === undefined) await settle()
  const chunks = []
  const range = { first: BAD_AT - 10, last: BAD_AT + 10 }
  for await (const chunk of answer.read(range, new AbortController().signal)) chunks.push(chunk)
  t.ok(Buffer.concat(chunks).equals(bytes.subarray(range.first, range.last + 1)))
  await answer.close()
})

t.test('R805: where nobody gives it again, the answer ends with what the disk said', async t => {
  const { registry } = engineWith({ asks: 1 })
  const answer = await registry.pullBlob(app, digest)
  await t.rejects(readAll(answer), StoreError)
})
