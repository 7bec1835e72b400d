// Goal: of what proxies say of a request that counts which the listed ones said, whatever stands
// left of it, and what nobody can tell is told to be so. Method: header lines as proxies and
// strangers write them, and lists of proxies; no connection.
import t from 'tap'
import { readNetwork } from '../../../src/access/network.ts'
import { Callers, type ProxySettings } from '../../../src/http/proxies/callers.ts'
import { HOPS_MAX, readForwarding } from '../../../src/http/proxies/forwarding.ts'
import { readNode } from '../../../src/http/proxies/node-name.ts'

const PROXIES = ['10.0.0.1', '10.0.0.2', '2001:db8::1']
const isTrusted = (address: string) => PROXIES.includes(address)

/** One header for each line: `Name: value`. */
function said(...lines: readonly string[]) {
  const raw = lines.flatMap(line => {
    const at = line.indexOf(': ')
    return [line.slice(0, at), line.slice(at + 2)]
  })
  return readForwarding(raw, isTrusted)
}

const addressOf = (...lines: readonly string[]) => {
  const found = said(...lines)
  return found?.kind === 'said' ? found.address : found?.kind
}

t.test('R560: an address is read as proxies write it, and all else is nobody’s', async t => {
  for (const [text, address] of [
    ['192.0.2.7', '192.0.2.7'],
    ['192.0.2.7:4711', '192.0.2.7'],
    ['192.0.2.7:_port', '192.0.2.7'],
    ['2001:DB8:0:0::7', '2001:db8::7'],
    ['[2001:db8::7]', '2001:db8::7'],
    ['[2001:db8::7]:4711', '2001:db8::7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['[::ffff:192.0.2.7]:1', '192.0.2.7'],
    ['fe80::1%eth0', 'fe80::1'],
  ] as const)
    t.equal(readNode(text), address, text)
  for (const text of [
    '',
    'unknown',
    '_hidden',
    '_SEVKISEK:80',
    '192.0.2',
    '192.0.2.07',
    '192.0.2.256',
    '3221225991',
    '0xc0000207',
    '192.0.2.7:',
    '192.0.2.7:123456',
    '[192.0.2.7]',
    '[2001:db8::7',
    '2001:db8::7]',
    '[2001:db8::7]x',
    'localhost',
    'a b',
    '"192.0.2.7"',
    '1'.repeat(4_000),
  ])
    t.equal(readNode(text), 'unknown', text.slice(0, 40))
})

t.test('R560: the client is the first from the right that is not listed', async t => {
  for (const [line, address] of [
    ['192.0.2.7', '192.0.2.7'],
    ['203.0.113.9, 192.0.2.7', '192.0.2.7'],
    ['203.0.113.9, 192.0.2.7, 10.0.0.2', '192.0.2.7'],
    ['203.0.113.9, 192.0.2.7, [2001:db8::1]:99, 10.0.0.2', '192.0.2.7'],
    ['192.0.2.7,10.0.0.2', '192.0.2.7'],
    [' , 192.0.2.7 ,, 10.0.0.2 , ', '192.0.2.7'],
    ['192.0.2.7, ::ffff:10.0.0.2', '192.0.2.7'],
    ['192.0.2.7, unknown, 10.0.0.2', 'unknown'],
    ['192.0.2.7, rubbish', 'unknown'],
    // A request of a proxy's own.
    ['10.0.0.2', '10.0.0.2'],
    ['10.0.0.1, 10.0.0.2', '10.0.0.1'],
  ] as const)
    t.equal(addressOf(`X-Forwarded-For: ${line}`), address, line)
  t.equal(
    addressOf('X-Forwarded-For: 203.0.113.9', 'x-forwarded-for: 192.0.2.7, 10.0.0.2'),
    '192.0.2.7',
    'several lines are one',
  )
})

t.test('R560: Forwarded is read the same way, by its grammar', async t => {
  for (const [line, address] of [
    ['for=192.0.2.7', '192.0.2.7'],
    ['For="192.0.2.7:4711"', '192.0.2.7'],
    ['for="[2001:db8::7]:4711";proto=https', '2001:db8::7'],
    ['for=203.0.113.9, for=192.0.2.7;by=10.0.0.2, for=10.0.0.2', '192.0.2.7'],
    ['for=203.0.113.9;host="a, for=198.51.100.1", for=192.0.2.7', '192.0.2.7'],
    ['for="192.0.\\2.7"', '192.0.2.7'],
    ['proto=https; for=192.0.2.7 ;; ext="x;y"', '192.0.2.7'],
    ['for=unknown', 'unknown'],
    ['for=_hidden, for=10.0.0.2', 'unknown'],
    ['proto=https', 'unknown'],
    ['', 'unknown'],
  ] as const)
    t.equal(addressOf(`Forwarded: ${line}`), address, line)
  for (const line of [
    'for="192.0.2.7',
    // What a client leaves open would swallow what the proxy adds.
    'for="_x, for=192.0.2.7',
    'for=203.0.113.9;for=192.0.2.7',
    'for =192.0.2.7',
    'for= 192.0.2.7',
    'for=192.0.2.7:80',
    'for=[2001:db8::7]',
    'for',
    'for=a"b"',
    'for=a b',
  ])
    t.equal(addressOf(`Forwarded: ${line}`), 'unclear', line)
  t.equal(
    addressOf('Forwarded: for="_x', 'Forwarded: for=192.0.2.7'),
    'unclear',
    'a quote does not reach into the next line',
  )
})

t.test('R562: host and scheme are those of the hop that the client came by', async t => {
  const client = { kind: 'said', address: '192.0.2.7' }
  t.match(said('X-Forwarded-For: 192.0.2.7', 'X-Forwarded-Proto: HTTPS', 'X-Forwarded-Host: a'), {
    ...client,
    scheme: 'https',
    host: 'a',
  })
  const chain = 'X-Forwarded-For: 203.0.113.9, 192.0.2.7, 10.0.0.2'
  t.match(said(chain, 'X-Forwarded-Proto: http, https, http', 'X-Forwarded-Host: x, a:8443, b'), {
    ...client,
    scheme: 'https',
    host: 'a:8443',
  })
  t.match(said(chain, 'X-Forwarded-Proto: https', 'X-Forwarded-Host: a'), {
    ...client,
    scheme: 'https',
    host: 'a',
  })
  t.match(
    said(
      'Forwarded: for=203.0.113.9;proto=http;host=x',
      'Forwarded: for=192.0.2.7;proto=https;host="a:8443", for=10.0.0.2;proto=http;host=b',
    ),
    { ...client, scheme: 'https', host: 'a:8443' },
  )
  t.match(said('X-Real-IP: 192.0.2.7'), { ...client, scheme: undefined, host: undefined })
  for (const line of [
    'X-Forwarded-Proto: gopher',
    'X-Forwarded-Host: a/b',
    'X-Forwarded-Host: a b',
    'X-Forwarded-Host: "a"',
    'Forwarded: for=192.0.2.7;proto=ftp',
    'Forwarded: for=192.0.2.7;host="a/b"',
  ])
    t.match(said('X-Forwarded-For: 192.0.2.7', line), { kind: 'unclear' }, line)
})

t.test('R565: what a proxy hands on beside its own may not say anything else', async t => {
  const own = 'X-Forwarded-For: 192.0.2.7'
  for (const line of ['X-Real-IP: 192.0.2.7', 'Forwarded: for="192.0.2.7:99"'])
    t.equal(addressOf(own, line), '192.0.2.7', line)
  for (const line of [
    'X-Real-IP: 203.0.113.9',
    'X-Real-IP: 192.0.2.7, 203.0.113.9',
    'X-Real-IP: rubbish',
    'Forwarded: for=203.0.113.9',
    'Forwarded: proto=https',
    'Forwarded: for=10.0.0.2',
  ])
    t.equal(addressOf(own, line), 'unclear', line)
  const chain = `${own}, 10.0.0.1, 10.0.0.2`
  for (const address of ['192.0.2.7', '10.0.0.1', '10.0.0.2'])
    t.equal(addressOf(chain, `X-Real-IP: ${address}`), '192.0.2.7', 'on the way')
  t.equal(addressOf(own, 'X-Real-IP: 192.0.2.7', 'X-Real-IP: 203.0.113.9'), 'unclear')
  const scheme = ['Forwarded: for=192.0.2.7;proto=http', 'X-Forwarded-Proto: https']
  t.equal(addressOf(own, ...scheme), 'unclear')
  const host = ['Forwarded: for=192.0.2.7;host=a', 'X-Forwarded-Host: b']
  t.equal(addressOf(own, ...host), 'unclear')
  t.equal(
    addressOf('X-Real-IP: 192.0.2.7', 'X-Forwarded-For: 203.0.113.9'),
    'unclear',
    'of a proxy that sets X-Real-IP alone',
  )
})

t.test('R722: X-Real-IP of a proxy that is not on the way speaks against it', async t => {
  // Two proxies that write X-Real-IP alone, and what their client wrote.
  for (const line of ['192.0.2.7', '203.0.113.9, 192.0.2.7', '10.0.0.1, 192.0.2.7', '10.0.0.2'])
    t.equal(addressOf(`X-Forwarded-For: ${line}`, 'X-Real-IP: 10.0.0.1'), 'unclear', line)
  const behind = 'X-Forwarded-For: 10.0.0.1, 192.0.2.7, 10.0.0.2'
  t.equal(addressOf(behind, 'X-Real-IP: 10.0.0.1'), 'unclear', 'left of the client')
  t.equal(addressOf(behind, 'X-Real-IP: 10.0.0.2'), '192.0.2.7')
})

t.test('R566: who passes on and does not say for whom has no client', async t => {
  t.equal(addressOf('X-Forwarded-Proto: https'), 'unknown')
  t.equal(addressOf('X-Forwarded-Host: a', 'X-Forwarded-For: '), 'unknown')
  t.equal(said('Via: 1.1 proxy', 'X-Forwarded-Port: 443'), undefined, 'nothing is said')
})

t.test('R572: as many proxies behind each other as a loop makes are none', async t => {
  const line = (count: number) => `X-Forwarded-For: 192.0.2.7${', 10.0.0.1'.repeat(count)}`
  t.equal(addressOf(line(HOPS_MAX - 1)), '192.0.2.7')
  t.equal(addressOf(line(HOPS_MAX)), 'unknown')
  t.equal(addressOf(line(10_000)), 'unknown')
  t.equal(addressOf(`X-Forwarded-For: ${','.repeat(90_000)}`), 'unknown')
})

function settingsOf(...trusted: readonly string[]): ProxySettings {
  const networks = trusted.map(text => {
    const read = readNetwork(text)
    if (read.kind !== 'network') throw new Error(text)
    return read.network
  })
  return { trusted: networks, protocol: 'none' }
}

type Asked = Parameters<Callers['of']>[0]

const asked = (remoteAddress: string | undefined, ...rawHeaders: readonly string[]) =>
  ({ socket: { remoteAddress }, rawHeaders }) as unknown as Asked

t.test('R561: from who is not listed the headers say nothing', async t => {
  const forged = ['X-Forwarded-For', '192.0.2.7', 'X-Forwarded-Proto', 'https', 'Forwarded', '"']
  for (const [trusted, peer] of [
    [[], '10.0.0.1'],
    [['10.0.0.1'], '10.0.0.2'],
    [['10.0.0.1'], '::1'],
    [['2001:db8::/64'], '2001:db8:0:1::1'],
    [['10.0.0.1'], undefined],
  ] as const) {
    const callers = new Callers({ settings: () => settingsOf(...trusted) })
    const found = callers.of(asked(peer, ...forged))
    t.match(found, { address: peer, isForwarded: false, host: undefined, scheme: undefined })
    t.equal(found.unclear, undefined)
  }
})

t.test('R560: listed is by network, and IPv4 in the clothes of IPv6 is IPv4', async t => {
  for (const [trusted, peer] of [
    ['10.0.0.0/8', '10.9.9.9'],
    ['10.0.0.0/8', '::ffff:10.9.9.9'],
    ['::1', '::1'],
    ['2001:db8::/64', '2001:db8::99'],
    ['fe80::/10', 'fe80::1%eth0'],
  ] as const) {
    const callers = new Callers({ settings: () => settingsOf(trusted) })
    const found = callers.of(asked(peer, 'X-Forwarded-For', '192.0.2.7'))
    t.match(found, { address: '192.0.2.7', isForwarded: true }, `${trusted} ${peer}`)
    const address = peer.replace('::ffff:', '')
    t.match(callers.of(asked(peer)), { address, isForwarded: false }, 'its own request')
  }
})

t.test('R560: a list that changes holds from then on', async t => {
  let settings = settingsOf('10.0.0.1')
  const callers = new Callers({ settings: () => settings })
  const request = asked('10.0.0.1', 'X-Forwarded-For', '192.0.2.7')
  const before = callers.of(request)
  t.equal(callers.again(before, request), before)
  settings = settingsOf('10.0.0.2')
  t.equal(callers.again(before, request).address, '10.0.0.1')
  settings = settingsOf()
  t.equal(callers.again(before, request).address, '10.0.0.1')
})

t.test('R567: who passes on and is not listed is told of until it is told once', async t => {
  const told: string[] = []
  const unlisted = {
    get isTold() {
      return told.length > 0
    },
    tell: (address: string) => told.push(address),
  }
  const tellOf = { unlisted, silent: { isTold: true, tell: () => {} } }
  const callers = new Callers({ settings: () => settingsOf('10.0.0.1'), tellOf })
  callers.of(asked('10.0.0.9', 'Via', '1.1 x', 'X-Forwarded-Proto', 'https'))
  callers.of(asked('10.0.0.1', 'X-Forwarded-For', '192.0.2.7'))
  t.same(told, [])
  for (const name of ['X-Forwarded-For', 'Forwarded'])
    callers.of(asked('10.0.0.9', name, '192.0.2.7'))
  t.same(told, ['10.0.0.9'])
})
