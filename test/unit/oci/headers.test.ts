// Goal: the smaller headers are read and written as their specifications say: conditions, warnings,
// the referrers tag. Method: tables.
import t from 'tap'
import { etagOf, matchesIfNoneMatch, matchesIfRange } from '../../../src/oci/conditional.ts'
import { parseDigest } from '../../../src/oci/digest.ts'
import { referrersTag } from '../../../src/oci/referrers-tag.ts'
import { formatWarnings, parseWarnings, WARNINGS_MAX_BYTES } from '../../../src/oci/warning.ts'

const HEX = '0123456789abcdef'.repeat(4)
const DIGEST = parseDigest(`sha256:${HEX}`)

t.test('R10: If-None-Match in every form that clients send', async t => {
  const matching = [
    etagOf(DIGEST),
    `W/"${DIGEST}"`,
    DIGEST,
    '*',
    `"x", W/"y",${etagOf(DIGEST)}`,
    ` ${DIGEST} `,
  ]
  for (const header of matching) t.ok(matchesIfNoneMatch(header, DIGEST), header)
  const other = [undefined, '', '"x"', `"${DIGEST}`, `"${DIGEST}x"`, `w/"${DIGEST}"`, '"*"']
  for (const header of other) t.notOk(matchesIfNoneMatch(header, DIGEST), String(header))
})

t.test('R60: a range is honoured without If-Range and with the very ETag', async t => {
  t.ok(matchesIfRange(undefined, DIGEST))
  t.ok(matchesIfRange(`"${DIGEST}"`, DIGEST))
  for (const header of [
    '',
    `W/"${DIGEST}"`,
    DIGEST,
    '*',
    'Wed, 21 Oct 2015 07:28:00 GMT',
    `"x", "${DIGEST}"`,
  ]) {
    t.notOk(matchesIfRange(header, DIGEST), header)
  }
})

t.test('R13: warnings are written in the one form that clients read', async t => {
  t.same(formatWarnings(['served stale', 'say "a\\b"']), [
    '299 - "served stale"',
    '299 - "say \\"a\\\\b\\""',
  ])
  t.same(formatWarnings(['a\r\nb\0ü']), ['299 - "a??b??"'])
})

t.test('R13: all warnings together stay within the limit', async t => {
  const long = 'a'.repeat(3_000)
  t.same(formatWarnings([long, long, 'short']), [`299 - "${long}"`, '299 - "short"'])
  t.same(formatWarnings(['a'.repeat(WARNINGS_MAX_BYTES)]), [])
  t.equal(parseWarnings(Array.from({ length: 10_000 }, () => '299 - "aaaa"')).length, 341)
})

t.test('R13: warnings of an upstream are read, other codes, agents and dates are not', async t => {
  t.same(parseWarnings(['299 - "a, \\"b\\""', '299 - "c" , 299 - "d"']), ['a, "b"', 'c', 'd'])
  const dropped = [
    '',
    '299 - ""',
    '299 - a',
    '199 - "a"',
    '299 host "a"',
    '299 - "a" "Wed"',
    '299  - "a"',
    '299 - "ü"',
    '299 - "a\nb"',
    '299 - "a',
  ]
  for (const header of dropped) t.same(parseWarnings([header]), [], header)
})

t.test('R77: the fallback tag of a digest', async t => {
  t.equal(referrersTag(DIGEST), `sha256-${HEX}`)
  t.equal(referrersTag(`sha512:${HEX}${HEX}`), `sha512-${HEX}`)
  t.equal(
    referrersTag(
      'test+algorithm+using+algorithm+separators+and+lots+of+characters:alsoSome=In=The=Encoded',
    ),
    'test-algorithm-using-algorithm-s-alsoSome-In-The-Encoded',
  )
})
