// Goal: an upstream's error message is repeated as far as it helps and harms nobody (R123). Method:
// messages as registries write them, and random text around secrets.
import fc from 'fast-check'
import t from 'tap'
import { sanitizeMessage } from '../../../src/upstream/write/sanitized-message.ts'
import { assertProperty } from '../../kit/arbitraries.ts'

t.test('words, digests and repositories stay', async t => {
  const digest = `sha256:${'ab'.repeat(32)}`
  const messages = [
    'the tag v1.2 is immutable',
    `blob unknown to registry: ${digest}`,
    `manifest sha512:${'0f'.repeat(64)} is invalid`,
    'quota of 5 GiB for project/team is used up: 4.9 GiB of 5 GiB',
    'library/node:26 may not be overwritten',
    'größer als erlaubt',
  ]
  for (const message of messages) t.equal(sanitizeMessage(message), message)
})

t.test('addresses and secrets go', async t => {
  const cases = [
    ['see https://r.example/x?sig=1 please', 'see … please'],
    ['see //r.example/x please', 'see … please'],
    ['get "/v2/a/b/manifests/1": failed', 'get "… failed'],
    ['open /var/lib/registry/a: no space left', 'open … no space left'],
    ['dial tcp 10.1.2.3:5000: refused', 'dial tcp …: refused'],
    ['dial tcp [fd00::1]:5000: refused', 'dial tcp …: refused'],
    ['lookup db.internal:5432 failed', 'lookup … failed'],
    ['redis:6379 is down', '… is down'],
    ['a?x=1&X-Amz-Signature=abc is over', '… is over'],
    ['password: hunter2 is wrong', '… is wrong'],
    ['Authorization: Basic dXNlcjpwYXNz and more', '… and more'],
    ['AKIAIOSFODNN7EXAMPLE may not', '… may not'],
    ['token eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9 ended', 'token … ended'],
  ] as const
  for (const [message, sanitized] of cases) t.equal(sanitizeMessage(message), sanitized)
})

t.test('control characters, direction marks and line ends become spaces', async t => {
  t.equal(sanitizeMessage('a\r\nb\u0000c\u202ed\u2028e\tf'), 'a b c d e f')
})

t.test('it is cut at 200 characters, and nothing is told where nothing is left', async t => {
  t.equal(Array.from(sanitizeMessage('ä '.repeat(500)) ?? '').length, 199)
  t.equal(sanitizeMessage('😀 x'.repeat(200))?.isWellFormed(), true)
  for (const message of ['', ' \n ', 'https://r.example/x', '123', '…'])
    t.equal(sanitizeMessage(message), undefined)
})

t.test('no URL and no long secret comes through, whatever stands around it', async t => {
  const text = fc.string({ unit: 'grapheme' })
  const secrets = `https://host.example/canary?sig=canary ${'canary'.repeat(6)}`
  assertProperty(
    t,
    fc.property(text, text, (before, after) => {
      const sanitized = sanitizeMessage(`${before} ${secrets} ${after}`) ?? ''
      if (/canary|:\/\//.test(sanitized) || Array.from(sanitized).length > 200)
        throw new Error(sanitized)
    }),
  )
})
