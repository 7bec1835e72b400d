// Goal: of a manifest everything is known that a cache needs, and no document is taken that two
// clients could read differently. Method: documents written out here, each rule with one that keeps
// and one that breaks it.
import t from 'tap'
import { type Descriptor, isDistributable } from '../../../src/oci/descriptor.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { RegistryError } from '../../../src/oci/errors.ts'
import { JSON_DEPTH_MAX } from '../../../src/oci/json-text.ts'
import {
  DESCRIPTORS_MAX,
  MANIFEST_LIMIT_BYTES,
  parseManifest,
  referrerDescriptor,
} from '../../../src/oci/manifest.ts'
import {
  DOCKER_LIST,
  DOCKER_MANIFEST,
  OCI_ARTIFACT,
  OCI_INDEX,
  OCI_MANIFEST,
} from '../../../src/oci/media-type.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`
const blob = { mediaType: 'application/octet-stream', digest: DIGEST, size: 3 }
const image = { schemaVersion: 2, config: blob, layers: [blob, blob] }
const index = { schemaVersion: 2, manifests: [] as unknown[] }

const parseText = (text: string, mediaType = OCI_MANIFEST) => {
  return parseManifest(Buffer.from(text), mediaType)
}
const parse = (document: unknown, mediaType = OCI_MANIFEST) => {
  return parseText(JSON.stringify(document), mediaType)
}
const INVALID = { code: 'MANIFEST_INVALID' }

t.test('R37: an image has its config and layers, in both dialects', async t => {
  for (const type of [OCI_MANIFEST, DOCKER_MANIFEST]) {
    const manifest = parse({ ...image, mediaType: type }, type)
    t.match(manifest, { kind: 'image', mediaType: type, manifests: [] })
    t.equal(manifest.config?.digest, DIGEST)
    t.equal(manifest.layers.length, 2)
  }
})

t.test('R37: an index has its manifests and their platforms, in both dialects', async t => {
  const platforms = [
    { os: 'linux', architecture: 'arm', variant: 'v7' },
    { os: 'unknown', architecture: 'unknown' },
    { os: 'linux\n', architecture: 'amd64' },
    'linux/amd64',
    undefined,
  ]
  const manifests = platforms.map(platform => ({ ...blob, platform }))
  for (const type of [OCI_INDEX, DOCKER_LIST]) {
    const manifest = parse({ ...index, manifests }, type)
    t.same(
      manifest.manifests.map(child => child.platform),
      ['linux/arm/v7', 'unknown/unknown', undefined, undefined, undefined],
    )
  }
})

t.test('R37: an artifact has blobs; what is not understood stays opaque', async t => {
  const artifact = parse({ mediaType: OCI_ARTIFACT, blobs: [blob], subject: blob }, OCI_ARTIFACT)
  t.match(artifact, { kind: 'artifact', layers: [{ digest: DIGEST }], subject: { digest: DIGEST } })
  const type = 'application/vnd.example+json'
  const opaque = parse({ mediaType: type, layers: 'mine' }, type)
  t.match(opaque, { kind: 'opaque', layers: [], manifests: [] })
})

t.test('R430: what is not understood still names what is described as content is', async t => {
  const mediaType = 'application/vnd.example+json'
  const opaque = parse({ ...image, mediaType, blobs: ['mine', blob] }, mediaType)
  t.match(opaque, { layers: [], manifests: [], config: undefined })
  t.same(
    opaque.named.blobs.map(({ digest }) => digest),
    [DIGEST, DIGEST, DIGEST, DIGEST],
  )
  const index = parse({ mediaType, manifests: [blob], blobs: 'mine' }, mediaType)
  t.match(index.named, { manifests: [{ digest: DIGEST }], blobs: [] })
  const many = { mediaType, blobs: Array.from({ length: DESCRIPTORS_MAX + 1 }, () => 'mine') }
  t.throws(() => parse(many, mediaType), INVALID, 'too many')
})

t.test('R600: what is not understood costs no exception for an entry that is nothing', t => {
  // An exception takes microseconds, and a small document has ten thousands of such entries.
  let made = 0
  class Counted extends Error {
    constructor(message?: string, options?: ErrorOptions) {
      super(message, options)
      made += 1
    }
  }
  Object.setPrototypeOf(RegistryError, Counted)
  t.teardown(() => Object.setPrototypeOf(RegistryError, Error))
  const mediaType = 'application/vnd.example+json'
  const notOne = [
    'mine',
    1,
    null,
    {},
    { ...blob, digest: 'sha256:0' },
    { ...blob, size: -1 },
    { ...blob, URLs: [] },
    { ...blob, urls: 'mine' },
    { ...blob, artifactType: 1 },
    { ...blob, annotations: { mine: 1 } },
  ]
  const { named } = parse({ mediaType, config: notOne, layers: notOne, blobs: notOne }, mediaType)
  t.same(named, { manifests: [], blobs: [] })
  t.equal(made, 0)
  t.throws(() => parse({ ...image, layers: [{}] }), INVALID)
  t.equal(made, 1, 'those of others are counted')
  t.end()
})

t.test('R190: what does not call itself a manifest is none', async t => {
  for (const type of [
    '',
    'text/html',
    'application/json',
    'application/octet-stream',
    'a b+json',
  ]) {
    t.throws(() => parse(image, type), INVALID, type)
  }
})

t.test('R9: parameters of the Content-Type do not count', async t => {
  t.equal(parse(image, `${OCI_MANIFEST}; charset=utf-8`).mediaType, OCI_MANIFEST)
})

t.test('R41: schema 1 is refused as unknown, however it is labelled', async t => {
  const schema1 = { code: 'MANIFEST_UNKNOWN', message: /schema 1/ }
  const signed = 'application/vnd.docker.distribution.manifest.v1+prettyjws'
  t.throws(() => parse({ schemaVersion: 1, fsLayers: [] }, signed), schema1)
  t.throws(() => parse({ schemaVersion: 1, fsLayers: [] }, DOCKER_MANIFEST), schema1)
})

t.test('R42: up to the limit a manifest is read, above it refused', async t => {
  const text = JSON.stringify(image)
  t.ok(parseText(text + ' '.repeat(MANIFEST_LIMIT_BYTES - text.length)))
  const tooLarge = text + ' '.repeat(MANIFEST_LIMIT_BYTES - text.length + 1)
  t.throws(() => parseText(tooLarge), { code: 'MANIFEST_INVALID', status: 413 })
})

t.test('R114: empty lists, missing lists, nulls and members of its own are fine', async t => {
  t.equal(parse({ schemaVersion: 2, config: blob }).layers.length, 0)
  t.equal(parse({ schemaVersion: 2, config: blob, layers: null, subject: null }).layers.length, 0)
  t.equal(parse(index, OCI_INDEX).manifests.length, 0)
  t.equal(parse({ schemaVersion: 2, manifests: null }, OCI_INDEX).manifests.length, 0)
  t.ok(parse({ ...image, 'org.example': { x: [1, { Y: 2, y2: 3 }] } }))
  t.ok(parse({ ...index, manifests: [{ ...blob, mediaType: OCI_INDEX }] }, OCI_INDEX))
})

t.test(
  'R185: no document is index and image at once, nor another type than it is sent as',
  async t => {
    const confused: [unknown, string][] = [
      [{ ...image, manifests: [] }, OCI_MANIFEST],
      [{ ...image, manifests: [] }, OCI_INDEX],
      [{ ...index, config: blob }, OCI_INDEX],
      [{ ...index, fsLayers: [] }, OCI_INDEX],
      [{ ...index, layers: [] }, 'application/vnd.example+json'],
      [image, OCI_INDEX],
      [index, OCI_MANIFEST],
      [{ ...image, blobs: [blob] }, OCI_ARTIFACT],
      [{ ...image, blobs: [blob] }, OCI_MANIFEST],
      [image, 'application/vnd.example+json'],
      [{ subject: blob }, 'application/vnd.example+json'],
      [{ ...image, mediaType: DOCKER_MANIFEST }, OCI_MANIFEST],
      [{ ...image, mediaType: 5 }, OCI_MANIFEST],
      [{ ...image, schemaVersion: 3 }, OCI_MANIFEST],
      [{ ...image, schemaVersion: '2' }, OCI_MANIFEST],
    ]
    for (const [document, type] of confused) {
      t.throws(() => parse(document, type), INVALID, JSON.stringify(document))
    }
    t.ok(parse(image), 'a mediaType of its own is not required')
  },
)

t.test(
  'R185: no member is named twice, in any case or escape, as Go and JavaScript would differ',
  async t => {
    const body = `"config":${JSON.stringify(blob)},"layers":[]`
    const twice = [
      `{"schemaVersion":2,${body},"layers":[]}`,
      `{"schemaVersion":2,${body},"Layers":[]}`,
      `{"schemaVersion":2,${body},"l\\u0061yers":[]}`,
      `{"schemaVersion":2,${body},"layerſ":[]}`,
      `{"schemaVersion":2,${body},"x":[{"a":{},"A":1}]}`,
      `{"schemaVersion":2,${body},"x":{"a\\"":1,"a\\"":2}}`,
      `{"schemaVersion":2,${body},"annotations":{"a":"1","a":"2"}}`,
    ]
    for (const text of twice) t.throws(() => parseText(text), INVALID, text)
    const once = `{"schemaVersion":2,${body},"annotations":{"a":"{\\"a\\":1,","A":"a"},"x":[{"a":1},{"a":1}]}`
    t.same(parseText(once).annotations, { a: '{"a":1,', A: 'a' })
    t.ok(
      parseText(`{"schemaVersion":2,${body},"x\\"":"\\",\\"layers\\":[],"}`),
      'quotes inside texts',
    )
  },
)

t.test('R185: a member in another case is refused even when it stands alone', async t => {
  t.throws(() => parse({ schemaVersion: 2, config: blob, Layers: [blob] }), INVALID)
  t.throws(() => parse({ ...image, config: { ...blob, URLs: [] } }), INVALID)
})

t.test('R186: nesting and the number of descriptors are bounded', async t => {
  const nest = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`
  const withExtra = (extra: string) => `{"schemaVersion":2,"layers":[],"x":${extra}}`
  t.ok(parseText(withExtra(nest(JSON_DEPTH_MAX - 1))))
  t.throws(() => parseText(withExtra(nest(JSON_DEPTH_MAX))), INVALID)
  t.throws(() => parseText('['.repeat(MANIFEST_LIMIT_BYTES)), INVALID)
  t.throws(() => parseText('{"a":'.repeat(500_000)), INVALID)
  const layers = Array.from({ length: DESCRIPTORS_MAX }, () => blob)
  t.equal(parse({ ...image, layers }).layers.length, DESCRIPTORS_MAX)
  t.throws(() => parse({ ...image, layers: [...layers, blob] }), INVALID)
})

t.test('R187: a descriptor has a digest by the grammar and a size that can be counted', async t => {
  const parseLayer = (layer: unknown) => parse({ ...image, layers: [layer] }).layers[0]
  for (const size of [-1, 1.5, 1e30, 2 ** 53, '3', null, undefined]) {
    t.throws(() => parseLayer({ ...blob, size }), INVALID, String(size))
  }
  t.equal(parseLayer({ ...blob, size: 2 ** 53 - 1 })?.sizeBytes, 2 ** 53 - 1)
  const digests = [
    '',
    'x',
    'sha256:../../x',
    DIGEST.toUpperCase(),
    `sha256:${'A'.repeat(64)}`,
    'sha512:00',
    5,
    undefined,
  ]
  for (const digest of digests)
    t.throws(() => parseLayer({ ...blob, digest }), INVALID, String(digest))
  for (const layer of [null, 5, 'x', [], [blob]]) t.throws(() => parseLayer(layer), INVALID)
  t.throws(() => parseLayer({ ...blob, annotations: { a: 1 } }), INVALID)
  t.throws(() => parseLayer({ ...blob, mediaType: 'x'.repeat(2_000) }), INVALID)
  t.throws(() => parseLayer({ ...blob, urls: 'http://x' }), INVALID)
})

t.test(
  'R23: a digest of an unknown algorithm is carried along, but can not be fetched',
  async t => {
    const [layer] = parse({ ...image, layers: [{ ...blob, digest: 'blake3:abc=' }] }).layers
    t.match(layer, { digestText: 'blake3:abc=', digest: undefined })
  },
)

t.test('R35: what is no JSON object in UTF-8 is no manifest', async t => {
  for (const text of ['', '{', '[]', 'null', '5', '{} {}', '{"a":1,}', '{"\\x":1}']) {
    t.throws(() => parseText(text), INVALID, JSON.stringify(text))
  }
  const text = JSON.stringify({ ...image, x: '?' })
  t.ok(parseText(text))
  t.throws(() => parseText(`\ufeff${text}`), INVALID, 'a byte order mark')
  const bytes = Buffer.from(text)
  bytes[text.indexOf('?')] = 0xff
  t.throws(() => parseManifest(bytes, OCI_MANIFEST), INVALID, 'a byte that is not UTF-8')
})

t.test(
  'R64: layers with URLs of their own, and of foreign types, are not to be had here',
  async t => {
    const layers = [
      blob,
      { ...blob, urls: ['https://example.com/x'] },
      { ...blob, mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip' },
      { ...blob, mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip' },
    ]
    const parsed: readonly Descriptor[] = parse({ ...image, layers }).layers
    t.same(parsed.map(isDistributable), [true, false, false, false])
  },
)

t.test(
  'R74: a referrer is listed with its artifact type, or that of its config, and annotations',
  async t => {
    const digest = digestOf(Buffer.from('x'))
    const list = (document: unknown, type?: string) =>
      referrerDescriptor(parse(document, type), digest, 7)
    const annotations = { a: 'b' }
    t.same(list({ ...image, artifactType: 'a/b', annotations }), {
      mediaType: OCI_MANIFEST,
      digest,
      size: 7,
      artifactType: 'a/b',
      annotations,
    })
    t.equal(list({ ...image, artifactType: '' }).artifactType, 'application/octet-stream')
    t.notOk('artifactType' in list(index, OCI_INDEX))
    t.notOk('annotations' in list(index, OCI_INDEX))
  },
)
