// Goal: a thread that dies is started again, after a while that grows when it dies at once,
// whatever the others do; a stop reaches all of them and waits for none that hangs. Method: threads
// made of promises, on a clock that is the test's.
import t from 'tap'
import {
  HttpThreads,
  HUNG_AFTER_MS,
  REPLACE_LIMIT_MS,
  RESTART_DELAY_MAX_MS,
  RESTART_DELAY_MS,
  SOUND_AFTER_MS,
  TELL_LIMIT_MS,
  type ThreadDeath,
  threadsFor,
} from '../../../src/threads/http-threads.ts'
import { GoneError } from '../../../src/threads/other-thread.ts'
import { createManualClock } from '../../kit/manual-clock.ts'

const ADDRESS = { host: '127.0.0.1', port: 5000 }
type Answer = (method: string, request: unknown) => Promise<unknown>

function createDouble(thread: number, answer: Answer) {
  const ended = Promise.withResolvers<Error | undefined>()
  const called: string[] = []
  const told: [name: string, what: unknown][] = []
  const gone = new AbortController()
  const never = new Promise<never>((_resolve, reject) =>
    gone.signal.addEventListener('abort', () => reject(new GoneError())),
  )
  never.catch(() => {})
  const call = (method: string, request: unknown) => {
    called.push(method)
    return Promise.race([never, answer(method, request)])
  }
  const over = (error: Error | undefined) => {
    gone.abort()
    ended.resolve(error)
  }
  const running = {
    httpThread: { call, notify: (name: string, what: unknown) => told.push([name, what]) } as never,
    ended: ended.promise,
    end: async () => over(undefined),
  }
  return { thread, called, told, die: (text: string) => over(new Error(text)), running }
}

function createWorld(count: number, answer: Answer = async () => undefined) {
  const clock = createManualClock()
  const started: ReturnType<typeof createDouble>[] = []
  const deaths: ThreadDeath[] = []
  const watchers = new Set<() => void>()
  const numbers = Array.from({ length: count }, (_, at) => at + 1)
  const threads = new HttpThreads(numbers, {
    clock,
    start: thread => {
      const double = createDouble(thread, answer)
      started.push(double)
      for (const look of watchers) look()
      return double.running
    },
    died: death => deaths.push(death),
  })
  /** Resolves when so many were started in all. */
  const untilStarted = (many: number) =>
    new Promise<void>(resolve => {
      const look = () => {
        if (started.length >= many) resolve()
      }
      watchers.add(look)
      look()
    })
  return { clock, threads, started, deaths, untilStarted }
}

t.test('where nobody says, one thread serves for each core, four at most', async t => {
  t.same([1, 2, 3, 4, 5, 64].map(threadsFor), [1, 2, 3, 4, 4, 4])
})

t.test('all are started at once, and listen when there is an address', async t => {
  const { threads, started } = createWorld(3)
  t.same(
    started.map(({ thread }) => thread),
    [1, 2, 3],
  )
  t.same(
    started.flatMap(({ called }) => called),
    [],
  )
  await threads.listen(ADDRESS)
  t.same(
    started.map(({ called }) => called),
    [['listen'], ['listen'], ['listen']],
  )
  t.same(
    threads.states.map(({ state }) => state),
    ['listening', 'listening', 'listening'],
  )
})

t.test('one that dies is started again and listens; the others do not notice', async t => {
  const { clock, threads, started, deaths, untilStarted } = createWorld(2)
  await threads.listen(ADDRESS)
  started[0]?.die('oh')
  await clock.untilSleeping(RESTART_DELAY_MS)
  t.match(deaths, [{ thread: 1, error: { message: 'oh' }, deaths: 1, delayMs: RESTART_DELAY_MS }])
  t.match(threads.states, [
    { state: 'dead', deaths: 1 },
    { state: 'listening', deaths: 0 },
  ])
  await clock.advance(RESTART_DELAY_MS)
  await untilStarted(3)
  t.equal(started[2]?.thread, 1)
  await threads.ping()
  t.same(started[2]?.called, ['listen', 'ping'])
  t.same(started[1]?.called, ['listen', 'ping'])
})

t.test('one that dies at once again and again is started ever less often, without end', async t => {
  const { clock, threads, started, deaths, untilStarted } = createWorld(1)
  await threads.listen(ADDRESS)
  for (let times = 1; times <= 10; times += 1) {
    started.at(-1)?.die('again')
    const delayMs = Math.min(RESTART_DELAY_MS * 2 ** (times - 1), RESTART_DELAY_MAX_MS)
    await clock.untilSleeping(delayMs)
    await clock.advance(delayMs)
    await untilStarted(times + 1)
  }
  t.same(deaths.at(-1)?.delayMs, RESTART_DELAY_MAX_MS)
  await clock.advance(SOUND_AFTER_MS)
  started.at(-1)?.die('much later')
  await clock.untilSleeping(RESTART_DELAY_MS)
  t.match(deaths.at(-1), { deaths: 1, delayMs: RESTART_DELAY_MS }, 'it did not die of its start')
})

t.test('one that cannot listen counts as dead, and the start goes on without it', async t => {
  const { clock, threads, deaths } = createWorld(1, async method => {
    if (method === 'listen') throw new Error('EMFILE')
    return undefined
  })
  await threads.listen(ADDRESS)
  await clock.untilSleeping(RESTART_DELAY_MS)
  t.match(deaths, [{ error: { message: 'EMFILE' } }])
})

t.test('a question to all is not held up by one that dies of it', async t => {
  const { threads, started } = createWorld(2, async (method, request) => {
    if (method !== 'replace') return undefined
    return request === 'hang' ? new Promise(() => {}) : undefined
  })
  await threads.listen(ADDRESS)
  const replaced = threads.replace('hang' as never)
  started[0]?.die('of it')
  started[1]?.die('too')
  await replaced
  t.pass('it resolved')
})

t.test('a reload does not wait for a thread that hangs, and tells which it is', async t => {
  let calls = 0
  const { clock, threads } = createWorld(3, async method => {
    if (method !== 'replace') return undefined
    calls += 1
    return calls === 2 ? new Promise(() => {}) : undefined
  })
  await threads.listen(ADDRESS)
  const replaced = threads.replace(undefined as never)
  replaced.catch(() => {})
  await clock.untilSleeping(REPLACE_LIMIT_MS)
  await clock.advance(REPLACE_LIMIT_MS)
  await t.rejects(replaced, { message: /^http thread 2 has not answered/ })
  await threads.end()
})

t.test('R620: whoever goes by uses waits until each thread has told them', async t => {
  const telling = Promise.withResolvers<void>()
  const { threads, started } = createWorld(2, method =>
    method === 'tellUses' ? telling.promise : Promise.resolve(),
  )
  await threads.listen(ADDRESS)
  let isTold = false
  const told = threads.tellUses().then(() => (isTold = true))
  await new Promise(setImmediate)
  t.equal(isTold, false)
  started[0]?.die('before it has')
  telling.resolve()
  await told
  t.same(
    started.map(({ called }) => called),
    [
      ['listen', 'tellUses'],
      ['listen', 'tellUses'],
    ],
  )
  await threads.end()
})

t.test('R620: a thread that hangs is waited for once, until it has told', async t => {
  let telling = Promise.withResolvers<void>()
  const { clock, threads, started } = createWorld(1, method =>
    method === 'tellUses' ? telling.promise : Promise.resolve(),
  )
  await threads.listen(ADDRESS)
  const told = threads.tellUses()
  await clock.untilSleeping(TELL_LIMIT_MS)
  await clock.advance(TELL_LIMIT_MS)
  await told
  await threads.tellUses()
  telling.resolve()
  await new Promise(setImmediate)
  telling = Promise.withResolvers()
  telling.resolve()
  await threads.tellUses()
  t.same(started[0]?.called, ['listen', 'tellUses', 'tellUses'])
  await threads.end()
})

t.test('a stop drains all, and ends one that hangs when its time is over', async t => {
  const { clock, threads, started, deaths } = createWorld(2, (method, request) =>
    method === 'drain' && request !== undefined ? new Promise(() => {}) : Promise.resolve(),
  )
  await threads.listen(ADDRESS)
  const drained = threads.drain(5_000)
  await clock.untilSleeping(5_000 + HUNG_AFTER_MS)
  t.same(
    started.map(({ called }) => called.at(-1)),
    ['drain', 'drain'],
  )
  await clock.advance(5_000 + HUNG_AFTER_MS)
  await drained
  t.same([started.length, deaths], [2, []])
  await threads.end()
})

t.test('a stop while a thread is dead does not wait for its turn to be started', async t => {
  const { clock, threads, started } = createWorld(1)
  await threads.listen(ADDRESS)
  started[0]?.die('oh')
  await clock.untilSleeping(RESTART_DELAY_MS)
  await threads.drain(5_000)
  t.equal(started.length, 1)
})

t.test('http threads: each is told that others wait, and the new keys of tickets', async t => {
  const { threads, started } = createWorld(3)
  await threads.listen(ADDRESS)
  threads.othersWait(7)
  const keys = new Uint8Array(3)
  threads.useTicketKeys(keys)
  const both = [
    ['othersWait', 7],
    ['ticketKeys', keys],
  ]
  t.same(
    started.map(({ told }) => told),
    [both, both, both],
  )
  await threads.end()
})
