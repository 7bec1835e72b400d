// Goal: no text from outside makes a parser of oci/ throw anything but a RegistryError, hang, or
// give back something that its own formatter would write otherwise. Method: fast-check with
// arbitrary text and with shuffled pieces of real headers and manifests.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { parseChallenges } from '../../src/oci/challenge.ts'
import { matchesIfNoneMatch, matchesIfRange } from '../../src/oci/conditional.ts'
import { parseDigest } from '../../src/oci/digest.ts'
import { RegistryError } from '../../src/oci/errors.ts'
import { quote, splitQuoted, unquote } from '../../src/oci/header-list.ts'
import { parseManifest } from '../../src/oci/manifest.ts'
import { accepts, MANIFEST_TYPES, OCI_INDEX, parseMediaType } from '../../src/oci/media-type.ts'
import { formatNextLink, parseLinks, parsePaging } from '../../src/oci/paging.ts'
import {
  formatReference,
  parseHost,
  parseName,
  parseReference,
  parseRepositoryKey,
  repositoryKey,
} from '../../src/oci/reference.ts'
import { referrersTag } from '../../src/oci/referrers-tag.ts'
import { formatWarnings, parseWarnings, WARNINGS_MAX_BYTES } from '../../src/oci/warning.ts'
import { assertProperty, digests, names, tags } from '../kit/arbitraries.ts'
import { formatChallenge, formatScope, parseScope } from '../kit/stubs/bearer.ts'

const pieces = fc.constantFrom(
  '"',
  '\\',
  ',',
  ';',
  '=',
  ' ',
  '<',
  '>',
  '\t',
  ':',
  '/',
  '*',
  '-',
  '.',
  'Bearer',
  'Basic',
  'realm',
  'rel',
  'next',
  'a',
  'W/',
  '299',
  '299 - "',
  'q=0',
  'application/',
  'repository',
  '(',
  ')',
  'pull',
  'sha256:',
  'a'.repeat(64),
  '\0',
  '\r\n',
  'ä',
  '😀',
)
const wild = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(pieces, { maxLength: 20 }).map(parts => parts.join('')),
)
const printable = fc.string({ unit: 'grapheme-ascii' })

/** Lets a RegistryError pass and nothing else. */
function orRegistryError(run: () => void): void {
  try {
    run()
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
  }
}

t.test('R242: parsers of headers and names take any text', async t => {
  const limits = { defaultLimit: 1, maxLimit: 2 }
  const digest = parseDigest(`sha256:${'a'.repeat(64)}`)
  assertProperty(
    t,
    fc.property(wild, wild, (text, other) => {
      for (const challenge of parseChallenges([text, other])) assert.notEqual(challenge.scheme, '')
      for (const warning of parseWarnings([text, other])) assert.match(warning, /^[\x20-\x7e]+$/)
      const mediaType = parseMediaType(text)
      if (mediaType !== undefined) assert.match(mediaType, /^[\x21-\x7e]+$/)
      parseLinks([text, other])
      accepts([text, other], OCI_INDEX)
      parseScope(text)
      matchesIfNoneMatch(text, digest)
      matchesIfRange(text, digest)
      for (const parse of [parseDigest, parseReference, parseName, parseHost, parseRepositoryKey]) {
        orRegistryError(() => void parse(text))
      }
      orRegistryError(() => void parsePaging(new URLSearchParams({ n: text }), limits))
      orRegistryError(() => void referrersTag(text))
    }),
    { numRuns: 3_000 },
  )
})

t.test('R242: long hostile headers are read in linear time', async t => {
  const digest = parseDigest(`sha256:${'a'.repeat(64)}`)
  for (const part of [
    '<',
    '"',
    '\\',
    ',',
    '=',
    'a=',
    '"\\',
    'a ',
    '<>',
    '-',
    ';q=0',
    ' ',
    '\t,',
    'a(',
    '299 - "',
  ]) {
    const header = part.repeat(65_536 / part.length)
    parseChallenges([header])
    parseLinks([header])
    parseWarnings([header])
    accepts([header], OCI_INDEX)
    matchesIfNoneMatch(header, digest)
    parseScope(header)
    orRegistryError(() => void parseReference(header))
    orRegistryError(() => void parseName(header))
  }
  t.pass('in less than the time limit of this file; quadratic ones would take minutes')
})

t.test('R13, R129, R134: what is written is read back', async t => {
  const text = printable.filter(value => value !== '')
  const parameterName = fc.stringMatching(/^[a-z_]{1,10}$/)
  const scopes = fc.record({
    type: fc.constantFrom('repository', 'registry'),
    class: fc.constantFrom(undefined, 'plugin'),
    name: names.map(name => `edge:5000/${name}`),
    actions: fc.subarray(['pull', 'push', 'delete', '*']),
  })
  assertProperty(
    t,
    fc.property(
      fc.array(text),
      fc.dictionary(parameterName, printable),
      scopes,
      (texts, parameters, scope) => {
        const warnings = formatWarnings(texts)
        assert.ok(warnings.join('').length <= WARNINGS_MAX_BYTES)
        assert.deepEqual(parseWarnings(warnings), texts)
        const [challenge] = parseChallenges([formatChallenge('Bearer', parameters)])
        assert.deepEqual(
          [challenge?.scheme, ...(challenge?.parameters ?? [])],
          ['bearer', ...Object.entries(parameters)],
        )
        assert.deepEqual(parseScope(formatScope(scope)), { ...scope })
      },
    ),
  )
})

t.test('R67, R21, R22, R23: links, names and references are read back', async t => {
  assertProperty(
    t,
    fc.property(names, fc.oneof(tags, digests), wild, (name, reference, last) => {
      const query = new URLSearchParams({ ns: last })
      const link = formatNextLink(`/v2/${name}/tags/list`, query, { limit: 7, last: reference })
      const [parsed] = parseLinks([link])
      assert.deepEqual(parsed?.relations, ['next'])
      const next = new URLSearchParams(parsed.target.split('?')[1])
      assert.deepEqual(
        [...next],
        [
          ['n', '7'],
          ['last', reference],
          ['ns', last.toWellFormed()],
        ],
      )
      assert.equal(formatReference(parseReference(reference)), reference)
      if (name.length < 200) {
        assert.equal(repositoryKey(parseRepositoryKey(`docker.io/${name}`)), `docker.io/${name}`)
      }
    }),
  )
})

t.test('R12: members of a list are found whatever is quoted in them', async t => {
  assertProperty(
    t,
    fc.property(fc.array(printable), texts => {
      assert.deepEqual(splitQuoted(texts.map(quote).join(' , '), ',').map(unquote), texts)
    }),
  )
})

const keys = fc.constantFrom(
  'schemaVersion',
  'mediaType',
  'config',
  'layers',
  'manifests',
  'subject',
  'annotations',
  'digest',
  'size',
  'urls',
  'platform',
  'Layers',
  'fsLayers',
  'artifactType',
  'x',
  '__proto__',
)
const scalars = fc.oneof(
  fc.constantFrom<unknown>(2, 1, null, `sha256:${'a'.repeat(64)}`, ...MANIFEST_TYPES.keys()),
  fc.jsonValue(),
)
const { document } = fc.letrec(tie => ({
  document: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalars,
    fc.array(tie('document'), { maxLength: 3 }),
    fc.dictionary(keys, tie('document'), { maxKeys: 8 }),
  ),
}))
const roots = fc.dictionary(keys, document as fc.Arbitrary<unknown>, { maxKeys: 8 })

t.test('R242: a document of any shape is a manifest or MANIFEST_INVALID or schema 1', async t => {
  const types = fc.constantFrom(...MANIFEST_TYPES.keys(), 'application/vnd.x+json', 'x')
  assertProperty(
    t,
    fc.property(roots, types, fc.boolean(), (root, mediaType, versioned) => {
      const bytes = Buffer.from(JSON.stringify(versioned ? { ...root, schemaVersion: 2 } : root))
      orRegistryError(() => {
        const manifest = parseManifest(bytes, mediaType)
        assert.equal(manifest.mediaType, mediaType)
        const children = [
          ...manifest.layers,
          ...manifest.manifests,
          manifest.config,
          manifest.subject,
        ]
        for (const child of children) {
          assert.ok(
            child === undefined || (Number.isSafeInteger(child.sizeBytes) && child.sizeBytes >= 0),
          )
        }
      })
    }),
    { numRuns: 3_000 },
  )
})

t.test('R242: bytes of any kind are a manifest or a RegistryError', async t => {
  const tokens = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '"a"',
    '"A"',
    '\\',
    '1',
    'null',
    ' ',
    '"layers"',
  )
  const texts = fc.array(tokens, { maxLength: 30 }).map(parts => Buffer.from(parts.join('')))
  assertProperty(
    t,
    fc.property(fc.oneof(fc.uint8Array(), texts), bytes => {
      orRegistryError(() => void parseManifest(bytes, OCI_INDEX))
    }),
    { numRuns: 3_000 },
  )
})
