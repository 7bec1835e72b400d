// Goal: a body is given out in small pieces, watched while the other side has one in hand, and
// ended once (R117, R150). Method: virtual time; the test is the connection.
import t from 'tap'
import { createManualClock } from '../../kit/manual-clock.ts'
import { type RequestBody, Sending } from '../../../src/upstream/connect/request-body.ts'

const KIB = 1024

function start(body: Partial<RequestBody> & Pick<RequestBody, 'read'>) {
  const clock = createManualClock()
  const stuck: string[] = []
  const sending = new Sending(
    { sizeBytes: undefined, ...body },
    { host: 'r.example', clock, onStuck: error => stuck.push(error.message) },
  )
  const pieces = sending.pieces[Symbol.asyncIterator]()
  return { clock, stuck, sending, pieces }
}

t.test('large chunks go in small pieces, in order, and empty ones not at all', async t => {
  const { pieces, sending } = start({
    read: async function* () {
      yield Buffer.alloc(0)
      yield Buffer.alloc(100 * KIB, 1)
      yield Buffer.alloc(0)
      yield Buffer.alloc(1, 2)
    },
  })
  const sizes: number[] = []
  for (let piece = await pieces.next(); piece.done !== true; piece = await pieces.next()) {
    t.notOk(sending.isWhole)
    sizes.push(piece.value.length)
  }
  t.same(sizes, [64 * KIB, 36 * KIB, 1])
  t.ok(sending.isWhole)
})

t.test('time counts while a piece is not taken, and no other', async t => {
  const { clock, stuck, pieces } = start({
    read: async function* () {
      for (;;) yield Buffer.alloc(1)
    },
  })
  await clock.advance(600_000)
  await pieces.next()
  await clock.advance(59_000)
  await pieces.next()
  await clock.advance(59_000)
  t.same(stuck, [])
  await clock.advance(1_000)
  t.match(stuck, [/took no byte/])
  await clock.advance(600_000)
  t.equal(stuck.length, 1)
})

t.test(
  'after the last piece the answer has its time, and after the answer nothing counts',
  async t => {
    const read = async function* () {
      yield Buffer.alloc(1)
    }
    for (const isAnswered of [false, true]) {
      const told: string[] = []
      const { clock, stuck, pieces, sending } = start({
        read,
        responseMs: 1_000,
        onFirst: () => told.push('first'),
        onLast: () => told.push('last'),
      })
      t.same(told, [])
      await pieces.next()
      t.same(told, ['first'])
      await pieces.next()
      t.same(told, ['first', 'last'])
      await clock.advance(999)
      t.same(stuck, [])
      if (isAnswered) sending.hold()
      await clock.advance(100_000)
      t.equal(stuck.length, isAnswered ? 0 : 1)
      sending.stop()
      t.equal(clock.sleepers, 0)
    }
  },
)

t.test('held, it gives out no more; stopped, it fails and gives the source back', async t => {
  const next = Promise.withResolvers<void>()
  let isGivenBack = false
  const { pieces, sending, clock } = start({
    read: async function* () {
      try {
        yield Buffer.alloc(1)
        await next.promise
        yield Buffer.alloc(1)
      } finally {
        isGivenBack = true
      }
    },
  })
  await pieces.next()
  const waiting = pieces.next()
  sending.hold()
  next.resolve()
  await clock.advance(0)
  sending.stop()
  sending.stop()
  await t.rejects(waiting, { message: /stopped/ })
  await clock.advance(0)
  t.ok(isGivenBack)
  await t.rejects(pieces.next())
  t.equal(sending.failure, undefined)
  t.notOk(sending.isWhole)
})

t.test("what the source throws after an answer is nobody's concern", async t => {
  const { pieces, sending, clock } = start({
    read: async function* () {
      yield Buffer.alloc(1)
      throw new Error('the client left')
    },
  })
  await pieces.next()
  const waiting = pieces.next()
  sending.hold()
  await clock.advance(0)
  t.equal(sending.failure, undefined)
  sending.stop()
  await t.rejects(waiting, { message: /stopped/ })
})

t.test('what the source throws is kept, and so is a size that is not the promised one', async t => {
  const broken = start({
    read: async function* () {
      yield Buffer.alloc(1)
      throw new Error('the disk')
    },
  })
  await broken.pieces.next()
  await t.rejects(broken.pieces.next(), { message: 'the disk' })
  t.match(broken.sending.failure, { error: { message: 'the disk' } })
  for (const sizeBytes of [1, 3]) {
    const wrong = start({
      sizeBytes,
      read: async function* () {
        yield Buffer.alloc(2)
      },
    })
    await t.rejects(
      wrong.pieces.next().then(() => wrong.pieces.next()),
      { message: /bytes has 2/ },
    )
    t.ok(wrong.sending.failure)
  }
})
