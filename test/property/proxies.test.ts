// Goal: whatever stands in headers of proxies, or comes in front of a connection, is read without
// an error and in bounded time; nothing that a client writes changes whom a listed proxy names; a
// PROXY header means the same however its bytes come. Method: fast-check with arbitrary text and
// bytes, and with shuffled pieces of real ones; the seed is printed.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { FORWARDED_MAX_LENGTH, parseForwarded } from '../../src/http/proxies/forwarded.ts'
import { readForwarding } from '../../src/http/proxies/forwarding.ts'
import { readNode, UNKNOWN } from '../../src/http/proxies/node-name.ts'
import { PROXY_HEADER_MAX_BYTES, readProxyHeader } from '../../src/http/proxies/proxy-header.ts'
import { assertProperty } from '../kit/arbitraries.ts'
import { binaryFor, binaryHeader, lineFor } from '../kit/clients/proxy-header.ts'

t.comment(`PROPERTY_SEED=${process.env['PROPERTY_SEED'] ?? '1'}`)

const PROXY = '10.0.0.1'
const CLIENT = '192.0.2.7'
const isTrusted = (address: string) => address === PROXY
const pieces = fc.constantFrom(
  '=',
  ';',
  ',',
  '"',
  ' ',
  '\t',
  '[',
  ']',
  ':',
  '%',
  '\\',
  'for',
  'FOR',
  'proto=https',
  'host=a',
  'by=_x',
  '_hidden',
  'unknown',
  PROXY,
  CLIENT,
  '2001:db8::7',
  '"[::1]:80"',
)
/** What Node lets through in a header. */
const text = fc.oneof(
  fc.array(pieces, { maxLength: 30 }).map(each => each.join('')),
  fc.string({
    unit: fc.constantFrom(...Array.from({ length: 224 }, (_, at) => String.fromCharCode(at + 32))),
  }),
)
const names = fc.constantFrom(
  'Forwarded',
  'X-Forwarded-For',
  'x-forwarded-proto',
  'X-Forwarded-Host',
  'X-Real-IP',
  'Via',
)
const headers = fc.array(fc.tuple(names, text), { maxLength: 6 }).map(each => each.flat())

t.test('R242, R572: whatever headers say is said of an address, or is unclear', async t => {
  assertProperty(
    t,
    fc.property(headers, raw => {
      const found = readForwarding(raw, isTrusted)
      if (found?.kind !== 'said') return
      assert.ok(found.address === UNKNOWN || readNode(found.address) === found.address)
      assert.match(found.address, /^[0-9a-f.:]+$|^unknown$/, 'it stands in a log line as it is')
    }),
    { numRuns: 3_000 },
  )
})

t.test('R560: nothing to the left of what the proxy writes is anything', async t => {
  assertProperty(
    t,
    fc.property(text, left => {
      const found = readForwarding(['X-Forwarded-For', `${left}, ${CLIENT}`], isTrusted)
      assert.deepEqual([found?.kind, found?.kind === 'said' && found.address], ['said', CLIENT])
      const behind = readForwarding(['X-Forwarded-For', `${left}, ${CLIENT}, ${PROXY}`], isTrusted)
      assert.equal(behind?.kind === 'said' && behind.address, CLIENT)
      for (const lines of [
        ['Forwarded', `${left}, for=${CLIENT}`],
        ['Forwarded', left, 'Forwarded', `for=${CLIENT}`],
      ]) {
        const strict = readForwarding(lines, isTrusted)
        if (strict?.kind === 'said') assert.equal(strict.address, CLIENT)
      }
    }),
    { numRuns: 3_000 },
  )
})

t.test('R561, R565: nothing that a client adds in other headers names somebody else', async t => {
  for (const own of ['X-Forwarded-For', 'X-Real-IP', 'Forwarded'])
    assertProperty(
      t,
      fc.property(headers, raw => {
        const others = raw.flatMap((name, at) =>
          at % 2 === 0 && name !== own ? [name, raw[at + 1] ?? ''] : [],
        )
        const written = [own, own === 'Forwarded' ? `for=${CLIENT}` : CLIENT]
        const found = readForwarding([...others, ...written], isTrusted)
        if (found?.kind === 'said') assert.equal(found.address, CLIENT)
      }),
      { numRuns: 2_000 },
    )
})

t.test('R242: Forwarded is parsed, or is none', async t => {
  const value = fc.string({
    unit: fc.constantFrom('a', ',', ';', '=', ' ', '"', '\\', ':'),
    maxLength: 12,
  })
  assertProperty(
    t,
    fc.property(text, line => void parseForwarded(line)),
    { numRuns: 3_000 },
  )
  assertProperty(
    t,
    fc.property(fc.array(fc.record({ for: value, host: value }), { minLength: 1 }), each => {
      const quoted = (plain: string) => `"${plain.replace(/["\\]/g, '\\$&')}"`
      const line = each.map(one => `for=${quoted(one.for)};host=${quoted(one.host)}`).join(', ')
      assert.deepEqual(
        parseForwarded(line),
        each.map(one => ({ ...one, proto: undefined })),
      )
    }),
  )
})

/** What a client may send, in one header or in several. */
const SENT_MAX = 96 * 1_024

t.test('R572, R721: runs of anything in Forwarded take no more time than their length', async t => {
  // By a pattern that can share out blanks in several ways each of these takes half a minute.
  for (const unit of [' ', '\t', ' \t', ',', ';', 'a', 'a=b;', 'for=', ' a', '"', '\\', '\\"'])
    for (const before of ['', `for=${CLIENT};`, `for=${CLIENT} `, 'a="', 'a="b"'])
      for (const length of [FORWARDED_MAX_LENGTH, SENT_MAX]) {
        const room = length - before.length - 1
        const run = unit.repeat(Math.floor(room / unit.length))
        const lines = Array.from({ length: SENT_MAX / length }, () => [
          'Forwarded',
          `${before}${run}=`,
        ])
        const found = readForwarding(lines.flat(), isTrusted)
        t.equal(found?.kind, 'unclear', JSON.stringify({ before, unit, length }))
      }
})

t.test('R721: a Forwarded header is read up to a bound, and none of it beyond', async t => {
  const line = `for=${CLIENT}${' '.repeat(FORWARDED_MAX_LENGTH)}`
  t.equal(parseForwarded(line.slice(0, FORWARDED_MAX_LENGTH))?.length, 1)
  t.equal(parseForwarded(line.slice(0, FORWARDED_MAX_LENGTH + 1)), undefined)
})

const beginnings = fc.constantFrom(
  'PROXY ',
  'PROXY TCP4 ',
  'PROXY TCP6 ',
  'PROXY UNKNOWN',
  '\r\n\r\n\0\r\nQUIT\n',
  '',
)
const bytes = fc
  .tuple(beginnings, fc.uint8Array({ maxLength: 300 }))
  .map(([beginning, rest]) => Buffer.concat([Buffer.from(beginning, 'latin1'), rest]))

t.test(
  'R242, R572: whatever a connection begins with is read, and waited for within bounds',
  async t => {
    assertProperty(
      t,
      fc.property(bytes, given => {
        const found = readProxyHeader(given)
        if (found.kind === 'more') assert.ok(given.length < PROXY_HEADER_MAX_BYTES)
        if (found.kind !== 'header') return
        assert.ok(found.lengthBytes <= given.length)
        const { address = UNKNOWN } = found
        assert.ok(address === UNKNOWN || readNode(address) === address)
        // The header alone is the same one.
        assert.deepEqual(readProxyHeader(given.subarray(0, found.lengthBytes)), found)
      }),
      { numRuns: 5_000 },
    )
  },
)

t.test('R568: a good one is the same wherever it is cut, and whatever follows', async t => {
  const good = fc.oneof(
    fc.ipV4().map(address => ({ address, header: lineFor(address) })),
    fc.ipV4().map(address => ({ address, header: binaryFor(address) })),
    fc.ipV6().map(address => ({ address: readNode(address), header: lineFor(address) })),
    fc.uint8Array({ maxLength: 2_000 }).map(tlvs => {
      const addresses = Buffer.from([192, 0, 2, 7, 127, 0, 0, 1, 1, 2, 3, 4])
      return { address: CLIENT, header: binaryHeader({ rest: Buffer.concat([addresses, tlvs]) }) }
    }),
  )
  assertProperty(
    t,
    fc.property(
      good,
      fc.nat(),
      fc.uint8Array({ maxLength: 50 }),
      ({ address, header }, at, rest) => {
        assert.equal(readProxyHeader(header.subarray(0, at % header.length)).kind, 'more')
        const whole = readProxyHeader(Buffer.concat([header, rest]))
        assert.deepEqual(whole, { kind: 'header', address, lengthBytes: header.length })
      },
    ),
    { numRuns: 1_000 },
  )
})
