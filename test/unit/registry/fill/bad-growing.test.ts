// Goal: who reads a blob that is on its way is given it whole, though the disk cannot read what it
// holds of it so far: from there on it comes from the upstream. Method: the engine over the
// in-memory store, whose handle of the growing file fails at one place, as the port says.
import t from 'tap'
import { unlessAborted } from '../../../../src/async/aborting.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import type { BlobAnswer } from '../../../../src/registry/answers.ts'
import type { BlobStore } from '../../../../src/registry/ports/blob-store.ts'
import type { Catalog } from '../../../../src/registry/ports/catalog.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import { BESIDE_AFTER_MS } from '../../../../src/registry/fill/read-beside.ts'
import { UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { blobAnswer, createEngine, readAll, repositoryOf } from '../../../kit/engine.ts'
import { settle } from '../../../kit/settle.ts'

const app = repositoryOf('library/app')
const MiB = 1024 * 1024
const BAD_AT = 3 * MiB + 5
const bytes = Buffer.from(Array.from({ length: 6 * MiB }, (_, n) => (n * 7) % 251))
const digest = digestOf(bytes)

const NEVER = Number.POSITIVE_INFINITY

interface BadDisk {
  /** Each read fails once one has. */
  readonly isDead?: boolean
  /** So many of the growing files are bad; default: all. */
  readonly files?: number
  /** The file is bad still when the blob has its name, and is moved away once that is found. */
  readonly staysBad?: boolean
  /** So is each file that comes in its place. */
  readonly isForEver?: boolean
}

/** A read of a growing file that gets past BAD_AT fails. */
const badDisk =
  ({ isDead = false, files = NEVER, staysBad = false, isForEver = false }: BadDisk) =>
  (store: BlobStore): BlobStore => {
    let hasFailed = false
    let isBlobBad = staysBad
    let opened = 0
    const openFill = store.openFill.bind(store)
    const openRead = store.openRead.bind(store)
    const bad = () => new StoreError('io', 'cannot read it: EIO')
    return Object.assign(store, {
      openRead: async (...wanted: Parameters<BlobStore['openRead']>) => {
        const found = await openRead(...wanted)
        if (found === undefined || !isBlobBad) return found
        const { handle } = found
        const read: typeof handle.read = async (buffer, position) => {
          if (position + buffer.length <= BAD_AT) return handle.read(buffer, position)
          if (isBlobBad) await store.remove(digest)
          isBlobBad = isForEver
          throw bad()
        }
        return { ...found, handle: { ...handle, read } }
      },
      openFill: async (...wanted: Parameters<BlobStore['openFill']>) => {
        const fill = await openFill(...wanted)
        opened += 1
        if (opened > files) return fill
        const openRead = fill.openRead.bind(fill)
        return Object.assign(fill, {
          openRead: async () => {
            const handle = await openRead()
            const read: typeof handle.read = async (buffer, position) => {
              const isBad = position + buffer.length > BAD_AT || (isDead && hasFailed)
              if (!isBad) return handle.read(buffer, position)
              hasFailed = true
              throw bad()
            }
            return { ...handle, read }
          },
        })
      },
    })
  }

interface World extends BadDisk {
  /** The upstream answers so often; default: always. */
  readonly asks?: number
  /** The last of its bytes come after that; default: at once. */
  readonly last?: Promise<void>
  /** Then it takes the question, and says nothing. Default: never. */
  readonly hangsAfter?: number
}

/** `lengthAsked`: each look for the length of a blob waits for it. */
function engineWith(
  { asks = NEVER, hangsAfter = NEVER, last, ...disk }: World = {},
  lengthAsked: () => Promise<void> = async () => {},
) {
  const offsets: number[] = []
  const engine = createEngine({
    store: badDisk(disk),
    catalog: catalog => {
      const sizeOf = catalog.sizeOf.bind(catalog)
      return Object.assign(catalog, {
        sizeOf: async (...wanted: Parameters<Catalog['sizeOf']>) => {
          await lengthAsked()
          return sizeOf(...wanted)
        },
      })
    },
    upstream: {
      headBlob: async () => ({ sizeBytes: bytes.length }),
      getBlob: async (_name, _digest, { offset }, { signal } = {}) => {
        if (offsets.length >= asks) throw new UpstreamError('unavailable', 'not again')
        offsets.push(offset)
        if (offsets.length > hangsAfter) await unlessAborted(new Promise<never>(() => {}), signal)
        const pieces = [bytes.subarray(offset, -1), bytes.subarray(-1)]
        return blobAnswer(pieces, { totalBytes: bytes.length, offset }, async () => last)
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

const CROWD = 8

/** Reads all of it, until its client leaves. */
function begin(answer: BlobAnswer) {
  const client = new AbortController()
  const read = async () => {
    const range = { first: 0, last: answer.sizeBytes - 1 }
    for await (const chunk of answer.read(range, client.signal)) chunk.at(0)
  }
  const ended = read().finally(() => answer.close())
  ended.catch(() => {})
  return { client, ended }
}

for (const staysBad of [false, true])
  t.test(`R776: a crowd asks the upstream no more than one does (${staysBad})`, async t => {
    const end = Promise.withResolvers<void>()
    const { registry, offsets, store } = engineWith({ files: 1, staysBad, last: end.promise })
    const all = Array.from({ length: CROWD }, async () => {
      const got = await readAll(await registry.pullBlob(app, digest))
      return got.equals(bytes)
    })
    await settle()
    t.equal(offsets.length, 2, 'the fill, and one that need not wait for its end')
    end.resolve()
    t.ok((await Promise.all(all)).every(Boolean))
    t.same(offsets.slice(2), staysBad ? [0] : [], 'the others have what the next comer has')
    t.ok(await store.find(digest))
  })

t.test('R819: whoever waits there is given bytes before it gives up', async t => {
  const end = Promise.withResolvers<void>()
  const { registry, offsets, clock } = engineWith({ files: 1, last: end.promise })
  const all = Array.from({ length: CROWD }, async () =>
    readAll(await registry.pullBlob(app, digest)),
  )
  await settle()
  const asked = []
  for (let step = 0; step < 4; step += 1) {
    await clock.advance(BESIDE_AFTER_MS - 1)
    await settle()
    asked.push(offsets.length)
    await clock.advance(1)
    await settle()
  }
  t.same(asked, [2, 3, 5, 9], 'beside the fill more and more go by themselves')
  t.equal(offsets.length, 1 + CROWD)
  end.resolve()
  for (const got of await Promise.all(all)) t.ok(got.equals(bytes))
})

t.test('R819: a range that somebody reads there, too', async t => {
  const end = Promise.withResolvers<void>()
  const { registry, offsets, clock } = engineWith({ files: 1, last: end.promise })
  const first = begin(await registry.pullBlob(app, digest))
  await settle()
  const answer = await registry.pullBlob(app, digest)
  const range = { first: BAD_AT - 10, last: BAD_AT + 10 }
  const chunks: Uint8Array[] = []
  const read = (async () => {
    for await (const chunk of answer.read(range, new AbortController().signal)) chunks.push(chunk)
  })()
  await settle()
  t.equal(offsets.length, 2)
  await clock.advance(BESIDE_AFTER_MS)
  await read
  t.ok(Buffer.concat(chunks).equals(bytes.subarray(range.first, range.last + 1)))
  await answer.close()
  end.resolve()
  await first.ended
})

t.test('R776: where the next file is bad as well it is as if there were no disk', async t => {
  const { registry, offsets } = engineWith({ files: 2, staysBad: true })
  const all = Array.from({ length: CROWD }, async () =>
    readAll(await registry.pullBlob(app, digest)),
  )
  for (const got of await Promise.all(all)) t.ok(got.equals(bytes))
  t.ok(offsets.length <= 2 + CROWD, `${offsets.length}`)
})

t.test('R776: nor is who finds the file of yet another fill cut off by it', async t => {
  const disk = { files: 0, staysBad: true, isForEver: true }
  let meanwhile = async () => {}
  const { registry, offsets } = engineWith(disk, () => meanwhile())
  const one = async () => readAll(await registry.pullBlob(app, digest))
  await one()
  const answer = await registry.pullBlob(app, digest)
  t.equal(answer.source, 'hit')
  meanwhile = async () => {
    meanwhile = async () => {}
    t.ok((await one()).equals(bytes), 'a fill begins and ends')
  }
  t.ok((await readAll(answer)).equals(bytes))
  t.same(offsets, [0, 0, 0], 'two fills, and the one by itself')
})

for (const waitsFor of ['the upstream', 'the fill'])
  t.test(`R776: who leaves while it waits for ${waitsFor} is not told of the disk`, async t => {
    const end = Promise.withResolvers<void>()
    const { registry, offsets } = engineWith({ last: end.promise, hangsAfter: 1 })
    const first = begin(await registry.pullBlob(app, digest))
    const second = begin(await registry.pullBlob(app, digest))
    await settle()
    t.equal(offsets.length, 2)
    const [leaver, other] = waitsFor === 'the fill' ? [second, first] : [first, second]
    const left = new Error('the client has left')
    leaver.client.abort(left)
    await t.rejects(leaver.ended, left)
    other.client.abort(left)
    await t.rejects(other.ended, left)
    end.resolve()
  })

t.test('R805: where nobody gives it again, the answer ends with what the disk said', async t => {
  const { registry } = engineWith({ asks: 1 })
  const answer = await registry.pullBlob(app, digest)
  await t.rejects(readAll(answer), StoreError)
})
