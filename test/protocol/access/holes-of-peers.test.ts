// Goal: what was found in other registries, and has no test elsewhere, is not so here; the table is
// in docs/security.md. Method: the whole edge in process with accounts and rules over a stub
// registry, asked what those registries were asked.
import { createHmac } from 'node:crypto'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { bytesContent } from '../../kit/content.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import { sendRaw } from '../../kit/clients/raw-client.ts'
import { locationOf, withDigest } from '../../kit/clients/raw-push.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'
import { CLIMBS } from '../../kit/climbs.ts'

/** By htpasswd of Apache 2.4, of s3cret. */
const HASH = '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2'
const image = makeImage({ seed: 'peers', layers: [1_000] })
const other = makeImage({ seed: 'others', layers: [1_000] })
const UPSTREAM = '/v2/docker.io/team/app'
const UPLOAD = bytesContent(Buffer.from('what bob uploads'))

const login = (name: string, password = 's3cret') => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
})

const RULES = [
  { who: 'alice', match: 'docker.io/team/**', allow: ['pull'] },
  { who: 'group:ci', match: 'docker.io/ci/**', allow: ['pull'] },
  { who: 'alice', match: 'localhost/alice/**', allow: ['pull', 'push', 'delete'] },
  { who: 'bob', match: 'localhost/bob/**', allow: ['pull', 'push'] },
  { who: 'bob', match: '**', allow: ['list', 'pull'] },
]

async function open(t: Test) {
  const stub = await startStub(t)
  stub.addImage('team/app', 'v1', image)
  stub.addImage('ci/app', 'v1', image)
  const upstreams = { 'docker.io': { url: stub.url, prefetch: false } }
  const path = join(t.testdir({ htpasswd: `alice:${HASH}\nbob:${HASH}\n` }), 'htpasswd')
  const config = (groups: Readonly<Record<string, readonly string[]>>) => ({
    auth: { htpasswd: { path }, groups },
    access: RULES,
    repositories: [{ match: '**', push: 'store', immutable: ['*'] }],
  })
  const edge = await startTestEdge(t, { upstreams, config: config({ ci: ['alice'] }) })
  const status = async (
    who: string,
    method: string,
    path: string,
    body?: Buffer,
    type = image.manifest.mediaType,
  ) => {
    const headers = { ...login(who), 'content-type': type }
    return (await edge.send(method, path, { headers, ...(body === undefined ? {} : { body }) }))
      .status
  }
  const push = async (
    who: string,
    repository: string,
    { manifest, config, layers }: typeof image,
  ) => {
    for (const part of [config, ...layers]) {
      const headers = login(who)
      const begun = await edge.send('POST', `/v2/${repository}/blobs/uploads/`, { headers })
      const target = withDigest(locationOf(begun), part.digest)
      await edge.send('PUT', target, { headers, body: part.bytes() })
    }
    return status(who, 'PUT', `/v2/${repository}/manifests/latest`, manifest.bytes)
  }
  const regroup = () => edge.reloaded(upstreams, config({ ci: ['bob'] }))
  return { edge, status, push, regroup }
}

t.test('Quay, CVE-2025-4374: who was first to pull an image may do no more with it', async t => {
  const { status } = await open(t)
  t.equal(await status('alice', 'GET', `${UPSTREAM}/manifests/v1`), 200)
  t.equal(await status('alice', 'PUT', `${UPSTREAM}/manifests/v2`, image.manifest.bytes), 403)
  t.equal(await status('alice', 'POST', `${UPSTREAM}/blobs/uploads/`), 403)
  t.equal(await status('alice', 'DELETE', `${UPSTREAM}/manifests/v1`), 403)
})

t.test('Quay, CVE-2026-32589: an upload is nobody else’s, by any name', async t => {
  const { edge, status } = await open(t)
  const headers = login('bob')
  const begun = await edge.send('POST', '/v2/localhost/bob/app/blobs/uploads/', { headers })
  const upload = locationOf(begun)
  const mine = upload.replace('localhost/bob/app', 'localhost/alice/app')
  t.not(mine, upload)
  for (const method of ['GET', 'PATCH', 'PUT', 'DELETE']) {
    const target = (path: string) => (method === 'PUT' ? withDigest(path, UPLOAD.digest) : path)
    t.equal(await status('alice', method, target(mine)), 404, `${method} by a name of one's own`)
    const refused = await status('alice', method, target(upload))
    t.ok([403, 404].includes(refused), `${method} by its name: ${refused}`)
  }
  const target = withDigest(upload, UPLOAD.digest)
  t.equal((await edge.send('PUT', target, { headers, body: UPLOAD.bytes() })).status, 201)
})

t.test('zot, CVE-2026-31801: latest is no exception among immutable tags', async t => {
  const { status, push } = await open(t)
  t.equal(await push('alice', 'localhost/alice/app', image), 201)
  t.equal(await push('alice', 'localhost/alice/app', other), 403)
  t.equal(await status('alice', 'DELETE', '/v2/localhost/alice/app/manifests/latest'), 403)
})

t.test('zot, CVE-2025-23208: who is taken out of a group has nothing of it any more', async t => {
  const { edge, status, regroup } = await open(t)
  const path = '/v2/docker.io/ci/app/manifests/v1'
  const answer = await edge.get('/v2/token?service=x', login('alice'))
  const { token } = JSON.parse(answer.body.toString()) as { token: string }
  const byToken = async () => (await edge.get(path, { authorization: `Bearer ${token}` })).status
  t.same([await status('alice', 'GET', path), await byToken()], [200, 200])
  await regroup()
  t.same([await status('alice', 'GET', path), await byToken()], [404, 404], 'from memory neither')
})

t.test('Harbor, CVE-2020-29662: no spelling of the catalog goes around the login', async t => {
  const { edge, status } = await open(t)
  t.equal(await status('bob', 'GET', `${UPSTREAM}/manifests/v1`), 200)
  const catalog = await edge.get('/v2/_catalog', login('bob'))
  t.match(catalog.body.toString(), 'team/app', 'there is something to see')
  const paths = [
    '/v2/_catalog',
    '/v2/_catalog/',
    '/v2/_catalog//',
    '/v2//_catalog',
    '//v2/_catalog',
  ]
  const spelled = ['/v2/%5fcatalog', '/v2/_catalog%2f', '/v2/./_catalog', '/docker.io/v2/_catalog']
  const others = ['/v2/_catalog;x', '/v2/_catalog?n=1&last=', '/V2/_catalog', '/v2/_catalog/.']
  for (const path of [...paths, ...spelled, ...others]) {
    const { status, body } = await sendRaw(edge.url, `GET ${path} HTTP/1.1\r\nHost: edge\r\n\r\n`)
    t.ok(status >= 400 && status < 500, `${path}: ${status}`)
    t.notMatch(body.toString(), 'team/app', path)
  }
})

t.test('Nexus, CVE-2024-4956: no path leads to a file of the machine', async t => {
  const { edge } = await open(t)
  const starts = ['/', '//', '/%2F%2F%2F', '/v2/', '/v2/a/blobs/', '/v2/a/manifests/', '/v2/token/']
  for (const start of starts)
    for (const climb of CLIMBS)
      for (const file of ['etc/passwd', 'etc%2Fpasswd', 'data/tokens.json']) {
        const path = `${start}${climb.repeat(8)}${file}`
        const { authorization } = login('bob')
        const head = `GET ${path} HTTP/1.1\r\nHost: edge\r\nAuthorization: ${authorization}\r\n\r\n`
        const { status, body } = await sendRaw(edge.url, head)
        t.ok(status >= 400 && status < 500, `${path}: ${status}`)
        t.notMatch(body.toString(), /root:|"keys"/, path)
      }
})

t.test('Harbor, CVE-2026-4404: there is no login that nobody made', async t => {
  const { edge } = await open(t)
  for (const [name, password] of [
    ['admin', 'Harbor12345'],
    ['admin', 'admin123'],
    ['admin', 'admin'],
    ['admin', 'password'],
    ['root', ''],
    ['', ''],
    ['robot$admin', 'Harbor12345'],
  ] as const)
    t.equal((await edge.get('/v2/_catalog', login(name, password))).status, 401, name)
})

t.test('Dragonfly, CVE-2023-27584: no secret that is in a source signs a token', async t => {
  const { edge } = await open(t)
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { iss: 'entrepot', aud: 'entrepot', sub: 'bob', exp: 4_102_444_800 }
  for (const secret of ['Secret Key', 'secret', 'entrepot', '']) {
    const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
    const token = `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
    const headers = { authorization: `Bearer ${token}` }
    t.equal((await edge.get('/v2/_catalog', headers)).status, 401, secret)
  }
})
