// Goal: the metrics table is the whole truth about metrics. Method: the rendered text is read back
// and compared with the table and with the vocabularies of other rooms.
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { ENDPOINTS } from '../../../src/oci/endpoint.ts'
import { SOURCES } from '../../../src/registry/answers.ts'
import { createMetrics, UPSTREAM_LABELS_MAX } from '../../../src/observe/metrics.ts'
import { renderMetricsDoc } from '../../../scripts/docs/metrics.ts'
import { METRICS } from '../../../src/observe/metrics-table.ts'
import { createManualClock } from '../../kit/manual-clock.ts'

function withMetrics(process = false) {
  const clock = createManualClock()
  const metrics = createMetrics({
    version: '1',
    nodeVersion: '26',
    sleep: (ms, signal) => clock.sleep(ms, signal),
    process,
  })
  const text = async () => (await metrics.render()).text
  return { clock, metrics, text }
}

t.test('every name follows the pattern, and counters end in _total', async t => {
  for (const { name, type, help } of Object.values(METRICS)) {
    t.match(name, /^entrepot_[a-z]+(?:_[a-z]+)*$/)
    t.equal(name.endsWith('_total'), type === 'counter', name)
    t.match(help, /\.$/, name)
  }
  t.equal(new Set(Object.values(METRICS).map(({ name }) => name)).size, Object.keys(METRICS).length)
})

t.test('the closed sets are those of the rooms they come from', async t => {
  t.same(METRICS.requests.labels.source, [...SOURCES, 'none'])
  t.same(
    new Set(METRICS.requests.labels.endpoint),
    new Set([...Object.keys(ENDPOINTS), 'livez', 'none']),
  )
})

t.test('every row of the table is rendered with its help, and stands in the document', async t => {
  const { text } = withMetrics()
  const rendered = await text()
  const page = renderMetricsDoc()
  for (const { name, type, help } of Object.values(METRICS)) {
    t.ok(rendered.includes(`# HELP ${name} ${help}\n# TYPE ${name} ${type}`), name)
    t.ok(page.includes(`## ${name}\n\n${type}. ${help}\n`), name)
  }
})

t.test('the process metrics that the document names are there', async t => {
  const { text } = withMetrics(true)
  const rendered = await text()
  const names = [...renderMetricsDoc().matchAll(/^\* `((?:process|nodejs)_[a-z0-9_]+)`/gm)].map(
    ([, name]) => name ?? '',
  )
  t.ok(names.length > 5)
  for (const name of names) t.ok(rendered.includes(`# TYPE ${name} `), name)
})

t.test(
  'what held up the event loop is told once, and again only when it happens again',
  async t => {
    const { text } = withMetrics(true)
    const longest = async () =>
      Number(/^nodejs_eventloop_lag_max_seconds (\S+)$/m.exec(await text())?.[1])
    // The first look after a scrape has nothing to compare with.
    for (const ms of [100, 2_000]) await holdUp(ms)
    t.ok((await longest()) >= 1.5)
    // Much less than before: a busy machine holds it up as well.
    for (const ms of [100, 100]) await holdUp(ms)
    t.ok((await longest()) < 1.5)
  },
)

async function holdUp(ms: number): Promise<void> {
  for (const startMs = performance.now(); performance.now() - startMs < ms; ) continue
  for (let turns = 0; turns < 3; turns += 1) await turn()
}

t.test('two instances share nothing', async t => {
  const one = withMetrics()
  const other = withMetrics()
  one.metrics.count('requestsRefused', { reason: 'busy' })
  t.match(await one.text(), /entrepot_requests_refused_total\{reason="busy"\} 1/)
  t.notMatch(await other.text(), /reason="busy"/)
})

t.test('hosts that clients choose cannot grow the series without end', async t => {
  const { metrics, text } = withMetrics()
  for (let index = 0; index < UPSTREAM_LABELS_MAX + 100; index += 1) {
    metrics.count('upstreamBytes', { upstream: `host-${index}.example` }, 1)
  }
  const series: string[] = (await text()).match(/^entrepot_upstream_bytes_total\{.*$/gm) ?? []
  t.equal(series.length, UPSTREAM_LABELS_MAX + 1)
  t.ok(series.includes('entrepot_upstream_bytes_total{upstream="other"} 100'))
})

t.test('gauges that are read at a scrape show the facts of that moment', async t => {
  const { metrics, text } = withMetrics()
  let tags = 1
  metrics.watch(async () => ({ tags, blobs: 7 }))
  t.match(await text(), /^entrepot_tags 1$/m)
  tags = 2
  t.match(await text(), /^entrepot_tags 2$/m)
  t.match(await text(), /^entrepot_blobs 7$/m)
})

t.test('a gauge with labels is read with a value for each set of them', async t => {
  const { metrics, text } = withMetrics()
  let waiting = 2
  metrics.watch(async () => ({
    outboxEntries: [
      { labels: { carrier: 'queue', state: 'waiting' }, value: waiting },
      { labels: { carrier: 'queue', state: 'parked' }, value: 1 },
    ],
    outboxOldest: [{ labels: { carrier: 'queue' }, value: 90 }],
  }))
  await text()
  waiting = 0
  const rendered = await text()
  t.match(rendered, /^entrepot_outbox_entries\{carrier="queue",state="waiting"\} 0$/m)
  t.match(rendered, /^entrepot_outbox_entries\{carrier="queue",state="parked"\} 1$/m)
  t.match(rendered, /^entrepot_outbox_oldest_age_seconds\{carrier="queue"\} 90$/m)
})

t.test(
  'a disk that hangs or fails does not hold up a scrape, which shows what was known last',
  async t => {
    const { clock, metrics, text } = withMetrics()
    let read: () => Promise<{ storageFree: number }> = async () => ({ storageFree: 5 })
    metrics.watch(() => read())
    await text()
    read = () => Promise.reject(new Error('EIO'))
    t.match(await text(), /^entrepot_storage_free_bytes 5$/m)
    let asked = 0
    read = () => {
      asked += 1
      return new Promise(() => {})
    }
    for (let scrape = 0; scrape < 2; scrape += 1) {
      const rendering = text()
      await clock.untilSleeping(1_000)
      await clock.advance(1_000)
      t.match(await rendering, /^entrepot_storage_free_bytes 5$/m)
    }
    t.equal(asked, 1, 'one read at a time')
    t.equal(clock.sleepers, 0)
  },
)
