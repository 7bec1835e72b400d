// Goal: whoever runs an edge that queues pushes sees what waits and why, can mend it, and loses
// nothing that was acknowledged. Method: the edge in process before a stub registry that fails,
// refuses or has moved on; its log, its metrics and its commands.
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { runCli } from '../../kit/cli.ts'
import { startTestEdge, type TestEdge, type TestEdgeOptions } from '../../kit/edge.ts'
import type { LogLine } from '../../kit/worlds/http-app.ts'
import { type Image, makeImage } from '../../kit/image.ts'
import { createPushClient } from '../../kit/clients/push-client.ts'
import { get } from '../../kit/clients/raw-client.ts'
import { startStub, type StubRegistry } from '../../kit/stubs/stub-registry.ts'
import { untilStill } from '../../kit/threads/under-way.ts'

const HOST = 'registry.example.com'
const QUEUED = { repositories: [{ match: `${HOST}/**`, push: 'queue' }], default: HOST }
const one = makeImage({ seed: 'one', layers: [3_000] })
const two = makeImage({ seed: 'two', layers: [4_000] })

interface Teardown {
  teardown(fn: () => unknown): unknown
}

async function start(t: Teardown, options: Partial<TestEdgeOptions> & { stub?: object } = {}) {
  const stub = await startStub(t, options.stub)
  const edge = await startTestEdge(t, {
    upstreams: { [HOST]: { url: stub.url } },
    config: QUEUED,
    ...options,
  })
  const run = (...argv: string[]) => runCli([...argv, '--socket', edge.socket])
  return { stub, edge, run }
}

async function push(edge: TestEdge, name: string, image: Image): Promise<number> {
  const [repository = '', tag = ''] = name.split(':')
  const client = createPushClient(edge.url)
  try {
    for (const blob of [image.config, ...image.layers]) {
      const taken = await edge.settle(client.blob(repository, blob.bytes()))
      if (taken.status !== 201) return taken.status
    }
    return (await edge.settle(client.manifest(repository, tag, image.manifest))).status
  } finally {
    client.close()
  }
}

async function digestOf(edge: TestEdge, name: string): Promise<string | undefined> {
  const [repository = '', tag = ''] = name.split(/[:@]/)
  const reference = name.includes('@') ? name.slice(repository.length + 1) : tag
  const path = `/v2/${repository}/manifests/${reference}`
  // With the clock standing still: who may push waits for an upstream for seconds only, and a busy
  // machine's sockets are slower than that.
  return (await edge.send('HEAD', path)).headers['docker-content-digest']
}

/**
 * For what comes only after the back-off of the queue, or the time in which an earlier request may
 * still arrive.
 */
function settleLong(edge: TestEdge, message: string): Promise<LogLine> {
  return edge.settle(edge.untilLogged(message), 1_200_000)
}

/** Other requests that are answered while something is to come by itself, without time going on. */
const OTHERS_MAX = 300

async function untilPushed(edge: TestEdge, stub: StubRegistry, reference: string): Promise<number> {
  const wanted = { method: 'PUT', kind: 'manifest', reference } as const
  const isPushed = () => stub.count(wanted) > 0
  for (let others = 0; others < OTHERS_MAX && !isPushed(); others += 1) {
    await edge.get('/v2/')
    await untilStill(isPushed)
  }
  return stub.count(wanted)
}

/** Attempts that are due meanwhile come to their end. */
async function pass(edge: TestEdge, minutes: number): Promise<void> {
  for (let passed = 0; passed < minutes; passed += 1) await edge.pass(60_000)
}

/** Nothing gets through until `clearFaults`. */
function cut(stub: StubRegistry): void {
  stub.fault({}, { dropConnection: true })
}

t.test(
  'what waits is seen in the queue, the status and the metrics, until it is delivered',
  async t => {
    const { stub, edge, run } = await start(t)
    cut(stub)
    t.equal(await push(edge, 'team/app:v1', one), 201)
    t.equal(await digestOf(edge, 'team/app:v1'), one.manifest.digest, 'it is readable at once')
    t.match(await edge.settle(edge.untilLogged('delivery failed and is tried again')), {
      level: 'warn',
      key: `${HOST}/team/app`,
    })
    const listed = await run('queue', 'ls')
    t.match(listed.stdout, new RegExp(`waiting +${HOST}/team/app +v1 `))
    t.match((await run('status')).stdout, /^queue +1 waiting, the oldest pushed .*; 0 parked/m)
    await edge.clock.advance(10_000)
    const text = (await get(`${edge.adminUrl}/metrics`)).body.toString()
    t.match(text, /^entrepot_outbox_entries\{carrier="queue",state="waiting"\} 1$/m)
    t.match(text, /^entrepot_outbox_oldest_age_seconds\{carrier="queue"\} [1-9]/m)
    t.match(text, /^entrepot_pushes_total\{what="manifest",mode="queue"\} 1$/m)

    stub.clearFaults()
    t.match(await run('queue', 'retry', '--all'), { exitCode: 0, stdout: /^1 entry is due now/ })
    t.equal(await untilPushed(edge, stub, 'v1'), 1, 'without any time going on')
    t.match(await settleLong(edge, 'push delivered'), { level: 'info' })
    t.equal(stub.manifest('team/app', 'v1')?.digest, one.manifest.digest)
    t.match((await run('queue', 'ls')).stdout, /the queue is empty/)
  },
)

t.test('what waits is tried at once when its upstream is configured anew', async t => {
  const { stub, edge } = await start(t)
  const other = await startStub(t)
  cut(stub)
  t.equal(await push(edge, 'team/app:v1', one), 201)
  await edge.settle(edge.untilLogged('delivery failed and is tried again'))
  // Until it is tried every few minutes only.
  await pass(edge, 20)
  edge.reload({ [HOST]: { url: other.url } })
  t.equal(await untilPushed(edge, other, 'v1'), 1)
})

t.test('what waits is tried at once when its upstream is found to be back', async t => {
  const { stub, edge } = await start(t)
  cut(stub)
  t.equal(await push(edge, 'team/app:v1', one), 201)
  await edge.settle(edge.untilLogged('delivery failed and is tried again'))
  // Until it is tried every few minutes only.
  await pass(edge, 20)
  stub.clearFaults()
  // It is asked now and then whether it is back, more often than a delivery is tried by then.
  await edge.settle(edge.untilLogged('upstream answers again'), 40_000)
  t.equal(await untilPushed(edge, stub, 'v1'), 1, 'without any time going on')
})

t.test(
  'R70, R115: a tag that was delivered stays in the list that was asked for before',
  async t => {
    const { stub, edge } = await start(t)
    stub.addImage('team/app', 'v0', two)
    const tags = async () => (await edge.get('/v2/team/app/tags/list')).body.toString()
    t.match(await tags(), /"tags":\["v0"\]/)
    t.equal(await push(edge, 'team/app:v1', one), 201)
    t.match(await tags(), /"tags":\["v0","v1"\]/)
    await edge.settle(edge.untilLogged('push delivered'))
    const asked = stub.count({ kind: 'tags' })
    t.match(await tags(), /"tags":\["v0","v1"\]/)
    t.equal(stub.count({ kind: 'tags' }), asked, 'nobody was asked for it')
  },
)

t.test(
  'a tag that somebody else moved is parked with what to do; dropping it gives theirs',
  async t => {
    const { stub, edge, run } = await start(t)
    stub.addImage('team/app', 'v1', one)
    t.equal(await digestOf(edge, 'team/app:v1'), one.manifest.digest)
    cut(stub)
    t.equal(await push(edge, 'team/app:v1', two), 201)
    const theirs = makeImage({ seed: 'theirs', layers: [50] })
    await edge.settle(edge.untilLogged('delivery failed and is tried again'))
    stub.addImage('team/app', 'v1', theirs)
    stub.clearFaults()
    await run('queue', 'retry', '--all')
    const parked = await settleLong(edge, 'delivery parked: it waits for the operator')
    t.match(parked, { level: 'warn', reason: /moved by somebody else/, hint: /onconflict|drop/ })
    t.equal(await digestOf(edge, 'team/app:v1'), two.manifest.digest, 'the push is still ours here')

    const { entries } = JSON.parse((await run('queue', 'ls', '--json')).stdout) as {
      entries: { id: number; state: string }[]
    }
    t.match(entries, [{ id: parked['id'], state: 'parked' }])
    const dropped = await run('queue', 'drop', String(parked['id']))
    t.match(dropped.stdout, /is not delivered to registry\.example\.com/)
    t.equal(await digestOf(edge, 'team/app:v1'), theirs.manifest.digest)
    t.equal(await digestOf(edge, `team/app@${two.manifest.digest}`), two.manifest.digest)
    t.equal(
      stub.manifest('team/app', two.manifest.digest)?.digest,
      two.manifest.digest,
      'by digest',
    )
  },
)

t.test(
  'R92: credentials that the upstream refuses are in the log with a hint, and mended by a reload',
  async t => {
    const auth = { scheme: 'basic', username: 'site', password: 'right' }
    const { stub, edge } = await start(t, { stub: { auth } })
    const withPassword = (password: string) => ({
      [HOST]: { url: stub.url, username: 'site', password },
    })
    edge.reload(withPassword('wrong'))
    t.equal(await push(edge, 'team/app:v1', one), 201)
    const line = await edge.settle(edge.untilLogged('delivery failed and is tried again'))
    t.match(line, { level: 'warn', hint: /credentials/ })
    edge.reload(withPassword('right'))
    await settleLong(edge, 'push delivered')
    t.equal(stub.manifest('team/app', 'v1')?.digest, one.manifest.digest)
  },
)

t.test(
  'R92: a push that goes on at once and is refused there is one line that says what to do',
  async t => {
    const auth = { scheme: 'basic', username: 'site', password: 'right' }
    const { edge } = await start(t, {
      stub: { auth },
      config: { repositories: [{ match: `${HOST}/**`, push: 'forward' }], default: HOST },
    })
    t.equal(await push(edge, 'team/app:v1', one), 403)
    const lines = edge.lines().filter(line => line['status'] === 403)
    t.match(lines, [
      {
        level: 'warn',
        msg: 'request completed',
        errorCode: 'DENIED',
        error: {
          message: /registry\.example\.com refused this edge's push to team\/app: the credentials/,
          cause: { hint: /credentials/ },
        },
      },
    ])
  },
)

t.test('a push that finds no room is refused in words, and the log says what to do', async t => {
  const { edge } = await start(t, { config: { ...QUEUED, storage: { maxsize: '2KiB' } } })
  const client = createPushClient(edge.url)
  t.teardown(() => client.close())
  const answer = await edge.settle(client.blob('localhost/app', Buffer.alloc(4_000)))
  t.equal(answer.status, 507)
  t.match(answer.body, /storage\.maxsize/)
  t.match(await edge.untilLogged('storage failed'), {
    level: 'error',
    failure: 'full',
    hint: /storage\.maxsize/,
  })
})

t.test('a lost catalog is built from facts: no push, no tag and no delivery is lost', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-lost-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const first = await start(t, { directory })
  cut(first.stub)
  t.equal(await push(first.edge, 'localhost/mine:v1', two), 201)
  t.equal(await push(first.edge, 'team/app:v1', one), 201)
  await first.edge.settle(first.edge.stop())
  const data = join(directory, 'data')
  for (const name of await readdir(data)) {
    if (name.startsWith('catalog.db')) await rm(join(data, name))
  }

  const { stub, edge, run } = await start(t, { directory })
  t.match(await edge.untilLogged('the catalog was built from what is kept beside the content'), {
    level: 'warn',
    manifests: 2,
    tags: 2,
    deliveries: 1,
    lost: 0,
  })
  t.equal(await digestOf(edge, 'localhost/mine:v1'), two.manifest.digest)
  await settleLong(edge, 'push delivered')
  t.equal(stub.manifest('team/app', 'v1')?.digest, one.manifest.digest)
  t.match((await run('queue', 'ls')).stdout, /the queue is empty/)
})
