// Goal: a web page, a foreign name, a password and whoever reaches the admin address get nothing
// that is not theirs, on every thread and after a reload. Method: the process that `npm start`
// starts, with two HTTP threads and its admin address beyond loopback; curl from this machine and
// from a network namespace behind a bridge; each request several times on connections of its own,
// which the kernel spreads over the threads; SIGHUP with another configuration.
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { get } from '../kit/clients/raw-client.ts'
import { openBridge } from './bridge.ts'
import { freshDirectory } from './processes.ts'

t.setTimeout(300_000)

const BLOB = Buffer.from('a private layer')
const DIGEST = `sha256:${createHash('sha256').update(BLOB).digest('hex')}`
const UPLOADS = '/v2/localhost/team/app/blobs/uploads/'
const PATH = `/v2/localhost/team/app/blobs/${DIGEST}`
/** That all connections reach one thread is one case in 128. */
const TIMES = 8

const edge = await startEdge({
  directory: freshDirectory('edge'),
  upstreams: {},
  config: {
    default: 'localhost',
    http: { addr: '0.0.0.0:0', threads: 2 },
    admin: { addr: '0.0.0.0:0' },
  },
})
const { port } = new URL(edge.url)
const url = `http://127.0.0.1:${port}`
const blob = { method: 'POST', body: BLOB }
const pushed = await get(`${url}${UPLOADS}?digest=${DIGEST}`, {}, blob)

async function statuses(path: string, headers: Record<string, string>): Promise<Set<number>> {
  const seen = new Set<number>()
  for (let time = 0; time < TIMES; time += 1) {
    const { status, body } = await get(url + path, headers)
    if (status !== 200 && body.includes(BLOB)) throw new Error(`${status} with the content`)
    seen.add(status)
  }
  return seen
}

await t.test('web pages read nothing, whether it is in memory or not', async t => {
  t.equal(pushed.status, 201)
  t.same(await statuses(PATH, {}), new Set([200]), 'a program reads it, and then it is in memory')
  const page = { host: 'evil.example', origin: 'https://evil.example' }
  for (const headers of [
    { ...page, 'sec-fetch-site': 'cross-site' },
    { origin: 'null' },
    { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' },
    { host: 'evil.example', 'accept-language': 'en' },
    { host: 'evil.example', 'user-agent': 'Mozilla/5.0' },
  ]) {
    const what = JSON.stringify(headers)
    for (const path of ['/v2/_catalog', '/v2/localhost/team/app/tags/list', PATH, '/v2/']) {
      t.same(await statuses(path, headers), new Set([403]), `${path} ${what}`)
    }
  }
  const program = await fetch(`${url}${PATH}`)
  t.equal(program.status, 200, 'Node’s own fetch is a program')
})

await t.test('a password is refused, and none is asked for', async t => {
  t.same(await statuses('/v2/', { authorization: 'Basic dTpw' }), new Set([401]))
  t.same(await statuses(PATH, { authorization: 'Bearer x' }), new Set([200]), 'what is read')
  t.same(await statuses('/v2/', {}), new Set([200]))
})

await t.test('who reaches the admin address has health and metrics, by whatever name', async t => {
  const bridge = openBridge()
  t.teardown(() => bridge.remove())
  const admin = `http://${bridge.address}:${new URL(edge.adminUrl).port}`
  const ask = (path: string, ...args: string[]) => {
    const status = ['--output', '/dev/null', '--write-out', '%{http_code}']
    const host = ['--header', 'Host: localhost']
    return bridge.run('curl', [
      '--silent',
      '--noproxy',
      '*',
      ...status,
      ...host,
      ...args,
      admin + path,
    ])
  }
  for (const path of ['/livez', '/readyz', '/metrics']) t.equal(await ask(path), '200', path)
  t.equal(await ask('/api/v1/status'), '404')
  t.equal(await ask('/api/v1/queue/drop?id=1', '--request', 'POST'), '404')
  t.match(await edge.askAdmin('/status'), { threads: { configured: 2 } }, 'the socket has it')
})

await t.test('a reload brings the list of names and the end of pushes to every thread', async t => {
  const config = JSON.parse(readFileSync(edge.configFile, 'utf8')) as { http: object }
  const http = { ...config.http, hosts: ['edge.example.com'], localpush: false }
  writeFileSync(edge.configFile, JSON.stringify({ ...config, http }))
  const from = edge.logs.length
  process.kill(edge.pid, 'SIGHUP')
  await edge.untilLogged(line => line.msg === 'configuration reloaded', from)
  t.same(await statuses(PATH, { host: 'edge.example.com' }), new Set([200]))
  t.same(await statuses(PATH, { host: 'localhost' }), new Set([200]))
  t.same(await statuses(PATH, { host: 'evil.example' }), new Set([403]))
  for (let time = 0; time < TIMES; time += 1) {
    const { status, body } = await get(url + UPLOADS, {}, { method: 'POST', body: '' })
    t.equal(status, 403)
    t.match(body.toString(), /http\.localpush is false/)
  }
})

await edge.stop()
