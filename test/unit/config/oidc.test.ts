// Goal: identity providers arrive as they are written, and what cannot be meant of them, or of
// rules about them, is told before it is in force. Method: texts loaded as files.
import t from 'tap'
import { complaints, configOf } from '../../kit/load-text.ts'

const HTTP = 'http: { addr: "127.0.0.1:5000", host: "https://edge.example.com" }\n'
const ISSUER = 'https://login.example.com/realms/team/'

const textOf = (provider: string, who = 'group:oidc:ci', name = 'ci') =>
  `${HTTP}auth: { oidc: { ${name}: { ${provider} } } }
access: [{ who: "${who}", match: "localhost/**", allow: [pull] }]\n`
const GOOD = `issuer: "${ISSUER}", audiences: [edge]`

t.test('R589: a provider arrives with its defaults, and its issuer letter by letter', async t => {
  const { auth } = configOf(textOf(GOOD))
  t.match(auth, { realm: 'Registry', file: undefined, names: [] })
  t.same(auth?.providers, [
    {
      name: 'ci',
      issuer: ISSUER,
      jwks: undefined,
      audiences: ['edge'],
      username: 'sub',
      groups: undefined,
      claims: {},
      algorithms: ['RS256', 'ES256', 'ES384', 'PS256', 'EdDSA'],
      sessionMs: 3_600_000,
      maxStaleMs: 24 * 3_600_000,
      ca: undefined,
    },
  ])
  t.same(complaints(textOf(GOOD)), [])
  t.same(complaints(textOf(GOOD, 'oidc:ci:repo:team/app:ref:refs/heads/main')), [])
  t.same(complaints(textOf('issuer: "http://127.0.0.1:9000", audiences: [edge]')), [])
})

t.test('R589: what is wrong with a provider is told', async t => {
  for (const [provider, told] of [
    ['audiences: [edge]', /auth\.oidc\.ci\.issuer: is missing/],
    [`issuer: "${ISSUER}"`, /auth\.oidc\.ci\.audiences: must name one at least/],
    ['issuer: "http://login.example.com", audiences: [edge]', /must begin with https:/],
    ['issuer: "https://a:b@login.example.com", audiences: [edge]', /must not hold a user name/],
    ['issuer: "https://login.example.com/?a", audiences: [edge]', /must not hold a query/],
    ['issuer: login.example.com, audiences: [edge]', /must be a URL/],
    [`${GOOD}, algorithms: [HS256]`, /must be one of RS256/],
    [`${GOOD}, algorithms: [none]`, /must be one of RS256/],
    [`${GOOD}, algorithms: []`, /algorithms: must name one at least/],
    [`${GOOD}, claims: { ref: [] }`, /claims\.ref: must name one at least/],
    [`${GOOD}, session: 2d`, /session: /],
    [`${GOOD}, session: 1s`, /session: /],
    [`${GOOD}, maxstale: 30d`, /maxstale: /],
    [`${GOOD}, ca: /etc/ca.pem`, /cannot read \/etc\/ca\.pem/],
    [`${GOOD}, audience: x`, /did you mean audiences/],
  ] as const)
    t.match(complaints(textOf(provider)).join('\n'), told, provider)
  t.match(complaints(textOf(GOOD, 'group:oidc:a:b', '"a:b"')).join('\n'), /is no name/)
  const unruled = `${HTTP}auth: { oidc: { ci: { ${GOOD} } } }\n`
  for (const text of [unruled, `${unruled}access: []\n`])
    t.match(complaints(text).join('\n'), /error: auth\.oidc: needs rules of access/)
})

t.test('R589, R733: a rule about nobody of a provider is told', async t => {
  for (const [who, told] of [
    ['oidc:cj:x', /is nobody: there is no such provider.*oidc:ci/],
    ['group:oidc:nowhere', /is nobody: there is no such provider/],
    ['group:oidc:ci:', /is nobody: a name stands behind the second colon/],
    ['oidc:ci', /behind oidc: stands the name of a provider/],
    ['oidc:ci:a b', /behind oidc: stands the name of a provider/],
    ['group:oidc:ci:devs', /is nobody: auth\.oidc\.ci\.groups does not say which claim/],
  ] as const)
    t.match(complaints(textOf(GOOD, who)).join('\n'), told, who)
  const github = 'issuer: "https://token.actions.githubusercontent.com", audiences: [edge]'
  t.match(complaints(textOf(github)).join('\n'), /warning: access\[0\]\.who: is anybody at all/)
  t.same(complaints(textOf(`${github}, claims: { repository_owner: [team] }`)), [])
  t.same(complaints(textOf(`${github}, groups: repository`, 'group:oidc:ci:team/app')), [])
  const inGroups = `${HTTP}auth: { oidc: { ci: { ${GOOD} } }, groups: { "oidc:ci": [] } }
access: [{ who: "*", match: "localhost/**", allow: [pull] }]\n`
  t.match(complaints(inGroups).join('\n'), /is no group: what begins so/)
})
