// Goal: whoever logged in with docker or podman need not do it again. Method: config files as those
// write them.
import t from 'tap'
import { parseHost } from '../../../src/oci/reference.ts'
import { credentialHosts, dockerConfigEntries } from '../../../src/upstream/auth/docker-config.ts'

const HUB = credentialHosts(parseHost('docker.io'), new URL('https://registry-1.docker.io'), [
  'index.docker.io',
])
const auth = (pair: string) => ({ auth: Buffer.from(pair).toString('base64') })
const entries = (config: unknown, hosts: readonly string[]) =>
  dockerConfigEntries(JSON.stringify(config), hosts)

t.test('R154: Docker Hub is filed under its old URL', async t => {
  const basic = [{ kind: 'basic', username: 'u', secret: 'p:with:colons' }]
  const config = { auths: { 'https://index.docker.io/v1/': auth('u:p:with:colons') } }
  t.same(entries(config, HUB), basic)
  t.same(entries({ auths: { 'docker.io': auth('u:p:with:colons') } }, HUB), basic)
  t.same(entries(config, ['ghcr.io']), [])
})

t.test('hosts are found by name and port, with and without a scheme and a path', async t => {
  for (const key of ['r.example:5000', 'https://r.example:5000', 'http://R.example:5000/v2/']) {
    t.match(
      entries({ auths: { [key]: auth('u:p') } }, ['r.example:5000']),
      [{ username: 'u' }],
      key,
    )
    t.same(entries({ auths: { [key]: auth('u:p') } }, ['r.example']), [], key)
  }
})

t.test('identity tokens, separate members and NUL-padded pairs are understood', async t => {
  const at = (entry: unknown) => entries({ auths: { 'r.example': entry } }, ['r.example'])
  t.same(at({ ...auth('00000000-0000-0000-0000-000000000000:'), identitytoken: 'refresh' }), [
    { kind: 'identity token', username: '00000000-0000-0000-0000-000000000000', secret: 'refresh' },
  ])
  t.same(at({ username: 'u', password: 'p' }), [{ kind: 'basic', username: 'u', secret: 'p' }])
  t.same(at(auth('u:p\0\0')), [{ kind: 'basic', username: 'u', secret: 'p' }])
  t.same(at({}), [])
  t.same(at({ auth: '!!!' }), [])
})

t.test("R157: the host's own helper comes before the store, the store before the file", async t => {
  const config = {
    credHelpers: { 'r.example': 'ecr-login' },
    credsStore: 'pass',
    auths: { 'r.example': auth('u:p') },
  }
  t.same(entries(config, ['r.example']), [
    { kind: 'helper', name: 'ecr-login', server: 'r.example' },
    { kind: 'helper', name: 'pass', server: 'r.example' },
    { kind: 'basic', username: 'u', secret: 'p' },
  ])
  t.same(entries({ credsStore: 'pass' }, HUB), [
    { kind: 'helper', name: 'pass', server: 'https://index.docker.io/v1/' },
  ])
})

t.test('what is no config gives nothing, and what is no JSON throws', async t => {
  t.same(dockerConfigEntries('[]', HUB), [])
  t.same(dockerConfigEntries('{"auths":[1],"credHelpers":"x"}', HUB), [])
  t.throws(() => dockerConfigEntries('{', HUB), SyntaxError)
})
