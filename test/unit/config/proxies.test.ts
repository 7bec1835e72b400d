// Goal: a list of proxies is read as it is meant, and what it lets in beyond that is told. Method:
// configurations as text.
import t from 'tap'
import { complaints, configOf } from '../../kit/load-text.ts'

const told = (http: string, more = '') => complaints(`http: { ${http} }\n${more}`)

t.test('R560: proxies are addresses and networks', async t => {
  const { http } = configOf('http: { trustedproxies: [127.0.0.1, "10.1.0.0/16", "::1"] }')
  t.same(http.trustedProxies, [
    { address: '127.0.0.1', bits: 32 },
    { address: '10.1.0.0', bits: 16 },
    { address: '::1', bits: 128 },
  ])
  t.equal(http.proxyProtocol, 'none')
  t.match(told('trustedproxies: ["10.1.2.3/16"]'), [/first address.*did you mean 10\.1\.0\.0\/16/])
  t.match(told('trustedproxies: ["net:10.1.0.0/16"]'), [/did you mean 10\.1\.0\.0\/16/])
  for (const text of ['loopback', 'proxy.lan', '10.1', '10.0.0.1:80'])
    t.match(told(`trustedproxies: ["${text}"]`), [/must be an address, or a network/], text)
  t.match(told('proxyprotocol: v2, trustedproxies: [10.0.0.1]'), [/did you mean required/])
})

t.test('R570: a list that believes whoever it may be is warned of', async t => {
  for (const network of ['0.0.0.0/0', '128.0.0.0/1', '::/0', '2000::/3', '::ffff:0:0/96'])
    t.match(
      told(`trustedproxies: ["${network}"]`),
      [/warning: http\.trustedproxies\[0\]: believes whoever it may be/],
      network,
    )
  t.same(told('trustedproxies: ["10.1.0.0/16", "fd00::/16", "127.0.0.0/8"]'), [])
})

t.test('R733: a list that believes a whole private network is warned of', async t => {
  for (const network of ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'])
    t.match(
      told(`trustedproxies: ["${network}"]`),
      [/warning: http\.trustedproxies\[0\]: is a whole private network/],
      network,
    )
  t.same(told('trustedproxies: ["10.0.0.0/9", "192.168.1.0/24", "fd12:3456::/32"]'), [])
})

t.test('R570: clients that rules are about are no proxies', async t => {
  const rules = 'access: [{ who: "net:10.1.0.0/16", match: "**", allow: [pull] }]\n'
  for (const network of ['10.0.0.0/8', '10.1.0.0/16', '10.1.2.0/24'])
    t.match(
      told(`trustedproxies: [127.0.0.1, "${network}"]`, rules),
      [/warning: http\.trustedproxies\[1\]: has clients in it that access\[0\] is about/],
      network,
    )
  t.same(
    told('trustedproxies: [10.1.0.9, "10.2.0.0/16"]', rules),
    [],
    'one proxy may be among them',
  )
})

t.test('R570: the PROXY protocol of nobody is warned of', async t => {
  t.match(told('proxyprotocol: required'), [/warning: http\.proxyprotocol: changes nothing/])
  t.same(told('proxyprotocol: optional, trustedproxies: [10.0.0.1]'), [])
})

t.test('R564: a proxy on the machine turns pushes without an account off', async t => {
  const pushOf = (http: string) => configOf(`http: { ${http} }`).http.localPush
  t.equal(pushOf('trustedproxies: [127.0.0.1]'), 'proxy')
  t.equal(pushOf('trustedproxies: ["::1"]'), 'proxy')
  t.equal(pushOf('trustedproxies: [127.0.0.1], localpush: true'), 'on')
  t.equal(pushOf('trustedproxies: [10.0.0.1]'), 'unsaid')
})

t.test('R525, R562: with a listed proxy on the machine no public URL is needed', async t => {
  const files = {
    '/etc/ht': 'alice:$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2\n',
  }
  const auth = 'auth: { htpasswd: { path: /etc/ht } }\n'
  const on = (http: string) =>
    complaints(`http: { addr: "127.0.0.1:5000"${http} }\n${auth}`, { files })
  t.match(on(''), [/behind a proxy set http\.host or http\.trustedproxies/])
  t.same(on(', trustedproxies: [127.0.0.1]'), [])
})

t.test(
  'R570: what is read with credentials is exposed by a proxy in front of loopback, too',
  async t => {
    const files = { '/etc/pw': 'x\n' }
    const upstreams = 'upstreams: { docker.io: { username: a, passwordfile: /etc/pw } }\n'
    const on = (http: string) =>
      complaints(`http: { addr: "127.0.0.1:5000"${http} }\n${upstreams}`, { files })
    t.same(on(''), [])
    t.match(on(', trustedproxies: [127.0.0.1]'), [/whoever reaches this edge may pull all of it/])
  },
)
