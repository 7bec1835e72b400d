// Goal: whoever an upstream leads to, and whoever stands in front of it, sees no credential: not
// the upstream's password, not a token that it gave, not what a client sent; and none of them lies
// on disk or in the log (R141, R145, R189, R195; S03 and S09 of the programme). Method: the whole
// edge before registries that want credentials, each of which leads to one server in its own way.
// That server takes whatever comes, and keeps it.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { bytesContent } from '../../kit/content.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { beginUpload } from '../../kit/worlds/edge-push.ts'
import { document, MEDIA_TYPES } from '../../kit/image.ts'
import { get, type SentRequest } from '../../kit/clients/raw-client.ts'
import { withDigest } from '../../kit/clients/raw-push.ts'
import { type Received, type Scripted, startScript } from '../../kit/stubs/scripted-server.ts'

const PASSWORD = 'canary-of-the-upstream'
const TOKEN = 'canary-of-its-token-server'
const CLIENTS = 'canary-of-a-client'
const basic = (password: string) => Buffer.from(`user:${password}`).toString('base64')
const SECRETS = [PASSWORD, TOKEN, CLIENTS, basic(PASSWORD), basic(CLIENTS)]
const BLOB = bytesContent(Buffer.from('a blob that lies elsewhere'))
/** Nobody has it but whom the URL of its layer names. */
const FOREIGN = bytesContent(Buffer.from('a layer of somebody else'))
const { manifest: MANIFEST, config: CONFIG, layer: LAYER } = MEDIA_TYPES.oci
const REDIRECTS = [301, 302, 303, 307, 308]

/** An image whose layer has a URL of its own. */
function imageAt(url: string) {
  const config = { mediaType: CONFIG, digest: BLOB.digest, size: BLOB.sizeBytes }
  const size = FOREIGN.sizeBytes
  const layers = [{ mediaType: LAYER, digest: FOREIGN.digest, size, urls: [`${url}/foreign`] }]
  return document(MANIFEST, { schemaVersion: 2, mediaType: MANIFEST, config, layers })
}

const wants = (challenge: string): Scripted => ({
  status: 401,
  headers: { 'www-authenticate': challenge },
})

/** What a registry answers to who has shown its credentials. */
type Leads = (request: Received, canary: string) => Scripted

const to = (status: number, path = '/taken?signature=s'): Leads => {
  return (_, canary) => ({ status, headers: { location: `${canary}${path}` } })
}
const served = (image: ReturnType<typeof imageAt>): Scripted => ({
  headers: { 'content-type': image.mediaType },
  body: image.bytes,
})

interface Variant {
  readonly leads: Leads
  /** Asked in order, after `/v2/HOST/team/app`. Default: a manifest, its HEAD, a blob. */
  readonly asks?: readonly (readonly [method: string, path: string])[]
  /** What it asks for first. Default: Basic. */
  readonly challenge?: (own: string, canary: string) => string
  /** Nobody may even ask the canary. */
  readonly isRefused?: true
  readonly mirrored?: true
  /** A blob is pushed. */
  readonly isPushed?: true
}

const ALL = [
  ['GET', '/manifests/v1'],
  ['HEAD', `/manifests/${BLOB.digest}`],
  ['GET', `/blobs/${BLOB.digest}`],
] as const
const bearerAt = (url: string) => `Bearer realm="${url}/token",service="s"`
const bearer = { challenge: bearerAt }

const VARIANTS: Readonly<Record<string, Variant>> = {
  ...Object.fromEntries(
    REDIRECTS.flatMap(status => [
      [`a redirect (${status}), Basic`, { leads: to(status) }],
      [`a redirect (${status}), a token`, { leads: to(status), ...bearer }],
    ]),
  ),
  'a redirect to who asks for Basic': { leads: to(307, '/wants-basic') },
  'a redirect to who asks for a token': { leads: to(307, '/wants-token'), ...bearer },
  'a redirect that comes back': { leads: to(307, '/back') },
  'a token server elsewhere': {
    leads: to(307),
    challenge: (_, canary) => bearerAt(canary),
    isRefused: true,
  },
  'a token server that redirects': {
    leads: to(307),
    challenge: own => bearerAt(`${own}/moved`),
    isRefused: true,
  },
  'a next page of tags elsewhere': {
    leads: (_, canary) => ({
      headers: { link: `<${canary}/v2/team/app/tags/list?last=a>; rel="next"` },
      body: '{"name":"team/app","tags":["a"]}',
    }),
    asks: [['GET', '/tags/list']],
    isRefused: true,
  },
  'a layer with a URL elsewhere': {
    leads: ({ target }, canary) =>
      target.includes('/manifests/') ? served(imageAt(canary)) : { status: 404 },
    asks: [
      ['GET', '/manifests/v1'],
      ['HEAD', `/blobs/${FOREIGN.digest}`],
      ['GET', `/blobs/${FOREIGN.digest}`],
    ],
    isRefused: true,
  },
  'an upload that goes on elsewhere': {
    leads: ({ method }, canary) =>
      method === 'POST'
        ? { status: 202, headers: { location: `${canary}/upload` } }
        : { status: 404 },
    asks: [],
    isPushed: true,
    ...bearer,
  },
  'a mirror': { leads: () => served(imageAt('https://elsewhere.example')), mirrored: true },
}

/** By another name than the registries have, which makes it another host. */
async function startCanary(t: Test, registries: readonly { readonly url: string }[]) {
  const canary = await startScript(t, ({ target }) => {
    const [first = { url: '' }] = registries
    if (target.startsWith('/wants-basic')) return wants('Basic realm="canary"')
    if (target.startsWith('/wants-token')) return wants(bearerAt(first.url))
    if (target.startsWith('/v2/')) return wants('Basic realm="mirror"')
    if (target.startsWith('/back')) return { status: 307, headers: { location: first.url } }
    if (target.startsWith('/upload')) return { status: 201 }
    return { body: BLOB.bytes() }
  })
  return { url: `http://localhost:${canary.port}`, received: canary.received }
}

/** A registry that leads to the canary whoever has shown its credentials. */
function startLeading(t: Test, { leads, challenge }: Variant, canary: string) {
  return startScript(t, (request): Scripted => {
    const own = `http://${request.headers.host}`
    const shown = request.headers.authorization
    if (request.target.startsWith('/moved')) return to(307)(request, canary)
    if (shown === undefined)
      return wants(
        request.target.startsWith('/token')
          ? 'Basic realm="tokens"'
          : (challenge?.(own, canary) ?? 'Basic realm="r"'),
      )
    if (request.target.startsWith('/token')) return { body: JSON.stringify({ token: TOKEN }) }
    return leads(request, canary)
  })
}

async function open(t: Test) {
  const registries: Awaited<ReturnType<typeof startLeading>>[] = []
  const canary = await startCanary(t, registries)
  const passwordfile = join(t.testdir({ password: PASSWORD }), 'password')
  const rows = []
  const upstreams: Record<string, { url: string }> = {}
  for (const [at, [what, variant]] of Object.entries(VARIANTS).entries()) {
    const registry = await startLeading(t, variant, canary.url)
    registries.push(registry)
    const host = `r${at}.example`
    const login = { url: registry.url, username: 'user', passwordfile }
    const mirrors = variant.mirrored === true ? [canary.url] : []
    upstreams[host] = Object.assign(login, { mirrors, privateaddresses: true, prefetch: false })
    rows.push({ what, host, registry, ...variant })
  }
  const repositories = [{ match: '*/team/**', push: 'forward' }]
  const edge = await startTestEdge(t, {
    upstreams,
    config: { default: 'r0.example', repositories },
  })
  /** Whatever comes of it: a body that breaks off, too. */
  const ask = (method: string, target: string, request: SentRequest = {}) =>
    edge.settle(
      edge
        .send(method, target, request)
        .then(
          ({ status, headers, body }) => `${status} ${JSON.stringify(headers)} ${body.toString()}`,
          String,
        ),
    )
  return { canary, rows, edge, ask }
}

t.test('R141, R145, R189, R195: a canary sees no credentials, wherever it stands', async t => {
  const { canary, rows, edge, ask } = await open(t)
  const answers: string[] = []
  for (const { what, host, registry, asks = ALL, isRefused = false, isPushed = false } of rows) {
    const before = canary.received.length
    for (const [method, path] of asks)
      answers.push(await ask(method, `/v2/${host}/team/app${path}`))
    if (isPushed) {
      const push = beginUpload(edge, `${host}/team/app`).then(location =>
        edge.send('PUT', withDigest(location, BLOB.digest), { body: BLOB.bytes() }),
      )
      t.equal((await edge.settle(push)).status, 201, what)
    }
    t.equal(canary.received.length > before, !isRefused, `${what}: is the canary asked?`)
    const wasShown = registry.received.some(({ headers }) => headers.authorization !== undefined)
    t.equal(wasShown, what !== 'a token server elsewhere', `${what}: is the registry shown any?`)
  }

  // What clients show is nobody's here, and goes nowhere; nor does anybody go where they say.
  for (const headers of [
    { authorization: `Basic ${basic(CLIENTS)}` },
    { authorization: `Bearer ${CLIENTS}` },
    { cookie: `session=${CLIENTS}` },
    { 'proxy-authorization': `Basic ${basic(CLIENTS)}` },
  ])
    answers.push(await ask('GET', '/v2/r0.example/team/new/manifests/v1', { headers }))
  const asked = canary.received.length
  answers.push(await ask('GET', `/v2/team/app/manifests/v1?ns=${new URL(canary.url).host}`))
  t.equal(canary.received.length, asked, 'a host that a client names is asked for nothing')

  const leaked = canary.received.filter(({ headers }) =>
    [headers.authorization, headers.cookie, headers['proxy-authorization']].some(
      value => value !== undefined,
    ),
  )
  t.same(leaked, [], `of ${canary.received.length} requests in ${rows.length} variants`)
  const atRegistries = JSON.stringify(rows.map(({ registry }) => registry.received))
  t.ok(atRegistries.includes(basic(PASSWORD)), 'the control: registries were shown the password')
  t.ok(atRegistries.includes(TOKEN), 'and the token')
  const metrics = (await get(`${edge.adminUrl}/metrics`)).body.toString()
  const written = [JSON.stringify(edge.lines()), metrics, ...answers].join('\n')
  await edge.stop()
  const stored = readdirSync(edge.dataDirectory, { recursive: true, withFileTypes: true })
    .filter(file => file.isFile())
    .map(file => readFileSync(join(file.parentPath, file.name), 'latin1'))
  t.ok(stored.length > 0)
  for (const secret of SECRETS) {
    t.notOk(JSON.stringify(canary.received).includes(secret), `${secret} at the canary`)
    t.notOk(written.includes(secret), `${secret} in a log, a metric or an answer`)
    t.notOk(stored.join('\n').includes(secret), `${secret} on disk`)
  }
  for (const secret of [CLIENTS, basic(CLIENTS)])
    t.notOk(atRegistries.includes(secret), `${secret} at a registry`)
})
