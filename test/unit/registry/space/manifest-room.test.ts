// Goal: manifests take no more room than there is, however large or many they are, and a small one
// costs no look at the disk. Method: the engine over in-memory twins with a limit of a few of the
// largest manifests, of which nothing may leave where that is said.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import { OCI_INDEX } from '../../../../src/oci/media-type.ts'
import type { Pin } from '../../../../src/registry/pins/pins.ts'
import { type Upstream, UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { around } from '../../../kit/around.ts'
import {
  blobAnswer,
  createEngine,
  type Engine,
  type EngineOptions,
  localOf,
  readAll,
  repositoryOf,
} from '../../../kit/engine.ts'
import { type Document, document } from '../../../kit/image.ts'
import { digested, pushDocument } from '../../../kit/clients/push-image.ts'
import { heldBody } from '../../../kit/clients/upload-chunks.ts'

const MiB = 1024 * 1024
const KiB = 1024
const LIMIT = 16 * MiB
const LARGE = 4 * MiB - 64 * KiB
/** What comes of manifests without being asked about. */
const UNCHECKED = MiB
const FULL = { code: 'UNAVAILABLE', status: 507, message: /^no space left on device: / }
const team = localOf('team/app')
const app = repositoryOf('library/app')
const PINNED: Pin = {
  selector: { kind: 'repositories', repositories: '**' },
  from: 'configuration',
}
const pinned = {
  pins: {
    find: async () => PINNED,
    findWithListed: async () => PINNED,
    findContent: () => PINNED,
  },
}

/** Lists nothing. */
function indexOf(name: string, sizeBytes: number): Document {
  const annotations = { name, padding: 'x'.repeat(sizeBytes) }
  return document(OCI_INDEX, { schemaVersion: 2, manifests: [], annotations })
}

function indexes(count: number, sizeBytes: number): readonly Document[] {
  return Array.from({ length: count }, (_, at) => indexOf(`v${at}`, sizeBytes))
}

function upstreamWith(documents: readonly Document[]): Partial<Upstream> {
  return {
    getManifest: async (_name, reference) => {
      const found = documents.find(
        ({ digest }) => reference.kind === 'digest' && reference.digest === digest,
      )
      if (found === undefined) throw new UpstreamError('not-found', 'there is no such manifest')
      const { bytes, mediaType, digest } = found
      return { bytes, mediaType, declaredDigest: digest, warnings: [] }
    },
  }
}

function createWorld(options: EngineOptions = {}): Engine {
  return createEngine({ maxStorageBytes: LIMIT, ...options })
}

function takenBytes({ disk }: Engine): number {
  return disk.blobs.values().reduce((sum, { length }) => sum + length, 0)
}

const push = ({ registry }: Engine, what: Document, reference?: string) =>
  pushDocument(registry, team, {
    document: what,
    ...(reference === undefined ? {} : { reference }),
  })

/** How many were taken, and why the next was not. */
async function pushAll(world: Engine, documents: readonly Document[]) {
  for (const [at, each] of documents.entries()) {
    const failure: unknown = await push(world, each, `v${at}`).then(
      () => undefined,
      (error: unknown) => error,
    )
    if (failure !== undefined) return { taken: at, failure }
  }
  return { taken: documents.length, failure: undefined }
}

t.test('R450: pushed manifests stay within the limit, and the next is refused', async t => {
  const world = createWorld()
  const large = indexes(8, LARGE)
  t.match(await pushAll(world, large), { taken: 4, failure: FULL })
  t.ok(takenBytes(world) <= LIMIT)
  await push(world, large[0] as Document, 'again')
  t.match(await world.registry.pullManifest(team, digested((large[0] as Document).digest)), {
    source: 'local',
  })
  await push(world, indexOf('small', 100), 'small')
})

t.test('R450: what is cached leaves for a manifest that is pushed', async t => {
  const bytes = Buffer.alloc(LIMIT - 2 * MiB, 'cached')
  const digest = digestOf(bytes)
  const world = createWorld({ upstream: { getBlob: async () => blobAnswer([bytes]) } })
  await readAll(await world.registry.pullBlob(app, digest))
  await world.registry.settled(digest)
  t.ok(world.disk.blobs.has(digest))
  await push(world, indexOf('pushed', LARGE), 'v1')
  t.notOk(world.disk.blobs.has(digest))
  t.ok(takenBytes(world) <= LIMIT)
})

t.test('R450: what others only announce is not in the way of a manifest', async t => {
  const world = createWorld()
  const { id } = await world.registry.startUpload(team, { algorithm: 'sha256' })
  const body = heldBody({ lengthBytes: 15 * MiB })
  const coming = world.registry.appendUpload(team, id, body.chunk).catch(() => {})
  await body.bring('x')
  const { digest } = await push(world, indexOf('pushed', LARGE), 'v1')
  t.ok(world.disk.blobs.has(digest))
  body.breakOff(new Error('the client went away'))
  await coming
})

t.test('R451: a pulled manifest without room is passed on, and not kept', async t => {
  const large = indexes(8, LARGE)
  const world = createWorld({ ...pinned, upstream: upstreamWith(large) })
  for (const { bytes, digest } of large) {
    const answer = await world.registry.pullManifest(app, digested(digest))
    t.same(answer.bytes, bytes)
  }
  t.equal(world.disk.blobs.size, 3, 'the reserve is for pushes')
  t.ok(takenBytes(world) <= LIMIT)
  t.match(world.registry.refusedForSpace(), { pushes: 0, notKept: 5 })
})

t.test('R451: cached manifests leave for those that come', async t => {
  const large = indexes(8, LARGE)
  const world = createWorld({ upstream: upstreamWith(large) })
  for (const { digest } of large) await world.registry.pullManifest(app, digested(digest))
  t.ok(takenBytes(world) <= LIMIT)
  t.match(world.registry.refusedForSpace(), { pushes: 0, notKept: 0 })
})

t.test('R452: very many small manifests stay within the limit as well', async t => {
  const small = indexes(200, 64 * KiB)
  const maxStorageBytes = 4 * MiB
  const pushes = createWorld({ maxStorageBytes })
  t.match(await pushAll(pushes, small), { failure: FULL })
  t.ok(takenBytes(pushes) <= maxStorageBytes + UNCHECKED)

  const pulls = createWorld({ ...pinned, maxStorageBytes, upstream: upstreamWith(small) })
  for (const { digest } of small) await pulls.registry.pullManifest(app, digested(digest))
  t.ok(takenBytes(pulls) <= maxStorageBytes + UNCHECKED)
})

t.test('R452: small manifests are not asked about one by one', async t => {
  let looks = 0
  const world = createWorld({
    store: store =>
      around(store, {
        space: space => () => {
          looks += 1
          return space()
        },
      }),
  })
  for (const [at, each] of indexes(100, 2 * KiB).entries()) await push(world, each, `v${at}`)
  t.equal(looks, 0)
})
