// Goal: what other programs and the kernel print is read right. Method: their texts, as they were
// seen.
import t from 'tap'
import { parseMachine, parseStat } from '../../../bench/processes.ts'
import { parseLedger } from '../../../bench/ledger.ts'
import { readMetric } from '../../../bench/prometheus.ts'
import { sumSocketMemory } from '../../../bench/sockets.ts'
import { parseWrk } from '../../../bench/wrk.ts'

const WRK = `Running 3s test @ http://127.0.0.1:5000/v2/a/manifests/v1
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    13.02ms   26.31ms 210.11ms   92.10%
    Req/Sec     6.45k     1.02k    7.41k    80.00%
  Latency Distribution
     50%    4.51ms
     75%    8.00ms
     90%   30.12ms
     99%    2.50ms
  19285 requests in 3.00s, 12.30MB read
`

t.test('a report of wrk without errors', async t => {
  t.same(parseWrk(`${WRK}Requests/sec:   6428.33\nTransfer/sec:      4.10MB\n`), {
    requests: 19_285,
    requestsPerSecond: 6428.33,
    p99Ms: 2.5,
    mostMs: 210.11,
    bytes: 12.3 * 1024 * 1024,
    failures: 0,
  })
})

t.test('times come in several units', async t => {
  const near = (text: string) => Math.round(parseWrk(text).p99Ms * 1000)
  t.equal(near('     99%  950.00us\n'), 950)
  t.equal(near('     99%    1.20s \n'), 1_200_000)
})

t.test('errors of the connection and refusals are failures', async t => {
  const errors = '  Socket errors: connect 1, read 2, write 0, timeout 4\n'
  const refused = '  Non-2xx or 3xx responses: 30\n'
  t.equal(parseWrk(`${WRK}${errors}${refused}Requests/sec: 1\n`).failures, 37)
})

t.test('the name of a process may hold anything', async t => {
  const rest = 'S 17 1 1 0 -1 4194560 1 2 3 4 150 50 7 8 20 0 1 0'
  t.same(parseStat(`42 (a) b (c) ${rest}`), [{ pid: 42, parent: 17, ticks: 200, childTicks: 15 }])
  t.same(parseStat(''), [])
})

t.test(
  'of the kernel memory of a socket, what it holds is counted and not what it might',
  async t => {
    const line = (skmem: string) => `ESTAB 0 0 127.0.0.1:5000 127.0.0.1:1\n\t skmem:(${skmem})\n`
    const first = line('r10,rb131072,t5,tb2626560,f100,w1000,o20,bl3,d7')
    t.equal(sumSocketMemory(first), 1133)
    t.equal(sumSocketMemory(first + line('r0,rb1,t0,tb1,f0,w7,o0,bl0,d0')), 1140)
    t.equal(sumSocketMemory(''), 0)
  },
)

t.test('of a machine, neither idling nor waiting for disks is computing', async t => {
  const text = 'cpu  1 20 300 4000 50000 600000 7000000 80000000 0 0\ncpu0 9 9 9 9 9 9 9 9 0 0\n'
  t.same(parseMachine(text), { busy: 7_600_321, stolen: 80_000_000 })
})

t.test('a metric is read by its whole name; of several series the largest counts', async t => {
  const page = '# HELP lag x\nlag_max 9\nlag 0.012\n'
  t.equal(readMetric(page, 'lag'), 0.012)
  t.equal(readMetric('lag{thread="1"} 1\nlag{thread="2"} 3 1700000000\n', 'lag'), 3)
  const labelled = 'tried{outcome="right"} 3\ntried{outcome="wrong"} 5\n'
  t.equal(readMetric(labelled, 'tried{outcome="right"}'), 3)
  t.ok(Number.isNaN(readMetric(page, 'la')))
})

t.test('a ledger that was cut short loses its last line only', async t => {
  t.same(parseLedger('10 1000\n11 2000\n12 30'), [
    { pid: 10, startTicks: 1000 },
    { pid: 11, startTicks: 2000 },
  ])
  t.same(parseLedger(''), [])
})
