// Goal: where the disk is full or fails a blob costs one download per reader, survives a cut as a
// kept one does, and is right or broken. Method: the engine over an in-memory disk without room, or
// that takes no more, and an upstream that cuts its answers.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import type { BlobStore } from '../../../../src/registry/ports/blob-store.ts'
import type { FillFile } from '../../../../src/registry/ports/blob-store-fills.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import type { BlobRequest } from '../../../../src/registry/ports/upstream-content.ts'
import { type Upstream, UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { HOLD_BACK_BYTES } from '../../../../src/registry/fill/fill-progress.ts'
import { around } from '../../../kit/around.ts'
import { blobAnswer, createEngine, readAll, rejection, repositoryOf } from '../../../kit/engine.ts'

const app = repositoryOf('library/app')
const MiB = 1024 * 1024
const bytes = Buffer.from(Array.from({ length: MiB }, (_, n) => (n * 7) % 251))
const digest = digestOf(bytes)
/**
 * More than any of these downloads may take: who asks on and on is told, instead of being waited
 * for.
 */
const REQUESTS_MAX = 20

type GetBlob = (request: BlobRequest) => ReturnType<Upstream['getBlob']>

/** `store`: one that fails, in place of one without room. */
async function fullEngine(getBlob: GetBlob, store?: (same: BlobStore) => BlobStore) {
  const requests: BlobRequest[] = []
  const engine = createEngine({
    ...(store === undefined ? {} : { store }),
    upstream: {
      headBlob: async () => ({ sizeBytes: bytes.length }),
      getBlob: async (_name, _digest, request) => {
        requests.push(request)
        if (requests.length > REQUESTS_MAX) throw new Error('asked on and on')
        return getBlob(request)
      },
    },
  })
  if (store === undefined) engine.disk.capacityBytes = MiB / 2
  const edge = {
    child: digest,
    kind: 'layer',
    sizeBytes: bytes.length,
    mediaType: 'a/b',
    platform: undefined,
    distributable: true,
  } as const
  const manifest = { digest: digestOf(Buffer.from('m')), mediaType: 'a/b', sizeBytes: 1 }
  await engine.catalog.recordManifest({
    repository: app,
    manifest: { ...manifest, edges: [edge] },
    atMs: 1,
  })
  return { ...engine, requests }
}

type Engine = Awaited<ReturnType<typeof fullEngine>>

/** The answer to `request`, cut after `lengthBytes`. */
function cutAnswer({ offset }: BlobRequest, lengthBytes: number, content = bytes) {
  async function* body() {
    yield content.subarray(offset, offset + lengthBytes)
    throw new UpstreamError('unavailable', 'cut')
  }
  return blobAnswer([], { offset, totalBytes: bytes.length, body: body() })
}

/** Lets the pauses between attempts pass. */
async function afterPauses<Value>({ clock }: Engine, work: Promise<Value>): Promise<Value> {
  await new Promise(setImmediate)
  await clock.advance(60_000)
  return work
}

t.test('R126: a blob for which there is no room costs one request', async t => {
  const { registry, requests } = await fullEngine(async () => blobAnswer([bytes]))
  t.same(await readAll(await registry.pullBlob(app, digest)), bytes)
  t.equal(requests.length, 1)
})

/** A file that takes so much, and then nothing more. */
function failingAfter(mostBytes: number, file: FillFile): FillFile {
  const failed = new StoreError('io', 'cannot write a part: EIO')
  const later = async (): Promise<never> => {
    throw failed
  }
  return around(file, {
    append: append => async chunk =>
      file.appendedBytes + chunk.length > mostBytes ? later() : append(chunk),
    park: () => later,
    flush: flush => (mostBytes < bytes.length ? later : flush),
  })
}

function storeWith(same: BlobStore, openFill: BlobStore['openFill']): BlobStore {
  return around(same, { openFill: () => openFill })
}

t.test('R752: a disk that takes nothing more costs the caching, not the answer', async t => {
  const openFill = async (): Promise<never> => {
    throw new StoreError('io', 'cannot open a part: EROFS')
  }
  const engine = await fullEngine(
    async () => blobAnswer([bytes]),
    same => storeWith(same, openFill),
  )
  for (let n = 0; n < 2; n += 1)
    t.same(await readAll(await engine.registry.pullBlob(app, digest)), bytes)
  const outcomes = engine.events.flatMap(each => (each.kind === 'fill ended' ? [each.outcome] : []))
  t.same(outcomes, ['uncached', 'uncached'])
  t.match(
    engine.events.find(({ kind }) => kind === 'storage failed'),
    { failure: 'io', reason: /EROFS/ },
  )
})

t.test('R752: nor does one that fails in the middle', async t => {
  const pieces = Array.from({ length: 16 }, (_, at) =>
    bytes.subarray((at * MiB) / 16, ((at + 1) * MiB) / 16),
  )
  for (const mostBytes of [0, MiB / 4, MiB - 1]) {
    const engine = await fullEngine(
      async ({ offset }) =>
        offset === 0
          ? blobAnswer(pieces.map(piece => Uint8Array.from(piece)))
          : blobAnswer([bytes.subarray(offset)], { offset, totalBytes: bytes.length }),
      same =>
        storeWith(same, async (...args) => failingAfter(mostBytes, await same.openFill(...args))),
    )
    const readers = [0, 1].map(async () => readAll(await engine.registry.pullBlob(app, digest)))
    for (const read of await Promise.all(readers)) t.ok(read.equals(bytes), `after ${mostBytes}`)
  }
})

t.test('R87: a blob that is passed on goes on where the upstream cut it', async t => {
  const engine = await fullEngine(async request =>
    request.offset < bytes.length - 400_000
      ? cutAnswer(request, 400_000)
      : blobAnswer([bytes.subarray(request.offset)], {
          offset: request.offset,
          totalBytes: bytes.length,
        }),
  )
  const { registry, requests, events } = engine
  t.same(await afterPauses(engine, readAll(await registry.pullBlob(app, digest))), bytes)
  t.same(
    requests.map(({ offset }) => offset),
    [0, 400_000, 800_000],
  )
  t.match(
    events.find(event => event.kind === 'fill ended'),
    { outcome: 'uncached' },
  )
})

t.test('R85: a blob that is put together from two answers is right or broken', async t => {
  const wrong = Buffer.alloc(bytes.length, 'x')
  const engine = await fullEngine(async request =>
    request.offset === 0
      ? cutAnswer(request, 400_000)
      : blobAnswer([wrong.subarray(request.offset)], {
          offset: request.offset,
          totalBytes: bytes.length,
        }),
  )
  const { given, error } = await afterPauses(engine, readUntilFailure(engine))
  t.match(error, { status: 502 })
  t.ok(given.length < bytes.length, `${given.length} bytes were given`)
  t.ok(given.equals(bytes.subarray(0, given.length)), 'and of the wrong ones none')
})

t.test('R85: a wrong blob never reaches its client whole, however large its pieces', async t => {
  for (const pieceBytes of [1_000, 64 * 1024, 64 * 1024 + 1, MiB / 4, MiB]) {
    const wrong = Buffer.from(bytes)
    wrong[bytes.length - 1] = 255
    const pieces = Array.from({ length: Math.ceil(wrong.length / pieceBytes) }, (_, at) =>
      wrong.subarray(at * pieceBytes, (at + 1) * pieceBytes),
    )
    const engine = await fullEngine(async () => blobAnswer(pieces))
    const { given, error } = await readUntilFailure(engine)
    t.match(error, { status: 502 })
    const held = `${wrong.length - given.length} of ${wrong.length} in pieces of ${pieceBytes}`
    t.ok(given.length <= wrong.length - HOLD_BACK_BYTES, `${held} were held back`)
  }
})

/** What a client was given, and what that ended with. */
async function readUntilFailure({ registry }: Engine) {
  const chunks: Uint8Array[] = []
  let error: unknown
  const answer = await registry.pullBlob(app, digest)
  try {
    const range = { first: 0, last: answer.sizeBytes - 1 }
    for await (const chunk of answer.read(range, new AbortController().signal))
      chunks.push(Uint8Array.from(chunk))
  } catch (thrown) {
    error = thrown
  } finally {
    await answer.close()
  }
  return { given: Buffer.concat(chunks), error }
}

t.test(
  'R87: an upstream that brings nothing any more is given up after a few attempts',
  async t => {
    const engine = await fullEngine(async request =>
      cutAnswer(request, request.offset === 0 ? 400_000 : 0),
    )
    const { registry, requests } = engine
    const read = rejection(readAll(await registry.pullBlob(app, digest)))
    t.match(await afterPauses(engine, read), { code: 'UNAVAILABLE', status: 503 })
    t.equal(requests.length, 7)
  },
)

t.test('a refusal before the first byte is final where nothing is kept', async t => {
  const { registry, requests } = await fullEngine(async () => {
    throw new UpstreamError('unavailable', 'down')
  })
  t.match(await rejection(readAll(await registry.pullBlob(app, digest))), { status: 503 })
  t.equal(requests.length, 1)
})
