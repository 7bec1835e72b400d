// Goal: names, tags and digests are taken apart as the specification writes them. Method: tables of
// texts that must be accepted and of texts that must be refused with the right code.
import t from 'tap'
import { digestOf, parseDigest } from '../../../src/oci/digest.ts'
import {
  parseName,
  parseReference,
  parseRepositoryKey,
  parseTag,
} from '../../../src/oci/reference.ts'

const HEX = 'a'.repeat(64)

t.test('R21: repository names by the grammar', async t => {
  for (const name of ['a', 'a__b', 'a--b', 'a-----b', 'a.b', 'a/b', 'v2/manifests/blobs', '0/1']) {
    t.equal(parseName(name), name)
  }
  const refused = [
    '',
    'A',
    '-a',
    'a-',
    'a___b',
    'a..b',
    'a._b',
    'a//b',
    '/a',
    'a/',
    'a'.repeat(256),
  ]
  for (const name of refused) t.throws(() => parseName(name), { code: 'NAME_INVALID' }, name)
})

t.test('R21: host and name together have at most 255 characters', async t => {
  t.ok(parseRepositoryKey(`docker.io/${'a'.repeat(245)}`))
  const tooLong = `docker.io/${'a'.repeat(246)}`
  t.throws(() => parseRepositoryKey(tooLong), { code: 'NAME_INVALID', message: /256.*255/ })
})

t.test('R22: tags by the grammar, and what has a colon is a digest', async t => {
  for (const tag of ['latest', '_', '1.0', 'A-b_c.d', 'a'.repeat(128)]) t.equal(parseTag(tag), tag)
  for (const tag of ['', '.a', '-a', 'a/b', 'a b', 'ä', 'a'.repeat(129)]) {
    t.throws(() => parseTag(tag), { code: 'TAG_INVALID' }, tag)
  }
  t.equal(parseReference(`sha256:${HEX}`).kind, 'digest')
  t.throws(() => parseReference('sha256:baddigeststring'), { code: 'DIGEST_INVALID' })
})

t.test(
  'R23: sha256 and sha512 with lower-case hex of their length are digests, nothing else',
  async t => {
    t.equal(parseDigest(`sha256:${HEX}`), `sha256:${HEX}`)
    t.equal(parseDigest(`sha512:${HEX}${HEX}`), `sha512:${HEX}${HEX}`)
    const refused = [
      `sha256:${HEX.toUpperCase()}`,
      `sha256:${HEX.slice(1)}`,
      `sha512:${HEX}`,
      `md5:${'a'.repeat(32)}`,
      'sha256:../../x',
      `sha256:${HEX}\n`,
      HEX,
      '',
    ]
    for (const text of refused) t.throws(() => parseDigest(text), { code: 'DIGEST_INVALID' }, text)
  },
)

t.test('R23: digests are computed in both algorithms', async t => {
  const empty = new Uint8Array(0)
  t.match(digestOf(empty), /^sha256:e3b0c44298fc1c14/)
  t.match(digestOf(empty, 'sha512'), /^sha512:cf83e1357eefb8bd/)
})
