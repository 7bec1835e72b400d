// Goal: no answer of a registry leads this edge to an address inside its own network. Method: every
// form in which such an address can be written, against the policy alone; that connections obey it
// is in test/protocol/upstream/upstream-addresses.test.ts.
import t from 'tap'
import { failureThrownBy } from '../../kit/open-upstream.ts'
import {
  createAddressPolicy,
  nonPublicRange,
} from '../../../src/upstream/connect/address-policy.ts'

const policy = createAddressPolicy({
  endpoints: [new URL('http://10.0.0.1:5000'), new URL('https://registry.corp.example')],
  realms: ['minio.corp.example:9000', '10.0.0.9'],
  privateAddresses: false,
})

const PRIVATE_FORMS = [
  'http://127.0.0.1/',
  'http://127.1/',
  'http://2130706433/',
  'http://0x7f000001/',
  'http://0177.0.0.1/',
  'http://127.0.0.1./',
  'http://①②⑦.0.0.1/',
  'http://0.0.0.0/',
  'http://0/',
  'http://10.1.2.3/',
  'http://172.16.0.1/',
  'http://172.31.255.255/',
  'http://192.168.1.1/',
  'http://100.64.0.1/',
  'http://169.254.169.254/latest/meta-data/',
  'http://168.63.129.16/',
  'http://192.0.2.1/',
  'http://198.18.0.1/',
  'http://224.0.0.1/',
  'http://255.255.255.255/',
  'http://[::1]/',
  'http://[::]/',
  'http://[::127.0.0.1]/',
  'http://[::ffff:127.0.0.1]/',
  'http://[::ffff:7f00:1]/',
  'http://[::ffff:0:127.0.0.1]/',
  'http://[64:ff9b::7f00:1]/',
  'http://[64:ff9b::a9fe:a9fe]/',
  'http://[64:ff9b:1::1]/',
  'http://[2002:7f00:1::]/',
  'http://[2002:a00:1::]/',
  'http://[2001:0:1::1]/',
  'http://[fe80::1]/',
  'http://[fec0::1]/',
  'http://[fc00::1]/',
  'http://[fd00:ec2::254]/',
  'http://[ff02::1]/',
  'http://[100::1]/',
  'http://[2001:db8::1]/',
  'http://localhost/',
  'http://localhost./',
  'http://LOCALHOST/',
  'http://registry.localhost/',
  'http://metadata/',
  'http://metadata.google.internal/',
  'http://nas.local/',
  'http://router.lan/',
  'http://intranet/',
  'http://registry.intranet/',
  'http://registry.internal/',
  'http://registry.localdomain/',
  'http://registry.home.arpa/',
  'http://registry.metadata/',
  'http://registry.lan./',
]

t.test(
  'R188: private addresses are refused in every form in which a URL can write them',
  async t => {
    for (const form of PRIVATE_FORMS) {
      t.equal(
        failureThrownBy(() => policy.checkHost(new URL(form))),
        'refused',
        form,
      )
    }
  },
)

t.test('R188: public addresses and names pass', async t => {
  const forms = ['https://8.8.8.8/', 'https://[2606:4700::1]/', 'https://[::ffff:8.8.8.8]/']
  for (const form of [...forms, 'https://[2002:808:808::]/', 'https://auth.docker.io/token']) {
    t.doesNotThrow(() => policy.checkHost(new URL(form)), form)
  }
})

t.test('R188: one private address among those of a name spoils the name', async t => {
  t.equal(
    failureThrownBy(() => policy.checkAddresses('evil.example', ['8.8.8.8', '10.0.0.1'])),
    'refused',
  )
  t.equal(
    failureThrownBy(() => policy.checkAddresses('evil.example', ['::ffff:10.0.0.1'])),
    'refused',
  )
  t.equal(
    failureThrownBy(() => policy.checkAddresses('none.example', [])),
    'unavailable',
  )
  t.doesNotThrow(() => policy.checkAddresses('good.example', ['8.8.8.8', '2606:4700::1']))
})

t.test('R188: only the very host and port that is configured may be private', async t => {
  t.equal(policy.trustOf(new URL('http://10.0.0.1:5000/v2/')), 'endpoint')
  t.equal(policy.trustOf(new URL('http://10.0.0.1:6379/')), 'untrusted')
  t.equal(policy.trustOf(new URL('https://registry.corp.example:443/v2/')), 'endpoint')
  t.equal(policy.trustOf(new URL('https://minio.corp.example:9000/')), 'listed')
  t.equal(policy.trustOf(new URL('https://minio.corp.example/')), 'untrusted')
  t.equal(policy.trustOf(new URL('http://10.0.0.9:1234/')), 'listed')
  t.doesNotThrow(() => policy.checkHost(new URL('http://10.0.0.1:5000/')))
  t.equal(
    failureThrownBy(() => policy.checkHost(new URL('http://10.0.0.1:5001/'))),
    'refused',
  )
})

t.test('an address is judged by the one that it carries inside', async t => {
  t.equal(nonPublicRange('64:ff9b::808:808'), undefined)
  t.equal(nonPublicRange('2002:c0a8:101::'), 'a private address')
  t.equal(nonPublicRange('not an address'), 'no address')
})
