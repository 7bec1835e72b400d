// Goal: Content-Type and Accept mean what clients mean by them. Method: tables, among them the
// headers that Docker and containerd really send.
import t from 'tap'
import {
  accepts,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  MANIFEST_ACCEPT,
  manifestKind,
  OCI_ARTIFACT,
  OCI_INDEX,
  OCI_MANIFEST,
  parseMediaType,
} from '../../../src/oci/media-type.ts'

t.test('R37: each type of manifest is known for what it is', async t => {
  t.equal(manifestKind(OCI_INDEX), 'index')
  t.equal(manifestKind(DOCKER_LIST), 'index')
  t.equal(manifestKind(OCI_MANIFEST), 'image')
  t.equal(manifestKind(DOCKER_MANIFEST), 'image')
  t.equal(manifestKind(OCI_ARTIFACT), 'artifact')
  t.equal(manifestKind('application/vnd.example+json'), 'opaque')
  t.equal(manifestKind('constructor'), 'opaque')
})

t.test('R38: upstreams are always asked for every type, anything else last', async t => {
  const types = [OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST, OCI_ARTIFACT, '*/*']
  t.equal(MANIFEST_ACCEPT, types.join(', '))
})

t.test('R9: parameters are cut off a media type', async t => {
  t.equal(parseMediaType(`${OCI_MANIFEST}; charset=utf-8`), OCI_MANIFEST)
  t.equal(parseMediaType(' Application/JSON;charset=ISO-8859-1'), 'application/json')
})

t.test('R190: a malformed Content-Type is none', async t => {
  const malformed = [
    '',
    'json',
    'a/b/c',
    'a b/c',
    'a/b\r\nx: y',
    'ä/b',
    'a/',
    '/b',
    `a/${'b'.repeat(128)}`,
    '"a"/b',
  ]
  for (const header of malformed) t.equal(parseMediaType(header), undefined, header)
  t.equal(parseMediaType(undefined), undefined)
})

const ONE_EACH = [DOCKER_MANIFEST, DOCKER_LIST, OCI_INDEX, OCI_MANIFEST]

t.test(
  'R12: one header per type, as Docker sends them, and one joined header are the same',
  async t => {
    for (const type of ONE_EACH) {
      t.ok(accepts(ONE_EACH, type))
      t.ok(accepts([ONE_EACH.join(', ')], type))
      t.ok(accepts([`a/b , ${ONE_EACH.map(each => `${each};q=0.5`).join(',')}`], type))
    }
    t.notOk(accepts(ONE_EACH, OCI_ARTIFACT))
    t.ok(accepts([`${ONE_EACH.join(', ')}, */*`], OCI_ARTIFACT))
    t.ok(accepts([OCI_INDEX.toUpperCase()], OCI_INDEX))
  },
)

t.test('R39: what is not listed is acceptable with a wildcard or without any header', async t => {
  t.ok(accepts([], OCI_INDEX))
  t.ok(accepts([''], OCI_INDEX))
  t.ok(accepts(['*/*'], OCI_INDEX))
  t.ok(accepts(['application/*'], OCI_INDEX))
  t.notOk(accepts(['text/*'], OCI_INDEX))
  t.notOk(accepts(['application/vnd.docker.distribution.manifest.v1+json'], OCI_INDEX))
  t.notOk(accepts([`*/*, ${OCI_INDEX};q=0`], OCI_INDEX))
  t.ok(accepts([`*/*;q=0, ${OCI_INDEX}`], OCI_INDEX))
  t.notOk(accepts(['*/*; q=0.000'], OCI_INDEX))
})

t.test('R39: a client of single manifests is told from one of indexes', async t => {
  const acceptsIndex = (headers: readonly string[]) =>
    [OCI_INDEX, DOCKER_LIST].some(type => accepts(headers, type))
  t.notOk(acceptsIndex([DOCKER_MANIFEST, OCI_MANIFEST]))
  t.ok(acceptsIndex([DOCKER_MANIFEST, DOCKER_LIST]))
  t.ok(acceptsIndex([]))
})
