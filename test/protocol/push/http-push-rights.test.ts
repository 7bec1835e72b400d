// Goal: a write that is not allowed is refused by the first thing that speaks against it, says
// which that was, and reads nothing. Method: requests over real sockets of every loopback address,
// with the headers that proxies and browsers add.
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import type { Access } from '../../../src/access/access.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { createTestApp } from '../../kit/worlds/http-app.ts'
import { OVER_TLS, testCertificate } from '../../kit/over-tls.ts'
import { get } from '../../kit/clients/raw-client.ts'
import { createSend, errorCodeOf } from '../../kit/clients/raw-push.ts'
import { ANYBODY } from '../../kit/worlds/test-access.ts'

const UPLOADS = '/v2/localhost/team/app/blobs/uploads/'
const DIGEST = digestOf(Buffer.from('x'))

t.test('who may push, over real sockets: the whole matrix', async t => {
  const { listen } = createTestApp(t)
  // For both families on one port, as the product listens by default: IPv4 then comes as
  // ::ffff:127.…
  const { port } = new URL(await listen('::'))
  const addresses = [
    ['127.0.0.1', '127.0.0.1'],
    ['127.0.0.1', '127.0.0.2'],
    ['::1', '::1'],
  ] as const
  const hosts = [
    ['localhost:5000', true],
    ['127.0.0.1', true],
    ['[::1]:5000', true],
    ['edge.localhost', true],
    ['edge.example.com', false],
    ['localhost.example.com:5000', false],
    ['10.0.0.1:5000', false],
  ] as const
  const signs = [
    ['', true],
    ['User-Agent: docker/29.0', true],
    ['Accept: */*', true],
    ['Content-Type: application/octet-stream', true],
    ['Sec-Fetch-Site: none', false],
    ['X-Something: 1', false],
    ['Accept-Language: *', false],
    ['Cookie: a=b', false],
    ['Forwarded: for=10.0.0.1', false],
    ['X-Forwarded-For: 127.0.0.1', false],
    ['x-FORWARDED-anything: 1', false],
    ['X-Real-IP: 127.0.0.1', false],
    ['Via: 1.1 proxy', false],
    ['Via:', false],
    ['X-Forwarded: 127.0.0.1', false],
    ['X-Client-IP: 127.0.0.1', false],
    ['CF-Connecting-IP: 127.0.0.1', false],
    ['Origin: http://localhost:5000', false],
    ['Origin: null', false],
    ['Sec-Fetch-Site: same-origin', false],
    ['Sec-Fetch-Site: cross-site', false],
  ] as const
  for (const [to, from] of addresses) {
    for (const [host, hostIsGood] of hosts) {
      for (const [sign, signIsGood] of signs) {
        const lines = [`POST ${UPLOADS} HTTP/1.1`, `Host: ${host}`, 'Connection: close', sign]
        const head = `${lines.filter(line => line !== '').join('\r\n')}\r\n\r\n`
        const status = await statusFrom({ to, from, port: Number(port) }, head)
        t.equal(status, hostIsGood && signIsGood ? 202 : 403, `${from} ${host} ${sign}`)
      }
    }
  }
})

t.test(
  'what a proxy passes on in HTTP/1.0, without a word of its own, is no program of this machine',
  async t => {
    const { listen, registry } = createTestApp(t)
    const { port } = new URL(await listen())
    const at = { to: '127.0.0.1', from: '127.0.0.1', port: Number(port) }
    const head = (version: string) =>
      `POST ${UPLOADS} HTTP/${version}\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`
    t.equal(await statusFrom(at, head('1.0')), 403)
    t.equal(registry.openUploads(), 0)
    t.equal(await statusFrom(at, head('1.1')), 202)
  },
)

/** The status of one request that is sent from the address `from`. */
function statusFrom(
  { to, from, port }: { to: string; from: string; port: number },
  head: string,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const { ca } = testCertificate()
    const options = { host: to, port, localAddress: from }
    const socket = OVER_TLS
      ? connectTls({ ...options, ca, checkServerIdentity: () => undefined })
      : connect(options)
    const pieces: Buffer[] = []
    socket.on('error', reject)
    socket.on('data', (piece: Buffer) => pieces.push(piece))
    socket.on('close', () => resolve(Number(Buffer.concat(pieces).toString('latin1').slice(9, 12))))
    socket.write(head)
  })
}

t.test('from another address nothing is pushed or deleted, and everything is read', async t => {
  const { app, registry } = createTestApp(t)
  const digest = registry.addBlob('localhost/team/app', Buffer.from('x'))
  const from = (method: string, url: string, remoteAddress = '192.0.2.7') =>
    app.inject({ method: method as 'GET', url, remoteAddress, headers: { host: 'localhost:5000' } })
  const writes = [
    ['POST', UPLOADS],
    ['GET', `${UPLOADS}id`],
    ['PATCH', `${UPLOADS}id`],
    ['PUT', `${UPLOADS}id?digest=${DIGEST}`],
    ['DELETE', `${UPLOADS}id`],
    ['PUT', '/v2/localhost/team/app/manifests/v1'],
    ['DELETE', '/v2/localhost/team/app/manifests/v1'],
    ['DELETE', `/v2/localhost/team/app/blobs/${digest}`],
    ['POST', '/v2/nowhere.example/app/blobs/uploads/'],
    ['POST', '/v2/docker.io/library/alpine/blobs/uploads/'],
  ] as const
  for (const [method, url] of writes) {
    const answer = await from(method, url)
    t.equal(answer.statusCode, 403, `${method} ${url}`)
    const [error] = answer.json().errors
    t.equal(error.code, 'DENIED')
    t.match(error.message, /only .* on its own machine: this request comes from another address/)
  }
  t.same(registry.calls, [], 'R178: and nothing was looked up')
  t.equal((await from('GET', `/v2/localhost/team/app/blobs/${digest}`)).statusCode, 200)
  t.equal((await from('GET', '/v2/_catalog')).statusCode, 200)
})

t.test(
  'precedence of writes: grammar, access, namespace, policy, existence, limits, content',
  async t => {
    let denied = true
    const access: Access = {
      ...ANYBODY,
      decide: () =>
        denied ? { kind: 'denied', reason: 'ask' } : { kind: 'allowed', anonymously: false },
    }
    const { listen, registry } = createTestApp(t, { access })
    const send = createSend(await listen())
    const see = async (method: string, target: string, headers: Record<string, string> = {}) => {
      const answer = await send(method, target, { headers, body: '{' })
      return `${answer.status} ${errorCodeOf(answer)}`
    }
    const hopeless = '/v2/nowhere.example/a'
    t.equal(
      await see('PUT', `${hopeless}/blobs/uploads/x`),
      '400 DIGEST_INVALID',
      'grammar before access',
    )
    t.equal(
      await see('PATCH', `${hopeless}/blobs/uploads/x`, { 'content-range': 'x' }),
      '416 RANGE_INVALID',
    )
    t.equal(await see('PUT', `${hopeless}/manifests/${DIGEST}?tag=.`), '400 TAG_INVALID')
    t.equal(await see('POST', `${hopeless}/blobs/uploads/?mount=x`), '400 DIGEST_INVALID')
    t.equal(await see('PUT', `${hopeless}/manifests/x`), '403 DENIED', 'access before namespace')
    denied = false
    t.equal(
      await see('PUT', `${hopeless}/manifests/x`),
      '404 NAME_UNKNOWN',
      'namespace before policy',
    )
    const large = { 'content-length': '5000000', expect: '100-continue' }
    t.equal(
      await see('PUT', '/v2/docker.io/a/b/manifests/x', large),
      '403 DENIED',
      'policy before limits',
    )
    t.equal(
      await see('PATCH', '/v2/docker.io/a/b/blobs/uploads/x'),
      '403 DENIED',
      'policy before existence',
    )
    t.equal(await see('DELETE', '/v2/docker.io/a/b/manifests/x'), '405 UNSUPPORTED')
    t.same(registry.calls, [])
    t.equal(await see('PATCH', '/v2/localhost/a/blobs/uploads/x'), '404 BLOB_UPLOAD_UNKNOWN')
    t.equal(await see('PUT', '/v2/localhost/a/manifests/x', large), '413 MANIFEST_INVALID')
    t.equal(await see('PUT', '/v2/localhost/a/manifests/x'), '400 MANIFEST_INVALID', 'content last')
  },
)

t.test('R116, R194: a push under an upstream’s name is denied, with the way out', async t => {
  const { listen, untilCompleted } = createTestApp(t)
  const send = createSend(await listen())
  for (const [name, wayOut] of [
    ['docker.io/library/alpine', /localhost\/alpine/],
    ['team/app', /localhost\/team\/app/],
    ['quay.io/a/b', /localhost\/a\/b/],
  ] as const) {
    const answer = await send('PUT', `/v2/${name}/manifests/latest`, { body: '{}' })
    t.equal(answer.status, 403, name)
    t.match(JSON.parse(answer.body.toString()).errors[0], { code: 'DENIED', message: wayOut })
  }
  t.match((await untilCompleted(1))[0], { status: 403, errorCode: 'DENIED', level: 'info' })
})

t.test('a HEAD says whether who asks may push there; a GET does not ask', async t => {
  const { app, registry } = createTestApp(t)
  const seen: unknown[] = []
  const { headBlob, headManifest, pullManifest } = registry
  registry.headBlob = (repository, digest, options) => {
    seen.push(options?.mayPush)
    return headBlob(repository, digest, options)
  }
  registry.headManifest = (repository, request) => {
    seen.push(request.mayPush)
    return headManifest(repository, request)
  }
  registry.pullManifest = (repository, request) => {
    seen.push(request.mayPush)
    return pullManifest(repository, request)
  }
  const urls = [`/v2/localhost/a/blobs/${DIGEST}`, '/v2/localhost/a/manifests/x']
  for (const remoteAddress of ['127.0.0.1', '192.0.2.7']) {
    for (const url of urls) await app.inject({ method: 'HEAD', url, remoteAddress })
  }
  t.same(seen.splice(0), [true, true, false, false])
  for (const url of urls) {
    await app.inject({ url, headers: { 'if-none-match': '"x"' } })
  }
  t.same(seen, [undefined, undefined])
})

t.test(
  'a refused write on a connection that is used again does not harm the next request',
  async t => {
    const { listen } = createTestApp(t)
    const url = await listen()
    // Without a body there is nothing left on the connection.
    const answer = await get(
      `${url}/v2/docker.io/a/b/blobs/uploads/`,
      { connection: 'keep-alive' },
      { method: 'POST' },
    )
    t.equal(answer.status, 403)
    t.equal(answer.headers['connection'], 'keep-alive')
  },
)
