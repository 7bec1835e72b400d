// Goal: credentials reach the token servers of their registry and no other. Method: pairs of
// registry and realm, as tables.
import t from 'tap'
import { failureThrownBy } from '../../kit/open-upstream.ts'
import { mayCarryCredentials, parseRealm } from '../../../src/upstream/auth/realm.ts'

const REGISTRY = new URL('https://registry-1.docker.io')

t.test('R141: the same host and the same registrable domain may see credentials', async t => {
  const pairs = [
    ['https://registry-1.docker.io', 'https://auth.docker.io/token'],
    ['https://ghcr.io', 'https://ghcr.io/token'],
    ['https://registry.corp.co.uk', 'https://sso.corp.co.uk/token'],
    ['https://10.0.0.1:5000', 'https://10.0.0.1:5001/token'],
    ['http://localhost:5000', 'http://localhost:5001/token'],
    ['https://registry.corp', 'https://registry.corp/token'],
  ] as const
  for (const [registry, realm] of pairs) {
    t.ok(mayCarryCredentials(new URL(realm), new URL(registry), []), `${registry} ${realm}`)
  }
})

t.test(
  'R141: other domains, other addresses and neighbours under a public suffix may not',
  async t => {
    const pairs = [
      ['https://registry-1.docker.io', 'https://auth.docker.io.evil.example/token'],
      ['https://registry-1.docker.io', 'https://evil-docker.io/token'],
      ['https://registry.corp.co.uk', 'https://registry.other.co.uk/token'],
      ['https://one.github.io', 'https://two.github.io/token'],
      ['https://10.0.0.1', 'https://10.0.0.2/token'],
      ['https://127.0.0.1', 'https://localhost/token'],
      ['https://[2606:4700::1]', 'https://[2606:4700::2]/token'],
    ] as const
    for (const [registry, realm] of pairs) {
      t.notOk(mayCarryCredentials(new URL(realm), new URL(registry), []), `${registry} ${realm}`)
    }
  },
)

t.test('R141: the operator may allow more, by host or by host and port', async t => {
  const realm = new URL('https://sso.other.example:8443/token')
  t.ok(mayCarryCredentials(realm, REGISTRY, ['sso.other.example']))
  t.ok(mayCarryCredentials(realm, REGISTRY, ['SSO.other.example:8443']))
  t.notOk(mayCarryCredentials(realm, REGISTRY, ['sso.other.example:443']))
  t.notOk(mayCarryCredentials(realm, REGISTRY, ['other.example']))
})

t.test('R141: a registry on https has its token server on https', async t => {
  t.equal(
    failureThrownBy(() => parseRealm('http://auth.docker.io/token', REGISTRY)),
    'refused',
  )
  t.equal(
    parseRealm('http://10.0.0.1/t', new URL('http://10.0.0.1:5000')).href,
    'http://10.0.0.1/t',
  )
})

t.test('a realm that is no URL, no HTTP or carries a user is an invalid answer', async t => {
  for (const text of [
    '',
    'registry',
    '/token',
    'file:///etc/passwd',
    'https://u:p@auth.docker.io/',
  ]) {
    t.equal(
      failureThrownBy(() => parseRealm(text, REGISTRY)),
      'invalid',
      text,
    )
  }
})
