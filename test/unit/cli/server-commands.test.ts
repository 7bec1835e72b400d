// Goal: what an operator asks of a running edge is answered as it is, for people and as JSON.
// Method: the edge in process over a stub registry, commands through its Unix socket.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { runCli } from '../../kit/cli.ts'
import type { Status } from '../../../src/registry/operator/status.ts'
import { pushBlob } from '../../kit/worlds/edge-push.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { makeImage, makeIndex } from '../../kit/image.ts'
import { testCertificate } from '../../kit/over-tls.ts'
import { manifestOver } from '../../kit/clients/push-client.ts'
import { get } from '../../kit/clients/raw-client.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'
import { leaveRoom } from '../../kit/storage-limits.ts'

const amd64 = makeImage({
  seed: 'amd64',
  layers: [5_000, 70_000],
  platform: { os: 'linux', architecture: 'amd64' },
})
const arm64 = makeImage({
  seed: 'arm64',
  layers: [6_000],
  platform: { os: 'linux', architecture: 'arm64' },
})
const index = makeIndex([amd64, arm64])

async function start(
  t: { teardown(fn: () => unknown): unknown },
  config: Readonly<Record<string, unknown>> = {},
) {
  const stub = await startStub(t)
  stub.addImage('library/app', 'v1', index)
  const edge = await startTestEdge(t, { upstreams: { 'docker.io': { url: stub.url } }, config })
  const run = (...argv: string[]) => runCli([...argv, '--socket', edge.socket])
  return { stub, edge, run }
}

t.test('pull brings one platform of an index, and says what it did', async t => {
  const { stub, run } = await start(t)
  const result = await run('pull', 'docker.io/library/app:v1', '--platform', 'linux/arm64')
  t.match(result, { exitCode: 0, stdout: /docker\.io\/library\/app:v1 is here: 2 blobs/ })
  t.equal(stub.count({ kind: 'blob', digest: arm64.layers[0]?.digest ?? '' }), 1)
  t.equal(stub.count({ kind: 'blob', digest: amd64.layers[0]?.digest ?? '' }), 0)
})

t.test('pull of a platform brings its variants, and of a variant that one', async t => {
  const { stub, run } = await start(t)
  const variant = makeImage({
    seed: 'variant',
    layers: [50],
    platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
  })
  stub.addImage('library/app', 'v2', makeIndex([amd64, variant]))
  for (const platform of ['linux/arm64', 'linux/arm64/v8']) {
    const result = await run('pull', 'docker.io/library/app:v2', '--platform', platform)
    t.match(result, { exitCode: 0, stdout: /app:v2 is here: 2 blobs/ }, platform)
  }
})

t.test('a server that goes away in the middle of a pull is told in a line', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-cli-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const socket = join(directory, 'admin.sock')
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' })
    response.write('{"kind":"blob","digest":"sha256:00","sizeBytes":9,"doneBytes":1}\n', () =>
      response.destroy(),
    )
  })
  await new Promise<void>(resolve => server.listen(socket, resolve))
  t.teardown(() => server.close())
  const result = await runCli(['pull', 'docker.io/library/app:v1', '--socket', socket])
  t.match(result, { exitCode: 69, stderr: /went away/ })
})

t.test('R824: commands meet a server of another version without a stack trace', async t => {
  const { run } = await start(t)
  const told = JSON.parse((await run('status', '--json')).stdout) as Record<string, unknown>
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-cli-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const socket = join(directory, 'admin.sock')
  let answer: Record<string, unknown> = {}
  const server = createServer((_request, response) => response.end(JSON.stringify(answer)))
  await new Promise<void>(resolve => server.listen(socket, resolve))
  t.teardown(() => server.close())
  const older = (...argv: string[]) => runCli([...argv, '--socket', socket])

  answer = { ...told, pausedJobs: undefined }
  const status = await older('status')
  t.match(status, { exitCode: 0, stderr: '', stdout: /queue +nothing waits/ })
  answer = { ...told, departures: undefined }
  const line = /^this command \(version \S+\) does not understand the server's answer: .*\n$/
  t.match(await older('status'), { exitCode: 1, stdout: '', stderr: line })
  answer = {}
  for (const argv of [['ls'], ['jobs', 'ls'], ['queue', 'ls'], ['why', 'a'], ['inspect', 'a']])
    t.match(await older(...argv), { exitCode: 1, stderr: line }, argv.join(' '))
})

t.test('pull says which platforms there are when none was right, and ends with 1', async t => {
  const { run } = await start(t)
  const result = await run('pull', 'docker.io/library/app:v1', '--platform', 'plan9/mips')
  t.match(result, { exitCode: 1, stderr: /linux\/amd64, linux\/arm64/ })
})

t.test('pull goes on with the other images when one cannot be had', async t => {
  const { run } = await start(t)
  const result = await run(
    'pull',
    'docker.io/library/gone:v1',
    'docker.io/library/app:v1',
    '--all-platforms',
  )
  t.match(result, { exitCode: 1, stdout: /app:v1 is here: 5 blobs/, stderr: /gone|does not have/ })
})

t.test('on a terminal pull draws a bar for each blob', async t => {
  const { edge } = await start(t)
  const argv = ['pull', 'docker.io/library/app:v1', '--socket', edge.socket]
  const { stdout } = await runCli(argv, { isTerminal: true })
  t.match(stdout, /\[=+\] {2}68\.4 KiB of 68\.4 KiB/)
})

t.test('ls, inspect and why tell what is here without asking the upstream', async t => {
  const { stub, run } = await start(t)
  await run('pull', 'docker.io/library/app:v1')
  const asked = stub.requests.length

  const ls = await run('ls', 'library/*')
  t.match(
    ls.stdout,
    new RegExp(`docker\\.io/library/app:v1 +${index.manifest.digest.slice(0, 19)}`),
  )

  const inspect = JSON.parse(
    (await run('inspect', 'docker.io/library/app:v1', '--json')).stdout,
  ) as {
    manifests: { platform: string; cached: boolean; blobs: { cached: boolean }[] }[]
  }
  t.match(inspect.manifests, [
    {
      platform: 'linux/amd64',
      cached: true,
      blobs: [{ cached: true }, { cached: true }, { cached: true }],
    },
    { platform: 'linux/arm64', cached: false, blobs: [] },
  ])
  t.match((await run('inspect', 'docker.io/library/app:v1')).stdout, /linux\/arm64 .* \(not here\)/)

  const why = await run('why', 'docker.io/library/app:v1')
  t.match(why.stdout, /the tag is fresh: given at once, nobody is asked/)
  t.match(why.stdout, /everything of it is on disk/)
  t.equal(stub.requests.length, asked, 'no upstream request')
})

t.test(
  'R290: inspect, why and pull take an image as it is typed to a client of this edge',
  async t => {
    const { stub, edge, run } = await start(t)
    stub.addImage('library/other', 'v1', index)
    const { port } = new URL(edge.url)
    await run('pull', `localhost:${port}/docker.io/library/app:v1`)
    for (const own of [`localhost:${port}`, `127.0.0.1:${port}`, `LOCALHOST:${port}`])
      for (const name of ['library/app:v1', 'docker.io/library/app:v1']) {
        const typed = `${own}/${name}`
        for (const command of ['inspect', 'why'])
          t.match(await run(command, typed), { exitCode: 0, stdout: /docker\.io\/library\/app:v1/ })
      }
    const pulled = await run('pull', `localhost:${port}/library/other:v1`)
    t.match(pulled, { exitCode: 0, stdout: /docker\.io\/library\/other:v1 is here/ })
    // Without its port it is the namespace of what is kept here.
    t.match(
      (await run('why', 'localhost/library/app:v1')).stdout,
      /image +localhost\/library\/app:v1/,
    )
  },
)

t.test('R290: ls says which images are whole, and how large with all platforms', async t => {
  const { stub, run } = await start(t)
  stub.addImage('library/single', 'v1', amd64)
  const line = async (pattern: string) =>
    (await run('ls', pattern)).stdout.split('\n')[1]?.split(/ {2,}/).slice(2, 4)
  const sizeOf = async (pattern: string) =>
    (
      JSON.parse((await run('ls', pattern, '--json')).stdout) as {
        images: { size: { sizeBytes: number } }[]
      }
    ).images[0]?.size.sizeBytes
  const bytesOf = (...images: (typeof amd64)[]) =>
    images.reduce(
      (sum, { manifest, config, layers }) =>
        [manifest.bytes, config.bytes(), ...layers.map(layer => layer.bytes())].reduce(
          (all, { length }) => all + length,
          sum,
        ),
      0,
    )
  await run('pull', 'docker.io/library/app:v1', '--platform', 'linux/amd64')
  t.match(await line('app'), ['1 of 2', /KiB\+$/], 'the other platform is not here')
  await run('pull', 'docker.io/library/app:v1', '--all-platforms')
  t.match(await line('app'), ['yes', /KiB$/])
  t.equal(await sizeOf('app'), bytesOf(amd64, arm64) + index.manifest.bytes.length)
  await run('pull', 'docker.io/library/single:v1')
  t.match(await line('single'), ['yes', /KiB$/])
  t.equal(await sizeOf('single'), bytesOf(amd64))
})

t.test('R290: ls takes what builders list beside the platforms for none of them', async t => {
  const { stub, edge, run } = await start(t)
  const attestation = makeImage({
    seed: 'attestation',
    layers: [300],
    platform: { os: 'unknown', architecture: 'unknown' },
  })
  stub.addImage('library/attested', 'v1', makeIndex([amd64, attestation]))
  // As a client pulls it, who has no use for the attestation.
  await edge.get('/v2/library/attested/manifests/v1')
  await edge.get(`/v2/library/attested/manifests/${amd64.manifest.digest}`)
  for (const { digest } of [amd64.config, ...amd64.layers])
    await edge.get(`/v2/library/attested/blobs/${digest}`)
  await edge.untilLogged('fill ended', 1 + amd64.layers.length)
  const listed = (await run('ls', 'attested')).stdout.split('\n')[1]?.split(/ {2,}/)
  t.match(listed?.slice(2, 4), ['yes', /KiB$/])
})

t.test('R290: ls finds a name anywhere, and says when nothing matched', async t => {
  const { stub, run } = await start(t)
  t.match(await run('ls'), { exitCode: 0, stdout: '', stderr: /no image is here yet/ })
  stub.addImage('team/my-alpine-base', 'v1', amd64)
  await run('pull', 'docker.io/team/my-alpine-base:v1')
  for (const pattern of ['*alpine*', '*alpine*:v*', 'team', '*.io'])
    t.match(await run('ls', pattern), { exitCode: 0, stdout: /my-alpine-base:v1/ }, pattern)
  const none = await run('ls', '*debian*')
  t.match(none, { exitCode: 1, stdout: '', stderr: /^nothing here matches \*debian\*$/m })
  t.equal((await run('ls', '*debian*', '--json')).exitCode, 1)
})

t.test('R290: status says when nothing is kept, and why', async t => {
  const stub = await startStub(t)
  stub.addImage('library/app', 'v1', index)
  const edge = await startTestEdge(t, {
    upstreams: { 'docker.io': { url: stub.url } },
  })
  await leaveRoom(edge, 110_000, { upstreams: { 'docker.io': { url: stub.url } } })
  const status = () => runCli(['status', '--socket', edge.socket])
  t.notMatch((await status()).stdout, /keeping/)
  await edge.get('/v2/library/app/manifests/v1')
  await edge.get(`/v2/library/app/manifests/${amd64.manifest.digest}`)
  t.match((await status()).stdout, /^keeping +nothing: storage\.maxsize is used up: raise/m)
})

t.test('R295: status says what found no room, where smaller things find some', async t => {
  const large = makeImage({ seed: 'large', layers: [4_000_000] })
  const { stub, edge, run } = await start(t)
  await leaveRoom(edge, 3_000_000, { upstreams: { 'docker.io': { url: stub.url } } })
  stub.addImage('library/large', 'v1', large)
  t.notMatch((await run('status')).stdout, /no room/)
  const layer = large.layers[0]?.digest ?? ''
  await edge.get('/v2/library/large/manifests/v1')
  for (let times = 0; times < 2; times += 1)
    t.equal((await edge.get(`/v2/library/large/blobs/${layer}`)).status, 200)
  t.match((await run('status')).stdout, /^no room +refused requests of pushes: 0; not kept: 2; /m)
  await edge.clock.advance(5_000)
  t.equal((await pushBlob(edge, 'localhost/app', Buffer.alloc(2_000_000))).status, 201)
  t.equal((await pushBlob(edge, 'localhost/app', Buffer.alloc(2_000_000, 1))).status, 507)
  await edge.clock.advance(120_000)
  const { stdout } = await run('status')
  t.match(
    stdout,
    /^no room +refused requests of pushes: 1; not kept: 2; .*\n +the last 2 min ago: 1\.9 MiB wanted, \d+ KiB free$/m,
  )
  t.notMatch(stdout, /keeping/, 'a byte would fit')
  const { storage } = JSON.parse((await run('status', '--json')).stdout) as Status
  t.match(storage.refused, { pushes: 1, notKept: 2, last: { wantedBytes: 2_000_000 } })
  t.ok((storage.refused.last?.freeBytes ?? 0) < 1_000_000, 'as much as is left')
})

t.test('R290: status keeps how an upstream was over a reload', async t => {
  const { stub, edge, run } = await start(t)
  const state = async () => /^docker\.io +(.+?) {2,}/m.exec((await run('status')).stdout)?.[1]
  await run('pull', 'docker.io/library/app:v1')
  t.equal(await state(), 'ok')
  edge.reload({ 'docker.io': { url: stub.url, ttl: '1m' } })
  edge.reload({ 'docker.io': { url: stub.url, ttl: '2m' } })
  t.equal(await state(), 'ok', 'it is the same upstream')
  stub.fault({ kind: 'manifest' }, { status: 500 })
  await edge.settle(run('pull', 'docker.io/library/app:v2'))
  t.equal(await state(), 'failed last', 'until it was asked again')
  const other = await startStub(t)
  edge.reload({ 'docker.io': { url: other.url } })
  t.equal(await state(), 'not asked yet', 'and this is another')
})

t.test('R290: inspect advises only what can be', async t => {
  const { edge, stub, run } = await start(t)
  const bare = await run('inspect', 'alpine:3')
  t.match(bare, { exitCode: 1, stderr: /localhost\/alpine:3 is not here/ })
  t.match(bare.stderr, /Docker Hub's alpine is docker\.io\/library\/alpine:3/)
  t.notMatch(bare.stderr, /entrepot pull/)
  t.match((await run('inspect', 'docker.io/library/none:1')).stderr, /"entrepot pull docker\.io/)
  edge.reload({ 'docker.io': { url: stub.url, offline: true } })
  const offline = await run('inspect', 'docker.io/library/none:1')
  t.match(offline.stderr, /docker\.io is offline/)
  t.notMatch(offline.stderr, /entrepot pull/)
})

t.test('why tells which image stands in while the newer one of a tag is not here', async t => {
  const { stub, edge, run } = await start(t)
  await run('pull', 'docker.io/library/app:v1')
  stub.addImage('library/app', 'v1', arm64)
  await edge.clock.advance(86_400_000)
  await get(`${edge.url}/v2/library/app/manifests/v1`, {}, { method: 'HEAD' })
  await edge.untilLogged('tag moved')
  const standIn = /the tag moved,.* should docker\.io fail, (sha256:\w+) is given stale/
  const before = await run('why', 'docker.io/library/app:v1')
  t.equal(standIn.exec(before.stdout)?.[1], index.manifest.digest)
  await run('pull', 'docker.io/library/app:v1')
  t.notMatch((await run('why', 'docker.io/library/app:v1')).stdout, standIn, 'the newer is here')
})

t.test('ls matches repository and tag apart, with or without the registry', async t => {
  const { stub, run } = await start(t)
  stub.addImage('team/deep/tool', 'v2', amd64)
  await run('pull', 'docker.io/library/app:v1', 'docker.io/team/deep/tool:v2')
  const app = 'docker.io/library/app:v1'
  const tool = 'docker.io/team/deep/tool:v2'
  const cases: Record<string, readonly string[]> = {
    '**': [app, tool],
    '*': [app, tool],
    'docker.io/**': [app, tool],
    'team/**': [tool],
    '**:v1': [app],
    '*:v*': [app, tool],
    '*/*': [app],
    'docker.io/*/{app,tool}': [app],
    'library/app:v2': [],
  }
  for (const [pattern, expected] of Object.entries(cases)) {
    const { images } = JSON.parse((await run('ls', pattern, '--json')).stdout) as {
      images: { image: string }[]
    }
    t.same(
      images.map(({ image }) => image),
      expected,
      pattern,
    )
  }
})

t.test('ls says that a pattern is no glob, and ends with 1', async t => {
  const { run } = await start(t)
  for (const pattern of ['[', 'docker.io/{a', 'app:[z-a]', 'x'.repeat(600)]) {
    const result = await run('ls', pattern)
    t.match(result, { exitCode: 1, stdout: '', stderr: /is no glob over repository:tag/ }, pattern)
  }
})

t.test('inspect of what is not here says how to get it, and ends with 1', async t => {
  const { run } = await start(t)
  t.match(await run('inspect', 'docker.io/library/app:v9'), {
    exitCode: 1,
    stderr: /entrepot pull/,
  })
})

t.test('status counts what was fetched and saved, and shows the upstreams', async t => {
  const { edge, run } = await start(t)
  await run('pull', 'docker.io/library/app:v1')
  await edge.get(`/v2/library/app/blobs/${amd64.layers[1]?.digest}`)
  const status = JSON.parse((await run('status', '--json')).stdout) as Record<string, unknown>
  t.match(status, {
    content: { tags: 1, manifests: 2, blobs: 3 },
    traffic: { sentBytes: 70_000, savedBytes: 70_000 },
    upstreams: [{ registry: 'docker.io', breaker: 'closed', offline: false }],
  })
  const { stdout } = await run('status')
  t.match(stdout, /^threads +1 of 1 listen; none died since the start$/m)
  t.match(stdout, /UPSTREAM +STATE/)
  t.match(stdout, /^queue +nothing waits to be delivered$/m)
  t.match(stdout, /^uploads +none open$/m)
})

t.test('R340: status and the metrics tell what takes the disk, and what stays free', async t => {
  const storage = { maxsize: '1GiB', minfree: '10MiB', lowwater: '90%' }
  const { edge, run } = await start(t, { storage })
  await run('pull', 'docker.io/library/app:v1')
  t.equal((await pushBlob(edge, 'localhost/app', Buffer.alloc(10_000))).status, 201)
  const status = JSON.parse((await run('status', '--json')).stdout) as Status
  const MiB = 2 ** 20
  // The reserve of the disk itself is more than what is configured here.
  t.match(status.storage, { maxBytes: 1024 * MiB, minFreeBytes: 64 * MiB })
  const { takenBytes, keptBytes, cachedBytes, lowWaterBytes, pushReserveBytes } = status.storage
  t.equal(keptBytes, 12_288, 'in whole blocks')
  t.match(status.upstreams, [{ registry: 'docker.io', heldBytes: cachedBytes }])
  t.ok(cachedBytes >= 76_000 && takenBytes >= cachedBytes + keptBytes)
  t.equal(lowWaterBytes, Math.floor(1024 * MiB * 0.9))
  t.equal(pushReserveBytes % 4_096, 0)
  const { stdout } = await run('status')
  t.match(stdout, /^content +\S+ KiB: \S+ KiB cached, 12\.0 KiB pushed here$/m)
  t.match(stdout, /^room +\S+ [KM]iB taken of 1\.0 GiB, \S+ .iB free on the disk$/m)
  t.match(stdout, /^UPSTREAM +STATE +HOLDS .*\ndocker\.io +ok +\S+ KiB {2,}/m)
  t.match(
    stdout,
    /makes room down to 922 MiB; keeps \S+ MiB for pushes, and 64\.0 MiB of the disk free$/m,
  )

  const metrics = (await get(`${edge.adminUrl}/metrics`)).body.toString()
  const value = (name: string) =>
    Number(new RegExp(`^entrepot_${name} (\\S+)$`, 'm').exec(metrics)?.[1])
  t.equal(value('storage_limit_bytes'), 1024 * MiB)
  t.equal(value('storage_push_reserve_bytes'), pushReserveBytes)
  t.equal(value('content_held_bytes{as="kept"}'), keptBytes)
  t.equal(value('content_held_bytes{as="cached"}'), cachedBytes)
  t.equal(value('content_of_upstream_bytes{upstream="localhost"}'), keptBytes)
  t.equal(value('content_of_upstream_bytes{upstream="docker.io"}'), cachedBytes)
})

t.test(
  'status tells an upstream that nobody has asked from one that answered or failed',
  async t => {
    const { stub, edge, run } = await start(t)
    const state = async () => /^docker\.io +(.+?) {2,}/m.exec((await run('status')).stdout)?.[1]
    t.equal(await state(), 'not asked yet')
    await run('pull', 'docker.io/library/app:v1')
    t.equal(await state(), 'ok')
    stub.fault({ kind: 'manifest' }, { status: 500 })
    t.match(await edge.settle(run('pull', 'docker.io/library/app:v2')), {
      exitCode: 1,
      stderr: /docker\.io cannot be reached and .* is not cached here: .*500/,
    })
    t.equal(await state(), 'failed last')
  },
)

t.test('status says how blobs are sent, and why not by the kernel', async t => {
  const { cert, key } = testCertificate()
  const directory = t.testdir({ 'tls.crt': cert, 'tls.key': key })
  const tls = { certificate: join(directory, 'tls.crt'), key: join(directory, 'tls.key') }
  const cases = [
    { http: { tls }, native: true, plainBecause: 'tls', text: /^sending +plain \(over TLS/m },
    { http: {}, native: false, plainBecause: 'switched off', text: /ENTREPOT_NATIVE is off/ },
  ]
  for (const { http, native, plainBecause, text } of cases) {
    const config = { http: { addr: '127.0.0.1:0', ...http } }
    const edge = await startTestEdge(t, {
      upstreams: {},
      config: { ...config, default: 'localhost' },
      native,
    })
    const run = (...argv: string[]) => runCli([...argv, '--socket', edge.socket])
    const status = JSON.parse((await run('status', '--json')).stdout) as Record<string, unknown>
    t.match(status, { sending: 'plain', plainBecause })
    t.match((await run('status')).stdout, text)
  }
})

t.test('metrics show an empty queue and no uploads as zeros, from the start', async t => {
  const { edge } = await start(t)
  const text = (await get(`${edge.adminUrl}/metrics`)).body.toString()
  t.match(text, /^entrepot_outbox_entries\{carrier="queue",state="waiting"\} 0$/m)
  t.match(text, /^entrepot_outbox_entries\{carrier="queue",state="parked"\} 0$/m)
  t.match(text, /^entrepot_outbox_oldest_age_seconds\{carrier="queue"\} 0$/m)
  t.match(text, /^entrepot_upload_sessions 0$/m)
})

t.test(
  'R283: what waits for a restart is told until it was started again or taken back',
  async t => {
    const { stub, edge, run } = await start(t)
    const upstreams = { 'docker.io': { url: stub.url } }
    const waits = async () => {
      const { stdout } = await run('status', '--json')
      return (JSON.parse(stdout) as { readonly needsRestart: unknown }).needsRestart
    }
    t.same(await waits(), [])
    const memory = { memory: '32MiB' }
    edge.reload(upstreams, memory)
    t.same(await waits(), ['memory'])
    t.match((await run('status')).stdout, /^restart +is waited for by memory$/m)
    edge.reload({ 'docker.io': { url: stub.url, ttl: '1m' } }, memory)
    t.same(await waits(), ['memory'], 'a second reload does not forget it')
    edge.reload(upstreams, {})
    t.same(await waits(), [], 'what was taken back waits no more')
  },
)

t.test('status names the process, for a signal', async t => {
  const { run } = await start(t)
  const { stdout } = await run('status')
  t.match(stdout, new RegExp(`^version +test, process ${process.pid}$`, 'm'))
})

t.test('R332: check tells of a limit below what the server keeps that runs by it', async t => {
  const { edge } = await start(t)
  const [config, layer] = [Buffer.from('{}'), Buffer.alloc(3 * 1024 * 1024)]
  for (const blob of [config, layer]) await pushBlob(edge, 'localhost/app', blob)
  const { bytes, mediaType } = manifestOver(config, [layer])
  const headers = { 'content-type': mediaType }
  await edge.send('PUT', '/v2/localhost/app/manifests/v1', { body: bytes, headers })
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-check-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const path = join(directory, 'edge.yaml')
  const check = async (maxsize: string) => {
    await writeFile(path, `storage:\n  maxsize: ${maxsize}\nadmin: { socket: ${edge.socket} }\n`)
    return runCli(['check', '--config', path])
  }
  t.match(await check('2MiB'), {
    exitCode: 0,
    stdout: /is valid/,
    stderr:
      /edge\.yaml:2:12: warning: storage\.maxsize: is below what was pushed and is kept here, 3080KiB/,
  })
  t.match(await check('4MiB'), { exitCode: 0, stderr: '' })
})
