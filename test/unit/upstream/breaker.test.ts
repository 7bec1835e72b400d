// Goal: nobody waits for an upstream that is down, and one request at a time finds out whether it
// is back. Method: the breaker alone, with virtual time.
import t from 'tap'
import { UpstreamError } from '../../../src/registry/ports/upstream.ts'
import { Breaker } from '../../../src/upstream/endpoint/breaker.ts'
import { createManualClock } from '../../kit/manual-clock.ts'
import { failureThrownBy } from '../../kit/open-upstream.ts'

const DOWN = {
  kind: 'failed',
  error: new UpstreamError('unavailable', 'down'),
  wasReached: false,
} as const
const GOOD = { kind: 'good' } as const

function limited(retryAfterMs?: number) {
  const options = retryAfterMs === undefined ? {} : { retryAfterMs }
  const error = new UpstreamError('rate-limited', 'slow down', options)
  return { kind: 'failed', error, wasReached: true } as const
}

function setUp() {
  const clock = createManualClock()
  const changes: string[] = []
  const questions: number[] = []
  const breaker = new Breaker({
    clock,
    host: 'r.example',
    onChange: ({ state }) => changes.push(state),
    isThere: async () => {
      questions.push(clock.nowMs())
      return false
    },
  })
  const times = (count: number, finding: Parameters<ReturnType<typeof breaker.enter>>[0]) => {
    for (let at = 0; at < count; at += 1) void breaker.enter('api')(finding)
  }
  return { clock, changes, questions, breaker, times }
}

t.test('what the last request found is told, and what found nothing is none', async t => {
  const { breaker, times } = setUp()
  t.equal(breaker.lastFinding, undefined)
  times(1, { kind: 'none' })
  t.equal(breaker.lastFinding, undefined)
  times(1, DOWN)
  t.equal(breaker.lastFinding, 'failed')
  times(1, { kind: 'none' })
  t.equal(breaker.lastFinding, 'failed')
  times(1, GOOD)
  t.equal(breaker.lastFinding, 'good')
})

t.test('R93: five failures in a row open it, four do not', async t => {
  const { breaker, times, changes } = setUp()
  times(4, DOWN)
  times(1, GOOD)
  times(4, DOWN)
  t.equal(breaker.state, 'closed')
  times(1, DOWN)
  t.equal(breaker.state, 'open')
  t.equal(breaker.retryInMs, 30_000)
  t.equal(breaker.lastFailure, 'down')
  t.equal(
    failureThrownBy(() => breaker.enter('api')),
    'unavailable',
  )
  t.equal(
    failureThrownBy(() => breaker.enter('blob')),
    'unavailable',
  )
  t.same(changes, ['open'])
})

// It said that the registry is not asked for so long, and asked it by itself before
// that.
t.test('R305: who is kept out is told by when it is asked again, not that it is not asked', t => {
  const { breaker, times } = setUp()
  times(5, DOWN)
  t.throws(() => breaker.enter('api'), {
    message: 'r.example is asked again in at most 30 s; last: down',
  })
  t.end()
})

t.test('R93: more than half of twenty within half a minute open it, half do not', async t => {
  const { breaker, times } = setUp()
  for (let at = 0; at < 10; at += 1) {
    times(1, GOOD)
    times(1, DOWN)
  }
  t.equal(breaker.state, 'closed')
  times(1, DOWN)
  t.equal(breaker.state, 'open')
})

t.test('R93: failures that are older than half a minute no longer count', async t => {
  const { breaker, times, clock } = setUp()
  for (let at = 0; at < 12; at += 1) {
    times(1, DOWN)
    times(1, GOOD)
    await clock.advance(5_000)
  }
  times(1, DOWN)
  t.equal(breaker.state, 'closed')
})

t.test('R93: after the pause one request is let through, and its success closes it', async t => {
  const { breaker, times, clock, changes } = setUp()
  times(5, DOWN)
  await clock.advance(30_000)
  const tell = breaker.enter('api')
  t.equal(breaker.state, 'half-open')
  t.equal(
    failureThrownBy(() => breaker.enter('api')),
    'unavailable',
    'only one asks',
  )
  void tell(GOOD)
  t.equal(breaker.state, 'closed')
  t.equal(
    failureThrownBy(() => breaker.enter('api')),
    undefined,
  )
  t.same(changes, ['open', 'half-open', 'closed'])
})

t.test('R93: each failed probe doubles the pause, up to five minutes', async t => {
  const { breaker, times, clock } = setUp()
  times(5, DOWN)
  for (const nextMs of [60_000, 120_000, 240_000, 300_000, 300_000]) {
    await clock.advance(breaker.retryInMs ?? 0)
    void breaker.enter('api')(DOWN)
    t.equal(breaker.retryInMs, nextMs)
  }
})

t.test('R93: once it answers again, the next pause is as short as the first', async t => {
  const { breaker, clock, times } = setUp()
  times(5, DOWN)
  for (let probes = 0; probes < 3; probes += 1) {
    await clock.advance(breaker.retryInMs ?? 0)
    times(1, DOWN)
  }
  t.equal(breaker.retryInMs, 240_000)
  await clock.advance(240_000)
  times(1, GOOD)
  t.equal(breaker.state, 'closed')
  times(5, DOWN)
  t.equal(breaker.retryInMs, 30_000)
})

t.test('a probe that found out nothing leaves the question to the next request', async t => {
  const { breaker, times, clock } = setUp()
  times(5, DOWN)
  await clock.advance(30_000)
  void breaker.enter('api')({ kind: 'none' })
  const tell = breaker.enter('api')
  void tell(GOOD)
  t.equal(breaker.state, 'closed')
})

t.test(
  'R154: a 429 holds requests of its kind back for as long as it says, and no others',
  async t => {
    const { breaker, clock, changes } = setUp()
    void breaker.enter('api')(limited(120_000))
    t.equal(
      failureThrownBy(() => breaker.enter('api')),
      'rate-limited',
    )
    t.equal(
      failureThrownBy(() => breaker.enter('blob')),
      undefined,
      'blobs are not counted',
    )
    t.equal(breaker.state, 'closed')
    await clock.advance(120_000)
    void breaker.enter('api')(GOOD)
    t.same(changes, ['open', 'closed'])
  },
)

t.test('R154: of 429s that name no time the second is believed', async t => {
  const { breaker, clock } = setUp()
  void breaker.enter('api')(limited())
  void breaker.enter('api')(limited())
  t.equal(
    failureThrownBy(() => breaker.enter('api')),
    'rate-limited',
  )
  await clock.advance(60_000)
  t.equal(
    failureThrownBy(() => breaker.enter('api')),
    undefined,
  )
})

t.test(
  'a registry is asked at once when somebody says so, in spite of a rate limit or a pause',
  async t => {
    const { breaker, times } = setUp()
    for (const lane of ['api', 'blob'] as const) void breaker.enter(lane)(limited(120_000))
    breaker.letNextThrough()
    for (const lane of ['api', 'blob'] as const)
      t.equal(
        failureThrownBy(() => breaker.enter(lane)),
        undefined,
        lane,
      )
    times(5, DOWN)
    t.equal(
      failureThrownBy(() => breaker.enter('api')),
      'unavailable',
    )
    breaker.letNextThrough()
    t.equal(breaker.retryInMs, undefined)
    void breaker.enter('api')(GOOD)
    t.equal(breaker.state, 'closed')
  },
)

t.test('bodies that break count as failures', async t => {
  const { breaker } = setUp()
  for (let at = 0; at < 5; at += 1) breaker.bodyFailed(DOWN.error)
  await Promise.resolve()
  t.equal(breaker.state, 'open')
})

t.test('R259: one question for all who fail while it is asked, and one pause', async t => {
  const { breaker, questions } = setUp()
  const tells = Array.from({ length: 12 }, () => breaker.enter('api'))
  await Promise.all(tells.map(tell => tell({ ...DOWN, wasReached: true })))
  t.equal(breaker.retryInMs, 30_000)
  t.equal(questions.length, 1)
})

/** A breaker that asks by itself; the answers are those of `there`, in order, and then no. */
function setUpWatched(there: readonly boolean[]) {
  const clock = createManualClock()
  const changes: string[] = []
  const asked: number[] = []
  const closing = new AbortController()
  const breaker = new Breaker({
    clock,
    host: 'r.example',
    onChange: ({ state }) => changes.push(state),
    isThere: async () => {
      asked.push(clock.monotonicMs())
      return there[asked.length - 1] ?? false
    },
    watch: { random: () => 0.5, signal: closing.signal },
  })
  const fail = () => {
    for (let at = 0; at < 5; at += 1) void breaker.enter('api')(DOWN)
  }
  return { clock, changes, asked, closing, breaker, fail }
}

t.test(
  'R305: while it is open somebody asks every half minute, and an answer closes it',
  async t => {
    const { clock, changes, asked, breaker, fail } = setUpWatched([false, false, true])
    fail()
    await clock.advance(90_000)
    t.same(asked, [30_000, 60_000, 90_000])
    t.equal(breaker.state, 'closed')
    t.equal(breaker.lastFinding, 'good')
    t.same(changes, ['open', 'closed'])
    await clock.advance(120_000)
    t.equal(asked.length, 3, 'nobody asks while it is closed')
    fail()
    await clock.advance(30_000)
    t.equal(asked.length, 4, 'and somebody does when it opens again')
  },
)

t.test('R305: one that was closed by an answer is not said to be open any more', async t => {
  const { clock, changes, breaker, fail } = setUpWatched([false, true])
  fail()
  await clock.advance(30_000)
  // A client asks at the same time, in vain: the pause is a minute then.
  void breaker.enter('api')(DOWN)
  t.equal(breaker.retryInMs, 60_000)
  await clock.advance(30_000)
  t.equal(changes.at(-1), 'closed')
  t.equal(breaker.state, 'closed')
  t.equal(breaker.retryInMs, undefined)
})

t.test('R305: a question on its way is the only one, whoever fails meanwhile', async t => {
  const { clock, asked, breaker, fail } = setUpWatched([])
  fail()
  await clock.advance(30_000)
  void breaker.enter('api')(DOWN)
  await clock.advance(30_000)
  t.same(asked, [30_000, 60_000])
  t.equal(breaker.retryInMs, 30_000, 'its answers change no pause')
})

t.test('R305: what a client is finding out is left to it', async t => {
  const { clock, asked, breaker, fail } = setUpWatched([true])
  fail()
  await clock.advance(29_999)
  breaker.letNextThrough()
  const tell = breaker.enter('api')
  await clock.advance(1)
  t.same(asked, [])
  t.equal(breaker.state, 'half-open')
  void tell(GOOD)
  t.equal(breaker.state, 'closed')
})

// A question each half minute of the hour that was named.
t.test('R154, R305: whoever named a rate limit is asked by itself when that is over', async t => {
  const { clock, asked, breaker } = setUpWatched([true])
  void breaker.enter('api')(limited(600_000))
  for (let at = 0; at < 5; at += 1) void breaker.enter('blob')(DOWN)
  await clock.advance(599_000)
  t.same(asked, [])
  t.equal(breaker.state, 'open')
  await clock.advance(30_000)
  t.same(asked, [600_000])
  t.equal(breaker.state, 'closed')
})

t.test('R154, R305: a rate limit of blobs alone is none of the question', async t => {
  const { clock, asked, breaker, fail } = setUpWatched([true])
  void breaker.enter('blob')(limited(600_000))
  fail()
  await clock.advance(30_000)
  t.same(asked, [30_000])
  t.equal(
    failureThrownBy(() => breaker.enter('blob')),
    'rate-limited',
    'it goes on',
  )
})

t.test('R305: nobody asks for long about what nobody wants', async t => {
  const { clock, asked, breaker, fail } = setUpWatched([])
  fail()
  await clock.advance(3_600_000)
  const count = asked.length
  t.equal(count, 30)
  await clock.advance(3_600_000)
  t.equal(asked.length, count)
  void breaker.enter('api')(DOWN)
  await clock.advance(30_000)
  t.equal(asked.length, count + 1, 'until somebody does again')
})

t.test('R305: what is closed for good asks no more', async t => {
  const { clock, asked, closing, fail } = setUpWatched([])
  fail()
  await clock.advance(30_000)
  closing.abort(new Error('it is over'))
  await clock.advance(300_000)
  t.equal(asked.length, 1)
  t.equal(clock.sleepers, 0)
})
