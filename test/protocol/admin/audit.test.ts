// Goal: whoever reads the audit log finds who logged in or failed to, who pushed, deleted or was
// denied, by which rule, and what operators did; of no secret anything, and of a pull where it was
// asked for. Method: the whole edge in process over a stub registry, one to four threads, with
// raw clients and the command line; the file as it is once the edge has stopped.
import { once } from 'node:events'
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import tap from 'tap'
import { OF_ACCOUNT_AND_ADDRESS } from '../../../src/accounts/failed-logins.ts'
import { runCli } from '../../kit/cli.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import { keySet, makeKey, signToken } from '../../kit/stubs/issuer.ts'
import { get } from '../../kit/clients/raw-client.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'
import { reachThreads } from '../../kit/clients/thread-clients.ts'

/** By htpasswd of Apache 2.4, of s3cret. */
const HASH = '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2'
const image = makeImage({ seed: 'audit', layers: [1_000] })
const PULL = '/v2/team/app/manifests/v1'
const SECRETS = /s3cret|Winter|c3VjcmV0|erb_|\$2y\$|Bearer|Basic|eyJ/

type Line = Readonly<Record<string, unknown>>

function basic(name: string, password: string): Readonly<Record<string, string>> {
  const encoded = Buffer.from(`${name}:${password}`).toString('base64')
  return { authorization: `Basic ${encoded}`, accept: image.manifest.mediaType }
}
const ALICE = basic('alice', 's3cret')

async function open(
  t: Parameters<typeof startTestEdge>[0] & Pick<typeof tap, 'testdir'>,
  audit: Readonly<Record<string, unknown>> = {},
  threads = 1,
  addr = '127.0.0.1:0',
) {
  const stub = await startStub(t)
  stub.addImage('team/app', 'v1', image)
  const directory = t.testdir({ htpasswd: `alice:${HASH}\nbob:${HASH}\n` })
  const file = join(directory, 'audit.log')
  const htpasswd = join(directory, 'htpasswd')
  const config = {
    http: { addr, threads },
    auth: { htpasswd: { path: htpasswd } },
    access: [
      { who: 'alice', match: 'localhost/**', allow: ['pull', 'push', 'delete'] },
      { who: 'bob', match: 'localhost/**', allow: [] },
      { who: 'alice', match: 'docker.io/**', allow: ['pull'] },
      { who: 'local', match: 'docker.io/other/**', allow: ['pull'] },
    ],
    audit: { output: file, ...audit },
  }
  const upstreams = { 'docker.io': { url: stub.url, prefetch: false } }
  const edge = await startTestEdge(t, { upstreams, config })
  const written = async (): Promise<readonly Line[]> => {
    await edge.stop()
    return read(file)
  }
  const command = (...args: readonly string[]) => {
    const path = join(directory, 'config.yaml')
    const auth = { htpasswd: { path: htpasswd } }
    writeFileSync(path, JSON.stringify({ admin: { socket: edge.socket }, auth }), { mode: 0o600 })
    return runCli([...args, '--config', path])
  }
  const reload = () => edge.reloaded(upstreams, config)
  return { edge, file, written, command, reload }
}

function read(file: string): readonly Line[] {
  const text = readFileSync(file, 'utf8')
  if (SECRETS.test(text)) throw new Error(`a secret is in ${text}`)
  const lines = text.split('\n').filter(line => line !== '')
  return lines.map(line => JSON.parse(line) as Line)
}

tap.test('R694: logins are written down, good, wrong and too many, and no secret', async t => {
  const { edge, file, written, command } = await open(t)
  const token = (headers: Readonly<Record<string, string>>) => edge.get('/v2/token', headers)
  t.equal((await edge.get('/v2/')).status, 401, 'docker login begins so, and is nobody yet')
  t.equal((await token(ALICE)).status, 200)
  t.equal((await edge.get('/v2/', ALICE)).status, 200, 'podman shows the password here')
  t.equal((await token({})).status, 200, 'a token of nobody’s is no login')
  t.match((await command('token', 'issue', 'ci')).stdout, /^erb_/)
  for (let at = 0; at < OF_ACCOUNT_AND_ADDRESS.atOnce; at += 1)
    t.equal((await token(basic('bob', `Winter${at}`))).status, 401)
  t.equal((await token(basic('bob', 'Winter2026'))).status, 429)
  const where = { client: '127.0.0.1', endpoint: 'token', method: 'GET' }
  const lines = await written()
  t.match(lines.slice(0, 3), [
    { audit: 'login', outcome: 'done', who: 'alice', status: 200, ...where },
    { audit: 'login', outcome: 'done', who: 'alice', endpoint: 'ping' },
    { audit: 'admin', who: 'operator', action: 'robots/issue', asked: { name: 'ci' }, status: 200 },
  ])
  const tried = lines.slice(3)
  t.equal(tried.length, 2, 'of what goes on one line a minute is written')
  t.match(tried[0], { audit: 'login', outcome: 'refused', who: 'nobody', status: 401, ...where })
  t.match(tried.at(-1), { audit: 'login', outcome: 'limited', who: 'nobody', status: 429 })
  for (const line of tried) t.match(line, { requestId: /./, time: /^\d{4}-.*Z$/ })
  t.equal(statSync(file).mode & 0o777, 0o600)
})

tap.test('R827: wrong logins fill no audit log, and hide nothing that somebody did', async t => {
  const { edge, written } = await open(t)
  const wrong = (authorization: string) => edge.get('/v2/', { authorization })
  for (let at = 0; at < 50; at += 1) {
    t.equal((await wrong('x')).status, 401)
    await wrong(`Bearer ${at}`)
    await edge.get('/v2/', basic('carol', `Winter${at}`))
  }
  for (let at = 0; at < 3; at += 1)
    t.equal(
      (await edge.send('DELETE', '/v2/localhost/app/manifests/v1', { headers: ALICE })).status,
      404,
    )
  await edge.pass(60_000)
  await wrong('x')
  const lines = await written()
  const outcomes = lines.map(({ audit, outcome, held }) => [audit, outcome, held])
  t.strictSame(
    outcomes.filter(([audit, outcome]) => audit === 'login' && outcome !== 'limited'),
    [
      ['login', 'refused', undefined],
      ['login', 'refused', lines.at(-1)?.['held']],
    ],
  )
  t.ok(Number(lines.at(-1)?.['held']) >= 99, 'and how many more there were')
  t.equal(outcomes.filter(([, outcome]) => outcome === 'limited').length, 1)
  t.equal(outcomes.filter(([audit]) => audit === 'delete').length, 3)
})

for (const threads of [1, 4])
  tap.test(`R695: ${threads} thread(s) write down who pushed, deleted or was denied`, async t => {
    const { edge, written } = await open(t, {}, threads)
    const clients = await reachThreads(t, edge.url, threads)
    const { mediaType, digest, bytes } = image.manifest
    const path = `/v2/localhost/app/blobs/uploads/`
    for (const blob of [image.config, ...image.layers]) {
      const begun = `${path}?digest=${blob.digest}`
      t.equal((await edge.send('POST', begun, { headers: ALICE, body: blob.bytes() })).status, 201)
    }
    const put = { headers: { ...ALICE, 'content-type': mediaType }, body: bytes }
    const tagged = '/v2/localhost/app/manifests/v1'
    t.equal((await edge.send('PUT', tagged, put)).status, 201)
    const denied = { headers: basic('bob', 's3cret') }
    for (const { send } of clients) {
      t.equal((await send('GET', tagged, denied)).status, 404, 'hidden')
      t.equal((await send('DELETE', tagged, denied)).status, 403)
    }
    t.equal((await edge.send('GET', tagged, { headers: ALICE })).status, 200)
    t.equal((await edge.send('DELETE', tagged, { headers: ALICE })).status, 202)
    const lines = (await written()).filter(({ audit }) => audit !== 'login')
    const repository = 'localhost/app'
    const byAlice = lines.filter(({ who }) => who === 'alice')
    t.match(byAlice, [
      { audit: 'push', outcome: 'done', endpoint: 'uploads', repository },
      { audit: 'push', outcome: 'done', endpoint: 'uploads', repository },
      { audit: 'push', outcome: 'done', endpoint: 'manifest', repository, reference: 'v1' },
      { audit: 'delete', outcome: 'done', endpoint: 'manifest', repository, reference: 'v1' },
    ])
    t.equal(byAlice.length, 4, 'a pull is not asked for')
    t.match(digest, /^sha256:/)
    const ofBob = lines.filter(({ who }) => who === 'bob')
    const rule = /access\[1\]/
    const shared = { audit: 'denied', outcome: 'refused', repository, rule, client: '127.0.0.1' }
    t.equal(ofBob.length, 2 * threads)
    t.match(ofBob.filter(({ status }) => status === 404)[0], { method: 'GET', ...shared })
    t.match(ofBob.filter(({ status }) => status === 403)[0], { method: 'DELETE', ...shared })
  })

for (const threads of [1, 4])
  tap.test(`R696: ${threads} thread(s) write down pulls that are asked for`, async t => {
    const { edge, written } = await open(t, { pulls: true }, threads)
    const clients = await reachThreads(t, edge.url, threads)
    let asked = 0
    for (let time = 0; time < 3; time += 1)
      for (const { send } of clients) {
        t.equal((await send('GET', PULL, { headers: ALICE })).status, 200)
        asked += 1
      }
    const pulls = (await written()).filter(({ audit }) => audit === 'pull')
    t.equal(pulls.length, asked, 'from memory, too')
    const repository = 'docker.io/team/app'
    for (const line of pulls)
      t.match(line, { outcome: 'done', who: 'alice', repository, reference: 'v1', status: 200 })
  })

tap.test('R755: a client has one spelling, however it came to the port', async t => {
  const { edge, written } = await open(t, {}, 1, '[::]:0')
  const url = edge.url.replace('[::]', '127.0.0.1')
  t.equal((await get(`${url}/v2/`, ALICE)).status, 200)
  t.match(await edge.untilLogged('request completed'), { client: '127.0.0.1' })
  t.match(await written(), [{ audit: 'login', who: 'alice', client: '127.0.0.1' }])
})

tap.test('R756: what an operator asked for and did not get is no success', async t => {
  const { written, command } = await open(t)
  for (const [exitCode, ...args] of [
    [0, 'token', 'issue', 'ci'],
    [1, 'token', 'issue', 'ci'],
    [1, 'token', 'issue', 'X Y'],
    [1, 'token', 'revoke', 'cd'],
    [0, 'token', 'rotate', 'ci'],
    [0, 'token', 'revoke', 'ci'],
    [0, 'user', 'logout', 'alice'],
    [1, 'user', 'logout', 'carol'],
  ] as const)
    t.match(await command(...args), { exitCode }, args.join(' '))
  const all = await written()
  t.same(
    all.slice(0, 6).map(({ asked }) => Object.keys(asked ?? {}).join()),
    ['name,life', 'name,life', 'name,life', 'name', 'name,overlap', 'name'],
    'and nothing that nobody asked for',
  )
  const told = all.map(({ action, outcome, reason }) => [action, outcome, reason])
  t.same(told, [
    ['robots/issue', 'done', undefined],
    ['robots/issue', 'refused', 'there already'],
    ['robots/issue', 'refused', 'no name'],
    ['robots/revoke', 'refused', 'not there'],
    ['robots/rotate', 'done', undefined],
    ['robots/revoke', 'done', undefined],
    ['accounts/logout', 'done', undefined],
    ['accounts/logout', 'refused', 'no such account'],
  ])
})

tap.test('R697: what operators do is written down, and who came and went', async t => {
  const { written, command, reload } = await open(t)
  t.match(await command('user', 'rm', 'bob'), { exitCode: 0 })
  t.match(await command('pin', 'docker.io/team/*'), { exitCode: 0 })
  t.match(await command('status'), { exitCode: 0 }, 'a look is none')
  await reload()
  const lines = await written()
  t.match(
    lines.filter(({ audit }) => audit === 'accounts'),
    [{ removed: ['bob'] }],
  )
  const done = lines.filter(({ audit }) => audit === 'admin').map(({ action }) => action)
  t.same(done, ['accounts/look', 'pins/pin', 'reload'])
  t.match(lines[1], { action: 'accounts/look', asked: { name: 'bob' }, status: 200 })
  t.notOk(lines.some(({ outcome }) => outcome === 'refused'))
  for (const { audit, who } of lines) if (audit === 'admin') t.equal(who, 'operator')
})

tap.test('R725: what is asked of the socket is a field of its own', async t => {
  const { edge, written } = await open(t)
  const forged =
    'audit=login&action=x&time=2020-01-01T00:00:00.000Z&who=alice&status=1&outcome=done'
  const path = `/api/v1/pins/pin?pattern=docker.io/team/*&${forged}`
  const answer = request({ socketPath: edge.socket, path, method: 'POST' }).end()
  const [{ statusCode }] = (await once(answer, 'response')) as [IncomingMessage]
  t.equal(statusCode, 200)
  const [line, ...more] = await written()
  t.same(more, [])
  const { time, asked, ...rest } = line ?? {}
  t.same(rest, { audit: 'admin', action: 'pins/pin', who: 'operator', status: 200 })
  t.match(asked, { pattern: 'docker.io/team/*', audit: 'login', who: 'alice' })
  t.equal(time, new Date(edge.clock.nowMs()).toISOString())
})

tap.test('R744: what was begun is told, though who asked for it has left', async t => {
  const { edge, written } = await open(t)
  const socket = connect(edge.socket)
  await once(socket, 'connect')
  socket.write('POST /api/v1/pins/pin?pattern=docker.io/team/* HTTP/1.1\r\nHost: edge\r\n\r\n')
  socket.destroySoon()
  await once(socket, 'close')
  t.match(await written(), [
    { action: 'pins/pin', who: 'operator', asked: { pattern: 'docker.io/team/*' }, left: true },
  ])
})

tap.test('R739: a program of the machine that is asked for a login is not denied yet', async t => {
  const { edge, written } = await open(t)
  const app = { headers: { accept: image.manifest.mediaType } }
  t.equal((await edge.send('GET', '/v2/localhost/app/manifests/v1', app)).status, 401)
  t.equal((await edge.send('GET', '/v2/localhost/app/manifests/v1', app)).status, 401)
  t.same(await written(), [])
})

tap.test('R726, R727: what a token does not grant is denied to whom it names', async t => {
  const key = makeKey('RS256', 'one')
  const directory = t.testdir({ jwks: JSON.stringify(keySet([key])) })
  const [file, jwks] = [join(directory, 'audit.log'), join(directory, 'jwks')]
  const token = { realm: 'https://auth.example.com/token', service: 'edge', issuer: 'A', jwks }
  const http = { addr: '127.0.0.1:0' }
  const config = { default: 'localhost', http, auth: { token }, audit: { output: file } }
  const edge = await startTestEdge(t, { upstreams: {}, config })
  const seconds = Math.floor(edge.clock.nowMs() / 1_000)
  const granted = [{ type: 'repository', name: 'localhost/app', actions: ['pull'] }]
  const bearer = (sub: string) => {
    const claims = { iss: 'A', aud: 'edge', sub, iat: seconds, exp: seconds + 300, access: granted }
    return { authorization: `Bearer ${signToken(claims, { key })}` }
  }
  const manifest = `/v2/localhost/app/manifests/sha256:${'0'.repeat(64)}`
  const uploads = '/v2/localhost/app/blobs/uploads/'
  for (const [method, path] of [
    ['POST', uploads],
    ['DELETE', manifest],
    ['PUT', manifest],
  ] as const) {
    t.equal((await edge.send(method, path, { headers: bearer('alice') })).status, 401)
  }
  const reserved = [
    'nobody',
    'anonymous',
    'operator',
    'uid:0',
    'cert:x',
    'robot:x',
    'oidc:x:y',
    'group:x',
  ]
  for (const sub of reserved) t.equal((await edge.get('/v2/', bearer(sub))).status, 401, sub)
  await edge.stop()
  const lines = read(file)
  const denied = lines.filter(({ audit }) => audit === 'denied')
  t.match(
    denied.map(({ who, method }) => [who, method].join(' ')),
    ['alice POST', 'alice DELETE', 'alice PUT'],
  )
  for (const line of denied) t.match(line, { outcome: 'refused', status: 401, rule: /token/ })
  const rest = lines.filter(({ audit }) => audit !== 'denied')
  t.equal(rest.length, 1, 'one line a minute')
  t.match(rest, [{ audit: 'login', outcome: 'refused', who: 'nobody' }])
})

tap.test('R698: a file that was moved away is begun anew by a reload', async t => {
  const { edge, file, written, reload } = await open(t)
  t.equal((await edge.get('/v2/', ALICE)).status, 200)
  renameSync(file, `${file}.1`)
  await reload()
  t.ok(existsSync(file))
  t.equal((await edge.get('/v2/', basic('bob', 's3cret'))).status, 200)
  const later = await written()
  t.match(read(`${file}.1`), [{ audit: 'login', who: 'alice' }])
  t.match(later, [{ action: 'reload' }, { audit: 'login', who: 'bob' }])
})

tap.test('R699: an audit log that cannot be written is told, and stops nobody', async t => {
  const { edge } = await open(t, { output: '/dev/full' })
  for (let time = 0; time < 3; time += 1) t.equal((await edge.get('/v2/', ALICE)).status, 200)
  const { hint } = await edge.untilLogged('the audit log cannot be written')
  t.match(hint, /what they did is not written down/)
  const metrics = await (await fetch(`${edge.adminUrl}/metrics`)).text()
  t.match(metrics, /^entrepot_audit_lines_dropped_total\{reason="failed"\} 3$/m)
  await t.rejects(open(t, { output: '/nowhere/audit.log' }), /\/nowhere\/audit\.log .*ENOENT/)
})
