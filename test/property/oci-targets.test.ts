// Goal: request targets lead back to what they were written from, and arbitrary ones to an endpoint
// or a RegistryError, never to anything else. Method: fast-check builds names by the grammar, with
// the words of the routes among the components, in every URL form; then targets of arbitrary text
// and of shuffled pieces of real ones.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { type Endpoint, parseNamePath, parseTarget } from '../../src/oci/endpoint.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { formatReference, parseReference } from '../../src/oci/reference.ts'
import { assertProperty, digests, namePaths, tags } from '../kit/arbitraries.ts'

/** The one way in which each endpoint is written. */
function formatEndpoint(endpoint: Endpoint): string {
  switch (endpoint.kind) {
    case 'ping':
      return '/v2/'
    case 'catalog':
      return '/v2/_catalog'
    case 'extension':
      return '/v2/_oci/ext/discover'
    case 'token':
      return '/v2/token'
    case 'manifest':
      return `/v2/${endpoint.path}/manifests/${formatReference(endpoint.reference)}`
    case 'blob':
      return `/v2/${endpoint.path}/blobs/${endpoint.digest}`
    case 'uploads':
      return `/v2/${endpoint.path}/blobs/uploads/`
    case 'upload':
      return `/v2/${endpoint.path}/blobs/uploads/${endpoint.id}`
    case 'tags':
      return `/v2/${endpoint.path}/tags/list`
    case 'referrers':
      return `/v2/${endpoint.path}/referrers/${endpoint.digest}`
  }
}

const path = namePaths.map(parseNamePath)
const reference = fc.oneof(tags, digests).map(parseReference)
const uploadId = fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/)
const endpoints: fc.Arbitrary<Endpoint> = fc.oneof(
  fc.constantFrom<Endpoint>(
    { kind: 'ping' },
    { kind: 'catalog' },
    { kind: 'extension' },
    { kind: 'token' },
  ),
  fc.record({ kind: fc.constant('manifest' as const), path, reference }),
  fc.record({
    kind: fc.constantFrom('blob' as const, 'referrers' as const),
    path,
    digest: digests,
  }),
  fc.record({ kind: fc.constantFrom('uploads' as const, 'tags' as const), path }),
  fc.record({ kind: fc.constant('upload' as const), path, id: uploadId }),
)
const leadings = fc.constantFrom(undefined, 'docker.io', '10.0.0.1:5000', 'quay.io/a', '[::1]:1/v1')
const queries = fc.constantFrom('', '?', '?ns=docker.io', '?n=5&last=a%2Fb')

t.test('R24: an endpoint in any form is parsed back to itself', async t => {
  assertProperty(
    t,
    fc.property(endpoints, leadings, queries, fc.boolean(), (endpoint, leading, query, encode) => {
      const written = formatEndpoint(endpoint)
      const tail = encode ? written.replace(/:(?=[^/]*$)/, '%3A') : written
      const target = parseTarget(`${leading === undefined ? '' : `/${leading}`}${tail}${query}`)
      assert.deepEqual(target.endpoint, { ...endpoint })
      assert.equal(target.leading, leading)
      assert.deepEqual([...target.query], [...new URLSearchParams(query)])
    }),
    { numRuns: 300 },
  )
})

const pieces = fc.constantFrom(
  '/',
  '/',
  '/',
  '/v2/',
  'v2',
  'manifests',
  'blobs',
  'uploads',
  'tags',
  'list',
  'referrers',
  '_catalog',
  '_oci',
  'a',
  'A',
  '.',
  '..',
  '%2f',
  '%2e',
  '%3A',
  '%',
  '\\',
  '\0',
  ':',
  ':5000',
  'sha256:',
  'a'.repeat(64),
  '?',
  '#',
  ' ',
  'ä',
  'docker.io',
  '[::1]',
)
const wild = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(pieces, { maxLength: 12 }).map(parts => parts.join('')),
  fc.array(pieces, { maxLength: 12 }).map(parts => `/v2/${parts.join('')}`),
)

t.test(
  'R242: an arbitrary target is an endpoint or a RegistryError, and hides nothing',
  async t => {
    assertProperty(
      t,
      fc.property(wild, rawTarget => {
        try {
          const { endpoint, leading } = parseTarget(rawTarget)
          const named = `${leading ?? ''}/${'path' in endpoint ? endpoint.path : ''}`
          assert.doesNotMatch(named, /%|\\|\0|\.\.|\/\/./)
        } catch (error) {
          if (!(error instanceof RegistryError)) throw error
        }
      }),
      { numRuns: 2_000 },
    )
  },
)
