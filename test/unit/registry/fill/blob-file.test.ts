// Goal: who sends a blob from its file is told of right bytes only, and of the place from which it
// must ask another way. Method: the engine over the in-memory store, whose handles are given a
// descriptor, and an upstream that gives pieces on order.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import type { BlobFile } from '../../../../src/registry/answers.ts'
import type { BlobStore } from '../../../../src/registry/ports/blob-store.ts'
import type { ReadHandle } from '../../../../src/registry/ports/blob-store-content.ts'
import type { BlobRequest } from '../../../../src/registry/ports/upstream-content.ts'
import { UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { around } from '../../../kit/around.ts'
import { blobAnswer, createEngine, rejection, repositoryOf } from '../../../kit/engine.ts'
import { settled } from '../../../kit/clients/push-source.ts'

const app = repositoryOf('library/app')
const MiB = 1024 * 1024
const HELD_BACK_BYTES = 64 * 1024
/** What lies before it may come from memory, until the file has it. */
const BEGINNING_BYTES = 16 * 1024
const DESCRIPTOR = 7
const bytes = Buffer.from(Array.from({ length: 3 * MiB }, (_, n) => (n * 7) % 251))
const digest = digestOf(bytes)
const last = bytes.length - 1
const { signal } = new AbortController()

/** What the in-memory store opens has no descriptor; this gives it one. */
function withDescriptors(store: BlobStore): BlobStore {
  const named = (handle: ReadHandle): ReadHandle => ({ ...handle, descriptor: DESCRIPTOR })
  return around(store, {
    openRead: openRead => async wanted => {
      const opened = await openRead(wanted)
      return opened && { ...opened, handle: named(opened.handle) }
    },
    openFill:
      openFill =>
      async (...args) =>
        around(await openFill(...args), {
          openRead: openRead => async () => named(await openRead()),
        }),
  })
}

function engineOf(getBlob: (request: BlobRequest) => ReturnType<typeof blobAnswer>) {
  return createEngine({
    store: withDescriptors,
    upstream: { getBlob: async (_name, _digest, request) => getBlob(request) },
  })
}

function fileOf({ file }: { file: BlobFile | undefined }): BlobFile {
  if (file === undefined) throw new Error('there is no file')
  return file
}

async function readFrom(
  answer: { read(range: object, signal: AbortSignal, from?: number): AsyncIterable<Uint8Array> },
  from: number,
  first = 0,
): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of answer.read({ first, last }, signal, from)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

t.test('the file of a blob that is here may be sent at once, up to the end asked for', async t => {
  const { registry, store, catalog } = engineOf(() => blobAnswer([bytes]))
  await store.put(digest, bytes, 'cached')
  const record = { sizeBytes: bytes.length, hold: 'nothing', atMs: 1 } as const
  await catalog.recordBlob({ repository: app, digest, ...record })
  const answer = await registry.pullBlob(app, digest)
  const file = fileOf(answer)
  t.equal(file.descriptor, DESCRIPTOR)
  t.equal(await file.until(0, last, signal), bytes.length)
  t.equal(await file.until(100, 199, signal), 200)
  const buffer = Buffer.alloc(10)
  t.equal(await file.read(buffer, 5), 10)
  t.same(buffer, bytes.subarray(5, 15))
  t.same(await readFrom(answer, 1000), bytes.subarray(1000))
  await answer.close()
})

t.test(
  'of a file that grows, what has come may be sent, and the end once it is verified',
  async t => {
    const goOn = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    let waits = 0
    const pieces = [
      bytes.subarray(0, MiB),
      bytes.subarray(MiB, bytes.length - 1),
      bytes.subarray(-1),
    ]
    const { registry } = engineOf(() =>
      blobAnswer(pieces, {}, () => goOn[waits++]?.promise as never),
    )
    const answer = await registry.pullBlob(app, digest)
    const file = fileOf(answer)
    t.equal(await file.until(BEGINNING_BYTES, last, signal), MiB)
    t.equal(await file.until(0, last, signal), MiB)
    t.equal(await file.until(5, 10, signal), 11, 'no further than asked for')
    const more = file.until(MiB, last, signal)
    goOn[0]?.resolve()
    t.equal(await more, bytes.length - HELD_BACK_BYTES)
    const end = file.until(bytes.length - HELD_BACK_BYTES, last, signal)
    goOn[1]?.resolve()
    t.equal(await end, bytes.length)
    await answer.close()
  },
)

t.test('R231: the end of wrong bytes may never be sent', async t => {
  const goOn = Promise.withResolvers<void>()
  const wrong = Buffer.from(bytes)
  wrong[10] = (wrong[10] ?? 0) ^ 1
  const { registry } = engineOf(() =>
    blobAnswer([wrong.subarray(0, -10), wrong.subarray(-10)], {}, () => goOn.promise),
  )
  const answer = await registry.pullBlob(app, digest)
  const file = fileOf(answer)
  const readable = bytes.length - HELD_BACK_BYTES
  t.equal(await file.until(BEGINNING_BYTES, last, signal), readable)
  const end = rejection(file.until(readable, last, signal))
  goOn.resolve()
  t.match(await end, { name: 'RegistryError' })
  await answer.close()
})

t.test(
  'R61: a reader far ahead of the fill is sent on to read, which asks the upstream',
  async t => {
    const goOn = Promise.withResolvers<void>()
    const { registry, clock } = engineOf(({ offset }) =>
      offset === 0
        ? blobAnswer([bytes.subarray(0, 10), bytes.subarray(10)], {}, () => goOn.promise)
        : blobAnswer([bytes.subarray(offset)], { offset, totalBytes: bytes.length }),
    )
    const answer = await registry.pullBlob(app, digest)
    const ahead = fileOf(answer).until(2 * MiB, last, signal)
    await clock.advance(1_000)
    t.equal(await ahead, undefined)
    const rest = await readFrom(answer, 2 * MiB, 2 * MiB)
    t.same(rest, bytes.subarray(2 * MiB))
    goOn.resolve()
    await answer.close()
  },
)

t.test(
  'a full disk half-way sends the reader on, and what it has is hashed with the rest',
  async t => {
    for (const lie of [false, true]) {
      const goOn = Promise.withResolvers<void>()
      let asked = 0
      const { registry, disk } = engineOf(({ offset }) => {
        asked += 1
        const content = Buffer.from(bytes)
        if (lie && asked > 1) content[bytes.length - 1] = (content[bytes.length - 1] ?? 0) ^ 1
        const pieces = [content.subarray(offset, 2 * MiB), content.subarray(2 * MiB)]
        return blobAnswer(pieces, { offset, totalBytes: bytes.length }, () => goOn.promise)
      })
      const answer = await registry.pullBlob(app, digest)
      const file = fileOf(answer)
      t.equal(await file.until(BEGINNING_BYTES, last, signal), 2 * MiB)
      disk.capacityBytes = 0
      goOn.resolve()
      t.equal(await file.until(2 * MiB, last, signal), undefined)
      if (lie) t.match(await rejection(readFrom(answer, 2 * MiB)), { name: 'RegistryError' })
      else t.same(await readFrom(answer, 2 * MiB), bytes.subarray(2 * MiB))
      await answer.close()
    }
  },
)

t.test('whoever waits for more and leaves is let go', async t => {
  const { registry } = engineOf(() =>
    blobAnswer([bytes.subarray(0, 10), bytes.subarray(10)], {}, () => new Promise(() => {})),
  )
  const answer = await registry.pullBlob(app, digest)
  const leaving = new AbortController()
  const waiting = rejection(fileOf(answer).until(10, last, leaving.signal))
  leaving.abort(new Error('gone'))
  t.match(await waiting, { message: 'gone' })
  await answer.close()
})

t.test('a failure of the upstream reaches who waits as the client may know it', async t => {
  const { registry, clock } = engineOf(() =>
    blobAnswer([bytes.subarray(0, 10), bytes.subarray(10)], {}, async () => {
      throw new UpstreamError('invalid', 'secret')
    }),
  )
  const answer = await registry.pullBlob(app, digest)
  const failed = rejection(fileOf(answer).until(10, last, signal))
  t.match(await settled(clock, failed), { name: 'RegistryError', code: 'UNAVAILABLE' })
  await answer.close()
})
