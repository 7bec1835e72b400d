// Goal: a robot logs in by the secret that the edge showed once, as whom rules call it, and what
// an operator ends is over on each thread before the command returns. Method: the whole edge in
// process over a stub registry, one and four threads, with clients on every thread; the command
// line over its socket.
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tap from 'tap'
import { askSocket } from '../../kit/clients/admin-socket.ts'
import { runCli } from '../../kit/cli.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'
import { reachThreads } from '../../kit/clients/thread-clients.ts'

/** By htpasswd of Apache 2.4, of s3cret. */
const HASH = '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2'
const DAY_MS = 24 * 3_600_000
const image = makeImage({ seed: 'robots', layers: [1_000] })
const ACCEPT = { accept: image.manifest.mediaType }
const MINE = '/v2/team/app/manifests/v1'
const OTHERS = '/v2/other/app/manifests/v1'

type Headers = Readonly<Record<string, string>>

const basic = (name: string, password: string): Headers => ({
  ...ACCEPT,
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
})
const bearer = (token: string): Headers => ({ ...ACCEPT, authorization: `Bearer ${token}` })

async function open(
  t: Parameters<typeof startTestEdge>[0] & Pick<typeof tap, 'testdir' | 'match'>,
  threads = 1,
  {
    groups = {},
    access = [
      { who: 'robot:ci', match: 'docker.io/team/**', allow: ['pull'] },
      { who: 'group:ci', match: 'docker.io/other/**', allow: ['pull'] },
    ],
    accounts = `alice:${HASH}\n`,
  }: {
    readonly groups?: Readonly<Record<string, readonly string[]>>
    readonly access?: readonly object[]
    readonly accounts?: string
  } = {},
) {
  const stub = await startStub(t)
  for (const name of ['team/app', 'other/app']) stub.addImage(name, 'v1', image)
  const files = t.testdir({ htpasswd: accounts })
  const auth = { htpasswd: { path: join(files, 'htpasswd') }, groups }
  const options = {
    upstreams: { 'docker.io': { url: stub.url, prefetch: false } },
    config: { http: { addr: '127.0.0.1:0', threads }, auth, access },
  }
  const data = await mkdtemp(join(tmpdir(), 'robots-'))
  t.teardown(() => rm(data, { recursive: true }))
  let edge: TestEdge
  const start = async () => {
    edge = await startTestEdge(t, { ...options, directory: data })
    const { socket } = edge
    writeFileSync(configFile, JSON.stringify({ admin: { socket }, auth, access }), { mode: 0o600 })
    return edge
  }
  const configFile = join(files, 'config.yaml')
  const token = (...args: readonly string[]) => runCli(['token', ...args, '--config', configFile])
  const secretBy = async (...args: readonly string[]) => {
    const { stdout, stderr } = await token(...args)
    t.match(stdout, /^erb_[A-Za-z0-9_-]{43}\n$/, stderr)
    return stdout.trim()
  }
  const check = async () => (await runCli(['check', '--config', configFile])).stdout
  const restart = async () => {
    await edge.stop()
    return start()
  }
  return { edge: await start(), token, secretBy, check, restart }
}

async function tokenFor(edge: TestEdge, headers: Headers): Promise<Record<string, string>> {
  const response = await fetch(`${edge.url}/v2/token?offline_token=true`, { headers })
  return (await response.json()) as Record<string, string>
}

for (const threads of [1, 4])
  tap.test(`R523: ${threads} thread(s) let a robot in until it is ended`, async t => {
    const { edge, token, secretBy } = await open(t, threads)
    const clients = await reachThreads(t, edge.url, threads)
    const expect = async (headers: Headers, status: number, what: string) => {
      for (let time = 0; time < 3; time += 1)
        for (const { send } of clients)
          t.equal((await send('GET', MINE, { headers })).status, status, what)
    }
    const first = await secretBy('issue', 'ci')
    const { token: access = '', refresh_token: refresh } = await tokenFor(edge, basic('ci', first))
    t.equal(refresh, undefined, 'it has its secret')
    await expect(basic('ci', first), 200, 'by name and secret')
    await expect(basic('whoever', first), 200, 'by any name')
    await expect(bearer(first), 200, 'by the secret as a token')
    await expect(bearer(access), 200, 'by a token for it')
    t.equal((await edge.get(OTHERS, basic('ci', first))).status, 404, 'rules say what it may')
    await expect(basic('ci', `${first.slice(0, -1)}_`), 401, 'by another secret')
    await expect(basic('ci', 'erb_'), 401, 'by none')

    const second = await secretBy('rotate', 'ci', '--overlap', '1h')
    for (const secret of [first, second]) await expect(basic('ci', secret), 200, 'they overlap')
    const bought = [access, (await tokenFor(edge, basic('ci', second))).token ?? '']
    for (const one of bought) await expect(bearer(one), 200, 'a token by a secret that is good')
    const third = await secretBy('rotate', 'ci', '--overlap', '0')
    for (const one of bought) await expect(bearer(one), 401, 'a token by a secret of before')
    for (const secret of [first, second]) await expect(basic('ci', secret), 401, 'rotated')
    await expect(bearer(third), 200, 'the newest')

    const { token: late = '' } = await tokenFor(edge, basic('ci', third))
    await expect(bearer(late), 200, 'a token for it')
    t.match(await token('revoke', 'ci'), { exitCode: 0, stdout: 'ci: revoked\n' })
    for (const headers of [basic('ci', third), bearer(third), bearer(late), bearer(access)])
      await expect(headers, 401, 'revoked')
    const again = await secretBy('issue', 'ci')
    await expect(bearer(late), 401, 'a token of the one before is not the next one’s')
    await expect(basic('ci', again), 200, 'issued anew')
    t.notMatch(JSON.stringify(edge.lines()), /erb_/)
  })

for (const threads of [1, 4])
  tap.test(`R528: ${threads} thread(s): a token ends with the secret that bought it`, async t => {
    const { edge, secretBy } = await open(t, threads)
    const clients = await reachThreads(t, edge.url, threads)
    const first = await secretBy('issue', 'ci')
    const { token: byFirst = '' } = await tokenFor(edge, basic('ci', first))
    const second = await secretBy('rotate', 'ci', '--overlap', '1m')
    const { token: bySecond = '' } = await tokenFor(edge, basic('ci', second))
    const expect = async (headers: Headers, status: number, what: string) => {
      for (const { send } of clients)
        t.equal((await send('GET', MINE, { headers })).status, status, what)
    }
    for (const headers of [basic('ci', first), bearer(byFirst), bearer(bySecond)])
      await expect(headers, 200, 'they overlap')
    await secretBy('rotate', 'ci', '--overlap', '1m')
    for (const headers of [basic('ci', first), bearer(byFirst)])
      await expect(headers, 401, 'of the secret before the one before')
    await expect(bearer(bySecond), 200, 'of the one before')
  })

tap.test('R528: what was shown a moment ago is over when its secret is', async t => {
  const { edge, secretBy } = await open(t)
  // A cache takes the time 0 for none.
  await edge.clock.advance(1)
  const first = await secretBy('issue', 'ci')
  const { token: byFirst = '' } = await tokenFor(edge, basic('ci', first))
  const second = await secretBy('rotate', 'ci', '--overlap', '1m')
  const { token: bySecond = '' } = await tokenFor(edge, basic('ci', second))
  const status = async (headers: Headers) => (await edge.get(MINE, headers)).status
  await edge.clock.advance(59_000)
  for (const headers of [basic('ci', first), bearer(byFirst), bearer(first)])
    t.equal(await status(headers), 200)
  await edge.clock.advance(1_001)
  for (const headers of [basic('ci', first), bearer(byFirst), bearer(first)])
    t.equal(await status(headers), 401)
  for (const headers of [basic('ci', second), bearer(bySecond)]) t.equal(await status(headers), 200)
})

tap.test('R528: a rotation after the end makes nothing of before good again', async t => {
  const { edge, secretBy } = await open(t)
  const first = await secretBy('issue', 'ci', '--expires', '1m')
  await edge.clock.advance(50_000)
  const { token: byFirst = '' } = await tokenFor(edge, basic('ci', first))
  const status = async (headers: Headers) => (await edge.get(MINE, headers)).status
  t.equal(await status(bearer(byFirst)), 200)
  await edge.clock.advance(10_001)
  const second = await secretBy('rotate', 'ci', '--overlap', '1h')
  for (const headers of [basic('ci', first), bearer(byFirst)]) t.equal(await status(headers), 401)
  t.equal(await status(basic('ci', second)), 200)
})

tap.test('R530: a robot may what its group may', async t => {
  const { edge, secretBy } = await open(t, 1, { groups: { ci: ['robot:build-7'] } })
  const secret = await secretBy('issue', 'build-7')
  t.equal((await edge.get(OTHERS, basic('x', secret))).status, 200)
  const stranger = await secretBy('issue', 'build-8')
  t.equal((await edge.get(OTHERS, basic('x', stranger))).status, 404)
})

for (const threads of [1, 4])
  tap.test(
    `R532: ${threads} thread(s): with a robot local programs log in like others`,
    async t => {
      const { edge, token, secretBy, check, restart } = await open(t, threads, {
        access: [],
        accounts: '',
      })
      const pushAt = async (at: TestEdge) => {
        const clients = await reachThreads(t, at.url, threads)
        const begun = clients.map(({ send }) =>
          send('POST', '/v2/localhost/app/blobs/uploads/', {}),
        )
        return [...new Set((await Promise.all(begun)).map(({ status }) => status))]
      }
      t.same(await pushAt(edge), [202], 'until there is an account')
      t.match(await check(), /may do everything until there is an account or a robot/)
      await secretBy('issue', 'ci')
      t.same(await pushAt(edge), [401])
      t.match(await check(), /log in like others: there is an account or a robot/)
      const again = await restart()
      t.same(await pushAt(again), [401], 'over a restart')
      t.equal((await token('revoke', 'ci')).exitCode, 0)
      t.same(await pushAt(again), [202])
    },
  )

tap.test('R534: the API of operators has the bounds of the command', async t => {
  const { edge } = await open(t)
  const ask = async (path: string) =>
    (await askSocket(edge.socket, `/api/v1/robots/${path}`, { method: 'POST' })).status
  t.equal(await ask('issue?name=ci&life=Infinity'), 200)
  for (const life of ['0', '-1', '', 'x', 'NaN', '1e300', String(101 * 365 * DAY_MS)])
    t.equal(await ask(`issue?name=other&life=${life}`), 400, life)
  for (const overlap of ['-1', '', 'x', '1e300', String(101 * 365 * DAY_MS)])
    t.equal(await ask(`rotate?name=ci&overlap=${overlap}`), 400, overlap)
  const { body } = await askSocket(edge.socket, '/api/v1/robots')
  t.match(JSON.parse(body), { robots: [{ name: 'ci' }] })
})

tap.test('R522: secrets are kept hashed, for the owner alone; faults are told', async t => {
  const { edge, token, secretBy } = await open(t)
  const secret = await secretBy('issue', 'ci')
  const file = join(edge.dataDirectory, 'robots.json')
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.notOk(readFileSync(file, 'utf8').includes(secret.slice(4)))
  const faults: readonly (readonly [readonly string[], number, RegExp])[] = [
    [['issue', 'ci'], 1, /there already.*rotate/],
    [['issue', 'Robot'], 1, /no name for a robot/],
    [['rotate', 'gone'], 1, /no robot here/],
    [['revoke', 'gone'], 1, /no robot here/],
    [['issue'], 2, /usage/],
    [['issue', 'x', '--expires', 'soon'], 2, /--expires/],
    [['issue', 'x', '--expires', '0'], 2, /--expires: 0 makes a secret that nobody/],
    [['issue', 'x', '--expires', '100000000d'], 2, /--expires: .*forever/],
    [['rotate', 'ci', '--overlap', '100000000d'], 2, /--overlap: .*100 years/],
  ]
  for (const [args, exitCode, stderr] of faults)
    t.match(await token(...args), { exitCode, stderr }, args.join(' '))
  t.match(await token('ls'), { exitCode: 0, stdout: /ci +\d{4}-\d\d-\d\d/ })
  writeFileSync(file, '{')
  t.equal((await edge.get(MINE, basic('ci', secret))).status, 200, 'it goes by what it has read')
})

tap.test('R798: status and ls tell what has ended and soon will, and what overlaps', async t => {
  const { edge, token, secretBy } = await open(t)
  await edge.clock.advance(1)
  const status = async () => {
    const { stdout } = await runCli(['status', '--socket', edge.socket])
    return /^robots +(.*)$/m.exec(stdout)?.[1]
  }
  t.equal(await status(), undefined)
  for (const [name, life] of [
    ['gone', '1d'],
    ['soon', '8d'],
    ['stays', 'forever'],
  ] as const)
    await secretBy('issue', name, '--expires', life)
  t.equal(await status(), '3; within seven days expire: gone; "entrepot token rotate" begins anew')
  await edge.clock.advance(2 * DAY_MS)
  t.equal(
    await status(),
    '3; expired: gone; within seven days expire: soon; "entrepot token rotate" begins anew',
  )
  await secretBy('rotate', 'stays', '--overlap', '1h')
  t.match((await token('ls')).stdout, /^NAME +ISSUED \(UTC\) +EXPIRES \(UTC\) +STATE\n/)
  const until = new Date(edge.clock.nowMs() + 3_600_000).toISOString().slice(0, 16)
  const overlap = `good; so is the secret of before until ${until.replace('T', ' ')}`
  const told = (await token('ls')).stdout
  t.match(told, /^gone .* expired$/m)
  t.match(told, /^soon .* expires soon$/m)
  t.ok(told.includes(overlap), told)
  await edge.clock.advance(3_600_000)
  t.match((await token('ls')).stdout, /^stays .* never +good$/m, 'the overlap is over')
})

tap.test('R524: a secret expires, and a metric says so seven days before', async t => {
  const { edge, secretBy } = await open(t)
  // A cache takes the time 0 for none.
  await edge.clock.advance(1)
  const secret = await secretBy('issue', 'ci', '--expires', '10d')
  await secretBy('issue', 'other', '--expires', 'forever')
  const states = async () => {
    const text = await (await fetch(`${edge.adminUrl}/metrics`)).text()
    const found = text.matchAll(/^entrepot_auth_robots\{state="(\w+)"\} (\d+)$/gm)
    return Object.fromEntries([...found].map(([, state, count]) => [state, Number(count)]))
  }
  const status = async () => (await edge.get(MINE, basic('ci', secret))).status
  t.same(await states(), { valid: 2, expiring: 0, expired: 0 })
  t.equal(await status(), 200)
  await edge.clock.advance(4 * DAY_MS)
  t.same(await states(), { valid: 1, expiring: 1, expired: 0 })
  t.equal(await status(), 200)
  await edge.clock.advance(6 * DAY_MS)
  t.same(await states(), { valid: 1, expiring: 0, expired: 1 })
  t.equal(await status(), 401)
})
