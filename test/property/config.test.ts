// Goal: units are inverses of each other, and no text, however broken, makes loading throw. Method:
// fast-check with numbers, with arbitrary text, and with pieces of real configurations put together
// at random.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { formatAddress, parseAddress } from '../../src/config/addresses.ts'
import { editDistance } from '../../src/config/suggest.ts'
import {
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
} from '../../src/config/formats/units.ts'
import { assertProperty } from '../kit/arbitraries.ts'
import { complaintsOf, loadText } from '../kit/load-text.ts'

t.test('a duration that was written is read as the same number', async t => {
  const ms = fc.oneof(
    fc.maxSafeNat(),
    fc.nat(),
    fc.nat({ max: 5000 }),
    fc.constant(Number.POSITIVE_INFINITY),
  )
  assertProperty(
    t,
    fc.property(ms, value =>
      assert.deepEqual(parseDuration(formatDuration(value)), { kind: 'ok', value }),
    ),
  )
})

t.test('a size or share that was written is read as the same', async t => {
  const size = fc.oneof(
    fc
      .oneof(
        fc.maxSafeNat(),
        fc.nat({ max: 8000 }).map(count => count * 2 ** 30),
        fc.nat({ max: 8000 }).map(count => count * 1e9),
      )
      .map(bytes => ({ kind: 'bytes', bytes }) as const),
    fc
      .integer({ min: 1, max: 100_000 })
      .map(part => ({ kind: 'share', share: part / 1000 / 100 }) as const),
  )
  assertProperty(
    t,
    fc.property(size, value =>
      assert.deepEqual(parseSize(formatSize(value)), { kind: 'ok', value }),
    ),
  )
})

t.test('an address that was written is read as the same', async t => {
  const host = fc.oneof(
    fc.constant(undefined),
    fc.ipV4(),
    fc.constantFrom('::', '::1', 'fe80::1'),
    fc.domain(),
  )
  const property = fc.property(host, fc.nat({ max: 65_535 }), (host, port) => {
    assert.deepEqual(parseAddress(formatAddress({ host, port })), {
      kind: 'ok',
      value: { host, port },
    })
  })
  assertProperty(t, property)
})

t.test('the edit distance is a distance', async t => {
  const word = fc.string({ maxLength: 8, unit: fc.constantFrom('a', 'b', 'c') })
  const property = fc.property(word, word, (a, b) => {
    const distance = editDistance(a, b)
    assert.equal(distance, editDistance(b, a))
    assert.equal(distance === 0, a === b)
    assert.ok(distance >= Math.abs(a.length - b.length) && distance <= Math.max(a.length, b.length))
  })
  assertProperty(t, property)
})

const pieces = fc.constantFrom(
  'upstreams',
  'docker.io',
  'ghcr.io',
  '"*"',
  '*',
  'http',
  'addr',
  'tags',
  'match',
  'ttl',
  'client',
  'key',
  'credentials',
  'helper',
  'version',
  '0.1',
  '5m',
  '80%',
  ':',
  ': ',
  '{',
  '}',
  '[',
  ']',
  ',',
  '- ',
  '\n',
  '\n  ',
  '\n    ',
  '\t',
  '"',
  "'",
  '#',
  '&a ',
  '*a',
  '!!binary ',
  '|',
  '>',
  '? ',
  '---\n',
  '%YAML 1.1\n',
  'null',
  '~',
  'true',
  '1e999',
  '\u0000',
  '\ufeff',
  '\r\n',
  '😀',
  '__proto__',
  'constructor',
  'toString',
  '<<',
)
const texts = fc.oneof(
  fc.string(),
  fc.array(pieces, { maxLength: 40 }).map(parts => parts.join('')),
)

t.test('loading never throws, and refuses only with a reason', async t => {
  const variables = fc.dictionary(
    fc.constantFrom(
      'ENTREPOT_UPSTREAMS',
      'ENTREPOT_HTTP',
      'ENTREPOT_UPSTREAMS_DOCKER_IO_TAGS',
      'ENTREPOT_X',
      'ENTREPOT_',
    ),
    texts,
  )
  const property = fc.property(texts, variables, (text, env) => {
    const result = loadText(text, { env })
    if (result.kind === 'invalid')
      assert.ok(result.findings.some(({ severity }) => severity === 'error'))
    for (const line of complaintsOf(result)) assert.match(line, /^\S.*: (?:error|warning): ./)
  })
  assertProperty(t, property, { numRuns: 1000 })
})
