// Goal: however many clients want the same cold content, each of its bytes is asked for once
// upstream (R88, R24 of the programme). Method: the stub stops half-way until all clients hold
// their first bytes, so that they are there at the same time for certain.
import t from 'tap'
import { patternBlob } from '../kit/content.ts'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { askedTwiceOrNever, faultOf, pullImage, stampedeHalfWay } from '../kit/clients/herd.ts'
import { makeImage } from '../kit/image.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'

const MIB = 1024 * 1024
/**
 * A part whose connection stands still for seconds is given up and asked for anew, and on a busy
 * machine the stub's do. A herd that is none asks for twenty times as much. That each byte comes
 * once where no connection stands still, heavy-herd.test.ts sees, which runs alone, and
 * ranged-download.test.ts by a clock of its own.
 */
const AGAIN_MAX = 1 / 4

t.setTimeout(300_000)
const stub = await startStub(t)
const edge = await startEdge({ upstreams: { 'docker.io': { url: stub.url, http: true } } })
t.teardown(() => edge.stop())

t.test('20 clients on one cold blob: one download, which all follow while it runs', async t => {
  const blob = patternBlob('herd', 12 * MIB)
  const herd = await stampedeHalfWay({ stub, edge }, { name: 'herd', blob, clients: 20 })
  herd.release()
  t.same(
    (await herd.all).map(got => faultOf(got, blob)),
    Array(20).fill(undefined),
  )
  t.same(askedTwiceOrNever(stub.rangesAsked(blob.digest), blob.sizeBytes), {
    twiceBytes: 0,
    neverBytes: 0,
  })
  t.equal(stub.bytesSent(blob.digest), blob.sizeBytes)
})

t.test(
  '20 clients on one cold blob that comes by parts: the parts add up to it, and hardly any comes twice',
  async t => {
    const image = makeImage({ seed: 'parts', layers: [40 * MIB] })
    const [layer] = image.layers
    if (layer === undefined) throw new Error('one layer')
    stub.addImage('library/parts', 'v1', image)
    // What makes more connections pay.
    stub.fault({ kind: 'blob', method: 'GET', digest: layer.digest }, { bytesPerSecond: 8 * MIB })
    const base = `${edge.url}/v2/library/parts`
    const faults = await Promise.all(
      Array.from({ length: 20 }, () =>
        pullImage(base, { tag: 'v1', image, hash: true, atOnce: 3 }),
      ),
    )
    t.same(faults.flat(), [])
    const ranges = stub.rangesAsked(layer.digest)
    t.ok(ranges.length > 2, `${ranges.length} parts`)
    const { twiceBytes, neverBytes } = askedTwiceOrNever(ranges, layer.sizeBytes)
    t.equal(neverBytes, 0)
    t.ok(twiceBytes < layer.sizeBytes * AGAIN_MAX, `${twiceBytes} bytes twice`)
  },
)

t.test('50 clients on one cold image: every blob and manifest is asked for once', async t => {
  const image = makeImage({ seed: 'herd', layers: Array(5).fill(MIB) })
  stub.addImage('library/herd', 'v1', image)
  const base = `${edge.url}/v2/library/herd`
  const faults = await Promise.all(
    Array.from({ length: 50 }, () => pullImage(base, { tag: 'v1', image, hash: true, atOnce: 3 })),
  )
  t.same(faults.flat(), [])
  for (const { digest, sizeBytes } of [image.config, ...image.layers]) {
    t.equal(stub.bytesSent(digest), sizeBytes)
    t.equal(stub.count({ kind: 'blob', method: 'GET', digest }), 1)
  }
  t.equal(stub.count({ kind: 'manifest', method: 'GET', repository: 'library/herd' }), 1)
})
