// Goal: two threads ask each other, take questions back, and stream bytes no faster than they are
// read, and the end of one ends what the other had under way. Method: both sides over a
// MessageChannel in one thread; the messages are looked at on their way.
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import t from 'tap'
import { RegistryError } from '../../../src/oci/errors.ts'
import type { Message, Port } from '../../../src/threads/messages.ts'
import { type Handlers, GoneError, OtherThread } from '../../../src/threads/other-thread.ts'
import { WINDOW_BYTES } from '../../../src/threads/byte-streams.ts'
import { settle } from '../../kit/settle.ts'

interface There {
  readonly methods: {
    readonly double: { readonly request: number; readonly result: unknown }
    readonly wait: { readonly request: undefined; readonly result: undefined }
  }
  readonly notes: { readonly said: string }
}
interface Here {
  readonly methods: Readonly<Record<never, never>>
  readonly notes: Readonly<Record<never, never>>
}
type Methods = Handlers<There>['methods']

const PIECE_BYTES = 64 * 1024
const double: Methods['double'] = async number => number * 2

function createPair(
  t: { teardown(fn: () => unknown): unknown },
  methods: Partial<Methods> = {},
  said: (text: string) => void = () => {},
) {
  const { port1, port2 } = new MessageChannel()
  t.teardown(() => port1.close())
  const sent: Message[] = []
  const wait = () => new Promise<undefined>(() => {})
  const here = new OtherThread<There, Here>(recorded(port1, sent), { methods: {}, notes: {} })
  const there = new OtherThread<Here, There>(recorded(port2, sent), {
    methods: { double, wait, ...methods },
    notes: { said },
  })
  const kinds = () => sent.map(({ kind }) => kind)
  return { here, there, kinds }
}

function recorded(port: MessagePort, sent: Message[]): Port {
  return {
    postMessage(messages, transfer = []) {
      port.postMessage(messages, [...transfer])
      sent.push(...messages)
    },
    on: (event, listener) => port.on(event, listener),
  }
}

function createSource(count: number, failure?: Error) {
  const seen = { taken: 0, left: false }
  async function* yieldAll(): AsyncGenerator<Uint8Array> {
    try {
      for (; seen.taken < count; seen.taken += 1) yield new Uint8Array(PIECE_BYTES)
      if (failure !== undefined) throw failure
    } finally {
      seen.left = true
    }
  }
  return { seen, pieces: yieldAll() }
}

t.test('each question has its answer, and an error arrives whole', async t => {
  const { here } = createPair(t, {
    wait: async () => {
      throw new RegistryError('DENIED', 'not you')
    },
  })
  t.same(await Promise.all([here.call('double', 4), here.call('double', 5)]), [8, 10])
  await t.rejects(here.call('wait', undefined), { code: 'DENIED', message: 'not you' })
})

t.test('a value that cannot cross is an error of its question alone', async t => {
  const { here } = createPair(t, { double: async () => () => {} })
  await t.rejects(here.call('double', (() => {}) as unknown as number), /could not be cloned/)
  await t.rejects(here.call('double', 1), /could not be cloned/)
})

t.test(
  'a question that is taken back ends on both sides, and its answer is not waited for',
  async t => {
    const aborted = Promise.withResolvers<unknown>()
    const { here } = createPair(t, {
      wait: async (_request, signal) => {
        signal.addEventListener('abort', () => aborted.resolve(signal.reason))
        return await new Promise(() => {})
      },
    })
    const asking = new AbortController()
    const asked = here.call('wait', undefined, asking.signal)
    await settle()
    asking.abort(new RegistryError('UNAVAILABLE', 'no more'))
    await t.rejects(asked, { message: 'no more' })
    t.match(await aborted.promise, { code: 'UNAVAILABLE', message: 'no more' })
    await t.rejects(here.call('double', 1, asking.signal), { message: 'no more' })
  },
)

t.test('notes arrive in order, before the answer to a later question', async t => {
  const said: string[] = []
  const { here } = createPair(t, {}, text => said.push(text))
  here.notify('said', 'one')
  here.notify('said', 'two')
  await here.call('double', 1)
  t.same(said, ['one', 'two'])
})

t.test('nothing of a stream is read before somebody reads it', async t => {
  const { here, there } = createPair(t)
  const { seen, pieces } = createSource(1)
  const incoming = there.accept(here.offer(pieces).stream)
  await settle()
  t.equal(seen.taken, 0)
  t.match(await incoming.next(), { done: false, value: { length: PIECE_BYTES } })
})

t.test(
  'a reader that stands still holds one window and a piece, and all of it arrives',
  async t => {
    const { here, there } = createPair(t)
    const { seen, pieces } = createSource(100)
    const incoming = there.accept(here.offer(pieces).stream)
    let sum = (await incoming.next()).value?.length ?? 0
    await settle()
    t.ok(seen.taken * PIECE_BYTES <= WINDOW_BYTES + PIECE_BYTES, `${seen.taken} pieces were taken`)
    for await (const piece of incoming) sum += piece.length
    t.equal(sum, 100 * PIECE_BYTES)
    t.ok(seen.left)
  },
)

t.test('the memory of a piece goes over, unless it is a part of a larger one', async t => {
  const { here, there } = createPair(t)
  const whole = new Uint8Array([1, 2, 3])
  const slab = Buffer.from('abcdef')
  const part = slab.subarray(2, 4)
  const copied: Uint8Array[] = []
  const pieces = (async function* () {
    yield whole
    yield part
  })()
  const offer = here.offer(pieces, piece => copied.push(piece))
  const came = []
  for await (const piece of there.accept(offer.stream))
    came.push(Buffer.from(piece).toString('hex'))
  t.same(came, ['010203', '6364'])
  t.equal(whole.length, 0, 'given away')
  t.same([slab.toString(), copied.length, copied[0] === part], ['abcdef', 1, true])
})

t.test('what came before a stream broke is given before its error is thrown', async t => {
  const { here, there } = createPair(t)
  const { pieces } = createSource(2, new RegistryError('SIZE_INVALID', 'broke off'))
  const incoming = there.accept(here.offer(pieces).stream)
  await settle()
  t.equal((await incoming.next()).done, false)
  await settle()
  t.equal((await incoming.next()).done, false)
  await t.rejects(incoming.next(), { code: 'SIZE_INVALID', message: 'broke off' })
  t.same(await incoming.next(), { done: true, value: undefined })
})

t.test('a stream can be left while a piece is waited for, and its source hears of it', async t => {
  const { here, there } = createPair(t)
  const left = Promise.withResolvers<void>()
  const pieces: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise(() => {}),
      return: async () => {
        left.resolve()
        return { done: true, value: undefined }
      },
    }),
  }
  const incoming = there.accept(here.offer(pieces).stream)
  const waiting = incoming.next()
  await settle()
  await incoming.return?.()
  t.same(await waiting, { done: true, value: undefined })
  await left.promise
})

t.test('a sender that gives its offer up sends nothing more', async t => {
  const { here, there, kinds } = createPair(t)
  const { seen, pieces } = createSource(100)
  const offer = here.offer(pieces)
  const incoming = there.accept(offer.stream)
  await incoming.next()
  await settle()
  const before = kinds().length
  offer.dispose()
  await settle()
  t.ok(seen.left)
  t.equal(kinds().length, before)
})

t.test(
  'when the other side is gone everything under way with it ends, and nothing is sent',
  async t => {
    const { here, there, kinds } = createPair(t)
    const { seen, pieces } = createSource(100)
    const incoming = here.accept(there.offer(createSource(0, new Error('unheard')).pieces).stream)
    await there.accept(here.offer(pieces).stream).next()
    const asked = here.call('wait', undefined)
    const reading = incoming.next()
    here.end()
    const before = kinds().length
    await t.rejects(asked, GoneError)
    await t.rejects(reading, GoneError)
    await settle()
    t.ok(seen.left, 'what was being sent is left')
    here.notify('said', 'nobody')
    await t.rejects(here.call('double', 1), GoneError)
    await t.rejects(here.accept(77).next(), GoneError)
    t.equal(kinds().filter(kind => kind === 'note').length, 0)
    t.ok(kinds().length >= before)
  },
)
