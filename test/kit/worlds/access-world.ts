// An edge with accounts, a robot, networks and programs of its machine, with repositories that each
// of them may or may not see: cached ones, kept ones, and some that are nowhere.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type tap from 'tap'
import {
  asConfigured,
  type Asker,
  type Grants,
  type ModelRule,
  type Right,
} from '../judges/access-model.ts'
import { type PlaceContent, type Place, VIRTUAL_HOSTS } from './access-forms.ts'
import { makeAuthority, makeCertificate } from '../certificate.ts'
import { runCli, typed } from '../cli.ts'
import { patternBlob } from '../content.ts'
import { startTestEdge, type TestEdge } from '../edge.ts'
import { type Document, makeArtifact, makeImage } from '../image.ts'
import { withDigest } from '../clients/raw-push.ts'
import { startStub } from '../stubs/stub-registry.ts'
import { keySet, makeKey, signToken, startIssuer } from '../stubs/issuer.ts'
import { testCertificate } from '../over-tls.ts'
import { type PipelinedClient, reachPipelined, type Way } from '../clients/pipelined-client.ts'
import { reachThreads } from '../clients/thread-clients.ts'

/** By htpasswd of Apache 2.4, of s3cret. */
const HASH = '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2'
const NETWORK = '127.0.0.2'
/** No loopback name: by those programs of the machine call. */
const CALLED_AS = 'edge.example'
/** What an identity provider says of a job, and its rules. */
const JOB = { sub: 'job:deploy', groups: ['deployers'] }
const [IDENTITY, DEPLOYERS] = [`oidc:ci:${JOB.sub}`, `group:oidc:ci:${JOB.groups[0]}`]
/** Nowhere; under no rule but the chief's. */
export const NOWHERE = 'docker.io/none/app'
/** One that goes out by the kernel, and one that the buffers of no connection hold. */
const [LARGE_BYTES, HUGE_BYTES] = [1024 ** 2, 8 * 1024 ** 2]

/** To each thread, by `wayOf` who asks: connections that stay open. */
type Clients = ReadonlyMap<string, readonly PipelinedClient[]>

const OVER_TLS_TOO = new Set(['anonymous', 'alice', 'a job, by a token', 'the chief'])

/** `tls`: it speaks TLS, and some show certificates. `tokens`: a token server grants things. */
export type Over = 'plain' | 'tls' | 'tokens'

export interface WorldAsker extends Asker, Way {
  /** Who has signed its certificate. */
  readonly authority?: 'first' | 'second'
  readonly headers: Readonly<Record<string, string>>
  readonly calledAs: string
}

export function wayOf({ from, certificate }: Way): string {
  return `${from} ${certificate?.cert ?? ''}`
}

/** One that the authority of the clients of this world has signed. */
const AUTHORITY = makeAuthority()
const MACHINE = 'build-7.site.example'
const CERTIFICATE = makeCertificate({ authority: AUTHORITY, usage: 'client', names: [MACHINE] })
/** Of the same name, by the authority that takes the place of the first. */
const SECOND = makeAuthority()
const NEWER = makeCertificate({ authority: SECOND, usage: 'client', names: [MACHINE] })

/** Of the token server; the second signs for the chief alone. */
const SERVER_KEYS = [makeKey('ES256', 'one'), makeKey('ES256', 'two')] as const
const SERVER = {
  realm: 'https://auth.example/token',
  service: 'edge.example',
  issuer: 'the token server',
}

export const THE_CHIEF = 'the chief'

export const BEFORE: readonly ModelRule[] = [
  { who: 'chief', under: '', allow: ['pull', 'push', 'delete', 'list'] },
  { who: 'alice', under: 'quay.io/secret/', allow: ['pull', 'list'] },
  { who: 'group:ci', under: 'localhost/hidden/', allow: [] },
  { who: 'group:ci', under: 'localhost/', allow: ['pull', 'push', 'list'] },
  { who: 'robot:builder', under: 'localhost/kept/', allow: ['pull', 'push', 'delete'] },
  { who: `net:${NETWORK}`, under: 'docker.io/team/', allow: ['pull', 'list'] },
  { who: 'local', under: 'localhost/kept/', allow: ['pull'] },
  { who: IDENTITY, under: 'localhost/kept/', allow: ['pull', 'push'] },
  { who: `cert:${MACHINE}`, under: 'localhost/kept/', allow: ['pull', 'push'] },
  { who: `cert:${MACHINE}`, under: 'docker.io/team/', allow: ['pull', 'list'] },
  { who: DEPLOYERS, under: 'quay.io/secret/', allow: ['pull', 'list'] },
  { who: 'alice', under: 'docker.io/team/', allow: ['pull', 'list'] },
  { who: '*', under: 'docker.io/public/', allow: ['pull'] },
]

/** Nearly everybody's are others. */
export const AFTER: readonly ModelRule[] = [
  { who: 'chief', under: '', allow: ['pull', 'push', 'delete', 'list'] },
  { who: 'anonymous', under: 'localhost/', allow: [] },
  { who: 'alice', under: 'localhost/kept/', allow: ['pull', 'list'] },
  { who: 'group:ci', under: 'quay.io/secret/', allow: ['pull', 'list'] },
  { who: 'robot:builder', under: 'docker.io/team/', allow: ['pull'] },
  { who: `net:${NETWORK}`, under: 'quay.io/secret/', allow: ['pull'] },
  { who: 'local', under: 'docker.io/team/', allow: ['pull', 'list'] },
  { who: 'carol', under: 'localhost/hidden/', allow: ['pull', 'list'] },
  { who: IDENTITY, under: 'docker.io/team/', allow: ['pull'] },
  { who: `cert:${MACHINE}`, under: 'quay.io/secret/', allow: ['pull'] },
  { who: DEPLOYERS, under: 'localhost/hidden/', allow: ['pull'] },
]

function contentOf(seed: string, sizeBytes = LARGE_BYTES): PlaceContent {
  const own = makeImage({ seed, layers: [1_000] })
  const about = makeArtifact({ seed, subject: COMMON.descriptor })
  return {
    own,
    common: COMMON,
    about,
    large: patternBlob(`access ${seed}`, sizeBytes),
    tags: ['own', 'v1'],
  }
}

const COMMON = makeImage({ seed: 'access of all', layers: [1_000] })
const CACHED = { team: 'docker.io/team/app', public: 'docker.io/public/app' } as const
export const SECRET = 'quay.io/secret/app'
const KEPT = 'localhost/kept/app'
const CONTENT = new Map([
  [CACHED.team, contentOf('team')],
  [CACHED.public, contentOf('public')],
  [SECRET, contentOf('secret', HUGE_BYTES)],
  [KEPT, contentOf('kept')],
  ['localhost/hidden/app', contentOf('hidden')],
])
const NOTHING = contentOf('nothing')
const NONE = [NOWHERE, 'docker.io/team/none', 'nowhere.example/none/app']
const NO_UPLOAD = 'blobs/uploads/00000000-0000-4000-8000-000000000000'

type Test = Parameters<typeof startTestEdge>[0] & Pick<typeof tap, 'testdir'>

export async function startAccessWorld(t: Test, threads: number, over: Over = 'plain') {
  const stub = await startStub(t)
  for (const [repository, { own, common, about, large }] of CONTENT) {
    const name = repository.replace(/^[^/]+\//, '')
    if (repository.startsWith('localhost/')) continue
    stub.addImage(name, 'own', own)
    stub.addImage(name, 'v1', common)
    stub.addImage(name, undefined, about)
    stub.addBlob(name, large)
  }
  const names = ['alice', 'bob', 'carol', 'chief']
  const htpasswd = names.map(name => `${name}:${HASH}\n`).join('')
  const { cert, key } = testCertificate()
  const jwks = JSON.stringify(keySet(SERVER_KEYS))
  const directory = t.testdir({ htpasswd, cert, key, clients: AUTHORITY.ca, jwks })
  const file = join(directory, 'htpasswd')
  const inDirectory = (name: string) => join(directory, name)
  const tls = {
    certificate: inDirectory('cert'),
    key: inDirectory('key'),
    clientcas: [inDirectory('clients')],
    clientnames: ['dns'],
  }
  const upstream = (registry: string) => {
    const virtualhosts = [VIRTUAL_HOSTS[registry]]
    return { url: stub.url, prefetch: false, virtualhosts }
  }
  const issuer = await startIssuer(t)
  const audience = 'edge.example.com'
  const oidc = { ci: { issuer: issuer.url, audiences: [audience], groups: 'groups' } }
  const upstreams = { 'docker.io': upstream('docker.io'), 'quay.io': upstream('quay.io') }
  const configFor = (rules: readonly ModelRule[]) => ({
    // A line for each of ten thousands of requests takes longer than the request.
    log: { level: 'warn' },
    http: { addr: '127.0.0.1:0', threads, localpush: true, ...(over === 'tls' && { tls }) },
    auth: {
      groups: { ci: ['bob'] },
      ...(over === 'tokens'
        ? { token: { ...SERVER, jwks: inDirectory('jwks') } }
        : { htpasswd: { path: file }, oidc }),
    },
    access: asConfigured(rules),
  })
  const edge = await startTestEdge(t, { upstreams, config: configFor(BEFORE) })
  const operate = async (...args: readonly string[]) => {
    const config = join(file, '..', 'config.yaml')
    const { auth, access } = configFor(BEFORE)
    writeFileSync(config, JSON.stringify({ admin: { socket: edge.socket }, auth, access }))
    const { exitCode, stdout, stderr } = await runCli([...args, '--config', config], {
      stdin: typed(''),
    })
    if (exitCode !== 0) throw new Error(`${args.join(' ')}: ${stderr}`)
    return stdout.trim()
  }
  const secret = await operate('token', 'issue', 'builder')
  const nowMs = edge.clock.nowMs()
  const identity = issuer.token(nowMs, { ...JOB, aud: audience })
  const all =
    over === 'tokens'
      ? createGranted(nowMs, secret)
      : await createAskers(edge, { secret, identity })
  const chief = all.find(({ name }) => name === THE_CHIEF)?.headers ?? {}
  const places = await fill(edge, chief)
  // What TLS changes nothing for is asked without it.
  const askers = all.filter(({ name, certificate }) =>
    over === 'tls'
      ? certificate !== undefined || OVER_TLS_TOO.has(name)
      : certificate === undefined,
  )
  const connected = new Map<string, readonly PipelinedClient[]>()
  const clients: Clients = connected
  const connect = async () => {
    for (const asker of askers)
      if (!connected.has(wayOf(asker)))
        connected.set(wayOf(asker), await reachPipelined(t, edge.url, threads, asker))
  }
  await connect()
  const reload = (rules: readonly ModelRule[]) => edge.reloaded(upstreams, configFor(rules))
  /** Somebody on each thread who may, and does not take what comes. Resolves with how to end it. */
  const beginReading = async () => {
    const readers = await reachThreads(t, edge.url, threads)
    const large = CONTENT.get(SECRET)?.large.digest
    const path = `/v2/${SECRET}/blobs/${large}`
    const answers = await Promise.all(
      readers.map(({ begin: ask }) => ask('GET', path, { headers: chief })),
    )
    for (const { statusCode } of answers) if (statusCode !== 200) throw new Error('nothing to read')
    return () => {
      for (const answer of answers) answer.destroy()
    }
  }
  const deleteOwn = async () => {
    const at = places.findIndex(({ repository }) => repository === KEPT)
    const place = places[at]
    if (place?.content === undefined) throw new Error('nothing is kept')
    const { own, large } = place.content
    const paths = [`manifests/${own.manifest.digest}`, `blobs/${own.config.digest}`]
    for (const path of [...paths, `blobs/${large.digest}`])
      expectStatus(await edge.send('DELETE', `/v2/${KEPT}/${path}`, { headers: chief }), 202)
    places[at] = { ...place, content: { ...place.content, tags: ['v1'] }, isCut: true }
  }
  /** @throws where a connection goes on by a certificate that was judged before */
  const changeAuthorities = async (rules: readonly ModelRule[]) => {
    writeFileSync(inDirectory('clients'), SECOND.ca)
    await reload(rules)
    for (const asker of askers.filter(({ certificate }) => certificate !== undefined)) {
      const before = connected.get(wayOf(asker)) ?? []
      connected.delete(wayOf(asker))
      const { calledAs: host, headers } = asker
      const request = { method: 'GET', path: '/v2/', headers: { host, ...headers } }
      const asked = await Promise.allSettled(before.map(client => client.ask([request])))
      if (asked.some(({ status }) => status === 'fulfilled'))
        throw new Error(`${asker.name} goes on`)
    }
    await connect()
  }
  /** From now on the token server has one key, and what was signed by the other is nobody's. */
  const dropServerKey = async (rules: readonly ModelRule[]) => {
    writeFileSync(inDirectory('jwks'), JSON.stringify(keySet(SERVER_KEYS.slice(1))))
    await reload(rules)
  }
  return {
    over,
    edge,
    changeAuthorities,
    dropServerKey,
    stub,
    askers,
    places,
    clients,
    operate,
    reload,
    beginReading,
    deleteOwn,
  }
}

export type AccessWorld = Awaited<ReturnType<typeof startAccessWorld>>

const basic = (name: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
})
export const CHIEF = basic('chief', 's3cret')

async function createAskers(
  edge: TestEdge,
  { secret, identity }: { readonly secret: string; readonly identity: string },
): Promise<readonly WorldAsker[]> {
  const asker = (
    name: string,
    whos: readonly string[],
    { headers = {}, ...more }: Partial<WorldAsker> = {},
  ): WorldAsker => ({
    name,
    whos: new Set(whos),
    isKnown: !whos.includes('anonymous') && whos.length > 0,
    from: '127.0.0.1',
    calledAs: CALLED_AS,
    ...more,
    headers: { accept: ACCEPTED, ...headers },
  })
  const token = async (headers: Readonly<Record<string, string>>) => {
    const { status, complete, body } = await edge.get('/v2/token', headers)
    if (status !== 200 || !complete) throw new Error(`${status}, ${complete}: ${String(body)}`)
    return (JSON.parse(String(body)) as { token: string }).token
  }
  const alice = basic('alice', 's3cret')
  const bearer = async (headers: Readonly<Record<string, string>>) => ({
    headers: { authorization: `Bearer ${await token(headers)}` },
  })
  const shown = { certificate: CERTIFICATE, authority: 'first' } as const
  const job = basic('anything', identity)
  const jobs = ['*', IDENTITY, DEPLOYERS]
  const robot = { authorization: `Bearer ${secret}` }
  const local = { calledAs: new URL(edge.url).host }
  return [
    asker('anonymous', ['*', 'anonymous']),
    asker('alice', ['*', 'alice'], { headers: alice }),
    asker('alice, by a token', ['*', 'alice'], await bearer(alice)),
    asker('bob of ci', ['*', 'bob', 'group:ci'], { headers: basic('bob', 's3cret') }),
    asker('carol', ['*', 'carol'], { headers: basic('carol', 's3cret') }),
    asker('a robot', ['*', 'robot:builder'], { headers: robot }),
    asker('a job', jobs, { headers: job }),
    asker('a job, by a token', jobs, await bearer(job)),
    asker('a certificate', ['*', `cert:${MACHINE}`], { ...shown, isKnown: false }),
    asker('alice with a certificate', ['*', 'alice', `cert:${MACHINE}`], {
      ...shown,
      headers: alice,
    }),
    asker('a newer certificate', ['*', `cert:${MACHINE}`], {
      certificate: NEWER,
      authority: 'second',
      isKnown: false,
    }),
    asker('a network', ['*', 'anonymous', `net:${NETWORK}`], { from: NETWORK }),
    asker('anonymous, by a token', ['*', 'anonymous'], await bearer({})),
    asker('local', ['*', 'anonymous', 'local'], local),
    asker('local, by a token of nobody’s', ['*', 'anonymous', 'local'], {
      ...local,
      ...(await bearer({})),
    }),
    asker('a wrong password', [], { headers: basic('alice', 'wrong') }),
    asker(THE_CHIEF, ['*', 'chief'], { headers: CHIEF }),
  ]
}

const ACCEPTED = COMMON.manifest.mediaType

const EACH = [...CONTENT.keys(), ...NONE]
const EVERYTHING: readonly Right[] = ['pull', 'push', 'delete']

/** With tokens of the token server, each of which allows something else, or nothing. */
function createGranted(nowMs: number, secret: string): readonly WorldAsker[] {
  const seconds = Math.floor(nowMs / 1_000)
  const signed = (sub: string, { of, hasCatalog }: Grants, exp = seconds + 300): string => {
    const repositories = [...of].map(([name, actions]) => ({ type: 'repository', name, actions }))
    const catalog = hasCatalog ? [{ type: 'registry', name: 'catalog', actions: ['*'] }] : []
    const { issuer: iss, service: aud } = SERVER
    const claims = { iss, aud, sub, exp, access: [...repositories, ...catalog] }
    return signToken(claims, { key: SERVER_KEYS[sub === 'chief' ? 1 : 0] })
  }
  const grant = (
    names: readonly string[],
    rights: readonly Right[],
    hasCatalog = false,
  ): Grants => ({ of: new Map(names.map(name => [name, rights])), hasCatalog })
  const asker = (
    name: string,
    whos: readonly string[],
    { token, from = '127.0.0.1', grants }: Shown,
  ): WorldAsker => ({
    name,
    whos: new Set(whos),
    isKnown: !whos.includes('anonymous') && whos.length > 0,
    from,
    calledAs: CALLED_AS,
    headers: { accept: ACCEPTED, ...(token && { authorization: `Bearer ${token}` }) },
    ...(grants && { grants }),
  })
  const holder = (
    name: string,
    sub: string,
    { grants, from }: Omit<Shown, 'token'> & { readonly grants: Grants },
  ) => {
    const whos = ['*', sub === '' ? 'anonymous' : sub, ...(sub === 'bob' ? ['group:ci'] : [])]
    const network = from === undefined ? [] : [`net:${from}`]
    return asker(name, [...whos, ...network], { token: signed(sub, grants), from, grants })
  }
  const all = grant(EACH, EVERYTHING, true)
  const few = [CACHED.team, KEPT, 'docker.io/team/none', NOWHERE]
  const nothing = grant([], [])
  return [
    asker('no token', ['*', 'anonymous'], { grants: nothing }),
    holder('alice, by a granted token', 'alice', { grants: all }),
    holder('alice, granted a few', 'alice', { grants: grant(few, ['pull']) }),
    holder('alice, granted nothing', 'alice', { grants: nothing }),
    holder('bob of ci, granted pulls', 'bob', { grants: grant(EACH, ['pull'], true) }),
    holder('carol, granted pushes alone', 'carol', { grants: grant(EACH, ['push']) }),
    holder('anonymous, granted all', '', { grants: all }),
    holder('a network, granted a few', '', { grants: grant(few, ['pull'], true), from: NETWORK }),
    asker('an expired token', [], { token: signed('alice', all, seconds - 300) }),
    asker('a robot', ['*', 'robot:builder'], { token: secret }),
    holder(THE_CHIEF, 'chief', { grants: all }),
  ]
}

interface Shown {
  readonly token?: string
  readonly from?: string | undefined
  readonly grants?: Grants
}

type Headers = Readonly<Record<string, string>>

/** Pushes what is kept, and begins an upload to each that takes one. */
async function fill(edge: TestEdge, chief: Headers): Promise<Place[]> {
  const places: Place[] = []
  for (const [repository, content] of CONTENT) {
    let upload = NO_UPLOAD
    if (repository.startsWith('localhost/')) {
      await push(edge, repository, { content, chief })
      upload = `blobs/uploads/${(await begin(edge, repository, chief)).split('/uploads/')[1]}`
    }
    places.push({ repository, content, asked: content, upload })
  }
  for (const repository of NONE)
    places.push({ repository, content: undefined, asked: NOTHING, upload: NO_UPLOAD })
  return places
}

async function push(
  edge: TestEdge,
  repository: string,
  { content, chief }: { readonly content: PlaceContent; readonly chief: Headers },
): Promise<void> {
  const { own, common, about, large } = content
  const images = [own, common, about]
  const blobs = images.flatMap(image => [image.config, ...image.layers])
  for (const blob of [...blobs, large]) {
    const location = withDigest(await begin(edge, repository, chief), blob.digest)
    const body = blob.read(0, blob.sizeBytes)
    expectStatus(await edge.send('PUT', location, { headers: chief, body }), 201)
  }
  const put = async ({ bytes, mediaType }: Document, reference: string) => {
    const headers = { ...chief, 'content-type': mediaType }
    const path = `/v2/${repository}/manifests/${reference}`
    expectStatus(await edge.send('PUT', path, { headers, body: bytes }), 201)
  }
  await put(own.manifest, 'own')
  await put(common.manifest, 'v1')
  await put(about.manifest, about.manifest.digest)
}

async function begin(edge: TestEdge, repository: string, headers: Headers): Promise<string> {
  const answer = await edge.send('POST', `/v2/${repository}/blobs/uploads/`, { headers })
  expectStatus(answer, 202)
  return answer.headers['location'] ?? ''
}

function expectStatus(answer: { status: number; body: Buffer }, status: number): void {
  if (answer.status !== status) throw new Error(`${answer.status}: ${answer.body.toString()}`)
}
