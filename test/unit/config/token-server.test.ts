// Goal: a token server arrives as it is written, with public keys alone, and what cannot be meant
// of it is told before it is in force. Method: texts loaded as files.
import t from 'tap'
import { makeCertificate } from '../../kit/certificate.ts'
import { makeKey } from '../../kit/stubs/issuer.ts'
import { complaints, configOf } from '../../kit/load-text.ts'

const HTTP = 'http: { addr: "127.0.0.1:5000", host: "https://edge.example.com" }\n'
const SERVER = 'realm: "https://auth.example.com/token", service: edge, issuer: acme'
const key = makeKey('ES256', 'one')
const jwkOf = (half: 'publicKey' | 'privateKey') => ({
  ...key[half].export({ format: 'jwk' }),
  kid: 'one',
})
const textOf = (more: string, around = '') =>
  `${HTTP}auth: { token: { ${SERVER}, ${more} }${around} }\n`

t.test('R666: a token server arrives, and no private half of a key', async t => {
  const files = {
    '/etc/jwks': JSON.stringify({ keys: [jwkOf('privateKey')] }),
    '/etc/crt': makeCertificate().cert,
  }
  const text = textOf('jwks: /etc/jwks, rootcertbundle: /etc/crt')
  const { auth } = configOf(text, { files })
  t.match(auth?.token, { realm: 'https://auth.example.com/token', service: 'edge', issuer: 'acme' })
  t.equal(auth?.token?.roots.length, 1)
  const pem = key.publicKey.export({ format: 'pem', type: 'spki' }).toString()
  t.same(auth?.token?.keys, [{ kid: 'one', pem }])
  t.notMatch(JSON.stringify(configOf(text, { files })), /"d"|PRIVATE/)
  t.same(complaints(text, { files }), [])
})

t.test('R733: a realm to which passwords go in the clear is warned of', async t => {
  const files = { '/etc/jwks': JSON.stringify({ keys: [jwkOf('publicKey')] }) }
  const told = (realm: string) =>
    complaints(textOf('jwks: /etc/jwks').replace('https://auth.example.com/token', realm), {
      files,
    })
  for (const realm of ['http://auth.example.com/token', 'http://10.0.0.7:8080/token'])
    t.match(told(realm), [/warning: auth\.token\.realm: is plain HTTP to another host/], realm)
  for (const realm of ['https://auth.example.com/token', 'http://localhost:8080/token'])
    t.same(told(realm), [], realm)
})

t.test('R666: what is wrong with a token server is told', async t => {
  const good = JSON.stringify({ keys: [jwkOf('publicKey')] })
  const secret = { kty: 'oct', kid: 's', k: 'aGlkZGVu' }
  for (const [text, jwks, told] of [
    [textOf('signingalgorithms: [RS256]'), good, /has neither rootcertbundle nor jwks/],
    [textOf('jwks: /etc/none'), good, /cannot read \/etc\/none/],
    [textOf('rootcertbundle: /etc/jwks'), good, /rootcertbundle: /],
    [textOf('jwks: /etc/jwks'), '{', /jwks: is no JSON/],
    [textOf('jwks: /etc/jwks'), '{"keys":[]}', /jwks: holds no keys/],
    [textOf('jwks: /etc/jwks'), JSON.stringify({ keys: [secret] }), /keys\[0\] is no public key/],
    [textOf('jwks: /etc/jwks, signingalgorithms: [HS256]'), good, /must be one of RS256/],
    [textOf('jwks: /etc/jwks, signingalgorithms: []'), good, /must name one at least/],
    [
      textOf('jwks: /etc/jwks', ', oidc: { ci: { issuer: "https://a.example", audiences: [b] } }'),
      good,
      /auth\.token: stands alone/,
    ],
  ] as const) {
    const all = complaints(text, { files: { '/etc/jwks': jwks } }).join('\n')
    t.match(all, told, text)
    t.notMatch(all, /aGlkZGVu/)
  }
})
