// Goal: blobs come once, verified, to everybody who may have them, at their own speed and from any
// offset (R46–R64, R82–R87, R179). Method: a stub registry that counts and fails on order, the
// whole edge in process, a raw client.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { bytesContent, patternBlob } from '../../kit/content.ts'
import { BLOBS, MANIFESTS, startPair } from '../../kit/worlds/edge-over-stub.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import { judge } from '../../kit/judges/oracle.ts'
import { get, type RawRequest } from '../../kit/clients/raw-client.ts'
import { createBarrier } from '../../kit/stubs/stub-faults.ts'
import { startStubRegistry } from '../../kit/stubs/stub-registry.ts'

const MiB = 1024 * 1024
const big = patternBlob('big', 3 * MiB)
const small = patternBlob('small', 700)

async function pairWith(
  t: Parameters<typeof startPair>[0],
  options: Parameters<typeof startPair>[1] = {},
) {
  const pair = await startPair(t, options)
  for (const blob of [big, small]) pair.stub.addBlob('library/app', blob)
  const fetch = (
    headers: Record<string, string> = {},
    request: RawRequest = {},
    digest: string = big.digest,
  ) => get(`${pair.edge.url}${BLOBS}/${digest}`, headers, request)
  return { ...pair, fetch }
}

// The clock goes in small steps while an upstream fails; by plain node, and beside others, that is
// more than tap allows by itself.
t.setTimeout(300_000)

t.test(
  'R47: a cold blob without a range is 200 with its length, and every byte is right',
  async t => {
    const { fetch, stub } = await pairWith(t)
    const answer = await fetch()
    t.match(answer, {
      status: 200,
      complete: true,
      headers: { 'content-length': String(big.sizeBytes), 'x-entrepot-source': 'miss' },
    })
    t.equal(Buffer.compare(answer.body, big.bytes()), 0)
    t.match((await fetch()).headers, { 'x-entrepot-source': /hit|joined/ })
    t.equal(stub.count({ kind: 'blob' }), 1)
  },
)

t.test('R49: bytes=0- of a cold blob is 206 to the end', async t => {
  const { fetch } = await pairWith(t)
  const answer = await fetch({ range: 'bytes=0-' })
  t.match(answer, {
    status: 206,
    complete: true,
    headers: { 'content-range': `bytes 0-${big.sizeBytes - 1}/${big.sizeBytes}` },
  })
  t.equal(Buffer.compare(answer.body, big.bytes()), 0)
})

t.test('R50: ranges of one blob are 206 while it is filled and after', async t => {
  const { fetch, stub } = await pairWith(t)
  const barrier = createBarrier(MiB)
  stub.fault({ kind: 'blob' }, { barrier }, { times: 1 })
  const first = fetch({ range: 'bytes=0-' })
  await barrier.reached
  const during = await fetch({ range: 'bytes=100-199' })
  t.match(during, { status: 206, headers: { 'x-entrepot-source': 'joined' } })
  t.same(during.body, big.read(100, 100))
  barrier.release()
  t.match(await first, { status: 206, complete: true })
  const after = await fetch({ range: 'bytes=100-199' })
  t.match(after, { status: 206 })
  t.same(after.body, big.read(100, 100))
})

t.test('metrics tell how many read from a fill of somebody else, as long as they do', async t => {
  const { fetch, stub, edge } = await pairWith(t)
  const joined = async () => {
    const { body } = await get(`${edge.adminUrl}/metrics`)
    return /^entrepot_joined_readers (\d+)$/m.exec(body.toString())?.[1]
  }
  const until = async (wanted: string) => {
    while ((await joined()) !== wanted);
  }
  const barrier = createBarrier(MiB)
  stub.fault({ kind: 'blob' }, { barrier }, { times: 1 })
  const first = fetch()
  await barrier.reached
  const others = [fetch(), fetch()]
  await until('2')
  barrier.release()
  for (const answer of await Promise.all([first, ...others])) t.equal(answer.complete, true)
  await until('0')
})

t.test('R51: an open range reaches the end of a blob that is still being filled', async t => {
  const { fetch } = await pairWith(t)
  const answer = await fetch({ range: `bytes=${MiB}-` })
  t.equal(answer.headers['content-range'], `bytes ${MiB}-${big.sizeBytes - 1}/${big.sizeBytes}`)
  t.equal(Buffer.compare(answer.body, big.read(MiB, 2 * MiB)), 0)
})

t.test(
  'R52: readers that leave early disturb no fill, and the next ones find it whole',
  async t => {
    const { fetch, stub, edge } = await pairWith(t)
    const barrier = createBarrier(2 * MiB)
    stub.fault({ kind: 'blob' }, { barrier }, { times: 1 })
    const leaving = Array.from({ length: 50 }, (_, index) =>
      fetch({ range: `bytes=${index * 1000}-` }, { abortAfterBytes: 500 }),
    )
    await barrier.reached
    await Promise.all(leaving)
    barrier.release()
    t.match(await edge.untilLogged('fill ended'), { outcome: 'stored' })
    t.equal(Buffer.compare((await fetch()).body, big.bytes()), 0)
    t.equal(stub.count({ kind: 'blob', method: 'GET' }), 1)
  },
)

t.test(
  'R61: a range far ahead of a slow fill is fetched by itself, and the fill goes on',
  async t => {
    const huge = patternBlob('huge', 12 * MiB)
    const { fetch, stub, edge } = await pairWith(t)
    stub.addBlob('library/app', huge)
    const barrier = createBarrier(64 * 1024)
    stub.fault({ kind: 'blob' }, { barrier }, { times: 1 })
    const tail = await edge.settle(fetch({ range: 'bytes=-1000' }, {}, huge.digest))
    t.match(tail, { status: 206, complete: true })
    t.same(tail.body, huge.read(huge.sizeBytes - 1000, 1000))
    barrier.release()
    t.match(await edge.untilLogged('fill ended'), { outcome: 'stored' })
    t.ok(stub.bytesSent(huge.digest) <= huge.sizeBytes + 1000, 'blob and range, no more')
  },
)

t.test('R62: HEAD on a cold blob downloads nothing, also where HEAD is refused', async t => {
  for (const fault of [{}, { status: 401 }] as const) {
    const { fetch, stub, edge } = await pairWith(t)
    if ('status' in fault) stub.fault({ kind: 'blob', method: 'HEAD' }, fault)
    const head = await edge.settle(fetch({}, { method: 'HEAD' }))
    t.match(head, { status: 200, headers: { 'content-length': String(big.sizeBytes) } })
    t.ok(stub.bytesSent(big.digest) < MiB, `${stub.bytesSent(big.digest)} bytes came`)
  }
})

t.test('R62: HEAD on a cold blob whose manifest is here asks nobody', async t => {
  const image = makeImage({ seed: 'h', layers: [5_000] })
  const entry = { prefetch: false }
  const { edge, stub, fetch } = await pairWith(t, { images: { v1: image }, entry })
  await edge.get(`${MANIFESTS}/v1`)
  const layer = image.layers[0]?.digest ?? ''
  t.match((await fetch({}, { method: 'HEAD' }, layer)).headers, { 'content-length': '5000' })
  t.equal(stub.count({ kind: 'blob' }), 0)
})

t.test('R63: an empty blob is 200 and has no range; {} is served too', async t => {
  const { fetch, stub } = await pairWith(t)
  const empty = bytesContent(Buffer.alloc(0))
  const braces = bytesContent(Buffer.from('{}'))
  for (const blob of [empty, braces]) stub.addBlob('library/app', blob)
  for (const round of ['cold', 'warm']) {
    t.match(await fetch({}, {}, empty.digest), { status: 200, bodyBytes: 0, complete: true }, round)
    t.equal((await fetch({ range: 'bytes=0-' }, {}, empty.digest)).status, 416, round)
    t.equal((await fetch({}, {}, braces.digest)).body.toString(), '{}')
  }
})

t.test('R64: a layer that is fetched from elsewhere is listed, and 404 here', async t => {
  const { edge, stub } = await pairWith(t)
  const image = makeImage({ seed: 'foreign', layers: [10] })
  stub.addImage('library/app', 'v1', image)
  stub.deleteBlob('library/app', image.layers[0]?.digest ?? '')
  t.equal((await edge.get(`${MANIFESTS}/v1`)).status, 200)
  t.equal((await edge.get(`${BLOBS}/${image.layers[0]?.digest}`)).status, 404)
})

t.test(
  'R64, R189: a layer with a URL of its own is 404 by HEAD and GET, and nobody goes there',
  async t => {
    const { edge, stub, fetch } = await pairWith(t)
    const image = makeImage({ seed: 'elsewhere', layers: [10] })
    const text = image.manifest.bytes.toString()
    const elsewhere = `"urls":["${stub.url}/elsewhere"],"mediaType":"application/vnd.oci.image.layer.nondistributable.v1.tar`
    const bytes = Buffer.from(
      text.replace('"mediaType":"application/vnd.oci.image.layer.v1.tar', elsewhere),
    )
    const manifest = { ...image.manifest, bytes, digest: digestOf(bytes) }
    stub.addImage('library/app', 'v1', { ...image, manifest })
    const layer = image.layers[0]?.digest ?? ''
    stub.deleteBlob('library/app', layer)
    t.equal((await edge.get(`${MANIFESTS}/v1`)).status, 200)
    t.equal((await fetch({}, { method: 'HEAD' }, layer)).status, 404)
    t.equal((await fetch({}, {}, layer)).status, 404)
    t.match(bytes.toString(), '"urls"')
    t.notOk(stub.requests.some(({ path }) => path.includes('elsewhere')))
  },
)

t.test(
  'R82: 20 clients on one cold blob cost one download, and all have bytes before it ends',
  async t => {
    const { fetch, stub } = await pairWith(t)
    const barrier = createBarrier(2 * MiB)
    stub.fault({ kind: 'blob' }, { barrier }, { times: 1 })
    const started = Array.from({ length: 20 }, () => Promise.withResolvers<void>())
    const bodies = started.map(async ({ resolve }) => {
      const pieces: Buffer[] = []
      const answer = await fetch(
        {},
        {
          onBytes: piece => {
            pieces.push(piece)
            resolve()
          },
        },
      )
      return { answer, body: Buffer.concat(pieces) }
    })
    await Promise.all(started.map(({ promise }) => promise))
    barrier.release()
    for (const { answer, body } of await Promise.all(bodies)) {
      t.ok(answer.complete && Buffer.compare(body, big.bytes()) === 0)
    }
    t.equal(stub.bytesSent(big.digest), big.sizeBytes, 'each byte once')
  },
)

t.test('R83: a fill outlives the client that began it', async t => {
  const { fetch, stub, edge } = await pairWith(t)
  const barrier = createBarrier(MiB)
  stub.fault({ kind: 'blob' }, { barrier }, { times: 1 })
  const left = await fetch({}, { abortAfterBytes: 1000 })
  t.notOk(left.complete)
  barrier.release()
  t.match(await edge.untilLogged('fill ended'), { outcome: 'stored', sizeBytes: big.sizeBytes })
  await stub.stop()
  t.equal(Buffer.compare((await fetch()).body, big.bytes()), 0)
})

t.test('R83: a client that does not read slows nobody', async t => {
  const { fetch, edge } = await pairWith(t)
  const stuck = Promise.withResolvers<void>()
  const slow = fetch({}, { onBytes: () => stuck.promise })
  const fast = await fetch()
  t.equal(Buffer.compare(fast.body, big.bytes()), 0, 'while the slow one has not read on')
  t.match(await edge.untilLogged('fill ended'), { outcome: 'stored' })
  stuck.resolve()
  t.ok((await slow).complete)
})

t.test(
  'R85: wrong bytes are never a whole answer and never kept; the next pull is right',
  async t => {
    for (const flipAt of [10, 2 * MiB, big.sizeBytes - 1]) {
      const { fetch, stub, edge } = await pairWith(t)
      stub.fault({ kind: 'blob' }, { flipAt }, { times: 1 })
      const lied = await fetch()
      t.notOk(lied.complete && lied.status === 200, `flip at ${flipAt}`)
      t.match(await edge.untilLogged('fill failed'), { outcome: 'corrupt' })
      t.same((await judge(edge.dataDirectory)).right, [])
      t.equal(Buffer.compare((await fetch()).body, big.bytes()), 0)
    }
  },
)

t.test('R85: a small wrong blob is an error, not a cut answer', async t => {
  const { fetch, stub } = await pairWith(t)
  stub.fault({ kind: 'blob' }, { flipAt: 3 }, { times: 1 })
  t.match(await fetch({}, {}, small.digest), { status: 502, complete: true })
})

t.test('R85: a blob longer or shorter than its manifest says is refused', async t => {
  const image = makeImage({ seed: 'len', layers: [100_000] })
  const layer = image.layers[0]?.digest ?? ''
  for (const fault of [{ extraBytes: 5 }, { missingBytes: 5 }]) {
    const { fetch, stub, edge } = await pairWith(t, { images: { v1: image } })
    // Before the manifest, with which the blob is fetched ahead.
    stub.fault({ kind: 'blob' }, fault)
    await edge.get(`${MANIFESTS}/v1`)
    const answer = await edge.settle(fetch({}, {}, layer))
    t.notMatch(answer, { status: 200, complete: true }, JSON.stringify(fault))
    t.notOk((await judge(edge.dataDirectory)).right.includes(layer))
  }
})

t.test('R87: a download that is cut goes on where it was; its clients notice nothing', async t => {
  const { fetch, stub, edge } = await pairWith(t)
  stub.fault({ kind: 'blob' }, { truncateAt: MiB }, { times: 2 })
  const answer = await edge.settle(fetch())
  t.ok(answer.complete)
  t.equal(Buffer.compare(answer.body, big.bytes()), 0)
  const ranges = stub.select({ kind: 'blob' }).map(request => request.headers.range ?? 'whole')
  t.equal(ranges[0], 'whole')
  t.match(ranges[1], /^bytes=\d+-$/)
  const againBytes = stub.bytesSent(big.digest) - big.sizeBytes
  t.ok(againBytes <= 2 * 64 * 1024, `${againBytes} bytes were in flight when the connections broke`)
})

t.test(
  'R87: where the upstream starts from the beginning again, the known part is compared and readers go on',
  async t => {
    const { fetch, stub, edge } = await pairWith(t)
    stub.fault({ kind: 'blob' }, { truncateAt: MiB }, { times: 1 })
    stub.fault({ kind: 'blob' }, { ignoreRange: true }, { times: 1 })
    const answer = await edge.settle(fetch())
    t.ok(answer.complete)
    t.equal(Buffer.compare(answer.body, big.bytes()), 0)
  },
)

t.test('R87: another beginning than the first one breaks the readers and is not kept', async t => {
  const { fetch, stub, edge } = await pairWith(t)
  stub.fault({ kind: 'blob' }, { truncateAt: MiB, flipAt: 5 }, { times: 1 })
  stub.fault({ kind: 'blob' }, { ignoreRange: true }, { times: 1 })
  const answer = await edge.settle(fetch())
  t.notOk(answer.complete)
  t.same((await judge(edge.dataDirectory)).right, [])
})

t.test(
  'R86: a part that an earlier process left is resumed by a range, and the whole is verified',
  async t => {
    const { edge, stub, fetch } = await pairWith(t)
    const barrier = createBarrier(2 * MiB)
    stub.fault({ kind: 'blob' }, { barrier }, { times: 1 })
    const begun = Promise.withResolvers<void>()
    const cut = fetch({}, { onBytes: () => begun.resolve() }).catch(() => undefined)
    // A client gets what is on disk.
    await Promise.all([barrier.reached, begun.promise])
    const stopping = edge.settle(edge.stop())
    await stopping
    await cut
    barrier.release()
    const second = await startTestEdge(t, {
      upstreams: { 'docker.io': { url: stub.url } },
      directory: edge.dataDirectory.slice(0, -'/data'.length),
    })
    const answer = await get(`${second.url}${BLOBS}/${big.digest}`)
    t.ok(answer.complete)
    t.equal(Buffer.compare(answer.body, big.bytes()), 0)
    const [, resumed] = stub.select({ kind: 'blob', method: 'GET' })
    t.match(resumed?.headers.range, /^bytes=[1-9]\d+-$/)
    t.same((await judge(edge.dataDirectory)).wrong, [])
  },
)

t.test(
  'R46: what the upstream does not have is 404 BLOB_UNKNOWN, asked once for half a minute',
  async t => {
    const { fetch, stub, edge } = await pairWith(t)
    const gone = `sha256:${'a'.repeat(64)}`
    for (let round = 0; round < 3; round += 1) {
      const answer = await fetch({}, {}, gone)
      t.equal(answer.status, 404)
      t.match(JSON.parse(answer.body.toString()), { errors: [{ code: 'BLOB_UNKNOWN' }] })
    }
    t.equal(stub.count({ kind: 'blob' }), 1, 'R94')
    await edge.clock.advance(31_000)
    await fetch({}, {}, gone)
    t.equal(stub.count({ kind: 'blob' }), 2)
  },
)

t.test('R179: a digest known through one repository is no right to it in another', async t => {
  const [hub, quay] = [await startStubRegistry(), await startStubRegistry()]
  t.teardown(() => Promise.all([hub.stop(), quay.stop()]))
  hub.addBlob('team/private', small)
  quay.addBlob('team/known', big)
  const edge = await startTestEdge(t, {
    upstreams: { 'docker.io': { url: hub.url }, 'quay.io': { url: quay.url } },
  })
  const path = (repository: string) => `/v2/${repository}/blobs/${small.digest}`
  t.equal((await edge.get(path('team/private'))).status, 200)
  await edge.untilLogged('fill ended')
  for (const other of ['quay.io/team/known', 'team/other', 'localhost/team/private']) {
    t.equal((await edge.get(path(other))).status, 404, other)
  }
})

t.test('R96: another repository that has the blob costs a HEAD, no download', async t => {
  const { edge, stub, fetch } = await pairWith(t)
  stub.addBlob('library/copy', big)
  await fetch()
  await edge.untilLogged('fill ended')
  const answer = await edge.get(`/v2/library/copy/blobs/${big.digest}`)
  t.equal(Buffer.compare(answer.body, big.bytes()), 0)
  t.same(
    stub.select({ repository: 'library/copy' }).map(request => request.method),
    ['HEAD'],
  )
})

t.test(
  'R84: joining a running fill from another repository takes the right to read it there',
  async t => {
    const { edge, stub, fetch } = await pairWith(t)
    const barrier = createBarrier(MiB)
    stub.fault({ kind: 'blob' }, { barrier }, { times: 1 })
    const first = fetch()
    await barrier.reached
    t.equal((await edge.get(`/v2/team/stranger/blobs/${big.digest}`)).status, 404)
    barrier.release()
    t.ok((await first).complete)
  },
)

t.test(
  'R149: a blob whose upstream is down is 503 with Retry-After, and nothing hangs',
  async t => {
    const { fetch, stub, edge } = await pairWith(t)
    await stub.stop()
    const answer = await edge.settle(fetch())
    t.match(answer, { status: 503, complete: true, headers: { 'retry-after': /^\d+$/ } })
  },
)

t.test('R191: a sha512 blob is filled, verified and served under its own digest', async t => {
  const { fetch, stub } = await pairWith(t)
  const blob = bytesContent(Buffer.from('sha512 content'), 'sha512')
  stub.addBlob('library/app', blob)
  const answer = await fetch({}, {}, blob.digest)
  t.match(answer, { status: 200, headers: { 'docker-content-digest': blob.digest } })
})

t.test('a blob without a Content-Length upstream is served with one, once it is whole', async t => {
  const { fetch, stub } = await pairWith(t)
  stub.fault({ kind: 'blob' }, { chunked: true })
  const answer = await fetch()
  t.match(answer, {
    status: 200,
    complete: true,
    headers: { 'content-length': String(big.sizeBytes) },
  })
  t.equal(Buffer.compare(answer.body, big.bytes()), 0)
})

t.test(
  'R85: an upstream that changes its word about the length breaks its readers at once, and nobody hangs',
  async t => {
    for (const lengthDelta of [1_000, -1_000]) {
      const { fetch, stub, edge } = await pairWith(t)
      stub.fault({ kind: 'blob' }, { lengthDelta, truncateAt: MiB }, { times: 1 })
      const answer = await edge.settle(fetch())
      t.notMatch(answer, { status: 200, complete: true }, `first ${lengthDelta} bytes off`)
      t.same((await judge(edge.dataDirectory)).right, [])
    }
  },
)
