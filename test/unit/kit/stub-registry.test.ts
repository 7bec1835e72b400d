// Goal: a stub registry answers as a registry does and counts what it was asked. Method: it is
// asked by the raw client.
import t from 'tap'
import { patternBlob } from '../../kit/content.ts'
import { makeArtifact, makeImage, makeIndex } from '../../kit/image.ts'
import { sha256 } from '../../kit/judges/oracle.ts'
import { get } from '../../kit/clients/raw-client.ts'
import { type StubOptions, startStub } from '../../kit/stubs/stub-registry.ts'

async function stubFor(t: Tap, options: StubOptions = {}) {
  const stub = await startStub(t, options)
  return stub
}

type Tap = Pick<typeof t, 'teardown'>

t.test('manifests by tag and by digest, and the blobs they name', async t => {
  const stub = await stubFor(t)
  const image = makeImage({ seed: 1 })
  const index = makeIndex([image])
  stub.addImage('library/alpine', 'v1', index)
  const byTag = await get(`${stub.url}/v2/library/alpine/manifests/v1`)
  t.equal(byTag.status, 200)
  t.equal(byTag.headers['docker-content-digest'], index.manifest.digest)
  t.equal(byTag.headers['content-type'], index.manifest.mediaType)
  t.equal(sha256(byTag.body), index.manifest.digest)
  const child = await get(`${stub.url}/v2/library/alpine/manifests/${image.manifest.digest}`)
  t.equal(sha256(child.body), image.manifest.digest)
  for (const blob of [image.config, ...image.layers]) {
    const answer = await get(`${stub.url}/v2/library/alpine/blobs/${blob.digest}`)
    t.equal(sha256(answer.body), blob.digest)
  }
  t.equal((await get(`${stub.url}/v2/library/alpine/manifests/none`)).status, 404)
  t.equal(stub.count({ kind: 'manifest' }), 3)
  t.equal(stub.count({ kind: 'blob', digest: image.config.digest }), 1)
})

t.test('ranges are answered, and what was asked for is counted byte by byte', async t => {
  const stub = await stubFor(t)
  const blob = patternBlob('range', 1_000_000)
  stub.addBlob('a/b', blob)
  const url = `${stub.url}/v2/a/b/blobs/${blob.digest}`
  const part = await get(url, { range: 'bytes=10-19' })
  t.equal(part.status, 206)
  t.equal(part.headers['content-range'], 'bytes 10-19/1000000')
  t.same(part.body, blob.read(10, 10))
  t.equal((await get(url, { range: 'bytes=-5' })).bodyBytes, 5)
  t.equal((await get(url, { range: 'bytes=999999-' })).bodyBytes, 1)
  t.equal((await get(url, { range: 'bytes=1000000-' })).status, 416)
  const head = await get(url, {}, { method: 'HEAD' })
  t.equal(head.headers['content-length'], '1000000')
  t.equal(head.bodyBytes, 0)
  t.same(stub.rangesAsked(blob.digest), [
    [10, 19],
    [999_995, 999_999],
    [999_999, 999_999],
  ])
  t.equal(stub.bytesSent(blob.digest), 16)
})

t.test('tags move, vanish and are listed in pages', async t => {
  const stub = await stubFor(t)
  const images = [makeImage({ seed: 1 }), makeImage({ seed: 2 })] as const
  stub.addImage('a/b', 'moving', images[0])
  stub.addImage('a/b', 'moving', images[1])
  for (const tag of ['c', 'b', 'a']) stub.addImage('a/b', tag, images[0])
  const moved = await get(`${stub.url}/v2/a/b/manifests/moving`, {}, { method: 'HEAD' })
  t.equal(moved.headers['docker-content-digest'], images[1].manifest.digest)
  const page = await get(`${stub.url}/v2/a/b/tags/list?n=2`)
  t.same(JSON.parse(page.body.toString()).tags, ['a', 'b'])
  const next = /<(.*)>/.exec(page.headers['link'] ?? '')?.[1] ?? ''
  t.same(JSON.parse((await get(stub.url + next)).body.toString()).tags, ['c', 'moving'])
  stub.deleteTag('a/b', 'moving')
  t.equal((await get(`${stub.url}/v2/a/b/manifests/moving`)).status, 404)
})

t.test('referrers are found by subject and filtered by type', async t => {
  const stub = await stubFor(t)
  const image = makeImage({ seed: 1 })
  stub.addImage('a/b', 'v1', image)
  stub.addImage(
    'a/b',
    undefined,
    makeArtifact({ seed: 1, subject: image.descriptor, artifactType: 'x/y' }),
  )
  stub.addImage(
    'a/b',
    undefined,
    makeArtifact({ seed: 2, subject: image.descriptor, artifactType: 'x/z' }),
  )
  const url = `${stub.url}/v2/a/b/referrers/${image.manifest.digest}`
  t.equal(JSON.parse((await get(url)).body.toString()).manifests.length, 2)
  const filtered = await get(`${url}?artifactType=x/y`)
  t.equal(JSON.parse(filtered.body.toString()).manifests.length, 1)
  t.equal(filtered.headers['oci-filters-applied'], 'artifactType')
})
