// Goal: a client can act on every error, and learns nothing that is not its business. Method:
// requests in process; the engine is made to throw what the real one may throw, with canary words
// in it.
import t from 'tap'
import { ERROR_CODES, type ErrorCode, RegistryError } from '../../../src/oci/errors.ts'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import { UpstreamError } from '../../../src/registry/ports/upstream.ts'
import { createTestApp } from '../../kit/worlds/http-app.ts'
import { sendRaw } from '../../kit/clients/raw-client.ts'
import { ANYBODY } from '../../kit/worlds/test-access.ts'

const URL_OF_TAG = '/v2/a/b/manifests/latest'

t.test('R121, R122: each code has its status and the envelope', async t => {
  const { app, registry } = createTestApp(t)
  for (const [code, { status }] of Object.entries(ERROR_CODES)) {
    registry.before = async () => {
      throw new RegistryError(code as ErrorCode, 'a message', { detail: { why: 1 } })
    }
    const answer = await app.inject({ url: URL_OF_TAG })
    t.equal(answer.statusCode, status, code)
    t.equal(answer.headers['content-type'], 'application/json')
    t.equal(answer.headers['content-length'], String(answer.rawPayload.length))
    t.same(answer.json(), { errors: [{ code, message: 'a message', detail: { why: 1 } }] })
    const head = await app.inject({ url: URL_OF_TAG, method: 'HEAD' })
    t.equal(head.statusCode, status)
    t.equal(head.body, '')
  }
})

t.test('R121: the body of an error is at most 64 KiB', async t => {
  const { app, registry } = createTestApp(t)
  registry.before = async () => {
    throw new RegistryError('DENIED', 'no', { detail: 'x'.repeat(70_000) })
  }
  const answer = await app.inject({ url: URL_OF_TAG })
  t.equal(answer.statusCode, 403)
  t.equal(answer.json().errors[0].code, 'DENIED')
  t.ok(answer.rawPayload.length < 64 * 1024)
})

t.test('R123: what went wrong inside is told to the log and not to the client', async t => {
  const { app, registry, lines } = createTestApp(t)
  const failures = [
    new UpstreamError(
      'unavailable',
      'GET https://canary.internal/x?X-Amz-Signature=canary failed',
      { hint: 'canary hint' },
    ),
    new Error('canary'),
    'canary',
  ]
  for (const failure of failures) {
    registry.before = async () => {
      throw failure
    }
    const answer = await app.inject({ url: URL_OF_TAG })
    t.equal(answer.statusCode, 500)
    const [error] = answer.json().errors
    t.equal(error.code, 'UNKNOWN')
    t.ok(
      error.message.includes(answer.headers['x-request-id']),
      'the message leads to the log line',
    )
    t.notMatch(JSON.stringify([answer.headers, answer.body]), /canary/)
    const line = lines().at(-1)
    t.equal(line?.['level'], 'error')
    t.equal(line?.['requestId'], answer.headers['x-request-id'])
    t.match(JSON.stringify(line), /canary/)
    t.notMatch(JSON.stringify(line), /Signature=canary/, 'R195: signed queries reach no log either')
  }
})

t.test(
  'R123, R126: storage that fails is 503 for a while, without a word of its paths',
  async t => {
    const { app, registry, lines } = createTestApp(t)
    for (const failure of ['io', 'full', 'corrupt', 'busy'] as const) {
      registry.before = async () => {
        throw new StoreError(failure, 'read of /var/lib/canary failed', { hint: 'canary hint' })
      }
      const answer = await app.inject({ url: URL_OF_TAG })
      t.equal(answer.statusCode, 503, failure)
      t.equal(answer.headers['retry-after'], '5')
      const [error] = answer.json().errors
      t.equal(error.code, 'UNAVAILABLE')
      t.match(error.message, /storage of this edge/)
      t.ok(error.message.includes(answer.headers['x-request-id']))
      t.notMatch(JSON.stringify([answer.headers, answer.body]), /canary/)
      const line = lines().at(-1)
      t.equal(line?.['level'], 'error')
      t.match(JSON.stringify(line), /canary/, 'the log has it all')
    }
  },
)

t.test('R124: 429 and 503 say when to come back, between 1 and 60 seconds', async t => {
  const { app, registry } = createTestApp(t)
  const cases = [
    ['TOOMANYREQUESTS', 0.2, '1'],
    ['TOOMANYREQUESTS', 12.1, '13'],
    ['UNAVAILABLE', 3_600, '60'],
    ['UNAVAILABLE', undefined, '5'],
    ['DENIED', undefined, undefined],
  ] as const
  for (const [code, seconds, expected] of cases) {
    registry.before = async () => {
      throw new RegistryError(
        code,
        'm',
        seconds === undefined ? {} : { retryAfterSeconds: seconds },
      )
    }
    const answer = await app.inject({ url: URL_OF_TAG })
    t.equal(answer.headers['retry-after'], expected, `${code} ${seconds}`)
  }
})

t.test('R293: an outage is said in the first line of its answer, and a refusal is not', async t => {
  const { app, registry } = createTestApp(t)
  const cases = [
    ['UNAVAILABLE', 'ghcr.io cannot be reached', 'ghcr.io cannot be reached'],
    ['UNAVAILABLE', 'two\r\nlines of caf\u00e9', 'two lines of caf'],
    ['UNAVAILABLE', 'm'.repeat(1_000), 'm'.repeat(200)],
    ['DENIED', 'not yours', 'Forbidden'],
  ] as const
  for (const [code, message, expected] of cases) {
    registry.before = async () => {
      throw new RegistryError(code, message)
    }
    t.equal((await app.inject({ url: URL_OF_TAG })).statusMessage, expected)
  }
})

t.test('R126: a manifest over the limit keeps the status that its error carries', async t => {
  const { app, registry } = createTestApp(t)
  registry.before = async () => {
    throw new RegistryError('MANIFEST_INVALID', 'too large', { status: 413 })
  }
  t.equal((await app.inject({ url: URL_OF_TAG })).statusCode, 413)
})

t.test('R284: what can be no tag is 404 to who asks for it, and 400 to who pushes it', async t => {
  const { app, registry } = createTestApp(t)
  const url = '/v2/a/b/manifests/.INVALID_MANIFEST_NAME'
  for (const method of ['GET', 'DELETE'] as const) {
    const answer = await app.inject({ url, method })
    t.equal(`${answer.statusCode} ${answer.json().errors[0].code}`, '404 MANIFEST_UNKNOWN', method)
  }
  t.equal((await app.inject({ url, method: 'HEAD' })).statusCode, 404)
  const pushed = await app.inject({ url, method: 'PUT' })
  t.equal(`${pushed.statusCode} ${pushed.json().errors[0].code}`, '400 TAG_INVALID')
  t.same(registry.calls, [], 'no use case is troubled with it')
})

t.test(
  'R21, R22, R23, R25, R234: bad names, tags and digests are 4xx in JSON and reach nobody',
  async t => {
    const { registry, listen } = createTestApp(t)
    const url = await listen()
    const targets = [
      '/v2/A/manifests/x',
      '/v2/a..b/manifests/x',
      '/v2/a//b/manifests/x',
      '/v2//a/manifests/x',
      '/v2/a%2fb/manifests/x',
      '/v2/a/%2e%2e/b/manifests/x',
      '/v2/a/../b/manifests/x',
      '/v2/../etc/passwd',
      '/v2/a/b/manifests/.x',
      '/v2/a/b/manifests/%00',
      '/v2/a/b/manifests/%zz',
      '/v2/a/b/manifests/%252e',
      '/v2/a/b/blobs/sha256:x',
      `/v2/a/b/blobs/sha256:${'A'.repeat(64)}`,
      '/v2/a/b/blobs/sha256:../../x',
      '/v2/a\\b/manifests/x',
      `/v2/${'a'.repeat(256)}/manifests/x`,
      '//v2/x/manifests/y',
      '/v2/a/b/referrers/md5:00',
      'http://127.0.0.1/v2/',
      '*',
    ]
    for (const target of targets) {
      // Not `inject` or a URL: those normalise what is to be seen here.
      const answer = await sendRaw(
        url,
        `GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
      )
      t.ok(answer.status >= 400 && answer.status < 500, `${answer.status} ${target.slice(0, 60)}`)
      t.equal(answer.headers['content-type'], 'application/json')
      t.ok(JSON.parse(answer.body.toString()).errors[0].code in ERROR_CODES)
    }
    t.same(registry.calls, [])
  },
)

t.test('limits: a target over 8 KiB is 414, and so are more than 64 query parameters', async t => {
  const { app } = createTestApp(t)
  t.equal((await app.inject({ url: `/v2/a/b/tags/list?x=${'x'.repeat(8_192)}` })).statusCode, 414)
  const many = (count: number) =>
    app.inject({ url: `/v2/?${Array.from({ length: count }, () => 'a').join('&')}` })
  t.equal((await many(64)).statusCode, 200)
  t.equal((await many(65)).statusCode, 414)
})

t.test(
  'precedence: method, then grammar, then access, then namespace, then existence, then range',
  async t => {
    const order: string[] = []
    const access = {
      deny: true,
      ...ANYBODY,
      decide(request: { resource: unknown }) {
        order.push(request.resource === 'unrouted' ? 'unrouted' : 'repository')
        return this.deny
          ? ({ kind: 'denied', reason: 'ask the operator' } as const)
          : ({ kind: 'allowed', anonymously: true } as const)
      },
    }
    const { app, registry } = createTestApp(t, { access })
    const digest = registry.addBlob('docker.io/a/b', Buffer.from('bytes'))
    const status = async (url: string, headers: Record<string, string> = {}, method = 'GET') =>
      (await app.inject({ url, headers, method: method as 'GET' })).statusCode
    t.equal(await status('/v2/A/manifests/x', {}, 'PROPFIND'), 405, 'method before grammar')
    t.equal(await status('/v2/A/manifests/x'), 400, 'grammar before access')
    t.equal(await status('/v2/unknown.example/a/manifests/x'), 403, 'access before namespace')
    t.equal(await status(`/v2/a/b/blobs/${digest}`), 403, 'access before existence')
    t.same(order, ['unrouted', 'repository'])
    t.same(registry.calls, [], 'a refusal asks nothing that could reveal whether it exists')
    access.deny = false
    t.equal(await status('/v2/unknown.example/a/manifests/x'), 404, 'R26: an unknown namespace')
    t.equal(
      await status(`/v2/a/c/blobs/${digest}`, { range: 'bytes=999-' }),
      404,
      'existence before range',
    )
    t.equal(
      await status(`/v2/a/b/blobs/${digest}`, { range: 'bytes=999-', 'if-none-match': '*' }),
      304,
      'preconditions before range',
    )
    t.equal(await status(`/v2/a/b/blobs/${digest}`, { range: 'bytes=999-' }), 416)
  },
)
