// Goal: what a thread says in one turn crosses at once, and means what it would have meant message
// by message. Method: two ends over a MessageChannel in one thread, whose crossings are counted.
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import t from 'tap'
import type { Message, Port } from '../../../src/threads/messages.ts'
import { OtherThread } from '../../../src/threads/other-thread.ts'

interface There {
  readonly methods: { readonly wait: { readonly request: number; readonly result: unknown } }
  readonly notes: { readonly said: number }
}
interface Here {
  readonly methods: Readonly<Record<never, never>>
  readonly notes: Readonly<Record<never, never>>
}

function createPair(
  t: { teardown(fn: () => unknown): unknown },
  wait: (number: number) => Promise<unknown>,
  said: (number: number) => void = () => {},
) {
  const { port1, port2 } = new MessageChannel()
  t.teardown(() => port1.close())
  const crossings: string[][] = []
  const here = new OtherThread<There, Here>(counted(port1, crossings), { methods: {}, notes: {} })
  const there = new OtherThread<Here, There>(counted(port2, crossings), {
    methods: { wait },
    notes: { said },
  })
  return { here, there, crossings }
}

function counted(port: MessagePort, crossings: string[][]): Port {
  return {
    postMessage(messages, transfer = []) {
      port.postMessage(messages, [...transfer])
      crossings.push(messages.map(({ kind }: Message) => kind))
    },
    on: (event, listener) => port.on(event, listener),
  }
}

t.test('a crowd that asks at once, and one that is answered at once, cross once', async t => {
  const event = Promise.withResolvers<void>()
  const { here, crossings } = createPair(t, async number => {
    await event.promise
    return number
  })
  const asked = Promise.all([1, 2, 3].map(number => here.call('wait', number)))
  for (let turns = 0; turns < 20; turns += 1) await new Promise(setImmediate)
  t.same(crossings, [['call', 'call', 'call']])
  event.resolve()
  t.same(await asked, [1, 2, 3])
  t.same(crossings.slice(1), [['result', 'result', 'result']])
})

t.test('questions that came together and are answered one by one are answered at once', async t => {
  const { here, crossings } = createPair(t, async number => number)
  t.same(await Promise.all([1, 2, 3].map(number => here.call('wait', number))), [1, 2, 3])
  t.same(crossings.slice(1), [['result', 'result', 'result']])
})

t.test('what a message sets going comes to rest before the next one is looked at', async t => {
  const seen: string[] = []
  const wait = async (number: number) => {
    seen.push(`asked ${number}`)
    for (let steps = 0; steps < 10; steps += 1) await Promise.resolve()
    seen.push(`served ${number}`)
  }
  const { here } = createPair(t, wait, number => seen.push(`said ${number}`))
  const first = here.call('wait', 1)
  here.notify('said', 2)
  await Promise.all([first, here.call('wait', 3)])
  t.same(seen, ['asked 1', 'served 1', 'said 2', 'asked 3', 'served 3'])
})

t.test('beside a value that cannot cross the others do, in order', async t => {
  const said: number[] = []
  const { here } = createPair(
    t,
    async number => (number === 1 ? () => {} : number),
    number => said.push(number),
  )
  const asked = [1, 2, (() => {}) as unknown as number].map(number => here.call('wait', number))
  here.notify('said', 4)
  const [first, second, third] = await Promise.allSettled(asked)
  t.match(first, { status: 'rejected', reason: /could not be cloned/ })
  t.match(second, { status: 'fulfilled', value: 2 })
  t.match(third, { status: 'rejected', reason: /could not be cloned/ })
  t.same(said, [4])
})

t.test('when the other side is gone nothing more is sent, nor what was about to be', async t => {
  const { here, crossings } = createPair(t, async number => number)
  here.notify('said', 1)
  here.end()
  await new Promise(setImmediate)
  t.same(crossings, [])
})

t.test(
  'messages that arrive while others are looked at come after them, also at the end',
  async t => {
    const listeners: ((messages: readonly Message[]) => void)[] = []
    const said: number[] = []
    const note = (value: number): Message => ({ kind: 'note', name: 'said', value })
    const port: Port = { postMessage: () => {}, on: (_event, listener) => listeners.push(listener) }
    const other = new OtherThread<Here, There>(port, {
      methods: { wait: async () => undefined },
      notes: { said: number => said.push(number) },
    })
    for (const batch of [[note(1), note(2)], [note(3)]]) listeners[0]?.(batch)
    t.same(said, [1])
    other.end()
    t.same(said, [1, 2, 3])
  },
)

t.test('a piece that cannot cross breaks its stream alone', async t => {
  const { here, there } = createPair(t, async number => number)
  async function* pieces() {
    const piece = new Uint8Array(4)
    yield piece
    // Who does this breaks the rule.
    structuredClone(piece, { transfer: [piece.buffer] })
    await new Promise(() => {})
  }
  const reading = there.accept(here.offer(pieces()).stream).next()
  await t.rejects(reading, /could not be cloned|detached|Cannot transfer/)
  t.equal(await here.call('wait', 7), 7)
})
