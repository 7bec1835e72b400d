// Goal: who has waited for the upstream does not wait for the disk: the first bytes of a blob are
// given before the file has them, and they are the right ones, or the client never gets a whole
// answer. Method: the engine over the in-memory store, whose first write waits for the test or
// fails, and whose handles are given a descriptor.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import type { BlobAnswer } from '../../../../src/registry/answers.ts'
import type { BlobStore } from '../../../../src/registry/ports/blob-store.ts'
import type { ReadHandle } from '../../../../src/registry/ports/blob-store-content.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import type { BlobRequest } from '../../../../src/registry/ports/upstream-content.ts'
import { aroundFills } from '../../../kit/around.ts'
import { blobAnswer, createEngine, readAll, rejection, repositoryOf } from '../../../kit/engine.ts'

const app = repositoryOf('library/app')
const KiB = 1024
const PIECE_BYTES = 64 * KiB
const BEGINNING_BYTES = 16 * KiB
const bytes = Buffer.from(Array.from({ length: 3 * PIECE_BYTES }, (_, n) => (n * 7) % 251))
const digest = digestOf(bytes)
const pieces = [0, 1, 2].map(n => bytes.subarray(n * PIECE_BYTES, (n + 1) * PIECE_BYTES))
const whole = { first: 0, last: bytes.length - 1 }
const { signal } = new AbortController()

/**
 * The store's fills come to `write` before they take a chunk, and are read by `handle` as far as
 * that goes.
 */
function writingBy(write: () => Promise<void>, handle: Partial<ReadHandle>) {
  return (store: BlobStore): BlobStore =>
    aroundFills(store, {
      append: append => async chunk => {
        await write()
        await append(chunk)
      },
      openRead: openRead => async () => ({ ...(await openRead()), descriptor: 7, ...handle }),
    })
}

function withBlob(
  content: readonly Uint8Array[],
  write: () => Promise<void>,
  getBlob = (_request: BlobRequest) => blobAnswer(content),
  handle: Partial<ReadHandle> = {},
) {
  return createEngine({
    store: writingBy(write, handle),
    upstream: { getBlob: async (_name, _digest, request) => getBlob(request) },
  })
}

async function firstOf(answer: BlobAnswer): Promise<Buffer> {
  const chunks = answer.read(whole, signal)[Symbol.asyncIterator]()
  const first = await chunks.next()
  await chunks.return?.()
  return Buffer.from((first.value as Uint8Array | undefined) ?? [])
}

t.test('the first bytes come while the disk still takes its time', async t => {
  const goOn = Promise.withResolvers<void>()
  const { registry } = withBlob(pieces, () => goOn.promise)
  const answer = await registry.pullBlob(app, digest)
  const beginning = bytes.subarray(0, BEGINNING_BYTES)
  t.same(await firstOf(answer), beginning, 'read')
  t.same(Buffer.from((await answer.file?.until(0, whole.last, signal)) as Uint8Array), beginning)
  const part = (await answer.file?.until(100, 199, signal)) as Uint8Array
  t.same(Buffer.from(part), bytes.subarray(100, 200), 'a range of them')
  const joined = await registry.pullBlob(app, digest)
  t.same(await firstOf(joined), beginning, 'for whoever joins')
  const reading = readAll(joined)
  goOn.resolve()
  t.same(await reading, bytes, 'and the others behind them, from the file')
  t.equal(await answer.file?.until(0, whole.last, signal), bytes.length)
  await answer.close()
})

for (const kind of ['one answer', 'ranges']) {
  t.test(`who waits has the first bytes before the disk is given any: ${kind}`, async t => {
    const order: string[] = []
    const write = async () => void order.push('disk')
    const { registry } = withBlob(pieces, write, ({ offset, lastByte }) => {
      if (kind === 'one answer') return blobAnswer(pieces)
      const last = lastByte ?? PIECE_BYTES - 1
      const part = bytes.subarray(offset, last + 1)
      return blobAnswer([part], { offset, lastByte: last, totalBytes: bytes.length })
    })
    const answer = await registry.pullBlob(app, digest)
    const sendable = await answer.file?.until(0, whole.last, signal)
    t.same(order, [])
    t.same(Buffer.from(sendable as Uint8Array), bytes.subarray(0, BEGINNING_BYTES))
    t.same(await readAll(answer), bytes)
    t.not(order.length, 0)
  })
}

t.test('R85: of a blob that is held back as a whole no byte comes early', async t => {
  const goOn = Promise.withResolvers<void>()
  const small = Buffer.from(pieces[0] ?? [])
  const { registry } = withBlob([small], () => goOn.promise)
  const answer = await registry.pullBlob(app, digestOf(small))
  let came = 0
  const reading = (async () => {
    const all = { first: 0, last: small.length - 1 }
    for await (const chunk of answer.read(all, signal)) came += chunk.length
  })()
  for (let turns = 0; turns < 50; turns += 1) await new Promise(setImmediate)
  t.equal(came, 0)
  goOn.resolve()
  await reading
  t.equal(came, small.length)
  await answer.close()
})

t.test('R85: a disk that is full from the first byte on costs no client its answer', async t => {
  const goOn = Promise.withResolvers<void>()
  const asked: number[] = []
  const full = async () => {
    await goOn.promise
    throw new StoreError('full', 'no room')
  }
  // As a file reads that has got something further on, and nothing here.
  const hole = { read: async (buffer: Uint8Array) => buffer.fill(0).length }
  for (const isRight of [true, false]) {
    asked.length = 0
    const rest = isRight ? bytes : Buffer.alloc(bytes.length)
    const getBlob = ({ offset }: BlobRequest) => {
      asked.push(offset)
      if (asked.length === 1) return blobAnswer(pieces)
      return blobAnswer([rest.subarray(offset)], { offset, totalBytes: bytes.length })
    }
    const { registry } = withBlob(pieces, full, getBlob, hole)
    const answer = await registry.pullBlob(app, digest)
    const chunks: Uint8Array[] = []
    const reading = (async () => {
      for await (const chunk of answer.read(whole, signal)) {
        chunks.push(chunk)
        // It has the beginning now.
        goOn.resolve()
      }
    })()
    if (isRight) await reading
    else t.match(await rejection(reading), { cause: { message: /does not hash to its digest/ } })
    t.equal(Buffer.concat(chunks).equals(bytes), isRight)
    t.same(asked, [0, BEGINNING_BYTES], 'what the client has is not fetched again')
    await answer.close()
  }
})
