// Goal: an address that cannot be listened on is told with its key and a way out. Method: the whole
// server is started on addresses that the machine refuses; what a test cannot bring about on every
// machine is thrown as the system throws it.
import { createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { listening } from '../../../src/server/listening.ts'
import { startTestEdge } from '../../kit/edge.ts'

async function takenPort(test: { teardown(fn: () => unknown): unknown }): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  test.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

const upstreams = { 'docker.io': { url: 'http://127.0.0.1:1' } }

t.test('an address that is taken is told with its key', async t => {
  const addr = `127.0.0.1:${await takenPort(t)}`
  for (const key of ['http', 'admin'] as const) {
    await t.rejects(startTestEdge(t, { upstreams, config: { [key]: { addr } } }), {
      message: `cannot listen on ${key}.addr ${addr}: another process listens there (EADDRINUSE)`,
      hint: `stop that one, or set ${key}.addr to another port`,
    })
  }
})

t.test('an admin address that is taken is told before clients are listened to', async t => {
  const [http, admin] = [await takenPort(t), await takenPort(t)]
  const config = { http: { addr: `127.0.0.1:${http}` }, admin: { addr: `127.0.0.1:${admin}` } }
  await t.rejects(startTestEdge(t, { upstreams, config }), { message: /listen on admin\.addr/ })
})

t.test('an address of another machine, and a name of none, are told with their key', async t => {
  // RFC 5737: an address of documentation, which no machine has.
  await t.rejects(startTestEdge(t, { upstreams, config: { http: { addr: '192.0.2.1:0' } } }), {
    message: /^cannot listen on http\.addr 192\.0\.2\.1:0: this machine has no such address/,
    hint: /^set http\.addr to an address of this machine/,
  })
  const failing = { ENOTFOUND: /leads to no address/, EAI_AGAIN: /leads to no address/ }
  for (const [code, message] of Object.entries(failing)) {
    const refused = listening({ key: 'admin.addr', address: 'edge:5001', port: 5001 }, async () => {
      throw Object.assign(new Error(`getaddrinfo ${code} edge`), { code })
    })
    await t.rejects(refused, { message, hint: /^set admin\.addr/ })
  }
})

t.test('a port that needs a privilege is told with the two ways out', async t => {
  const denied = async () => {
    throw Object.assign(new Error('listen EACCES'), { code: 'EACCES' })
  }
  await t.rejects(listening({ key: 'http.addr', address: ':443', port: 443 }, denied), {
    message: /^cannot listen on http\.addr :443: this user may not/,
    hint: /a port from 1024 on.*CAP_NET_BIND_SERVICE/,
  })
  await t.rejects(listening({ key: 'admin.socket', address: '/run/x.sock' }, denied), {
    message: /^cannot listen on admin\.socket/,
    hint: /admin\.socket.*directory/,
  })
})

t.test('what is no fault of the machine, or says what to do already, stays as it is', async t => {
  const bug = new TypeError('a bug')
  const told = Object.assign(new Error('told'), { code: 'EEXIST', hint: 'do this' })
  for (const error of [bug, told]) {
    const failing = listening({ key: 'http.addr', address: ':1' }, () => Promise.reject(error))
    t.equal(await failing.catch((caught: unknown) => caught), error)
  }
})
