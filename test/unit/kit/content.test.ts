// Goal: what tests put into a stub is what they think it is. Method: contents are read in pieces
// and hashed by the oracle's hash.
import t from 'tap'
import { patternBlob } from '../../kit/content.ts'
import { makeArtifact, makeImage, makeIndex } from '../../kit/image.ts'
import { sha256 } from '../../kit/judges/oracle.ts'
import { gunzipSync } from 'node:zlib'

t.test('a pattern blob is the same bytes however it is read', async t => {
  const blob = patternBlob('a', 100_003)
  const pieces = [0, 1, 15, 16, 17, 99_999].map((start, index, starts) =>
    blob.read(start, (starts[index + 1] ?? 100_003) - start),
  )
  t.equal(sha256(Buffer.concat(pieces)), blob.digest)
  t.equal(sha256(blob.bytes()), blob.digest)
  t.not(patternBlob('b', 100_003).digest, blob.digest)
  t.equal(patternBlob('empty', 0).digest, sha256(Buffer.alloc(0)))
})

t.test('images of one seed are one image, and no two seeds share a blob', async t => {
  const image = makeImage({ seed: 'one' })
  t.same(image.manifest, makeImage({ seed: 'one' }).manifest)
  const other = makeImage({ seed: 'two' })
  const digests = [image, other].flatMap(({ config, layers }) =>
    [config, ...layers].map(blob => blob.digest),
  )
  t.equal(new Set(digests).size, digests.length)
  t.equal(
    gunzipSync(image.layers[0]?.bytes() ?? Buffer.alloc(0))
      .subarray(257, 262)
      .toString(),
    'ustar',
  )
})

t.test('an index describes its images, an artifact its subject', async t => {
  const image = makeImage({ seed: 1, mediaTypes: 'docker' })
  const arm = makeImage({ seed: 1, platform: { architecture: 'arm64', os: 'linux' } })
  const index = JSON.parse(makeIndex([image, arm]).manifest.bytes.toString())
  t.same(
    index.manifests.map((entry: { platform: unknown }) => entry.platform),
    [
      { architecture: 'amd64', os: 'linux' },
      { architecture: 'arm64', os: 'linux' },
    ],
  )
  const artifact = makeArtifact({ seed: 1, subject: image.descriptor })
  t.equal(JSON.parse(artifact.manifest.bytes.toString()).subject.digest, image.manifest.digest)
})
