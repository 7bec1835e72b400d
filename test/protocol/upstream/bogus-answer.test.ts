// Goal: one answer that cannot be of the blob, in the place of a resume, is a failed attempt:
// nobody is cut, nothing that is here is thrown away, and it is tried again (R272). Method: a stub
// registry that breaks its first answer off and gives another one in place of the second; the whole
// edge in process, a raw client, a manual clock.
import t from 'tap'
import { patternBlob } from '../../kit/content.ts'
import { BLOBS, MANIFESTS, type Pair, startPair } from '../../kit/worlds/edge-over-stub.ts'
import { filesIn } from '../../kit/worlds/edge-push.ts'
import { makeImage } from '../../kit/image.ts'
import { get, type RawAnswer } from '../../kit/clients/raw-client.ts'
import { type Fault, failure } from '../../kit/stubs/stub-faults.ts'

const MiB = 1024 * 1024
const blob = patternBlob('resumed', 3 * MiB)
const PATH = `${BLOBS}/${blob.digest}`
const PAGE = '<html><body>Please log in to the network</body></html>'
const HTML = { 'content-type': 'text/html' }

const BOGUS: Readonly<Record<string, Fault>> = {
  'a page of a portal': { status: 200, body: PAGE, headers: HTML },
  'a page without a length': { status: 200, body: PAGE, headers: HTML, chunked: true },
  'a page that is not found': { status: 404, body: PAGE, headers: HTML },
  'a refusal': { status: 403, body: PAGE, headers: HTML },
  'a blob of another length': { status: 200, body: blob.bytes().subarray(1) },
}

/** An upstream that breaks off in the middle, and says `bogus` to what is asked next. */
async function brokenPair(t: Parameters<typeof startPair>[0], bogus: Fault, times: number) {
  const pair = await startPair(t)
  pair.stub.addBlob('library/app', blob)
  pair.stub.fault({ kind: 'blob' }, { truncateAt: MiB }, { times: 1 })
  pair.stub.fault({ kind: 'blob' }, bogus, { times })
  return pair
}

function pull({ edge }: Pair): Promise<RawAnswer> {
  return edge.settle(get(`${edge.url}${PATH}`))
}

/** Did the last question ask for what was missing? */
function wasResumed({ stub }: Pair): boolean {
  return (stub.rangesAsked(blob.digest).at(-1)?.[0] ?? 0) > 0
}

/** Some upstreams have no other word for ranges that they do not know. */
const NO_PARTS: Readonly<Record<string, Fault>> = {
  'another part': { rangeDelta: 1 },
  'a part in an encoding': { gzip: true },
  'a part that is too long': { extraBytes: 100 },
}

for (const [what, bogus] of Object.entries(NO_PARTS))
  t.test(`R272: ${what} in place of a resume leads to the whole, which is compared`, async t => {
    const pair = await brokenPair(t, bogus, 1)
    const answer = await pull(pair)
    t.match(answer, { status: 200, complete: true })
    t.ok(answer.body.equals(blob.bytes()))
  })

t.test('R272: what comes in place of a resume holds no connection', async t => {
  const pair = await brokenPair(t, { status: 200, body: Buffer.alloc(16 * MiB) }, 3)
  const pulled = pull(pair)
  await pair.edge.settle(pair.stub.untilCount({ kind: 'blob' }, 5))
  const bogus = pair.stub.requests.filter(({ kind }) => kind === 'blob').slice(1, 4)
  t.same(
    bogus.map(({ status, closed }) => ({ status, closed })),
    bogus.map(() => ({ status: 200, closed: true })),
  )
  t.match(await pulled, { status: 200, complete: true })
})

for (const [what, bogus] of Object.entries(BOGUS)) {
  t.test(`R272: ${what} in place of a resume cuts nobody and is tried again`, async t => {
    const pair = await brokenPair(t, bogus, 1)
    const [first, second] = await Promise.all([pull(pair), pull(pair)])
    for (const answer of [first, second]) {
      t.match(answer, { status: 200, complete: true })
      t.ok(answer.body.equals(blob.bytes()))
    }
    t.ok(wasResumed(pair), 'what is here is not asked for again')
  })

  t.test(`R272: ${what} for as long as it is tried leaves what is here for the next`, async t => {
    const pair = await brokenPair(t, bogus, 40)
    const cut = await pull(pair)
    t.notOk(cut.complete)
    await pair.edge.untilLogged('fill failed')
    t.equal((await filesIn(pair.edge, 'fills')).length, 2, 'the part and its sidecar')
    pair.stub.clearFaults()
    await pair.edge.settle(pair.edge.clock.sleep(120_000), 180_000)
    const answer = await pull(pair)
    t.match(answer, { status: 200, complete: true })
    t.ok(answer.body.equals(blob.bytes()))
    t.ok(wasResumed(pair))
  })
}

const OTHER_LENGTHS: Readonly<Record<string, Fault>> = {
  'a blob of another length': { status: 200, body: blob.bytes().subarray(1) },
  'something short': { status: 200, body: 'short' },
}

for (const [what, bogus] of Object.entries(OTHER_LENGTHS)) {
  t.test(`R272: ${what} to the first question of a later download throws nothing away`, async t => {
    const image = makeImage({ seed: 'parked', layers: [3 * MiB] })
    const [layer = image.config] = image.layers
    const { edge, stub } = await startPair(t, { images: { v1: image }, entry: { prefetch: false } })
    const pulled = () => edge.settle(edge.get(`${BLOBS}/${layer.digest}`), 180_000)
    await edge.get(`${MANIFESTS}/v1`)
    stub.fault({ kind: 'blob' }, { truncateAt: MiB }, { times: 1 })
    stub.fault({ kind: 'blob' }, failure(403, 'DENIED'))
    await pulled().catch(() => {})
    await edge.settle(edge.untilLogged('fill failed'))
    stub.clearFaults()
    stub.fault({ kind: 'blob' }, bogus, { times: 1 })
    const answer = await pulled()
    t.match(answer, { status: 200, complete: true })
    t.ok(answer.body.equals(layer.bytes()))
    t.ok((stub.rangesAsked(layer.digest).at(-1)?.[0] ?? 0) > 0, 'what is here is gone on with')
  })
}

t.test('R272: other bytes in a second whole answer throw both away', async t => {
  const other = Buffer.from(blob.bytes())
  other[100] = (other[100] ?? 0) ^ 1
  for (const chunked of [{}, { chunked: true }] as const) {
    const pair = await brokenPair(t, { status: 200, body: other, ...chunked }, 1)
    const cut = await pull(pair)
    t.notOk(cut.complete)
    await pair.edge.untilLogged('fill failed', 1, { outcome: 'corrupt' })
    t.same(await filesIn(pair.edge, 'fills'), [])
    t.ok((await pull(pair)).body.equals(blob.bytes()))
  }
})
