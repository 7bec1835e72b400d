// Goal: a PROXY header is taken by the letter of its two versions, however its bytes come, and
// nothing else is taken for one. Method: the bytes as proxies write them, and broken ones.
import t from 'tap'
import { PROXY_HEADER_MAX_BYTES, readProxyHeader } from '../../../src/http/proxies/proxy-header.ts'
import { binaryHeader } from '../../kit/clients/proxy-header.ts'

const line = (text: string) => readProxyHeader(Buffer.from(text, 'latin1'))

t.test('R568: a line of version 1 says for whom, in either family', async t => {
  for (const [text, address] of [
    ['PROXY TCP4 192.0.2.7 10.0.0.1 56324 443', '192.0.2.7'],
    ['PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535', '255.255.255.255'],
    ['PROXY TCP4 192.0.2.7 10.0.0.1 0 0', '192.0.2.7'],
    ['PROXY TCP6 2001:DB8::7 ::1 1 2', '2001:db8::7'],
    ['PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2', '192.0.2.7'],
    ['PROXY UNKNOWN', 'unknown'],
    ['PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535', 'unknown'],
  ] as const) {
    const lengthBytes = text.length + 2
    t.same(line(`${text}\r\n`), { kind: 'header', address, lengthBytes }, text)
    t.same(line(`${text}\r\nGET / HTTP/1.1\r\n`), { kind: 'header', address, lengthBytes }, text)
  }
})

t.test('R569: a line that is not by the letter is broken', async t => {
  for (const text of [
    'PROXY TCP4 192.0.2.7 10.0.0.1 56324 443 ',
    'PROXY  TCP4 192.0.2.7 10.0.0.1 56324 443',
    'PROXY TCP4 192.0.2.7 10.0.0.1 56324',
    'PROXY TCP4 192.0.2.7 10.0.0.1 56324 65536',
    'PROXY TCP4 192.0.2.7 10.0.0.1 056 443',
    'PROXY TCP4 192.0.2.07 10.0.0.1 56324 443',
    'PROXY TCP4 192.0.2.7 10.0.0 56324 443',
    'PROXY TCP4 2001:db8::7 ::1 1 2',
    'PROXY TCP6 192.0.2.7 10.0.0.1 1 2',
    'PROXY TCP6 2001:db8::7%eth0 ::1 1 2',
    'PROXY TCP6 [2001:db8::7] ::1 1 2',
    'PROXY TCP5 192.0.2.7 10.0.0.1 1 2',
    'PROXY UDP4 192.0.2.7 10.0.0.1 1 2',
    'PROXY unknown',
    'PROXY UNKNOWNS',
    'PROXY \nTCP4 192.0.2.7 10.0.0.1 1 2',
    'PROXY ',
  ])
    t.equal(line(`${text}\r\n`).kind, 'broken', text)
  t.equal(line(`PROXY UNKNOWN ${'x'.repeat(91)}\r\n`).kind, 'header', 'the longest')
  t.equal(line(`PROXY UNKNOWN ${'x'.repeat(92)}\r\n`).kind, 'broken', 'one more')
  t.equal(line(`PROXY ${'x'.repeat(100)}`).kind, 'more')
  t.equal(line(`PROXY ${'x'.repeat(101)}`).kind, 'broken')
})

t.test('R568: version 2 says for whom, and what it says beside that is passed over', async t => {
  const tlv = Buffer.from([0x01, 0x00, 0x02, 0x68, 0x32, 0x20, 0x00, 0x05, 0, 0, 0, 0, 0])
  for (const [family, addresses, address] of [
    [0x11, [192, 0, 2, 7, 10, 0, 0, 1, 0, 1, 0, 2], '192.0.2.7'],
    [0x12, [192, 0, 2, 7, 10, 0, 0, 1, 0, 1, 0, 2], '192.0.2.7'],
    [0x21, [0x20, 1, 0xd, 0xb8, ...Array(11).fill(0), 7, ...Array(20).fill(0)], '2001:db8::7'],
    [0x21, [...Array(10).fill(0), 255, 255, 192, 0, 2, 7, ...Array(20).fill(0)], '192.0.2.7'],
    [0x31, Array(216).fill(0), 'unknown'],
    [0x00, [], 'unknown'],
  ] as const)
    for (const more of [Buffer.alloc(0), tlv]) {
      const bytes = binaryHeader({ family, rest: Buffer.concat([Buffer.from(addresses), more]) })
      const expected = { kind: 'header', address, lengthBytes: bytes.length }
      t.same(readProxyHeader(bytes), expected, String(family))
      t.same(readProxyHeader(Buffer.concat([bytes, Buffer.from('rest')])), expected)
    }
})

t.test('R568: a proxy that looks by itself speaks for nobody', async t => {
  for (const rest of [Buffer.alloc(0), Buffer.alloc(12, 1)]) {
    const bytes = binaryHeader({ command: 0x20, family: 0xff, rest })
    t.match(readProxyHeader(bytes), { kind: 'header', address: undefined })
  }
})

t.test('R569: a version 2 that is not by the letter is broken', async t => {
  const rest = Buffer.alloc(12, 1)
  for (const header of [
    { command: 0x11, rest },
    { command: 0x31, rest },
    { command: 0x22, rest },
    { family: 0x41, rest },
    { family: 0x13, rest },
    { family: 0x11, rest: Buffer.alloc(11) },
    { family: 0x21, rest: Buffer.alloc(35) },
    { family: 0x31, rest: Buffer.alloc(215) },
    { rest: Buffer.alloc(PROXY_HEADER_MAX_BYTES - 15) },
  ])
    t.equal(
      readProxyHeader(binaryHeader(header)).kind,
      'broken',
      JSON.stringify(header).slice(0, 60),
    )
  const longest = binaryHeader({ rest: Buffer.alloc(PROXY_HEADER_MAX_BYTES - 16) })
  t.equal(readProxyHeader(longest).kind, 'header')
})

t.test('R568: cut anywhere it is waited for, and what is none is known at once', async t => {
  for (const whole of [
    Buffer.from('PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\n'),
    binaryHeader({ rest: Buffer.alloc(20, 1) }),
  ])
    for (let length = 0; length < whole.length; length += 1)
      t.equal(readProxyHeader(whole.subarray(0, length)).kind, 'more', String(length))
  for (const text of ['G', 'PU', 'PROXX', 'proxy ', 'PROXY\t', '\r\n\r\nG', '\x16\x03\x01', '\n'])
    t.equal(line(text).kind, 'none', JSON.stringify(text))
})
