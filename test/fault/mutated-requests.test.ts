// Goal: no request, however mangled, ends the process or gets a 5xx that was not meant (S07 of the
// programme, R242). Method: MUTATIONS messages mutated from recorded pulls and pushes of clients,
// drawn from SEED, go over raw sockets to the process that `npm start` starts, and to a bare
// node:http server, which says how many of them are still HTTP.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { makeImage, makeIndex } from '../kit/image.ts'
import { mutateRequest } from '../kit/clients/mutate-request.ts'
import { get, sendRaw } from '../kit/clients/raw-client.ts'
import { recordedPushes, recordedSessions, requestBytes } from '../kit/clients/recorded-sessions.ts'
import { createRandom, seedOf } from '../kit/seeded.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'
import { closeServer } from '../kit/loopback.ts'

const MUTATIONS = Number(process.env['MUTATIONS'] ?? 2_000)
const SEED = seedOf(process.env)
const AT_ONCE = 24
const PARSED_SHARE_MIN = 0.3
/** Many messages promise a body that never comes; the edge would wait a minute for each. */
const PATIENCE_MS = 1_000
/** By which memory may grow in the second half: what it takes at first is no growth. */
const GROWTH_MAX_BYTES = 32 * 1024 * 1024
/** Meant: the message asks for an HTTP version or coding that does not exist. */
const INTENDED_5XX = new Set([501, 505])

t.setTimeout(600_000)
t.comment(`SEED=${SEED} MUTATIONS=${MUTATIONS}`)

const stub = await startStub(t)
const edge = await startEdge({ upstreams: { 'docker.io': { url: stub.url, http: true } } })
t.teardown(() => edge.stop())
const index = makeIndex([makeImage({ seed: 'mutated', layers: [50, 5000] })])
stub.addImage('library/alpine', 'v1', index)
const sessions = recordedSessions('library/alpine', 'v1', index)
const pushed = makeImage({ seed: 'pushed', layers: [50, 5000] })
const pushes = recordedPushes('localhost/app', pushed)
const host = new URL(edge.url).host

t.test('the recorded sessions are answered as their clients expect', async t => {
  for (const { client, requests } of sessions) {
    const statuses = []
    for (const request of requests) {
      const { status, complete } = await sendRaw(
        edge.url,
        closing(requestBytes(request, host)),
        request,
      )
      const right = /POST|PUT/.test(request.method) ? status >= 400 && status < 500 : status < 400
      if (!right || !complete) statuses.push(`${request.method} ${request.target}: ${status}`)
    }
    t.same(statuses, [], client)
  }
})

t.test('the recorded pushes are answered as their client expects', async t => {
  const statuses = new Map<string, number>()
  for (const request of pushes.requests) {
    const message = closing(requestBytes(request, host))
    const { status, complete } = await sendRaw(edge.url, message, request)
    t.ok(complete)
    const [what = ''] = request.target.replace('/v2/localhost/app/', '').split(/(?<=\?[a-z]+)=/)
    statuses.set(`${request.method} ${what.replace(/sha256:.*?(?=\?|$)/, 'digest')}`, status)
  }
  const id = 'blobs/uploads/4f6a7b2c-0d1e-4c5b-9a8f-112233445566'
  t.same(Object.fromEntries(statuses), {
    'POST blobs/uploads/?digest': 201,
    'POST blobs/uploads/?mount': 202,
    [`PATCH ${id}`]: 404,
    [`PUT ${id}?digest`]: 404,
    [`GET ${id}`]: 404,
    [`DELETE ${id}`]: 404,
    'PUT manifests/v1': 201,
    'PUT manifests/digest?tag': 201,
    'DELETE manifests/a': 202,
    'DELETE blobs/digest': 202,
  })
})

t.test(`${MUTATIONS} mutated requests: the process lives and no 5xx is unintended`, async t => {
  const parser = await startParser()
  t.teardown(() => parser.stop())
  const random = createRandom(SEED)
  const all = [...sessions, pushes].flatMap(session => session.requests)
  const statuses = new Map<number, number>()
  const unintended: string[] = []

  async function send(message: Buffer): Promise<void> {
    const [{ status }] = await Promise.all([
      sendRaw(edge.url, message, { halfCloseAfterMs: PATIENCE_MS }),
      sendRaw(parser.url, message),
    ])
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
    if (status >= 500 && !INTENDED_5XX.has(status)) {
      unintended.push(`${status}: ${JSON.stringify(message.toString('latin1')).slice(0, 600)}`)
    }
  }

  let drawn = 0
  let halfWayBytes = 0
  const sendOneByOne = async () => {
    while (drawn < MUTATIONS) {
      drawn += 1
      if (drawn === MUTATIONS / 2) halfWayBytes = await edge.peakMemoryBytes()
      await send(closing(mutateRequest(random, all[random.below(all.length)] ?? fail(), host)))
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, sendOneByOne))

  t.same(unintended, [])
  const grownBytes = (await edge.peakMemoryBytes()) - halfWayBytes
  t.comment(`peak memory grew by ${grownBytes} bytes in the second half`)
  t.ok(grownBytes <= GROWTH_MAX_BYTES, `peak memory grew by ${grownBytes} bytes in the second half`)
  t.ok(edge.alive, 'the process lives')
  t.equal((await get(`${edge.url}/v2/`)).status, 200)
  const pull = await get(`${edge.url}/v2/library/alpine/manifests/v1`, { accept: '*/*' })
  t.same(pull.body, index.manifest.bytes, 'and still serves what is right')
  const target = `${edge.url}/v2/localhost/app/manifests/${pushed.manifest.digest}`
  const { bytes, mediaType } = pushed.manifest
  const headers = { 'content-type': mediaType }
  for (const blob of [pushed.config, ...pushed.layers]) {
    const uploads = `${edge.url}/v2/localhost/app/blobs/uploads/?digest=${blob.digest}`
    t.equal((await get(uploads, {}, { method: 'POST', body: blob.bytes() })).status, 201)
  }
  t.equal((await get(target, headers, { method: 'PUT', body: bytes })).status, 201)
  t.same((await get(target)).body, bytes, 'and takes pushes')
  const share = parser.parsed() / MUTATIONS
  t.ok(share >= PARSED_SHARE_MIN, `${Math.round(share * 100)} % were still HTTP`)
  const histogram = [...statuses].sort(([a], [b]) => a - b)
  t.comment(`statuses: ${histogram.map(([status, count]) => `${status}×${count}`).join(' ')}`)
  t.comment(`still HTTP: ${Math.round(share * 100)} %`)
})

/** So that each connection ends with its answer. */
function closing(bytes: Buffer): Buffer {
  return Buffer.from(
    bytes.toString('latin1').replace('\r\n', '\r\nConnection: close\r\n'),
    'latin1',
  )
}

/** Counts what node's parser takes for a request. */
async function startParser() {
  let parsed = 0
  const impatient = {
    headersTimeout: 1_000,
    requestTimeout: 1_000,
    connectionsCheckingInterval: 500,
  }
  const server = createServer(impatient, (request, response) => {
    parsed += 1
    request.resume()
    response.writeHead(204, { connection: 'close' }).end()
  })
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    parsed: () => parsed,
    stop: () => closeServer(server),
  }
}

function fail(): never {
  throw new Error('there are no recorded requests')
}
