// Goal: /metrics of one thread shows the sum of all, and no counter falls when one of them dies.
// Method: two sets of metrics, of which one is told what the other has counted, as it crosses
// between threads.
import t from 'tap'
import { createMetrics } from '../../../src/observe/metrics.ts'

const LABELS = {
  endpoint: 'blob',
  method: 'GET',
  status: '200',
  source: 'hit',
  outcome: 'completed',
} as const

function create() {
  return createMetrics({ version: '1', nodeVersion: '26', sleep: async () => {}, process: false })
}

async function worker(requests: number) {
  const metrics = create()
  metrics.count('requests', LABELS, requests)
  metrics.observe(
    'requestDuration',
    { endpoint: 'blob', source: 'hit', outcome: 'completed' },
    0.002,
  )
  metrics.move('requestsInFlight', 1)
  return structuredClone(await metrics.snapshot())
}

async function lines(metrics: ReturnType<typeof create>, start: string): Promise<string[]> {
  const { text } = await metrics.render()
  return text.split('\n').filter(line => line.startsWith(start))
}

const SERIES =
  'entrepot_requests_total{endpoint="blob",method="GET",status="200",source="hit",outcome="completed"}'

t.test(
  'counters, buckets and gauges are summed; what each would say of the build is not',
  async t => {
    const metrics = create()
    metrics.count('requests', LABELS, 1)
    metrics.merged.update(1, await worker(10))
    metrics.merged.update(2, await worker(100))
    t.same(await lines(metrics, 'entrepot_requests_total'), [`${SERIES} 111`])
    t.equal(await metrics.total('requests', { source: 'hit' }), 111)
    t.same(await lines(metrics, 'entrepot_requests_in_flight'), ['entrepot_requests_in_flight 2'])
    t.same(await lines(metrics, 'entrepot_build_info'), [
      'entrepot_build_info{version="1",node="26"} 1',
    ])
    const buckets = await lines(metrics, 'entrepot_request_duration_seconds_bucket')
    const of = (le: string) =>
      buckets
        .find(line => line.includes(`le="${le}"`))
        ?.split(' ')
        .at(-1)
    t.same([of('0.001'), of('0.0025'), of('+Inf')], ['0', '2', '2'])
  },
)

t.test('what a thread says takes the place of what it said before', async t => {
  const metrics = create()
  metrics.merged.update(1, await worker(10))
  metrics.merged.update(1, await worker(15))
  t.equal(await metrics.total('requests'), 15)
})

t.test(
  'what a dead thread had counted stays, what it was doing does not, and its successor adds',
  async t => {
    const metrics = create()
    metrics.merged.update(1, await worker(10))
    metrics.merged.retire(1)
    t.equal(await metrics.total('requests'), 10)
    t.same(await lines(metrics, 'entrepot_requests_in_flight'), ['entrepot_requests_in_flight 0'])
    metrics.merged.update(1, await worker(5))
    metrics.merged.retire(1)
    metrics.merged.retire(1)
    t.equal(await metrics.total('requests'), 15)
    t.same(await lines(metrics, 'entrepot_requests_total'), [`${SERIES} 15`])
  },
)
