// Goal: what an HTTP thread has open over there is closed when it says so, and when it is gone;
// bytes that lie in a file are read by its descriptor and do not cross. Method: a registry double
// lent and reached over a MessageChannel; files are real.
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { RegistryError } from '../../../src/oci/errors.ts'
import { parseRepositoryKey } from '../../../src/oci/reference.ts'
import type { BlobAnswer, BlobFile } from '../../../src/registry/answers.ts'
import type { CountedUses } from '../../../src/registry/ports/catalog-uses.ts'
import { createManualClock } from '../../kit/manual-clock.ts'
import { createRegistryDouble } from '../../kit/worlds/registry-double.ts'
import { createEngine } from '../../kit/engine.ts'
import { overThreads } from '../../kit/worlds/borrowed-registry.ts'

const REPOSITORY = parseRepositoryKey('localhost/a/b')
const BYTES = Buffer.from('0123456789')
const ALL = { first: 0, last: BYTES.length - 1 }
const { signal } = new AbortController()

async function gather(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  let text = ''
  for await (const piece of pieces) text += Buffer.from(piece).toString()
  return text
}

function createWorld(t: Tap) {
  const double = createRegistryDouble()
  const digest = double.addBlob('localhost/a/b', BYTES)
  return { double, digest, ...overThreads(t, double) }
}
type Tap = Parameters<typeof overThreads>[0]

/** The double's blobs lie in a file of which so much may be read. */
async function inFile(
  t: Tap,
  world: ReturnType<typeof createWorld>,
  until: BlobFile['until'],
  readyBytes = 0,
) {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-borrowed-'))
  await writeFile(join(directory, 'blob'), BYTES)
  const handle = await open(join(directory, 'blob'))
  t.teardown(async () => {
    await handle.close()
    await rm(directory, { recursive: true })
  })
  const { double } = world
  const { pullBlob } = double
  const read: BlobFile['read'] = async (buffer, position) =>
    (await handle.read(buffer, 0, buffer.length, position)).bytesRead
  double.pullBlob = async (...asked): Promise<BlobAnswer> => ({
    ...(await pullBlob(...asked)),
    file: { descriptor: handle.fd, readyBytes, until, read },
  })
}

t.test('a blob is held open until it is closed here, once', async t => {
  const { registry, double, digest, blobsOpen } = createWorld(t)
  const blob = await registry.pullBlob(REPOSITORY, digest)
  t.match(blob, { digest, sizeBytes: 10, source: 'hit', file: undefined })
  t.equal(await gather(blob.read({ first: 2, last: 5 }, signal)), '2345')
  t.same([double.opened, double.closed, blobsOpen()], [1, 0, 1])
  await blob.close()
  await double.drained()
  t.same([double.opened, double.closed, blobsOpen()], [1, 1, 0])
})

t.test(
  'when the thread is gone its blobs are closed, also one that is opened just then',
  async t => {
    const { registry, double, digest, blobsOpen, die } = createWorld(t)
    await registry.pullBlob(REPOSITORY, digest)
    const late = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    double.before = () => {
      asked.resolve()
      return late.promise
    }
    void registry.pullBlob(REPOSITORY, digest)
    await asked.promise
    die()
    late.resolve()
    while (double.opened < 2) await turn()
    await double.drained()
    t.same([double.opened, double.closed, blobsOpen()], [2, 2, 0])
  },
)

t.test(
  'a blob in a file is read here by its descriptor; nothing of it is read over there',
  async t => {
    const world = createWorld(t)
    await inFile(t, world, async (_position, last) => last + 1)
    world.double.readBlob = () => {
      throw new Error('it crossed')
    }
    const blob = await world.registry.pullBlob(REPOSITORY, world.digest)
    t.equal(await gather(blob.read(ALL, signal)), '0123456789')
    t.equal(await gather(blob.read({ first: 3, last: 8 }, signal, 6)), '678')
    t.equal(await blob.file?.until(4, 7, signal), 8)
    const buffer = Buffer.alloc(20)
    t.equal(await blob.file?.read(buffer, 7), 3)
    t.equal(buffer.toString('utf8', 0, 3), '789')
  },
)

t.test('how far a whole file goes is not asked, and of a growing one only what is new', async t => {
  for (const readyBytes of [BYTES.length, 4]) {
    const world = createWorld(t)
    const asked: number[] = []
    const until: BlobFile['until'] = async (position, last) => {
      asked.push(position)
      return last + 1
    }
    await inFile(t, world, until, readyBytes)
    const blob = await world.registry.pullBlob(REPOSITORY, world.digest)
    t.equal(await gather(blob.read(ALL, signal)), '0123456789')
    t.equal(await blob.file?.until(2, 3, signal), 4)
    t.same(asked, readyBytes === 4 ? [4] : [])
  }
})

t.test('bytes that the file has not yet cross by themselves, as a copy', async t => {
  const world = createWorld(t)
  const beginning = new Uint8Array(BYTES.subarray(0, 3))
  await inFile(t, world, async (position, last) =>
    position < 3 ? beginning.subarray(position, last + 1) : last + 1,
  )
  const blob = await world.registry.pullBlob(REPOSITORY, world.digest)
  t.equal(await gather(blob.read(ALL, signal)), '0123456789')
  t.equal(await gather(blob.read({ first: 1, last: 1 }, signal)), '1')
  t.same(await blob.file?.until(0, 9, signal), new Uint8Array(BYTES.subarray(0, 3)))
  t.equal(beginning.length, 3, 'others have it, too')
})

t.test(
  'a file that grows is read as far as it is there, and what will not come by it crosses',
  async t => {
    const world = createWorld(t)
    await inFile(t, world, async position => (position < 4 ? position + 2 : undefined))
    const froms: unknown[] = []
    world.double.pullBlob = (
      pull =>
      async (...asked) => {
        const blob = await pull(...asked)
        return {
          ...blob,
          read: (range, signal, from) => {
            froms.push(from)
            return blob.read({ ...range, first: from ?? range.first }, signal)
          },
        } satisfies BlobAnswer
      }
    )(world.double.pullBlob)
    const blob = await world.registry.pullBlob(REPOSITORY, world.digest)
    t.equal(await gather(blob.read(ALL, signal)), '0123456789')
    t.same(froms, [4])
  },
)

t.test('a fill that fails throws here what it throws there', async t => {
  const world = createWorld(t)
  await inFile(t, world, async () => {
    throw new RegistryError('UNAVAILABLE', 'the upstream lied', { retryAfterSeconds: 3 })
  })
  const blob = await world.registry.pullBlob(REPOSITORY, world.digest)
  const expected = { code: 'UNAVAILABLE', message: 'the upstream lied', retryAfterSeconds: 3 }
  await t.rejects(async () => blob.file?.until(0, 9, signal), expected)
  await t.rejects(gather(blob.read(ALL, signal)), expected)
})

t.test(
  'a descriptor that cannot be read is tried over there, where it is told to the operator',
  async t => {
    const world = createWorld(t)
    const { double } = world
    const { pullBlob } = double
    const until: BlobFile['until'] = async (_position, last) => last + 1
    const file = { descriptor: 1_000_000, readyBytes: 0, until, read: async () => 0 }
    double.pullBlob = async (...asked) => ({ ...(await pullBlob(...asked)), file })
    const blob = await world.registry.pullBlob(REPOSITORY, world.digest)
    t.equal(await gather(blob.read(ALL, signal)), '0123456789')
  },
)

t.test('R109: what a caller may read is asked where its request is', async t => {
  const { registry, digest } = createWorld(t)
  const to = parseRepositoryKey('localhost/c/d')
  const asked: unknown[] = []
  const mount = (answer: boolean) =>
    registry.mountBlob(to, {
      digest,
      from: undefined,
      mayReadAny: repositories => {
        asked.push(repositories)
        return answer
      },
    })
  t.equal(await mount(false), undefined)
  t.same(await mount(true), { digest, sizeBytes: 10 })
  t.same(asked, [[REPOSITORY], [REPOSITORY]])
})

t.test('R110: of an upload whose thread dies, what came counts', async t => {
  const { registry, double, die } = createWorld(t)
  const { id } = await registry.startUpload(REPOSITORY, { algorithm: 'sha256' })
  const body = (async function* () {
    yield new Uint8Array(BYTES)
    await new Promise(() => {})
  })()
  const failed = Promise.withResolvers<unknown>()
  const { appendUpload } = double
  double.appendUpload = async (...asked) => {
    try {
      return await appendUpload(...asked)
    } catch (error) {
      failed.resolve(error)
      throw error
    }
  }
  void registry.appendUpload(REPOSITORY, id, { body, range: undefined, lengthBytes: 100 })
  await double.received(id, 10)
  die()
  t.match(await failed.promise, { name: 'GoneError' })
  t.same(await double.uploadState(REPOSITORY, id), { id, sizeBytes: 10 })
})

t.test('what is answered from memory is told of once a second, each thing once', async t => {
  const double = createRegistryDouble()
  const digest = double.addBlob('localhost/a/b', BYTES)
  const told = Promise.withResolvers<readonly CountedUses[]>()
  double.noteUses = told.resolve
  const clock = createManualClock()
  const { registry } = overThreads(t, double, { clock })
  const noteUse = registry.createNoteUse({ repository: REPOSITORY, digest })
  for (let atMs = 1; atMs <= 100; atMs += 1) noteUse(atMs)
  await clock.advance(1_000)
  const used = { repository: REPOSITORY, digest, tag: undefined }
  t.same(await told.promise, [{ ...used, count: 100, atMs: 100 }])
})

t.test('a thread that stops tells first of what it gave from memory', async t => {
  const double = createRegistryDouble()
  const digest = double.addBlob('localhost/a/b', BYTES)
  const { registry, stop } = overThreads(t, double)
  registry.createNoteUse({ repository: REPOSITORY, digest })(7)
  await stop()
  // Whatever it says next comes after.
  await registry.headBlob(REPOSITORY, digest)
  t.match(double.used, [{ digest, count: 1, atMs: 7 }])
})

t.test('that a manifest from memory begins a pull is told of at once', async t => {
  const double = createRegistryDouble()
  const digest = double.addBlob('localhost/a/b', BYTES)
  const { registry } = overThreads(t, double)
  registry.notePull(REPOSITORY, digest, '192.0.2.7')
  await registry.headBlob(REPOSITORY, digest)
  t.same(double.pulled, [`localhost/a/b ${digest} 192.0.2.7`])
})

t.test('R269: a write that is refused before its body leaves nothing behind', async t => {
  const engine = createEngine()
  const { registry, streamsOpen } = overThreads(t, engine.registry)
  async function* body() {
    yield Buffer.from('hello')
  }
  const refused = registry.appendUpload(REPOSITORY, 'unknown' as never, {
    body: body(),
    range: undefined,
    lengthBytes: 5,
  })
  await t.rejects(refused, { code: 'BLOB_UPLOAD_UNKNOWN' })
  t.equal(streamsOpen(), 0)
})
