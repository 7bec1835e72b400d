// Goal: each event of the engine reaches its metric, and the log at the level at which somebody
// should look. Method: events in, the rendered metrics and the lines read back; the clock moves by
// hand.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { parseRepositoryKey, type RegistryHost } from '../../../src/oci/reference.ts'
import type { EngineEvent, FillOutcome } from '../../../src/registry/ports/events.ts'
import { createLogger } from '../../../src/observe/log.ts'
import { createMetrics } from '../../../src/observe/metrics.ts'
import { createNoteEvent } from '../../../src/observe/note-event.ts'
import { createManualClock } from '../../kit/manual-clock.ts'

const registry = 'docker.io' as RegistryHost
const repository = parseRepositoryKey('docker.io/a/b')
const digest = digestOf(Buffer.from('x'))

function withEvents() {
  const clock = createManualClock()
  const written: Record<string, unknown>[] = []
  const destination = {
    write: (line: string) => written.push(JSON.parse(line) as Record<string, unknown>),
  }
  const metrics = createMetrics({
    version: '1',
    nodeVersion: '26',
    sleep: async () => {},
    process: false,
  })
  const logger = createLogger({ level: 'debug', destination })
  const note = createNoteEvent({ logger, metrics, monotonicMs: () => clock.monotonicMs() })
  const value = async (series: string) => {
    const { text } = await metrics.render()
    return text
      .split('\n')
      .find(line => line.startsWith(`entrepot_${series} `))
      ?.split(' ')
      .at(-1)
  }
  return { clock, written, note, value }
}

function fillEnded(outcome: FillOutcome, reason?: string, hint?: string): EngineEvent {
  return {
    kind: 'fill ended',
    repository,
    digest,
    outcome,
    sizeBytes: 9,
    durationMs: 1_500,
    reason,
    hint,
  }
}

t.test(
  'fills are counted in flight and by how they ended; one that failed warns with its hint',
  async t => {
    const { note, value, written } = withEvents()
    for (let count = 0; count < 3; count += 1)
      note({ kind: 'fill started', repository, digest, resumedBytes: 7 })
    t.equal(await value('fills_in_flight'), '3')
    t.equal(await value('fill_resumed_bytes_total'), '21')
    note(fillEnded('stored'))
    t.equal(written.at(-1)?.['level'], 'debug')
    note(fillEnded('failed', 'cut at https://cdn.example/x?sig=canary', 'look at the line'))
    t.match(written.at(-1), {
      level: 'warn',
      msg: 'fill failed',
      hint: 'look at the line',
      repository: 'docker.io/a/b',
      digest,
    })
    t.notMatch(JSON.stringify(written), /canary/)
    note(fillEnded('corrupt', 'wrong digest'))
    t.equal(written.at(-1)?.['level'], 'warn')
    t.equal(await value('fills_in_flight'), '0')
    t.equal(await value('fills_total{outcome="stored"}'), '1')
    t.equal(await value('fill_duration_seconds_sum{outcome="failed"}'), '1.5')
  },
)

t.test('a lasting failure of the disk is one line a minute and counted each time', async t => {
  const { clock, note, value, written } = withEvents()
  const full: EngineEvent = {
    kind: 'storage failed',
    failure: 'full',
    reason: 'ENOSPC',
    hint: 'free some space',
  }
  for (let count = 0; count < 100; count += 1) note(full)
  note({ ...full, failure: 'io' })
  t.same(
    written.map(line => [line['level'], line['failure'], line['held']]),
    [
      ['error', 'full', 0],
      ['error', 'io', 0],
    ],
  )
  t.equal(written[0]?.['hint'], 'free some space')
  await clock.advance(60_000)
  note(full)
  t.match(written.at(-1), { failure: 'full', held: 99 })
  t.equal(await value('storage_failures_total{failure="full"}'), '101')
})

t.test('upstream requests are counted by status or failure, unusual statuses by class', async t => {
  const { note, value } = withEvents()
  for (const outcome of [200, 429, 418, 599, 'unavailable'] as const) {
    note({ kind: 'upstream request', registry, call: 'blob', outcome, durationMs: 250 })
  }
  for (const outcome of ['200', '429', '4xx', '5xx', 'unavailable']) {
    t.equal(
      await value(`upstream_requests_total{upstream="docker.io",call="blob",outcome="${outcome}"}`),
      '1',
      outcome,
    )
  }
  t.equal(
    await value('upstream_request_duration_seconds_count{upstream="docker.io",call="blob"}'),
    '5',
  )
  t.equal(
    await value('upstream_request_duration_seconds_sum{upstream="docker.io",call="blob"}'),
    '1.25',
    'in seconds',
  )
  note({ kind: 'upstream bytes', registry, bytes: 512 })
  t.equal(await value('upstream_bytes_total{upstream="docker.io"}'), '512')
  note({ kind: 'upstream rate limit', registry, remaining: 42 })
  t.equal(await value('upstream_rate_limit_remaining{upstream="docker.io"}'), '42')
})

t.test('what was fetched ahead in vain is what was given up or came for nobody', async t => {
  const { note, value } = withEvents()
  const steps = { started: 1, used: 20, cancelled: 300, unused: 4_000 } as const
  for (const [step, bytes] of Object.entries(steps))
    note({ kind: 'prefetch', repository, digest, step: step as keyof typeof steps, bytes })
  for (const step of Object.keys(steps))
    t.equal(await value(`prefetched_blobs_total{step="${step}"}`), '1', step)
  t.equal(await value('prefetch_vain_bytes_total{upstream="docker.io"}'), '4300')
})

t.test('a breaker that opens warns with its hint, and closing is news', async t => {
  const { note, value, written } = withEvents()
  note({
    kind: 'upstream breaker',
    registry,
    state: 'open',
    reason: '5 failures',
    hint: 'is the WAN up?',
  })
  t.match(written.at(-1), { level: 'warn', upstream: 'docker.io', hint: 'is the WAN up?' })
  t.equal(await value('upstream_breaker_state{upstream="docker.io"}'), '2')
  note({
    kind: 'upstream breaker',
    registry,
    state: 'half-open',
    reason: 'a probe',
    hint: undefined,
  })
  t.equal(await value('upstream_breaker_state{upstream="docker.io"}'), '1')
  note({
    kind: 'upstream breaker',
    registry,
    state: 'closed',
    reason: 'it answered',
    hint: undefined,
  })
  t.equal(written.at(-1)?.['level'], 'info')
  t.equal(await value('upstream_breaker_state{upstream="docker.io"}'), '0')
})

t.test('lies and stale answers warn once a minute per upstream, and are counted', async t => {
  const { note, value, written } = withEvents()
  for (let count = 0; count < 5; count += 1) {
    note({ kind: 'content lied', registry, what: 'blob of the wrong digest' })
    note({ kind: 'served stale', repository, ageMs: 1_000, reason: 'no route' })
  }
  t.same(
    written.map(line => line['level']),
    ['warn', 'warn'],
  )
  t.equal(await value('upstream_lies_total{upstream="docker.io"}'), '5')
  t.equal(await value('stale_answers_total{upstream="docker.io"}'), '5')
})

t.test('what was pushed is counted by its mode, without a line of its own above debug', async t => {
  const { note, value, written } = withEvents()
  note({ kind: 'pushed', repository, what: 'blob', mode: 'queue', sizeBytes: 1_000 })
  note({ kind: 'pushed', repository, what: 'manifest', mode: 'queue', sizeBytes: 24 })
  t.equal(await value('pushes_total{what="blob",mode="queue"}'), '1')
  t.equal(await value('pushed_bytes_total{mode="queue"}'), '1024')
  t.match(written, [{ level: 'debug' }, { level: 'debug', repository: 'docker.io/a/b' }])
})

function delivery(
  id: number,
  outcome: 'delivered' | 'retried' | 'parked',
  told: { key?: string; reason?: string; hint?: string } = {},
): EngineEvent {
  const { key = 'docker.io/a/b', reason, hint = 'look at the upstream' } = told
  return {
    kind: 'delivery',
    carrier: 'queue',
    id,
    key,
    outcome,
    attempts: 3,
    durationMs: 500,
    reason,
    hint: reason === undefined ? undefined : hint,
  }
}

t.test('each parked delivery is one line with its reason and what to do', async t => {
  const { note, value, written } = withEvents()
  const reason = 'the tag moved, see https://user:canary@a.example/x?sig=canary'
  note(delivery(1, 'parked', { reason }))
  note(delivery(2, 'parked', { reason: 'the tag moved' }))
  t.equal(written.length, 2)
  t.match(written[0], {
    level: 'warn',
    msg: /parked/,
    // The operator's word, and not that of the files
    carrier: 'queue',
    id: 1,
    key: 'docker.io/a/b',
    attempts: 3,
    hint: 'look at the upstream',
  })
  t.notMatch(JSON.stringify(written), /canary/)
  t.equal(await value('deliveries_total{carrier="queue",outcome="parked"}'), '2')
})

t.test('deliveries that fail alike are one line a minute, and one each when done', async t => {
  const { clock, note, value, written } = withEvents()
  const hint = 'is the WAN up?'
  const fail = (id: number, key: string) =>
    note(delivery(id, 'retried', { key, reason: `no route for ${key}`, hint }))
  for (let id = 0; id < 50; id += 1) fail(id, `docker.io/a/${id}`)
  fail(50, 'ghcr.io/a/b')
  t.match(written, [
    { level: 'warn', held: 0, key: 'docker.io/a/0', hint },
    { level: 'warn', held: 0, key: 'ghcr.io/a/b' },
  ])
  note(delivery(51, 'retried', { key: 'docker.io/a/b', reason: 'denied', hint: 'credentials' }))
  t.match(written.at(-1), { held: 0, reason: 'denied' }, 'another thing to do is another line')
  await clock.advance(60_000)
  fail(0, 'docker.io/a/0')
  t.match(written.at(-1), { held: 49 })
  note(delivery(0, 'delivered'))
  t.match(written.at(-1), { level: 'info', msg: 'push delivered', reason: undefined })
  t.equal(await value('deliveries_total{carrier="queue",outcome="retried"}'), '53')
  t.equal(await value('delivery_duration_seconds_sum{carrier="queue",outcome="delivered"}'), '0.5')
})

t.test('a catalog that is brought up to date is a line before and one after', async t => {
  const { note, written } = withEvents()
  note({ kind: 'catalog is being brought up to date', from: 1004, to: 2000, bytes: 9 })
  t.match(written.splice(0), [
    { level: 'info', msg: 'catalog is being brought up to date', from: 1004, to: 2000, bytes: 9 },
  ])
  note({ kind: 'catalog brought up to date', from: 1004, to: 2000 })
  const line = { level: 'info', msg: 'catalog brought up to date', from: 1004, to: 2000 }
  t.match(written, [line])
})

t.test('what goes by retention is a line for each repository, and counted', async t => {
  const { note, value, written } = withEvents()
  const repository = parseRepositoryKey('localhost/team/app')
  const gone = { kind: 'retained', repository, tags: 2, manifests: 1, bytes: 9 } as const
  const first = ['localhost/team/app:v1: no line of keeptags names it']
  note({ ...gone, first, dryRun: true })
  t.match(written.at(-1), { msg: 'would go by retention', tags: 2, first })
  t.equal(await value('retention_gone_total{what="tag"}'), undefined)
  note({ ...gone, first, dryRun: false })
  t.match(written.at(-1), { msg: 'gone by retention', repository: 'localhost/team/app', bytes: 9 })
  t.equal(await value('retention_gone_total{what="tag"}'), '2')
  t.equal(await value('retention_gone_total{what="manifest"}'), '1')
  note({ kind: 'too much to retain', repository, limit: 7 })
  t.match(written.at(-1), { level: 'warn', hint: /delete some by hand/, limit: 7 })
  note({ kind: 'too unclear to retain', repository })
  t.match(written.at(-1), {
    level: 'warn',
    hint: /push it again/,
    repository: 'localhost/team/app',
  })
  note({ kind: 'too unclear to retain', repository: undefined })
  t.match(written.at(-1), { repository: 'all' })
})

t.test('uploads that were removed are news; a round without any is not', async t => {
  const { note, value, written } = withEvents()
  note({ kind: 'uploads purged', why: 'age', sessions: 0, bytes: 0, dryRun: false })
  t.equal(written.at(-1)?.['level'], 'debug')
  note({ kind: 'uploads purged', why: 'age', sessions: 3, bytes: 900, dryRun: true })
  t.match(written.at(-1), { level: 'info', msg: /would be removed/, sessions: 3, bytes: 900 })
  t.equal(await value('uploads_purged_total'), '0', 'a dry run removes nothing')
  note({ kind: 'uploads purged', why: 'age', sessions: 3, bytes: 900, dryRun: false })
  t.match(written.at(-1), { level: 'info', msg: 'abandoned uploads removed' })
  t.equal(await value('uploads_purged_total'), '3')
})

t.test(
  'what left the disk is counted by its reason, and told in a line but by the eviction',
  async t => {
    const { note, value, written } = withEvents()
    for (const reason of ['collected', 'purged', 'deleted', 'evicted'] as const)
      note({ kind: 'left', reason, files: 2, bytes: 8_192 })
    t.equal(await value('left_files_total{reason="purged"}'), '2')
    t.equal(await value('left_bytes_total{reason="evicted"}'), '8192')
    const lines = ['collected', 'purged', 'deleted'].map(reason => {
      return { reason, files: 2, bytes: 8_192, msg: 'content left the disk' }
    })
    t.match(written, lines)
    t.equal(written.length, lines.length)
  },
)

t.test('what the catalog had counted wrongly is counted, and told with what to do', async t => {
  const { note, value, written } = withEvents()
  note({ kind: 'miscounted', contents: 2 })
  t.equal(await value('catalog_miscounted_total'), '2')
  t.match(written.at(-1), { level: 'warn', contents: 2, hint: /it is right now/ })
})
