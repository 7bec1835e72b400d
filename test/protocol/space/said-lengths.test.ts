// Goal: who only says how long something is empties no cache: the author of a manifest, a registry
// that announces and does not send, a client that announces a push. Method: the whole edge in
// process, full of images that may all leave, before a stub registry; what leaves is in the log.
import { execFileSync } from 'node:child_process'
import t, { type Test } from 'tap'
import { patternBlob } from '../../kit/content.ts'
import { BLOBS, MANIFESTS, startPair } from '../../kit/worlds/edge-over-stub.ts'
import { beginUpload, pushBlob } from '../../kit/worlds/edge-push.ts'
import { document, type Image, makeImage } from '../../kit/image.ts'
import { get } from '../../kit/clients/raw-client.ts'

const MiB = 1024 * 1024
const LIMIT = 50 * MiB
/** Four are all that the limit has room for, and all may leave. */
const IMAGE = 11_500 * 1024
const SAID = 40 * MiB

async function startFull(t: Test) {
  const images = Object.fromEntries(
    [0, 1, 2, 3].map(at => [`v${at}`, makeImage({ seed: `stays-${at}`, layers: [IMAGE] })]),
  )
  const { edge, stub } = await startPair(t, {
    images,
    edge: { config: { storage: { maxsize: String(LIMIT), minfree: '1%' } } },
  })
  const pullBlob = (digest: string) => edge.settle(edge.get(`${BLOBS}/${digest}`))
  for (const [tag, image] of Object.entries(images)) {
    await edge.get(`${MANIFESTS}/${tag}`)
    for (const { digest } of [image.config, ...image.layers]) {
      await pullBlob(digest)
      await edge.untilLogged('fill ended', 1, { digest })
    }
    await edge.clock.advance(11 * 60_000)
  }
  /** Whoever looks beside the traffic has looked. */
  const evictedImages = async () => {
    for (let looks = 0; looks < 3; looks += 1) {
      await edge.clock.advance(10_000)
      await edge.get('/v2/')
    }
    const lines = edge.lines().filter(({ msg }) => msg === 'content was evicted')
    return lines.reduce((sum, line) => sum + Number(line['images']), 0)
  }
  const gets = (digest: string) => stub.count({ kind: 'blob', method: 'GET', digest })
  const takenBytes = () => {
    const du = execFileSync('du', ['--block-size=1', '--summarize', edge.dataDirectory])
    return Number(du.toString().split('\t')[0])
  }
  return { edge, stub, pullBlob, evictedImages, gets, takenBytes }
}

/** An image whose manifest says `SAID` of a layer that has a thousand bytes. */
function liar(seed: string): Image {
  const image = makeImage({ seed, layers: [1_000] })
  const said = JSON.parse(image.manifest.bytes.toString()) as { layers: object[] }
  const layers = said.layers.map(layer => ({ ...layer, size: SAID }))
  return { ...image, manifest: document(image.manifest.mediaType, { ...said, layers }) }
}

t.test('R386: a length that a manifest makes up lets nothing leave', async t => {
  const { edge, stub, pullBlob, evictedImages, gets } = await startFull(t)
  for (let times = 0; times < 5; times += 1) {
    const image = liar(`liar-${times}`)
    const [layer] = image.layers
    if (layer === undefined) throw new Error('a layer')
    const isThere = times % 2 === 0
    stub.addImage('library/app', 'liar', isThere ? image : { ...image, layers: [] })
    await edge.get(`${MANIFESTS}/${image.manifest.digest}`)
    const { status, bodyBytes } = await pullBlob(layer.digest)
    t.same([status, isThere ? bodyBytes : 0], isThere ? [200, 1_000] : [404, 0])
    t.equal(gets(layer.digest), 1, 'asked once')
  }
  t.equal(await evictedImages(), 0)
})

t.test('R386: what an upstream announces and does not send lets one image leave', async t => {
  const { edge, stub, evictedImages } = await startFull(t)
  const still = patternBlob('announced and not sent', SAID)
  stub.addBlob('library/app', still)
  stub.fault({ kind: 'blob', digest: still.digest }, { stallAt: 200_000 })
  await get(`${edge.url}${BLOBS}/${still.digest}`, {}, { abortAfterBytes: 1 })
  t.ok((await evictedImages()) <= 1)
})

t.test('R386: what a client announces and does not send lets one image leave', async t => {
  const { edge, evictedImages, takenBytes } = await startFull(t)
  for (let times = 0; times < 5; times += 1) {
    const location = new URL(await beginUpload(edge, 'localhost/app'), edge.url).href
    const left = new AbortController()
    const headers = { 'content-length': String(SAID) }
    const request = { method: 'PATCH', body: 'x', signal: left.signal }
    const sent = get(location, headers, request).catch(() => undefined)
    let come: string | undefined
    while (come !== '0-0') come = (await edge.get(new URL(location).pathname)).headers['range']
    left.abort()
    await sent
  }
  t.ok((await evictedImages()) <= 1)
  const { status } = await edge.settle(pushBlob(edge, 'localhost/app', Buffer.alloc(20 * MiB, 'x')))
  t.equal(status, 201, 'for one that is sent as much leaves as it takes')
  t.ok(takenBytes() <= LIMIT, `${takenBytes()} bytes`)
})

t.test('R386, R330: for what is sent as much leaves as it takes', async t => {
  const { stub, pullBlob, gets, takenBytes, evictedImages } = await startFull(t)
  const large = patternBlob('large', 3 * IMAGE)
  stub.addBlob('library/app', large)
  t.ok((await pullBlob(large.digest)).body.equals(large.bytes()))
  t.equal(await evictedImages(), 3)
  t.ok(takenBytes() <= LIMIT, `${takenBytes()} bytes`)
  const asked = gets(large.digest)
  t.ok((await pullBlob(large.digest)).body.equals(large.bytes()))
  t.equal(gets(large.digest), asked, 'it was kept')
})
