// Goal: pieces of an upload go where they belong, whatever the client and its connection do; what
// arrived counts and is told. Method: the engine over in-memory twins, and bodies that come when
// the test says so.
import t from 'tap'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { UploadOrderError } from '../../../../src/registry/answers.ts'
import { around } from '../../../kit/around.ts'
import { createEngine, localOf, readAll, rejection } from '../../../kit/engine.ts'
import { chunkOf, heldBody, nothing } from '../../../kit/clients/upload-chunks.ts'

const app = localOf('team/app')
const sha256 = { algorithm: 'sha256' } as const

t.test('R99: each upload has an id of its own, and nothing in it yet', async t => {
  const { registry } = createEngine()
  const one = await registry.startUpload(app, sha256)
  const other = await registry.startUpload(app, sha256)
  t.not(one.id, other.id)
  t.match(one.id, /^[A-Za-z0-9_-]{22,}$/)
  t.same(await registry.uploadState(app, one.id), { id: one.id, sizeBytes: 0 })
})

t.test(
  'R102: pieces with ranges are put together, and every answer tells how much is here',
  async t => {
    const { registry } = createEngine()
    const { id } = await registry.startUpload(app, sha256)
    const first = chunkOf('hello ', { range: { first: 0, last: 5 }, lengthBytes: 6 })
    t.same(await registry.appendUpload(app, id, first), { id, sizeBytes: 6 })
    t.same(await registry.uploadState(app, id), { id, sizeBytes: 6 })
    const last = chunkOf('world', { range: { first: 6, last: 10 }, lengthBytes: 5 })
    const digest = digestOf(Buffer.from('hello world'))
    t.same(await registry.finishUpload(app, id, { digest, chunk: last }), { digest, sizeBytes: 11 })
    t.equal(String(await readAll(await registry.pullBlob(app, digest))), 'hello world')
  },
)

t.test(
  'R102: a piece out of order is refused with the state, unread, and the upload goes on',
  async t => {
    const { registry } = createEngine()
    const { id } = await registry.startUpload(app, sha256)
    await registry.appendUpload(app, id, chunkOf('0123', { range: { first: 0, last: 3 } }))
    const digest = digestOf(Buffer.from('01234567'))
    for (const range of [
      { first: 0, last: 3 },
      { first: 5, last: 8 },
    ]) {
      const late = chunkOf('4567', { range, lengthBytes: 4 })
      for (const refused of [
        registry.appendUpload(app, id, late),
        registry.finishUpload(app, id, { digest, chunk: late }),
      ]) {
        const error = await rejection(refused)
        t.ok(error instanceof UploadOrderError)
        t.match(error, { code: 'BLOB_UPLOAD_INVALID', status: 416, state: { id, sizeBytes: 4 } })
      }
    }
    const right = chunkOf('4567', { range: { first: 4, last: 7 }, lengthBytes: 4 })
    t.same(await registry.finishUpload(app, id, { digest, chunk: right }), { digest, sizeBytes: 8 })
  },
)

t.test(
  'R103: a body without range or length is appended, however many pieces it comes in',
  async t => {
    const { registry } = createEngine()
    const { id } = await registry.startUpload(app, sha256)
    const body = heldBody()
    const appended = registry.appendUpload(app, id, body.chunk)
    for (const piece of ['a', 'bc', 'def']) await body.bring(piece)
    t.same(await registry.uploadState(app, id), { id, sizeBytes: 6 }, 'told while it comes')
    body.end()
    t.same(await appended, { id, sizeBytes: 6 })
  },
)

t.test('R104: lengths that contradict each other are refused before a byte is taken', async t => {
  const { registry } = createEngine()
  const { id } = await registry.startUpload(app, sha256)
  const chunk = chunkOf('0123', { range: { first: 0, last: 4 }, lengthBytes: 4 })
  await t.rejects(registry.appendUpload(app, id, chunk), { code: 'SIZE_INVALID', status: 400 })
  t.equal((await registry.uploadState(app, id)).sizeBytes, 0)
})

t.test(
  'R104: a body shorter or longer than announced is refused; what is at its place counts',
  async t => {
    const { registry } = createEngine()
    for (const [announced, bytes] of [
      [{ range: { first: 0, last: 5 } }, '0123'],
      [{ range: { first: 0, last: 3 } }, '012345'],
      [{ lengthBytes: 6 }, '0123'],
      [{ lengthBytes: 4 }, '012345'],
    ] as const) {
      const { id } = await registry.startUpload(app, sha256)
      const refused = registry.appendUpload(app, id, chunkOf(bytes, announced))
      await t.rejects(refused, { code: 'SIZE_INVALID', status: 400 })
      t.equal((await registry.uploadState(app, id)).sizeBytes, 4)
      const rest = chunkOf('45', { range: { first: 4, last: 5 } })
      const digest = digestOf(Buffer.from('012345'))
      t.equal((await registry.finishUpload(app, id, { digest, chunk: rest })).sizeBytes, 6)
    }
  },
)

t.test(
  'R110: what came before the client broke off counts, and the client goes on from there',
  async t => {
    const { registry } = createEngine()
    const { id } = await registry.startUpload(app, sha256)
    const body = heldBody({ lengthBytes: 100 })
    const broken = registry.appendUpload(app, id, body.chunk)
    const why = t.rejects(broken, { message: 'the client went away' })
    await body.bring('01234')
    body.breakOff(new Error('the client went away'))
    await why
    t.same(await registry.uploadState(app, id), { id, sizeBytes: 5 })
    const digest = digestOf(Buffer.from('0123456'))
    const chunk = chunkOf('56', { range: { first: 5, last: 6 } })
    t.same(await registry.finishUpload(app, id, { digest, chunk }), { digest, sizeBytes: 7 })
  },
)

t.test('R110: a newer request ends an older one that still waits for its client', async t => {
  const { registry } = createEngine()
  const { id } = await registry.startUpload(app, sha256)
  const body = heldBody({ lengthBytes: 100 })
  const older = rejection(registry.appendUpload(app, id, body.chunk))
  await body.bring('01234')
  const newer = chunkOf('567', { range: { first: 5, last: 7 } })
  t.same(await registry.appendUpload(app, id, newer), { id, sizeBytes: 8 })
  t.match(await older, { code: 'BLOB_UPLOAD_INVALID', status: 416 })
  await body.left
  body.bring('never taken').catch(() => {})
  const digest = digestOf(Buffer.from('01234567'))
  t.same(await registry.finishUpload(app, id, { digest, chunk: nothing() }), {
    digest,
    sizeBytes: 8,
  })
})

t.test('R110: of many requests for one upload at once, the last one has it', async t => {
  const { registry } = createEngine()
  const { id } = await registry.startUpload(app, sha256)
  const bodies = Array.from({ length: 5 }, () => heldBody())
  const ends = bodies.map(({ chunk }) =>
    registry.appendUpload(app, id, chunk).then(
      () => 'done',
      (error: UploadOrderError) => error.status,
    ),
  )
  await bodies[4]?.bring('x')
  bodies[4]?.end()
  t.same(await Promise.all(ends), [416, 416, 416, 416, 'done'])
  t.equal((await registry.uploadState(app, id)).sizeBytes, 1)
})

t.test('a question about an upload does not end who writes to it', async t => {
  const { registry } = createEngine()
  const { id } = await registry.startUpload(app, sha256)
  const body = heldBody()
  const appended = registry.appendUpload(app, id, body.chunk)
  await body.bring('0123')
  t.equal((await registry.uploadState(app, id)).sizeBytes, 4)
  await body.bring('45')
  body.end()
  t.equal((await appended).sizeBytes, 6)
})

t.test('R107: a cancelled upload is gone, also while its client still sends', async t => {
  const { registry, disk } = createEngine()
  const { id } = await registry.startUpload(app, sha256)
  const body = heldBody()
  const sending = rejection(registry.appendUpload(app, id, body.chunk))
  await body.bring('0123')
  await registry.cancelUpload(app, id)
  const unknown = { code: 'BLOB_UPLOAD_UNKNOWN', status: 404 }
  t.match(await sending, unknown, 'there is nothing to go on with')
  t.equal(disk.uploads.size, 0)
  await t.rejects(registry.uploadState(app, id), unknown)
  await t.rejects(registry.cancelUpload(app, id), unknown)
  await t.rejects(registry.appendUpload(app, id, chunkOf('x')), unknown)
})

t.test('R178: an upload is known in its own repository only', async t => {
  const { registry } = createEngine()
  const { id } = await registry.startUpload(app, sha256)
  const other = localOf('team/other')
  const digest = digestOf(Buffer.from('x'))
  const answers = [
    registry.uploadState(other, id),
    registry.appendUpload(other, id, chunkOf('x')),
    registry.finishUpload(other, id, { digest, chunk: chunkOf('x') }),
    registry.cancelUpload(other, id),
    registry.uploadState(app, 'a-b-c'),
  ]
  const errors = (await Promise.all(answers.map(rejection))) as Error[]
  t.match(errors[0], { code: 'BLOB_UPLOAD_UNKNOWN', status: 404 })
  t.same(new Set(errors.map(({ message }) => message)).size, 1, 'all told the same')
  t.equal((await registry.uploadState(app, id)).sizeBytes, 0)
})

t.test('R99: an upload survives the process: the next one goes on where it was', async t => {
  const before = createEngine()
  const { id } = await before.registry.startUpload(app, sha256)
  await before.registry.appendUpload(app, id, chunkOf('0123'))
  const body = heldBody()
  const cut = rejection(before.registry.appendUpload(app, id, body.chunk))
  await body.bring('45')
  await before.registry.stop()
  t.match(await cut, { code: 'UNAVAILABLE', retryAfterSeconds: 1 })
  for (const late of [
    before.registry.startUpload(app, sha256),
    before.registry.uploadState(app, id),
    before.registry.appendUpload(app, id, chunkOf('x')),
  ]) {
    await t.rejects(late, { code: 'UNAVAILABLE' })
  }
  const { registry } = createEngine({ after: before })
  t.same(await registry.uploadState(app, id), { id, sizeBytes: 6 })
  const digest = digestOf(Buffer.from('0123456'))
  await registry.finishUpload(app, id, { digest, chunk: chunkOf('6') })
  t.equal(String(await readAll(await registry.pullBlob(app, digest))), '0123456')
})

t.test('R110: what a client is told to be here is in the file, whole piece or not', async t => {
  let buffered = 0
  const { registry } = createEngine({
    store: store =>
      around(store, {
        createUpload:
          createUpload =>
          async (...args) =>
            around(await createUpload(...args), {
              append: append => async chunk => {
                buffered += chunk.length
                await append(chunk)
              },
              flush: () => async () => {
                buffered = 0
              },
            }),
      }),
  })
  const { id } = await registry.startUpload(app, sha256)
  await registry.appendUpload(app, id, chunkOf('0123'))
  t.equal(buffered, 0)
  const body = heldBody()
  const broken = rejection(registry.appendUpload(app, id, body.chunk))
  await body.bring('45')
  t.equal(buffered, 2)
  body.breakOff(new Error('the client went away'))
  await broken
  t.equal(buffered, 0)
})

t.test('append: the memory of a piece goes back as soon as it is written', async t => {
  const { registry } = createEngine()
  const { id } = await registry.startUpload(app, sha256)
  const whole = Buffer.allocUnsafeSlow(70_000).fill('a')
  const shared = Buffer.allocUnsafeSlow(20)
  const part = shared.fill('b').subarray(0, 10)
  async function* body() {
    yield whole
    yield part
  }
  await registry.appendUpload(app, id, { body: body(), range: undefined, lengthBytes: undefined })
  t.equal((whole.buffer as ArrayBuffer).detached, true, 'nobody has to collect it')
  t.equal(String(part), 'b'.repeat(10), 'what shares its memory with others is left alone')
  const digest = digestOf(Buffer.concat([Buffer.alloc(70_000, 'a'), Buffer.alloc(10, 'b')]))
  t.equal((await registry.finishUpload(app, id, { digest, chunk: nothing() })).digest, digest)
})

t.test('R415: an upload begins once room was made on a disk without a free byte', async t => {
  for (const failures of [1, 2]) {
    let left = failures
    const { registry } = createEngine({
      store: store =>
        around(store, {
          createUpload:
            createUpload =>
            async (...args) => {
              if (left-- > 0) throw new StoreError('full', 'cannot begin an upload: ENOSPC')
              return createUpload(...args)
            },
        }),
    })
    const begun = registry.startUpload(localOf('app'), { algorithm: 'sha256' })
    if (failures === 1) t.match(await begun, { sizeBytes: 0 })
    else await t.rejects(begun, { message: /no space left on device/ })
  }
})

for (const then of ['goes on', 'purge'] as const)
  t.test(`R816: an upload that could not be looked at counts once it can (${then})`, async t => {
    const first = createEngine()
    const { id } = await first.registry.startUpload(app, sha256)
    await first.registry.appendUpload(app, id, chunkOf('hello '))
    await first.registry.stop()
    let isUnread = true
    const { registry } = createEngine({
      after: first,
      store: store =>
        around(store, {
          listUploads: list => async () =>
            isUnread ? [{ id, note: '', sizeBytes: 0, changedAtMs: first.clock.nowMs() }] : list(),
        }),
    })
    const before = await registry.takenBytes()
    isUnread = false
    if (then === 'purge') {
      const hourMs = 3_600_000
      await registry.purgeUploads({ olderThanMs: hourMs, dryRun: false })
      t.equal(await registry.takenBytes(), before + 'hello '.length)
    }
    const digest = digestOf(Buffer.from('hello world'))
    t.same(await registry.finishUpload(app, id, { digest, chunk: chunkOf('world') }), {
      digest,
      sizeBytes: 11,
    })
    t.equal(String(await readAll(await registry.pullBlob(app, digest))), 'hello world')
  })
