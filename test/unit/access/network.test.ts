// Goal: a network that a rule names is the one that was meant, in one spelling, and holds the
// addresses that lie in it, as sockets have them. Method: texts, read and asked.
import t from 'tap'
import {
  createIsIn,
  formatNetwork,
  hasLoopback,
  isWithin,
  type Network,
  readNetwork,
} from '../../../src/access/network.ts'
import { NetworkTable } from '../../../src/access/network-table.ts'

function networkOf(text: string): Network {
  const read = readNetwork(text)
  if (read.kind === 'none') throw new Error(text)
  return read.network
}

t.test('R407: networks are read in one spelling', async t => {
  for (const [text, kind, spelled] of [
    ['10.0.0.0/8', 'network', '10.0.0.0/8'],
    ['10.1.2.3', 'network', '10.1.2.3/32'],
    ['10.1.2.3/8', 'inside', '10.0.0.0/8'],
    ['10.1.2.255/25', 'inside', '10.1.2.128/25'],
    ['0.0.0.0/0', 'network', '0.0.0.0/0'],
    ['2001:DB8:0::/32', 'network', '2001:db8::/32'],
    ['2001:db8::1/33', 'inside', '2001:db8::/33'],
    ['::1', 'network', '::1/128'],
    ['::/0', 'network', '::/0'],
    ['::ffff:10.0.0.0/104', 'network', '10.0.0.0/8'],
    ['::ffff:10.0.0.7', 'network', '10.0.0.7/32'],
  ] as const) {
    t.equal(readNetwork(text).kind, kind, text)
    t.equal(formatNetwork(networkOf(text)), spelled, text)
  }
  const none =
    '10.0.0.0/33 ::/129 10.0.0/8 10.1 0x7f.1 010.0.0.1 1.2.3.256 a.b.c.d /8 10.0.0.0/ : fe80::1%eth0'
  for (const text of [...none.split(' '), '', '10.0.0.0/-1', ' 10.0.0.1', '10.0.0.0/8 '])
    t.equal(readNetwork(text).kind, 'none', text)
})

t.test('R407: addresses are in a network as sockets have them', async t => {
  for (const [network, inside, outside] of [
    ['10.0.0.0/8', ['10.0.0.0', '10.255.255.255', '::ffff:10.1.2.3'], ['11.0.0.0', '::a00:1']],
    ['10.1.2.128/25', ['10.1.2.128', '10.1.2.255'], ['10.1.2.127', '10.1.3.128']],
    ['0.0.0.0/0', ['0.0.0.0', '255.255.255.255', '::ffff:1.2.3.4'], ['::', '2001:db8::1']],
    ['::/0', ['::', '2001:db8::1', 'ffff::'], ['1.2.3.4', '::ffff:1.2.3.4']],
    ['2001:db8::/33', ['2001:db8:7fff::1'], ['2001:db8:8000::', '2001:db9::']],
    ['fe80::/10', ['fe80::1', 'fe80::1%eth0', 'fe80::1%br-lan', 'fe80::1%a.b'], ['fec0::1%br-lan']],
    ['192.0.2.7', ['192.0.2.7', '::ffff:192.0.2.7'], ['192.0.2.6', '', 'no address']],
  ] as const) {
    const isIn = createIsIn(networkOf(network))
    for (const address of inside) t.ok(isIn(address), `${address} in ${network}`)
    for (const address of outside) t.notOk(isIn(address), `${address} not in ${network}`)
  }
})

t.test('one network lies in another, and may have loopback in it', async t => {
  const within = (a: string, b: string) => isWithin(networkOf(a), networkOf(b))
  t.ok(within('10.1.0.0/16', '10.0.0.0/8'))
  t.ok(within('10.0.0.0/8', '10.0.0.0/8'))
  t.notOk(within('10.0.0.0/8', '10.1.0.0/16'))
  t.notOk(within('10.0.0.0/8', '::/0'))
  for (const text of ['127.0.0.1', '127.0.0.0/8', '0.0.0.0/0', '::1', '::/0', '126.0.0.0/7'])
    t.ok(hasLoopback(networkOf(text)), text)
  for (const text of ['10.0.0.0/8', '128.0.0.0/1', '::2', '2001:db8::/32'])
    t.notOk(hasLoopback(networkOf(text)), text)
})

t.test('a table of many finds those that an address is in', async t => {
  const written = ['10.0.0.0/8', '10.1.0.0/16', '10.1.0.0/24', '0.0.0.0/0', '2001:db8::/32', '::/0']
  const networks = written.map(networkOf)
  const table = new NetworkTable([...networks, networkOf('10.0.0.0/8')])
  t.equal(table.size, written.length)
  t.same(
    networks.map(network => table.numberOf(network)),
    [0, 1, 2, 3, 4, 5],
  )
  t.throws(() => table.numberOf(networkOf('192.0.2.0/24')))
  for (const address of [
    '10.1.0.7',
    '::ffff:10.1.7.7',
    '192.0.2.1',
    '2001:db8::7',
    'fe80::1%eth0',
  ]) {
    const expected = networks.filter(network => createIsIn(network)(address)).map(formatNetwork)
    const found = (table.find(address) ?? []).map(number =>
      formatNetwork(networks[number] as Network),
    )
    t.same(found.toSorted(), expected.toSorted(), address)
  }
  for (const text of ['', 'unknown', '%eth0']) t.equal(table.find(text), undefined, text)
})
