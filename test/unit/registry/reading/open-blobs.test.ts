// Goal: a large blob that was just asked for costs the next client neither the catalog nor the disk
// a look, and is given to nobody any longer than it would be without. Method: the engine over
// in-memory twins that note what they are asked, a clock that the test moves.
import t from 'tap'
import { createEpochs } from '../../../../src/registry/epochs.ts'
import {
  OPEN_LEAST_BYTES,
  OPEN_MOST,
  OPEN_FOR_MS,
  OpenBlobs,
} from '../../../../src/registry/reading/open-blobs.ts'
import { OpenFile, WholeBlob } from '../../../../src/registry/reading/open-file.ts'
import { readAs } from '../../../../src/registry/pull/prefetch.ts'
import { digestNamed } from '../../../contract/catalog-samples.ts'
import { around } from '../../../kit/around.ts'
import { patternBlob } from '../../../kit/content.ts'
import { overThreads } from '../../../kit/worlds/borrowed-registry.ts'
import { createEngine, localOf, readAll } from '../../../kit/engine.ts'
import { createManualClock } from '../../../kit/manual-clock.ts'
import { pushWhole } from '../../../kit/clients/upload-chunks.ts'

const app = localOf('team/app')
const other = localOf('team/other')
const large = patternBlob('kept open', OPEN_LEAST_BYTES).bytes()

/** `whileOpening` runs while the disk is asked. */
function openEngine(whileOpening: () => Promise<void> = async () => {}) {
  const seen = { asked: 0, opened: 0, closed: 0 }
  const engine = createEngine({
    catalog: catalog =>
      around(catalog, {
        findMember:
          findMember =>
          (...asked) => {
            seen.asked += 1
            return findMember(...asked)
          },
      }),
    store: store =>
      around(store, {
        openRead: openRead => async digest => {
          const opened = await openRead(digest)
          await whileOpening()
          if (opened === undefined) return undefined
          seen.opened += 1
          const { handle } = opened
          const close = async () => {
            seen.closed += 1
            await handle.close()
          }
          // Nobody sends from it here.
          const descriptor = 7
          return { ...opened, handle: { descriptor, read: handle.read.bind(handle), close } }
        },
      }),
  })
  return { ...engine, seen }
}

/** A pull whose file is being opened until `opening` is resolved. */
async function pullHeld() {
  const opening = Promise.withResolvers<void>()
  let isHeld = false
  const engine = openEngine(async () => {
    if (isHeld) await opening.promise
  })
  const digest = await pushWhole(engine.registry, app, large)
  isHeld = true
  return { ...engine, digest, opening, pulled: engine.registry.pullBlob(app, digest) }
}

t.test(
  'who asks for a large blob soon after another one costs no look and no descriptor',
  async t => {
    const { registry, clock, seen } = openEngine()
    const digest = await pushWhole(registry, app, large)
    seen.asked = 0
    const first = await registry.pullBlob(app, digest)
    for (let client = 0; client < 3; client += 1) {
      const blob = await registry.pullBlob(app, digest)
      t.match(blob, { source: 'local', sizeBytes: large.length })
      t.same(await readAll(blob), large)
    }
    t.same(seen, { asked: 1, opened: 1, closed: 0 })
    await clock.advance(OPEN_FOR_MS)
    t.equal(seen.closed, 0, 'the first one reads')
    t.same(await readAll(first), large)
    t.equal(seen.closed, 1)
    t.same(await readAll(await registry.pullBlob(app, digest)), large)
    t.same(seen, { asked: 2, opened: 2, closed: 1 }, 'then it is looked for anew')
    await registry.stop()
    t.equal(seen.closed, 2)
  },
)

t.test('that it can be read is tried until somebody has read it', async t => {
  const { registry } = openEngine()
  const digest = await pushWhole(registry, app, large)
  const [first, second] = [
    await registry.pullBlob(app, digest),
    await registry.pullBlob(app, digest),
  ]
  t.same([first.file?.isProven?.(0), second.file?.isProven?.(0)], [false, false])
  await second.file?.read(Buffer.alloc(1), 0)
  t.equal((await registry.pullBlob(app, digest)).file?.isProven?.(0), true)
  t.equal((await registry.pullBlob(app, digest)).file?.isProven?.(1), false, 'elsewhere it was not')
  t.equal((await registry.pullBlob(app, digest)).file?.isProven?.(), false, 'nor everywhere')
})

t.test('a small one is looked for each time: it may be found wrong meanwhile', async t => {
  const { registry, seen } = openEngine()
  const digest = await pushWhole(registry, app, large.subarray(1))
  for (let client = 0; client < 3; client += 1) await readAll(await registry.pullBlob(app, digest))
  t.match(seen, { opened: 3, closed: 3 })
})

t.test('what is deleted is gone for who asks next, and stays for another repository', async t => {
  const { registry } = openEngine()
  const digest = await pushWhole(registry, app, large)
  await pushWhole(registry, other, large)
  const reading = await registry.pullBlob(app, digest)
  await readAll(await registry.pullBlob(other, digest))
  await registry.deleteBlob(app, digest)
  await t.rejects(registry.pullBlob(app, digest), { code: 'BLOB_UNKNOWN' })
  t.same(await readAll(await registry.pullBlob(other, digest)), large)
  t.same(await readAll(reading), large, 'who reads goes on')
})

t.test('what another repository has open is no right to it', async t => {
  const { registry } = openEngine()
  const digest = await pushWhole(registry, app, large)
  await readAll(await registry.pullBlob(app, digest))
  await t.rejects(registry.pullBlob(other, digest), { code: 'BLOB_UNKNOWN' })
})

t.test('what is deleted while it is opened does not stay open', async t => {
  const { registry, seen, digest, pulled, opening } = await pullHeld()
  await registry.deleteBlob(app, digest)
  opening.resolve()
  await readAll(await pulled)
  t.match(seen, { opened: 1, closed: 1 })
  await t.rejects(registry.pullBlob(app, digest), { code: 'BLOB_UNKNOWN' })
})

t.test('those who ask at the same time share a descriptor, too', async t => {
  const { registry, seen } = openEngine()
  const digest = await pushWhole(registry, app, large)
  const blobs = await Promise.all([1, 2, 3].map(() => registry.pullBlob(app, digest)))
  t.match(seen, { opened: 3, closed: 2 })
  for (const blob of blobs) t.same(await readAll(blob), large)
  await registry.stop()
  t.equal(seen.closed, 3)
})

t.test('what comes once more may lie in another file, which the next one is given', async t => {
  const { registry, seen } = openEngine()
  const digest = await pushWhole(registry, app, large)
  await readAll(await registry.pullBlob(app, digest))
  await pushWhole(registry, other, large)
  await readAll(await registry.pullBlob(app, digest))
  t.equal(seen.opened, 2)
})

t.test('what is opened while the edge stops is closed by its reader', async t => {
  const { registry, seen, pulled, opening } = await pullHeld()
  await registry.stop()
  opening.resolve()
  t.same(await readAll(await pulled), large)
  t.match(seen, { opened: 1, closed: 1 })
})

t.test('a reader whom prefetching counts has an opening of its own', async t => {
  const blob = blobNamed('counted', () => {}).answer()
  const reading = { isFirst: false, end: () => {} }
  t.equal(readAs(reading, blob).isShareable, false)
  t.equal(readAs(undefined, blob).isShareable, true)
})

t.test('R310: a blob that leaves the disk stays open for who reads it, and no longer', async t => {
  const openBlobs = new OpenBlobs({ clock: createManualClock(), epochs: createEpochs(), failed })
  const closed: string[] = []
  const blobs = ['left', 'stays'].map(name => blobNamed(name, () => closed.push(name)))
  const share = (blob: WholeBlob) => openBlobs.share(openBlobs.stampOf(app, blob.head.digest), blob)
  const [reading] = blobs.map(share)
  openBlobs.close(digestNamed('left'))
  t.equal(openBlobs.find(openBlobs.stampOf(app, digestNamed('left'))), undefined)
  t.strictSame(closed, [])
  await reading?.close()
  t.strictSame(closed, ['left'])
  openBlobs.stop()
})

t.test('only so many stay open, and who closes twice takes it from nobody', async t => {
  const clock = createManualClock()
  const openBlobs = new OpenBlobs({ clock, epochs: createEpochs(), failed })
  let closed = 0
  const names = Array.from({ length: OPEN_MOST + 1 }, (_, at) => String(at))
  for (const name of names) {
    const blob = blobNamed(name, () => (closed += 1))
    const shared = openBlobs.share(openBlobs.stampOf(app, blob.head.digest), blob)
    await shared.close()
    await shared.close()
  }
  t.equal(closed, 1)
  openBlobs.stop()
  t.equal(closed, names.length)
  t.equal(clock.sleepers, 0, 'nobody waits for what is over')
})

function failed(error: unknown): never {
  throw error
}

function blobNamed(name: string, close: () => void): WholeBlob {
  return new WholeBlob({
    head: { digest: digestNamed(name), sizeBytes: OPEN_LEAST_BYTES, source: 'hit' },
    open: new OpenFile({
      descriptor: undefined,
      read: async () => 0,
      close: async () => close(),
    }),
    reading: { read: () => (async function* () {})() },
  })
}

t.test('in a further thread, who asks next costs not even a question', async t => {
  const { registry, epochs, clock, seen } = openEngine()
  let questions = 0
  let reads = 0
  const asked = {
    ...registry,
    noteRead: () => {
      reads += 1
    },
    pullBlob: (...question: Parameters<typeof registry.pullBlob>) => {
      questions += 1
      return registry.pullBlob(...question)
    },
  }
  const far = overThreads(t, asked, { clock, epochs })
  const digest = await pushWhole(registry, app, large)
  const near = await registry.pullBlob(app, digest)
  await near.file?.read(Buffer.alloc(1), 0)
  await near.close()
  const reading = await far.registry.pullBlob(app, digest)
  t.equal(reading.file?.isProven?.(1), false, 'elsewhere nobody has read it')
  t.equal((await far.registry.pullBlob(app, digest)).sizeBytes, large.length)
  t.equal(questions, 1)
  await far.registry.headBlob(app, digest)
  t.equal(reads, 1, 'prefetching hears of the second one')
  await registry.deleteBlob(app, digest)
  await t.rejects(far.registry.pullBlob(app, digest), { code: 'BLOB_UNKNOWN' })
  t.equal(questions, 2, 'a change here is seen over there')
  t.same(await readAll(reading), large, 'who reads goes on')
  t.equal(seen.opened, 1)
})

t.test('what a further thread keeps open it gives back in time', async t => {
  const { registry, epochs, clock, seen } = openEngine()
  const far = overThreads(t, registry, { clock, epochs })
  const digest = await pushWhole(registry, app, large)
  t.same(await readAll(await far.registry.pullBlob(app, digest)), large)
  const arrived = () => far.registry.headBlob(app, digest)
  await arrived()
  t.equal(far.blobsOpen(), 1)
  await clock.advance(OPEN_FOR_MS)
  await arrived()
  t.equal(far.blobsOpen(), 0)
  t.match(seen, { opened: 1, closed: 1 })
})
