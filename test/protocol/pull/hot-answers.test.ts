// Goal: an answer from memory cannot be told from one that was looked up: not by its status, one of
// its headers, its body, its line in the log or the metrics. Method: two data ports over registries
// with the same content, one without a memory, are asked the same random things over kept
// connections; the seed is printed.
import t from 'tap'
import type { Access, Principal } from '../../../src/access/access.ts'
import { RegistryError } from '../../../src/oci/errors.ts'
import { parseRepositoryKey, parseTag } from '../../../src/oci/reference.ts'
import { createEpochs } from '../../../src/registry/epochs.ts'
import { createTestApp, type TestApp } from '../../kit/worlds/http-app.ts'
import {
  createKeepAliveClient,
  headerOf,
  type KeepAliveAnswer,
} from '../../kit/clients/keep-alive-client.ts'
import { createRandom, seedOf } from '../../kit/seeded.ts'
import { ANYBODY } from '../../kit/worlds/test-access.ts'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'
const BYTES = Buffer.from('{"schemaVersion":2}')
const ALWAYS = {
  sinceMs: 0,
  untilMs: Number.POSITIVE_INFINITY,
  graceUntilMs: Number.POSITIVE_INFINITY,
}

type Teardown = Parameters<typeof createTestApp>[0]

async function open(t: Teardown, withMemory: boolean) {
  const epochs = createEpochs()
  const test = createTestApp(t, withMemory ? { epochs } : {})
  const { registry } = test
  registry.repeatable = ALWAYS
  registry.ageMs = undefined
  const url = await test.listen()
  const client = createKeepAliveClient(url)
  t.teardown(() => client.close())
  const tagged = registry.addManifest('docker.io/a/b', {
    bytes: BYTES,
    mediaType: MANIFEST,
    tag: 'v1',
  })
  const small = registry.addBlob('docker.io/a/b', Buffer.from('a small blob'))
  const large = registry.addBlob('docker.io/a/b', Buffer.alloc(300 * 1024, 'large'))
  registry.addBlob('localhost/a/b', Buffer.from('a small blob'))
  return { ...test, ...client, url, epochs, tagged, small, large }
}

/** Without what differs between any two answers. */
function compared({ status, rawHeaders, body }: KeepAliveAnswer, sentId: string | undefined) {
  const lines = rawHeaders.flatMap((name, at) => {
    if (at % 2 === 1) return []
    const isOwn = name === 'Date' || (name === 'X-Request-Id' && sentId === undefined)
    return [`${name}: ${isOwn ? '*' : rawHeaders[at + 1]}`]
  })
  return { status, lines, body: body.toString('latin1') }
}

const OF_EACH = new Set(['time', 'requestId', 'durationMs'])

function logged({ lines }: TestApp) {
  const completed = lines().filter(({ msg }) => msg === 'request completed')
  return completed.map(line => Object.entries(line).filter(([name]) => !OF_EACH.has(name)))
}

async function counted({ metrics }: TestApp) {
  const { text } = await metrics.render()
  return text
    .split('\n')
    .filter(line => line.startsWith('entrepot_') && !line.includes('_seconds_sum'))
}

t.test('an answer from memory is the one that was looked up, to the last header', async t => {
  const seed = seedOf(process.env)
  t.comment(`SEED=${seed}`)
  const random = createRandom(seed)
  const [hot, cold] = [await open(t, true), await open(t, false)]
  const targets: [string, ...string[]] = [
    '/v2/a/b/manifests/v1',
    `/v2/a/b/manifests/${hot.tagged}`,
    `/v2/a/b/blobs/${hot.small}`,
    `/v2/a/b/blobs/${hot.large}`,
    `/v2/localhost/a/b/blobs/${hot.small}`,
    '/v2/a/b/manifests/v1?ns=docker.io',
    '/v2/docker.io/a/b/manifests/v1',
    '/docker.io/v2/a/b/manifests/v1',
    '/v2/a/b/manifests/none',
    '/v2/a/b/tags/list',
    '/v2/',
  ]
  const options = (): Record<string, string> => ({
    ...(random.oneIn(2) ? { accept: random.pick([MANIFEST, `${MANIFEST}, ${INDEX}`]) } : {}),
    ...(random.oneIn(6) ? { 'if-none-match': random.pick([`"${hot.tagged}"`, '"x"']) } : {}),
    ...(random.oneIn(9) ? { range: random.pick(['bytes=0-3', 'bytes=999999-']) } : {}),
    ...(random.oneIn(9) ? { 'x-request-id': random.pick(['mine-12345', 'no good']) } : {}),
    ...(random.oneIn(2) ? { 'user-agent': random.pick(['docker/29', 'quotes " in it']) } : {}),
    ...(random.oneIn(20) ? { host: 'registry-1.docker.io' } : {}),
  })
  for (let count = 0; count < 600; count += 1) {
    const path = random.pick(targets)
    const request = { method: random.oneIn(4) ? 'HEAD' : 'GET', headers: options() }
    const mine = request.headers['x-request-id']
    const sentId = mine?.includes(' ') ? undefined : mine
    const [one, other] = await Promise.all([hot.ask(path, request), cold.ask(path, request)])
    const said = [compared(one, sentId), compared(other, sentId)]
    if (JSON.stringify(said[0]) !== JSON.stringify(said[1])) {
      t.same(said[0], said[1], `${request.method} ${path} ${JSON.stringify(request.headers)}`)
      return
    }
  }
  const saved = cold.registry.calls.length - hot.registry.calls.length
  t.ok(saved > 100, `${saved} of ${cold.registry.calls.length} came from memory`)
  await Promise.all([hot.untilCompleted(600), cold.untilCompleted(600)])
  t.same(logged(hot), logged(cold), 'the log says the same')
  t.same(await counted(hot), await counted(cold), 'the metrics say the same')
})

t.test('memory answers from the third time on, and only while the stamp holds', async t => {
  const { ask, registry, epochs } = await open(t, true)
  const path = '/v2/a/b/manifests/v1'
  const callsAfter = async (times: number) => {
    for (let count = 0; count < times; count += 1) t.equal((await ask(path)).status, 200)
    return registry.calls.length
  }
  t.equal(await callsAfter(5), 2)
  epochs.bumpAll()
  t.equal(await callsAfter(3), 3)
  const [repository, tag] = [parseRepositoryKey('docker.io/a/b'), parseTag('v1')]
  t.equal(registry.used.length, 5, 'each is a use')
  for (const used of registry.used) t.match(used, { repository, tag })
})

t.test('only a blob that is known to be small is asked for as a whole, to be kept', async t => {
  const { ask, registry, small, large } = await open(t, true)
  const callsOf = async (digest: string, times: number) => {
    registry.calls.length = 0
    for (let count = 0; count < times; count += 1) await ask(`/v2/a/b/blobs/${digest}`)
    return registry.calls.map(call => call.split(' ')[0])
  }
  t.same(await callsOf(small, 4), ['pullBlob', 'readWholeBlob'])
  t.same(await callsOf(large, 3), ['pullBlob', 'pullBlob', 'pullBlob'])
})

t.test(
  'a crowd that asks for the same blob before its length is known asks for no more',
  async t => {
    const { registry, small, url } = await open(t, true)
    const asked = Promise.withResolvers<void>()
    const held = Promise.withResolvers<void>()
    registry.before = async () => {
      if (registry.calls.length === 3) asked.resolve()
      await held.promise
    }
    const crowd = Array.from({ length: 3 }, () => {
      const { ask, close } = createKeepAliveClient(url)
      t.teardown(close)
      return ask(`/v2/a/b/blobs/${small}`)
    })
    await asked.promise
    held.resolve()
    for (const { status } of await Promise.all(crowd)) t.equal(status, 200)
    t.same(new Set(registry.calls), new Set(['pullBlob docker.io/a/b']))
  },
)

t.test(
  'an answer to a question that was asked before a change is not remembered after it',
  async t => {
    const { ask, registry, epochs } = await open(t, true)
    await ask('/v2/a/b/manifests/v1')
    registry.before = async () => {
      registry.before = async () => {}
      epochs.bumpAll()
    }
    await ask('/v2/a/b/manifests/v1')
    await ask('/v2/a/b/manifests/v1')
    t.equal(registry.calls.length, 3)
  },
)

t.test(
  'an answer is given until its time is over; in its grace one client at a time asks anew',
  async t => {
    const { ask, registry, clock, url } = await open(t, true)
    const others = createKeepAliveClient(url)
    t.teardown(() => others.close())
    const path = '/v2/a/b/manifests/v1'
    const atMs = clock.nowMs()
    registry.repeatable = { sinceMs: atMs, untilMs: atMs + 1_000, graceUntilMs: atMs + 2_000 }
    registry.ageMs = 0
    for (let count = 0; count < 3; count += 1) await ask(path)
    t.equal(registry.calls.length, 2)
    await clock.advance(999)
    t.equal(headerOf(await ask(path), 'age'), '0')
    t.equal(registry.calls.length, 2, 'fresh')

    await clock.advance(1)
    const held = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    registry.before = async () => {
      asked.resolve()
      await held.promise
    }
    const first = ask(path)
    await asked.promise
    for (let count = 0; count < 3; count += 1)
      t.equal(headerOf(await others.ask(path), 'age'), '1', 'nobody else waits')
    t.equal(registry.calls.length, 3, 'one asks')
    registry.before = async () => {}
    registry.repeatable = {
      sinceMs: atMs + 1_000,
      untilMs: atMs + 2_000,
      graceUntilMs: atMs + 3_000,
    }
    held.resolve()
    await first
    t.equal(headerOf(await ask(path), 'age'), '0', 'and its answer is the one from then on')
    t.equal(registry.calls.length, 3)

    await clock.advance(2_000)
    await ask(path)
    t.equal(registry.calls.length, 4, 'over')
    clock.jump(-60_000)
    await ask(path)
    t.equal(registry.calls.length, 5, 'a clock that was set back knows no times')
  },
)

t.test(
  'in a grace that lasts it is asked anew now and then, and at once when it changed',
  async t => {
    const { ask, registry, clock, epochs } = await open(t, true)
    const path = '/v2/a/b/manifests/v1'
    const atMs = clock.nowMs()
    registry.repeatable = { sinceMs: atMs, untilMs: atMs + 1_000, graceUntilMs: atMs + 2_000 }
    const callsAfter = async (times: number, advanceMs: number) => {
      await clock.advance(advanceMs)
      for (let count = 0; count < times; count += 1) await ask(path)
      return registry.calls.length
    }
    t.equal(await callsAfter(3, 0), 2)
    t.equal(await callsAfter(5, 1_000), 3, 'one asks, and is told the same')
    t.equal(await callsAfter(5, 249), 3)
    t.equal(await callsAfter(5, 1), 4)
    epochs.bumpAll()
    t.equal(await callsAfter(5, 1), 5, 'a change is seen at once')
    t.equal(await callsAfter(5, 250), 6)
    registry.repeatable = {
      sinceMs: atMs + 1_500,
      untilMs: atMs + 1_770,
      graceUntilMs: atMs + 1_810,
    }
    t.equal(await callsAfter(5, 250), 7, 'the upstream has answered')
    t.equal(await callsAfter(5, 19), 8, 'what it said has a grace of its own')
    t.equal(await callsAfter(5, 39), 8)
    t.equal(await callsAfter(5, 1), 13, 'after which everybody has to ask')
  },
)

t.test(
  'a manifest from memory tells that it is pulled, now and then; HEAD, 304 and a blob do not',
  async t => {
    const { ask, registry, clock, tagged, small } = await open(t, true)
    const path = '/v2/a/b/manifests/v1'
    const askOften = async (path: string, options: Parameters<typeof ask>[1] = {}) => {
      for (let count = 0; count < 5; count += 1) await ask(path, options)
    }
    await askOften(path, { method: 'HEAD' })
    await askOften(path, { headers: { 'if-none-match': `"${tagged}"` } })
    await askOften(`/v2/a/b/blobs/${small}`)
    t.same(registry.pulled, [])
    await askOften(path)
    t.same(registry.pulled, [`docker.io/a/b ${tagged} 127.0.0.1`])
    await clock.advance(4_999)
    await askOften(path)
    t.equal(registry.pulled.length, 1)
    await clock.advance(1)
    await askOften(path)
    t.equal(registry.pulled.length, 2)
  },
)

t.test('memory keeps what was asked for last, within its bytes', async t => {
  const { listen, registry } = createTestApp(t, {
    epochs: createEpochs(),
    options: { memoryBytes: 100_000 },
  })
  registry.repeatable = ALWAYS
  const paths = Array.from({ length: 5 }, (_, at) => {
    const digest = registry.addBlob('docker.io/a/b', Buffer.alloc(30_000, `blob ${at}`))
    return `/v2/a/b/blobs/${digest}`
  })
  const { ask, close } = createKeepAliveClient(await listen())
  t.teardown(close)
  for (const path of paths) for (let count = 0; count < 3; count += 1) await ask(path)
  const callsOf = async (path: string) => {
    const before = registry.calls.length
    t.equal((await ask(path)).body.length, 30_000)
    return registry.calls.length - before
  }
  const calls = []
  for (const path of paths.toReversed()) calls.push(await callsOf(path))
  t.same(calls, [0, 0, 0, 1, 1], 'three of the five fit')
})

t.test('what came by two lines of a header is not given to who sends one of them', async t => {
  const { ask, registry, tagged } = await open(t, true)
  const { pullManifest } = registry
  registry.pullManifest = async (repository, request) => {
    if (request.accept.join().includes(INDEX)) return pullManifest(repository, request)
    throw new RegistryError('MANIFEST_UNKNOWN', 'an index is wanted')
  }
  const path = '/v2/a/b/manifests/v1'
  const statusOf = async (headers: Record<string, string | string[]>) => {
    const statuses = new Set<number>()
    // More often than memory needs to answer.
    for (let count = 0; count < 4; count += 1) statuses.add((await ask(path, { headers })).status)
    return [...statuses]
  }
  for (const accept of [
    [INDEX, MANIFEST],
    [MANIFEST, INDEX],
  ]) {
    t.same(await statusOf({ accept }), [200], accept.join(' and '))
    t.same(await statusOf({ accept: MANIFEST }), [404])
    t.same(await statusOf({ accept: INDEX }), [200])
  }
  const [known, other] = [`"${tagged}"`, '"another"']
  for (const tags of [
    [known, other],
    [other, known],
  ]) {
    t.same(await statusOf({ accept: INDEX, 'if-none-match': tags }), [304], tags.join(' and '))
    t.same(await statusOf({ accept: INDEX, 'if-none-match': other }), [200])
  }
})

t.test('without memory nothing is remembered', async t => {
  const { listen, registry } = createTestApp(t, {
    epochs: createEpochs(),
    options: { memoryBytes: 0 },
  })
  registry.repeatable = ALWAYS
  const digest = registry.addBlob('docker.io/a/b', Buffer.from('small'))
  const { ask, close } = createKeepAliveClient(await listen())
  t.teardown(close)
  for (let count = 0; count < 5; count += 1) await ask(`/v2/a/b/blobs/${digest}`)
  t.equal(registry.calls.length, 5)
})

t.test('what one may read is not given from memory to who may not', async t => {
  const isForwarded = (principal: Principal) => principal.rawHeaders.includes('via')
  const access: Access = {
    ...ANYBODY,
    decide: ({ principal }) =>
      isForwarded(principal)
        ? { kind: 'denied', reason: 'not through others' }
        : { kind: 'allowed', anonymously: false },
    decideNow: (principal, _repository, action) => action === 'pull' && !isForwarded(principal),
  }
  const { listen, registry } = createTestApp(t, { epochs: createEpochs(), access })
  registry.repeatable = ALWAYS
  const digest = registry.addBlob('docker.io/a/b', Buffer.from('secret'))
  const path = `/v2/a/b/blobs/${digest}`
  const { ask, close } = createKeepAliveClient(await listen())
  t.teardown(close)
  for (let count = 0; count < 4; count += 1) t.equal((await ask(path)).status, 200)
  const calls = registry.calls.length
  for (let count = 0; count < 3; count += 1)
    t.equal((await ask(path, { headers: { via: '1.1 proxy' } })).status, 403)
  t.equal(String((await ask(path)).body), 'secret')
  t.equal(registry.calls.length, calls, 'it was in memory all the while')
})
