// Goal: what something else answers in the registry's place — an ingress without a backend, a
// captive portal — is an outage: it empties no list, forgets no tag, parks no push and delivers
// none (R257, R258). Method: the whole edge, and the upstream alone, before a registry that such a
// thing stands before for a while.
import t from 'tap'
import type { Upstream } from '../../../src/registry/ports/upstream.ts'
import { patternBlob } from '../../kit/content.ts'
import { BLOBS, MANIFESTS, startPair } from '../../kit/worlds/edge-over-stub.ts'
import type { TestEdge } from '../../kit/edge.ts'
import { makeArtifact, makeImage } from '../../kit/image.ts'
import { failureOf, LATEST, NAME, openUpstream, type Teardown } from '../../kit/open-upstream.ts'
import { createPushClient } from '../../kit/clients/push-client.ts'
import type { Fault } from '../../kit/stubs/stub-faults.ts'
import { failure } from '../../kit/stubs/stub-faults.ts'
import { startStub, type StubOptions } from '../../kit/stubs/stub-registry.ts'

const IMAGE = makeImage({ seed: 'foreign', layers: [3_000] })
const SIGNATURE = makeArtifact({ seed: 'foreign', subject: IMAGE.descriptor })
const OTHER = makeImage({ seed: 'foreign, other', layers: [3_000] })
const OTHER_SIGNATURE = makeArtifact({ seed: 'foreign, other', subject: OTHER.descriptor })
const BLOB = patternBlob('foreign', 5_000)
const SUBJECT = IMAGE.manifest.digest
const DAY_MS = 86_400_000
/** After which an answer of whoever it may be is asked for again. */
const AGAIN_MS = 500
const NO_BACKEND: Fault = { status: 404, body: 'default backend - 404' }
const PORTAL: Fault = { status: 200, mediaType: 'text/html', body: '<html>Log in</html>' }
const GATEWAY: Fault = {
  status: 404,
  mediaType: 'application/json',
  body: '{"message":"no Route matched with those values"}',
}
const FOREIGN = { 'an ingress': NO_BACKEND, 'a portal': PORTAL, 'a gateway': GATEWAY }

async function pull(edge: TestEdge): Promise<void> {
  await edge.get(`${MANIFESTS}/v1`)
  for (const { digest } of [IMAGE.config, ...IMAGE.layers]) await edge.get(`${BLOBS}/${digest}`)
  await edge.untilLogged('fill ended', 1 + IMAGE.layers.length)
}

for (const [name, fault] of Object.entries(FOREIGN)) {
  t.test(`R257: ${name} before the registry makes no list of referrers empty`, async t => {
    const { edge, stub } = await startPair(t, { images: { v1: IMAGE } })
    stub.addImage('library/app', undefined, SIGNATURE)
    const referrers = `/v2/library/app/referrers/${SUBJECT}`
    const foreign = stub.fault({}, fault)
    t.match(await edge.settle(edge.get(referrers)), { status: 503 })
    foreign.remove()
    await edge.clock.advance(DAY_MS)
    const listed = await edge.settle(edge.get(referrers))
    t.match(JSON.parse(listed.body.toString()), {
      manifests: [{ digest: SIGNATURE.manifest.digest }],
    })
    stub.fault({}, fault)
    await edge.clock.advance(DAY_MS)
    t.match(await edge.settle(edge.get(referrers)), { status: 200, body: listed.body }, 'stale')
  })

  t.test(`R257: ${name} before the registry takes no tag away whose image is here`, async t => {
    const entry = { ttl: '5m', prefetch: false }
    const { edge, stub } = await startPair(t, { images: { v1: IMAGE }, entry })
    await pull(edge)
    const tags = await edge.get('/v2/library/app/tags/list')
    stub.fault({}, fault)
    for (const method of ['GET', 'HEAD']) {
      await edge.clock.advance(DAY_MS)
      const stale = await edge.settle(edge.send(method, `${MANIFESTS}/v1`))
      t.match(stale, { status: 200, headers: { 'x-entrepot-source': 'stale' } }, method)
    }
    t.match(await edge.settle(edge.get('/v2/library/app/tags/list')), { body: tags.body })
    t.match(await edge.settle(edge.get(`${MANIFESTS}/v2`)), { status: 503 }, 'not known')
    t.match(await edge.settle(edge.get(`${BLOBS}/${BLOB.digest}`)), { status: 503 }, 'a blob')
    stub.clearFaults()
    stub.addImage('library/app', 'v2', IMAGE)
    // The breaker asks again by itself; that something was missing is not remembered.
    await edge.clock.advance(DAY_MS)
    t.match(await edge.settle(edge.get(`${MANIFESTS}/v2`)), { status: 200 })
  })

  t.test(`R257: a queued push waits for as long as ${name} is before the registry`, async t => {
    const config = { repositories: [{ match: 'docker.io/**', push: 'queue' }] }
    const { edge, stub } = await startPair(t, { edge: { config } })
    stub.fault({}, fault)
    const client = createPushClient(edge.url)
    for (const blob of [IMAGE.config, ...IMAGE.layers])
      await edge.settle(client.blob('library/app', blob.bytes()))
    const pushed = await edge.settle(client.manifest('library/app', 'v1', IMAGE.manifest))
    client.close()
    t.equal(pushed.status, 201)
    await edge.settle(edge.untilLogged('delivery failed and is tried again'), DAY_MS)
    for (let hour = 0; hour < 12; hour += 1) await edge.clock.advance(3_600_000)
    t.notOk(edge.lines().some(({ msg }) => String(msg).startsWith('delivery parked')))
    stub.clearFaults()
    await edge.settle(edge.untilLogged('push delivered'), DAY_MS)
    t.same(stub.manifest('library/app', 'v1'), IMAGE.manifest)
  })
}

for (const isSeen of [true, false])
  for (const [name, fault] of Object.entries(FOREIGN))
    t.test(`R257: ${name} for one request hides no referrers; API seen: ${isSeen}`, async t => {
      const { edge, stub } = await startPair(t, { images: { v1: IMAGE, v2: OTHER } })
      for (const image of [SIGNATURE, OTHER_SIGNATURE])
        stub.addImage('library/app', undefined, image)
      const listOf = async (subject: string) => {
        const answer = await edge.settle(edge.get(`/v2/library/app/referrers/${subject}`))
        return JSON.parse(answer.body.toString())
      }
      const listed = { manifests: [{ digest: OTHER_SIGNATURE.manifest.digest }] }
      if (isSeen) t.equal((await listOf(SUBJECT)).manifests.length, 1)
      stub.fault({ kind: 'referrers' }, fault, { times: 1 })
      t.match(await listOf(OTHER.manifest.digest), listed)
      await edge.clock.advance(40 * 60_000)
      t.match(await listOf(OTHER.manifest.digest), listed, '40 minutes later')
    })

for (const [name, fault] of Object.entries(FOREIGN))
  t.test(`R257: ${name} where the API was is an outage, and stale is served`, async t => {
    const { edge, stub } = await startPair(t, { images: { v1: IMAGE, v2: OTHER } })
    stub.addImage('library/app', undefined, SIGNATURE)
    const about = (subject: string) => edge.settle(edge.get(`/v2/library/app/referrers/${subject}`))
    const known = await about(SUBJECT)
    stub.fault({ kind: 'referrers' }, fault)
    for (let day = 0; day < 2; day += 1) {
      await edge.clock.advance(DAY_MS)
      t.match(await about(SUBJECT), { status: 200, body: known.body })
      t.match(await about(OTHER.manifest.digest), { status: 503 })
    }
  })

const UNKNOWN_SUBJECT = `sha256:${'0'.repeat(64)}`

/**
 * How registries say that one digest or one repository has no referrers, or that one repository
 * lacks the API.
 */
const NO_REFERRERS: Readonly<Record<string, Fault>> = {
  'a 404 with MANIFEST_UNKNOWN': failure(404, 'MANIFEST_UNKNOWN'),
  "Harbor's 404": failure(404, 'NOT_FOUND'),
  'a 404 without a code': { status: 404, body: '404 page not found\n' },
  'a 405': failure(405, 'UNSUPPORTED'),
  'a page': PORTAL,
}

for (const [name, fault] of Object.entries(NO_REFERRERS)) {
  // What is asked first after a start, by whoever asks.
  t.test(`R257: ${name} about one digest hides no other referrers`, async t => {
    const { edge, stub } = await startPair(t, { images: { v1: IMAGE } })
    stub.addImage('library/app', undefined, SIGNATURE)
    stub.addImage('team/other', 'v1', IMAGE)
    const listed = { manifests: [{ digest: SIGNATURE.manifest.digest }] }
    const without = [
      ['team/none', UNKNOWN_SUBJECT],
      ['library/app', UNKNOWN_SUBJECT],
      // A repository that lacks the API, for whatever reason, speaks of itself alone.
      ['team/other', SUBJECT],
    ] as const
    stub.fault({ kind: 'manifest', repository: 'team/none' }, failure(404, 'MANIFEST_UNKNOWN'))
    for (const [repository, reference] of without) {
      stub.fault({ kind: 'referrers', repository, reference }, fault)
      const none = await edge.settle(edge.get(`/v2/${repository}/referrers/${reference}`))
      t.match(none, { status: 200 }, repository)
      t.same(JSON.parse(none.body.toString()).manifests, [], repository)
    }
    const answer = await edge.settle(edge.get(`/v2/library/app/referrers/${SUBJECT}`))
    t.match(JSON.parse(answer.body.toString()), listed)
  })
}

async function open(t: Teardown, options: StubOptions = {}) {
  const stub = await startStub(t, options)
  stub.addImage(NAME, 'latest', IMAGE)
  return { stub, ...openUpstream(t, stub.url, { timeLimits: { chainMs: 900 } }) }
}

const source = {
  digest: BLOB.digest,
  sizeBytes: BLOB.sizeBytes,
  read: async function* () {
    yield BLOB.bytes()
  },
}
const BY_DIGEST = { kind: 'digest', digest: SUBJECT } as const
const MANIFEST = { ...IMAGE.manifest, digest: SUBJECT }

const CALLS: Readonly<Record<string, (upstream: Upstream) => Promise<unknown>>> = {
  'HEAD of a manifest': upstream => upstream.headManifest(NAME, LATEST),
  'GET of a manifest': upstream => upstream.getManifest(NAME, LATEST),
  'HEAD of a blob': upstream => upstream.headBlob(NAME, BLOB.digest),
  'GET of a blob': upstream => upstream.getBlob(NAME, BLOB.digest, { offset: 0 }),
  tags: upstream => upstream.listTags(NAME),
  referrers: upstream => upstream.listReferrers(NAME, SUBJECT),
  'PUT of a blob': upstream => upstream.pushBlob(NAME, source),
  'PUT of a manifest': upstream => upstream.putManifest(NAME, BY_DIGEST, MANIFEST),
}

for (const [name, call] of Object.entries(CALLS)) {
  t.test(`R257: something else that answers a ${name} is an outage, and is asked once`, async t => {
    const taken = { status: 200, body: 'ok' }
    for (const fault of [...Object.values(FOREIGN), taken, { ...NO_BACKEND, status: 410 }]) {
      // Bytes are judged by their digest, and how long they are is nothing to go by.
      if (fault === taken && name.endsWith('of a blob')) continue
      const { stub, upstream } = await open(t)
      stub.fault({}, fault)
      const error = await failureOf(call(upstream))
      t.match(error, { failure: 'unavailable', hint: /something else/ }, JSON.stringify(fault))
      t.ok(stub.count() <= 3, 'a HEAD, the GET after it, and whether a registry is there')
    }
  })

  t.test(`R257: a token server that is missing says nothing about a ${name}`, async t => {
    for (const fault of [NO_BACKEND, PORTAL]) {
      const { stub, upstream } = await open(t, { auth: { scheme: 'bearer' } })
      stub.fault({ kind: 'token' }, fault)
      t.match(await failureOf(call(upstream)), { failure: 'unavailable' }, fault.body as string)
    }
  })
}

t.test("R257: a registry's 404 is known by its code, or by its version header", async t => {
  const own: readonly Fault[] = [
    failure(404, 'MANIFEST_UNKNOWN'),
    failure(404, 'NAME_UNKNOWN'),
    failure(404, 'BLOB_UNKNOWN'),
    // Harbor's.
    failure(404, 'NOT_FOUND'),
    { ...NO_BACKEND, headers: { 'docker-distribution-api-version': 'registry/2.0' } },
  ]
  for (const fault of own) {
    for (const call of ['HEAD of a manifest', 'GET of a manifest', 'HEAD of a blob', 'tags']) {
      const { stub, upstream } = await open(t)
      stub.fault({}, fault)
      const error = await failureOf(CALLS[call]?.(upstream) ?? Promise.resolve())
      t.equal(error.failure, 'not-found', `${call} ${JSON.stringify(fault)}`)
    }
  }
})

t.test('R258: a HEAD that says 404 is believed only when a GET says the same', async t => {
  for (const head of [failure(404, 'MANIFEST_UNKNOWN'), NO_BACKEND]) {
    const { stub, upstream } = await open(t)
    stub.addBlob(NAME, BLOB)
    stub.fault({ method: 'HEAD' }, head)
    t.match(await upstream.headManifest(NAME, LATEST), {
      digest: SUBJECT,
      mediaType: IMAGE.manifest.mediaType,
      sizeBytes: IMAGE.manifest.bytes.length,
    })
    t.match(await upstream.headBlob(NAME, BLOB.digest), { sizeBytes: BLOB.sizeBytes })
    t.equal(stub.bytesSent(BLOB.digest), 1, 'not the blob')
  }
})

t.test('R257: an answer without a code means no referrers API where /v2/ answers', async t => {
  const answers: readonly Fault[] = [
    { status: 404, body: '404 page not found\n' },
    { status: 405, body: 'no' },
    { status: 406, body: '' },
    PORTAL,
    { mediaType: 'application/json' },
  ]
  for (const answer of answers) {
    for (const ping of [undefined, NO_BACKEND, PORTAL, failure(503)]) {
      const { stub, upstream, clock } = await open(t)
      stub.fault({ kind: 'referrers' }, answer)
      if (ping !== undefined) stub.fault({ kind: 'ping' }, ping)
      const asked = upstream.listReferrers(NAME, SUBJECT)
      const about = `${JSON.stringify(answer)} ${JSON.stringify(ping)}`
      if (ping === undefined) {
        await clock.untilSleeping(AGAIN_MS)
        await clock.advance(AGAIN_MS)
        t.match(await asked, { manifests: [], byTag: true }, about)
      } else t.equal((await failureOf(asked)).failure, 'unavailable', about)
    }
  }
})

t.test(
  'R257: an answer without a code is remembered for minutes, and once it has lasted',
  async t => {
    const { stub, upstream, clock } = await open(t)
    stub.fault({ kind: 'referrers' }, NO_BACKEND)
    const first = upstream.listReferrers(NAME, SUBJECT)
    await clock.untilSleeping(AGAIN_MS)
    await clock.advance(AGAIN_MS)
    t.match(await first, { byTag: true })
    const asked = [stub.count({ kind: 'referrers' })]
    for (const minutes of [1, 4, 1]) {
      await clock.advance(minutes * 60_000)
      t.match(await upstream.listReferrers(NAME, SUBJECT), { byTag: true })
      asked.push(stub.count({ kind: 'referrers' }))
    }
    t.same(asked, [2, 3, 3, 4])
  },
)

t.test('R257: an object that is no list of tags is no empty list', async t => {
  for (const body of ['{"message":"gone fishing"}', '{"errors":[]}', '{"tags":"none"}']) {
    const { stub, upstream } = await open(t)
    stub.fault({ kind: 'tags' }, { body })
    t.equal((await failureOf(upstream.listTags(NAME))).failure, 'invalid', body)
  }
})
