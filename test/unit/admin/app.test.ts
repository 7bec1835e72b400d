// Goal: load balancers, Prometheus and the command line get what they ask for, browsers do not.
// Method: the listener on a loopback port and a socket of its own; readiness checks are the test's,
// and the clock moves by hand.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { buildAdminApp } from '../../../src/admin/app.ts'
import type { ReadinessCheck } from '../../../src/observe/health.ts'
import { createLogger } from '../../../src/observe/log.ts'
import { createMetrics } from '../../../src/observe/metrics.ts'
import { RegistryError } from '../../../src/oci/errors.ts'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import type { Operator } from '../../../src/registry/operator/operator.ts'
import { NO_ACCOUNTS } from '../../kit/worlds/no-accounts.ts'
import { NO_CARRY, NO_FSCK } from '../../kit/worlds/no-carry.ts'
import { askSocket } from '../../kit/clients/admin-socket.ts'
import { createManualClock } from '../../kit/manual-clock.ts'
import { get } from '../../kit/clients/raw-client.ts'

interface Test {
  teardown(fn: () => unknown): unknown
}

const unasked = () => {
  throw new Error('canary')
}

async function withAdmin(test: Test, checks: Record<string, ReadinessCheck> = {}) {
  const clock = createManualClock()
  const written: string[] = []
  const state = { draining: false }
  const sleep = (ms: number, signal?: AbortSignal) => clock.sleep(ms, signal)
  const operator: Operator = {
    status: unasked,
    list: async pattern => ({ pattern }) as never,
    inspect: async () => {
      throw new RegistryError('MANIFEST_UNKNOWN', 'not here')
    },
    why: unasked,
    warm: unasked,
    pins: {
      list: unasked,
      pin: async () => {
        throw new StoreError('full', 'catalog.db cannot be written', { hint: 'free space' })
      },
      unpin: unasked,
    },
    purge: unasked,
    jobs: { list: unasked, run: unasked, pause: unasked, resume: unasked, cancel: unasked },
    queue: unasked,
    retryQueued: async id => ({ retried: id }) as never,
    dropQueued: async id => ({ dropped: id }) as never,
  }
  const app = buildAdminApp({
    accounts: NO_ACCOUNTS,
    carry: NO_CARRY,
    fsck: NO_FSCK,
    logger: createLogger({ level: 'info', destination: { write: line => written.push(line) } }),
    metrics: createMetrics({ version: '1.2.3', nodeVersion: 'v26', sleep, process: false }),
    operator,
    readiness: { checks, draining: () => state.draining, sleep },
  })
  // A socket's path has room for about a hundred characters.
  const directory = await mkdtemp(join(tmpdir(), 'admin-'))
  test.teardown(async () => {
    await app.close()
    await rm(directory, { recursive: true })
  })
  const socket = join(directory, 'admin.sock')
  const admin = await app.listen({ host: '127.0.0.1', port: 0 })
  await app.listenSocket(socket)
  return { url: `http://${admin}`, socket, clock, written, state }
}

const json = (body: Buffer | string) => JSON.parse(body.toString()) as Record<string, unknown>

t.test('livez says ok without asking anything', async t => {
  const { url, socket } = await withAdmin(t, { store: () => new Promise(() => {}) })
  const answer = await get(`${url}/livez`)
  t.equal(answer.status, 200)
  t.equal(answer.body.toString(), 'ok')
  t.equal((await askSocket(socket, '/livez')).status, 200)
})

t.test(
  'readyz is 200 when every check is well, and 503 with the reason of the one that is not',
  async t => {
    const well = await withAdmin(t, { store: async () => {}, catalog: async () => {} })
    const ready = await get(`${well.url}/readyz`)
    t.equal(ready.status, 200)
    t.same(json(ready.body)['checks'], {
      drain: { ok: true },
      store: { ok: true },
      catalog: { ok: true },
    })
    const ill = await withAdmin(t, {
      store: async () => {
        throw new Error('read-only file system')
      },
      catalog: async () => {},
    })
    const unready = await get(`${ill.url}/readyz`)
    t.equal(unready.status, 503)
    t.match(json(unready.body)['checks'], {
      store: { ok: false, reason: 'read-only file system' },
      catalog: { ok: true },
    })
  },
)

t.test('readyz: a disk that hangs shows within five seconds', async t => {
  const { url, clock } = await withAdmin(t, { store: () => new Promise(() => {}) })
  const asked = get(`${url}/readyz`)
  await clock.untilSleeping(5_000)
  await clock.advance(5_000)
  const answer = await asked
  t.equal(answer.status, 503)
  t.match(json(answer.body)['checks'], { store: { ok: false, reason: 'no answer in time' } })
})

t.test('R236: a process that is stopping is not ready', async t => {
  const { url, state } = await withAdmin(t)
  state.draining = true
  const answer = await get(`${url}/readyz`)
  t.equal(answer.status, 503)
  t.equal(json(answer.body)['ready'], false)
})

t.test('metrics come in the text format', async t => {
  const { url } = await withAdmin(t)
  const answer = await get(`${url}/metrics`)
  t.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/)
  t.match(answer.body.toString(), /entrepot_build_info\{version="1\.2\.3",node="v26"\} 1/)
})

t.test('R245: over TCP there are health and metrics, and nothing else by any name', async t => {
  const { url } = await withAdmin(t)
  const hosts = [undefined, 'localhost', 'localhost:5001', '127.0.0.1', '[::1]', 'edge.example.com']
  for (const host of hosts) {
    const headers = host === undefined ? {} : { host }
    const ask = (path: string, method = 'GET') => get(url + path, headers, { method })
    for (const path of ['/livez', '/readyz', '/metrics']) {
      t.equal((await ask(path)).status, 200, `${host} ${path}`)
    }
    for (const [method, path] of [
      ['GET', '/api/v1/status'],
      ['GET', '/api/v1/images'],
      ['GET', '/api/v1/queue'],
      ['POST', '/api/v1/queue/drop?id=1'],
      ['POST', '/api/v1/queue/retry?all=true'],
      ['POST', '/api/v1/pull?name=a'],
      ['GET', '//api/v1/images'],
      ['GET', '/%61pi/v1/images'],
      ['GET', '/'],
    ] as const) {
      const answer = await ask(path, method)
      t.equal(answer.status, 404, `${host} ${method} ${path}`)
      t.match(json(answer.body), { code: 'UNSUPPORTED', message: /on the Unix socket/ })
    }
  }
})

t.test('the API: a refusal is shown, a failure is only logged', async t => {
  const { socket, written } = await withAdmin(t)
  const ask = (path: string) => askSocket(socket, `/api/v1${path}`)
  t.same(json((await ask('/images?pattern=a')).body), { pattern: 'a' })
  const refused = await ask('/image?name=a')
  t.equal(refused.status, 404)
  t.match(json(refused.body), { code: 'MANIFEST_UNKNOWN', message: 'not here' })
  const broken = await ask('/why?name=a')
  t.equal(broken.status, 500)
  t.notMatch(broken.body, /canary/)
  t.match(written.join(''), /canary/)
})

t.test('the API answers no web page that a proxy brings to the socket', async t => {
  const { socket } = await withAdmin(t)
  for (const headers of [
    { origin: 'https://evil.example' },
    { 'sec-fetch-site': 'cross-site' },
    { 'accept-language': 'en' },
  ]) {
    const answer = await askSocket(socket, '/api/v1/images', { headers })
    t.equal(answer.status, 403)
    t.match(json(answer.body), { code: 'DENIED', message: /web pages/ })
  }
})

t.test(
  'the API: an entry of the queue is named by its number, and changed by POST alone',
  async t => {
    const { socket } = await withAdmin(t)
    const post = async (path: string) => {
      const answer = await askSocket(socket, `/api/v1/queue/${path}`, { method: 'POST' })
      return [answer.status, json(answer.body)] as const
    }
    t.same(await post('retry?id=42'), [200, { retried: 42 }])
    t.same(await post('retry?all=true'), [200, { retried: 'all' }])
    t.same(await post('drop?id=42'), [200, { dropped: 42 }])
    for (const query of ['', '?id=', '?id=-1', '?id=4x', '?id=1e3', '?all=true']) {
      t.match(await post(`drop${query}`), [400, { code: 'NAME_INVALID' }], query)
    }
    const got = await askSocket(socket, '/api/v1/queue/drop?id=42')
    t.equal(got.status, 404, 'GET drops nothing')
  },
)

t.test('R472: what disk or catalog refuse a command it is told, with the way out', async t => {
  const { socket, written } = await withAdmin(t)
  const answer = await askSocket(socket, '/api/v1/pins/pin?pattern=a', { method: 'POST' })
  t.equal(answer.status, 507)
  t.same(json(answer.body), {
    code: 'UNAVAILABLE',
    message: 'catalog.db cannot be written: free space',
  })
  t.same(written, [], 'it is no fault of this program')
})
