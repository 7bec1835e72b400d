// Goal: where the disk is full a blob costs one download per reader, survives a cut as a kept one does, and is right or broken.
// Method: the engine over an in-memory disk without room, and an upstream that cuts its answers.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import {
  type BlobRequest,
  type Upstream,
  UpstreamError,
} from '../../../src/registry/ports/upstream.ts'
import { blobAnswer, createEngine, readAll, rejection, repositoryOf } from '../../kit/engine.ts'

const app = repositoryOf('library/app')
const MiB = 1024 * 1024
const bytes = Buffer.from(Array.from({ length: MiB }, (_, n) => (n * 7) % 251))
const digest = digestOf(bytes)

async function fullEngine(getBlob: (request: BlobRequest) => ReturnType<Upstream['getBlob']>) {
  const requests: BlobRequest[] = []
  const engine = createEngine({
    upstream: {
      headBlob: async () => ({ sizeBytes: bytes.length }),
      getBlob: async (_name, _digest, request) => {
        requests.push(request)
        return getBlob(request)
      },
    },
  })
  engine.disk.capacityBytes = MiB / 2
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
    contentClass: 'cached',
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
  const read = rejection(readAll(await engine.registry.pullBlob(app, digest)))
  t.match(await afterPauses(engine, read), { status: 502 })
})

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
