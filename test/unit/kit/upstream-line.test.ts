// Goal: the line between edge and upstream passes requests on as they are, says how far each one
// is, and does with them what it is told. Method: it stands before a stub registry, and node's own
// client asks.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { createLateTag } from '../../kit/clients/late-tag.ts'
import { manifestOver } from '../../kit/clients/push-client.ts'
import { pushInHalves } from '../../kit/clients/push-in-halves.ts'
import { patternBlob } from '../../kit/content.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'
import { type LineFate, type LineMoment, startUpstreamLine } from '../../kit/stubs/upstream-line.ts'

const LAYER = patternBlob('line', 400_000)
const MANIFEST = manifestOver(LAYER.bytes(), [LAYER.bytes()])
const IMAGE = { blobs: [LAYER], manifest: MANIFEST }
const PATH = '/v2/a/b/manifests/latest'

type Tap = typeof t

async function openLine(
  t: Pick<Tap, 'teardown'>,
  see: (moment: LineMoment) => LineFate = () => undefined,
) {
  const stub = await startStub(t)
  const moments: string[] = []
  const line = await startUpstreamLine(stub.url, moment => {
    moments.push(`${moment.request} ${moment.phase}`)
    return see(moment)
  })
  t.teardown(() => line.stop())
  return { stub, line, moments }
}

const putTag = (url: string) =>
  fetch(url + PATH, {
    method: 'PUT',
    headers: { 'content-type': MANIFEST.mediaType },
    body: MANIFEST.bytes,
  })

t.test('a push passes, and every moment of it is told in order', async t => {
  const { stub, line, moments } = await openLine(t)
  const steps: string[] = []
  const at = (step: string) => void steps.push(step)
  const target = { url: line.url, repository: 'a/b', tag: 'latest', at }
  t.same(await pushInHalves(IMAGE, target), { kind: 'acknowledged' })
  t.equal(stub.manifest('a/b', 'latest')?.digest, MANIFEST.digest)
  t.same(stub.repositories.get('a/b')?.puts, [{ tag: 'latest', digest: MANIFEST.digest }])
  t.same(stub.blob('a/b', LAYER.digest)?.bytes(), LAYER.bytes())
  t.equal((await fetch(`${line.url}/v2/a/b/blobs/${LAYER.digest}`, { method: 'HEAD' })).status, 200)
  const whole = ['arrives', 'taken, not answered', 'answered']
  t.same(moments, [
    ...whole.map(phase => `POST of an upload ${phase}`),
    'PUT of a blob half-way',
    ...whole.map(phase => `PUT of a blob ${phase}`),
    ...whole.map(phase => `PUT of a tag ${phase}`),
    ...whole.map(phase => `HEAD of a blob ${phase}`),
  ])
  t.same(steps, [
    'a blob half sent',
    'a blob sent, not answered',
    'a blob answered',
    'a manifest half sent',
    'a manifest sent, not answered',
    'a manifest answered',
  ])
})

t.test('what is refused is told to the client, and what is cut is gone', async t => {
  const { line } = await openLine(t)
  const target = { url: line.url, repository: 'a/b', tag: 'latest', at: () => {} }
  const refused = await pushInHalves({ ...IMAGE, blobs: [] }, target)
  t.match(refused, { kind: 'refused', why: /PUT of a manifest: 400/ })
  line.down()
  t.same(await pushInHalves(IMAGE, target), { kind: 'gone' })
  line.up()
  t.same(await pushInHalves(IMAGE, target), { kind: 'acknowledged' })
})

t.test('what is lost never gets to the upstream', async t => {
  const { stub, line } = await openLine(t, ({ phase }) =>
    phase === 'arrives' ? 'lost' : undefined,
  )
  await t.rejects(putTag(line.url))
  t.equal(stub.count(), 0)
})

t.test('a late tag gets there after whoever sent it has gone, and once only', async t => {
  const late = createLateTag()
  const arrived = Promise.withResolvers<void>()
  const { stub, line } = await openLine(t, moment => {
    const fate = late.see(moment, () => true)
    if (fate !== undefined) arrived.resolve()
    return fate
  })
  stub.addBlob('a/b', LAYER)
  const first = putTag(line.url)
  const broken = t.rejects(first)
  await arrived.promise
  line.down()
  await broken
  line.up()
  t.equal(late.heldFor, 'a/b')
  t.equal(stub.count(), 0)
  t.equal((await putTag(line.url)).status, 201, 'the next one is not held')
  await late.release()
  t.equal(late.heldFor, undefined)
  t.same(
    stub.repositories.get('a/b')?.puts.map(({ digest }) => digest),
    [digestOf(MANIFEST.bytes), digestOf(MANIFEST.bytes)],
  )
})
