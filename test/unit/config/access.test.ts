// Goal: what the operator writes about who may do what arrives as rules in their order, and what
// cannot be meant is told with its line and what was probably meant. Method: texts read by
// themselves, and loaded as files.
import t from 'tap'
import { compareConfigs } from '../../../src/config/settings-list.ts'
import { WHO } from '../../../src/config/formats/who.ts'
import { complaints, configOf } from '../../kit/load-text.ts'

const CORP = 'upstreams: { docker.io: {}, registry.corp.example: {} }\n'
const read = (text: string) => WHO.parse({ text, quoted: false })

t.test('R407: rules arrive in their order, with their lines', async t => {
  const { access, accessPlaces } = configOf(`${CORP}
access:
  - { who: "net:10.0.0.0/8", match: localhost/**, tags: ["v*"], allow: [push, delete] }
  - who: local
    match: "*"
    allow: [pull, push, delete, list]
`)
  t.same(access, [
    {
      who: { kind: 'network', network: { address: '10.0.0.0', bits: 8 } },
      match: 'localhost/**',
      tags: ['v*'],
      allow: ['push', 'delete'],
    },
    { who: { kind: 'local' }, match: '**', tags: [], allow: ['pull', 'push', 'delete', 'list'] },
  ])
  t.match(accessPlaces, [
    { source: 'file', line: 4 },
    { source: 'file', line: 5 },
  ])
  t.same(configOf(undefined).access, [])
})

t.test('a reload changes them', async t => {
  const change = compareConfigs(
    configOf(''),
    configOf('access: [{ who: "*", match: "**", allow: [pull] }]'),
  )
  t.same(change, { changed: ['access'], needsRestart: [] })
})

t.test('R407: whom a rule is about is read, and written again', async t => {
  const networks = ['net:10.0.0.0/8', 'net:2001:db8::/32']
  for (const text of ['*', 'anonymous', 'local', 'alice', 'group:ci', ...networks]) {
    const who = read(text)
    t.equal(who.kind, 'ok', text)
    if (who.kind === 'ok') t.equal(WHO.format(who.value), text)
  }
  for (const [text, message, suggestion] of [
    ['10.0.0.0/8', /written net:/, 'net:10.0.0.0/8'],
    ['10.1.2.3/8', /written net:/, 'net:10.0.0.0/8'],
    ['net:10.1.2.3/8', /first address/, 'net:10.0.0.0/8'],
    ['net:10.0.0.0/33', /behind net:/, undefined],
    ['net:edge.example', /behind net:/, undefined],
    ['everyone', /one of/, '*'],
    ['Localhost', /one of/, 'local'],
    ['user:alice', /one of/, 'alice'],
    ['group:', /behind group: stands/, undefined],
    ['robot:X', /behind robot: stands/, undefined],
    ['cert:', /behind cert: stands a name/, undefined],
    ['', /at least one character/, undefined],
  ] as const) {
    const who = read(text)
    t.match(who, { kind: 'fault', message, ...(suggestion && { suggestion }) }, text)
  }
})

t.test('R407: what is no rule is an error with its line', async t => {
  t.match(
    complaints(`${CORP}access:
  - { who: "*", match: "localhost/**", allow: [own] }
  - { who: "*", match: "localhost/**", allow: [read] }
  - { match: "localhost/**", allow: [pull] }
  - { who: "*", match: team, allow: [pull] }
`),
    [
      /edge\.yaml:3:\d+: error: access\[0\]\.allow\[0\]: must be one of pull, push, delete, list/,
      /edge\.yaml:4:\d+: error: access\[1\]\.allow\[0\]: .*did you mean pull/,
      /edge\.yaml:5:\d+: error: access\[2\]\.who: is missing/,
      /edge\.yaml:6:\d+: error: access\[3\]\.match: .*did you mean localhost\/team/,
    ],
  )
  t.match(
    complaints(`access:
  - { who: alice, match: "localhost/a", allow: [pull] }
  - { who: anonymus, match: "localhost/b", allow: [pull] }
`),
    [
      /edge\.yaml:2:\d+: error: access\[0\]\.who: there are no accounts without auth/,
      /error: access\[1\]\.who: there are no accounts.*did you mean anonymous/,
    ],
  )
})

t.test('R407: what is allowed has to be said, if it is nothing', async t => {
  t.match(complaints('access: [{ who: "*", match: "localhost/**" }]')[0], /\.allow: is missing/)
})

t.test('R407: check tells of rules that are never reached, or match nothing', async t => {
  const told = complaints(`${CORP}access:
  - { who: "net:10.0.0.0/8", match: "localhost/team/**", allow: [pull] }
  - { who: "net:10.1.0.0/16", match: "localhost/team/app", allow: [pull] }
  - { who: "net:192.0.2.0/24", match: "localhost/team/app", allow: [pull] }
  - { who: "net:10.0.0.0/8", match: "localhost/**", tags: ["v*"], allow: [push] }
  - { who: "net:10.0.0.0/8", match: "localhost/**", allow: [pull] }
  - { who: anonymous, match: "**", allow: [pull] }
  - { who: local, match: "localhost/**", allow: [pull] }
`)
  t.match(told, [
    /edge\.yaml:4:.*warning: access\[1\]: is never reached: access\[0\] is about all of it/,
    /edge\.yaml:9:.*warning: access\[6\]: is never reached: access\[5\]/,
  ])
  t.equal(told.length, 2)
  t.match(complaints(`${CORP}access: [{ who: "*", match: "quay.io/**", allow: [pull] }]`), [
    /error: access\[0\]\.match: matches nothing: quay\.io/,
  ])
})

t.test('R407: check tells of what lets in more, or less, than it says', async t => {
  const rule = (who: string, match: string, allow: string, more = '') =>
    complaints(`${CORP}${more}access: [{ who: "${who}", match: "${match}", allow: ${allow} }]`)
  t.match(rule('*', 'localhost/**', '[pull, push]'), [/whoever reaches this edge may push there/])
  t.match(rule('anonymous', 'localhost/**', '[pull, push, delete]'), [/may push and delete there/])
  for (const network of ['net:127.0.0.1', 'net:0.0.0.0/0', 'net:::/0'])
    t.match(rule(network, 'localhost/**', '[pull, push]'), [/from loopback comes/], network)
  t.same(rule('net:10.0.0.0/8', 'localhost/**', '[pull, push]'), [])
  t.match(
    rule('net:10.0.0.0/8', 'localhost/**', '[push]'),
    [/no rule allows pull/, /access\[0\]\.allow: .*push and not pull.*learns/],
    'R829',
  )
  t.match(rule('net:10.0.0.0/8', 'docker.io/**', '[pull, push]'), [/push changes nothing/])
  const takes = 'repositories: [{ match: "docker.io/team/**", push: queue }]\n'
  t.same(rule('net:10.0.0.0/8', 'docker.io/**', '[pull, push]', takes), [])
  t.match(rule('*', '**', '[]'), [/no rule allows pull: nobody gets anything/])
  const tagged = (allow: string) =>
    complaints(`${CORP}access:
  - { who: local, match: "localhost/**", tags: ["v*"], allow: ${allow} }
  - { who: local, match: "localhost/**", allow: [pull] }
`)
  t.match(tagged('[pull, push, list]'), [/one without has to allow pull and list/])
  t.same(tagged('[push, delete]'), [])
  const off = 'http: { localpush: false }\n'
  t.match(rule('local', 'localhost/**', '[pull, push]', off), [
    /is nobody: http\.localpush is false/,
  ])
  const named = 'http: { host: "https://edge.example" }\n'
  t.match(rule('local', 'localhost/**', '[pull, push]', named), [/is nobody: with http\.host/])
})

t.test('R407: a pattern that leaves out what it seems to deny is an error', async t => {
  const told = (match: string) =>
    complaints(`${CORP}access:
  - { who: "*", match: "${match}", allow: [] }
  - { who: "*", match: "**", allow: [pull] }
`)
  t.match(told('localhost/secret**'), [
    /yaml:3:.*error: access\[0\]\.match: .*two rules, with localhost\/secret\* and localhost\/secret\*\/\*\*/,
  ])
  for (const match of ['localhost/a**/b', 'localhost/**b', '**.io/a', 'localhost/{a**,b}', '*/***'])
    t.match(told(match), [/error: access\[0\]\.match: \*\* crosses slashes only alone/], match)
  for (const match of ['localhost/a|localhost/b', 'localhost/a|b', 'localhost/+(a|b)|c'])
    t.match(told(match), [/error: access\[0\]\.match: has a \| outside of brackets/], match)
  for (const match of ['localhost/**/b', 'localhost/{a,b/**}', 'localhost/@(a|b)', '*/a*/**'])
    t.same(told(match), [], match)
})

t.test('R407: check tells where a rule about local denies nothing', async t => {
  const told = (...rules: string[]) => complaints(`${CORP}access: [${rules.join(', ')}]`)
  const everybody = '{ who: "*", match: "**", allow: [pull] }'
  t.match(told('{ who: local, match: "localhost/secret/**", allow: [] }', everybody), [
    /access\[0\]\.who: keeps no program on this machine from pull: access\[1\] allows it/,
  ])
  t.match(
    told(
      '{ who: local, match: "localhost/**", allow: [push] }',
      '{ who: "net:10.0.0.0/8", match: "localhost/a/*", allow: [pull, push, list] }',
      everybody,
    ),
    [/keeps no program on this machine from pull and list: access\[1\]/],
  )
  t.match(
    told(
      '{ who: local, match: "localhost/**", tags: ["v*"], allow: [push] }',
      '{ who: "net:10.0.0.0/8", match: "**", allow: [pull, push, delete] }',
    ),
    [/from delete: access\[1\]/],
  )
  for (const rules of [
    ['{ who: local, match: "**", allow: [pull, push, delete, list] }', everybody],
    [
      '{ who: local, match: "localhost/a/**", allow: [] }',
      '{ who: "*", match: "localhost/b/*", allow: [pull] }',
    ],
    [
      '{ who: "*", match: "localhost/**", allow: [pull] }',
      '{ who: local, match: "**", allow: [] }',
    ],
  ])
    t.same(told(...rules), [], rules.join())
})

t.test(
  'R180: what credentials read is for whoever reaches the edge, unless a rule says who',
  async t => {
    const told = (upstream: string, rest = '') =>
      complaints(
        `upstreams: { registry.corp.example: ${upstream} }\ndefault: registry.corp.example\n${rest}`,
      )
    const secret = '{ username: edge, password: x }'
    const named =
      /upstreams\.registry\.corp\.example: is read with credentials, and whoever .* "registry\.corp\.example\/\*\*"/
    const ofIt = (lines: readonly string[]) => lines.filter(line => line.includes('is read with'))
    t.match(ofIt(told(secret)), [named])
    t.match(ofIt(told('{ private: true }')), [/is read with private: true/])
    t.same(ofIt(told('{}')), [])
    t.same(ofIt(told('{ private: true, include: ["team/**"] }')), [])
    t.same(ofIt(told(secret, 'http: { addr: "127.0.0.1:5000" }')), [])
    const rule = (who: string, match: string) =>
      ofIt(told(secret, `access: [{ who: "${who}", match: "${match}", allow: [pull] }]`))
    t.match(rule('*', '**'), [named])
    t.match(rule('anonymous', '**'), [named])
    t.same(rule('*', 'registry.corp.example/**'), [], 'that is said')
    t.same(rule('net:10.0.0.0/8', '**'), [])
    t.same(rule('*', 'registry.corp.example/open/*'), [])
  },
)

t.test('R759: rules that give nobody who has logged in what anonymous gets are told', t => {
  const files = { '/h': 'alice:$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2\n' }
  const told = (...rules: string[]) =>
    complaints(
      `auth: { htpasswd: { path: /h } }
http: { host: "https://edge.example.com" }
access: [${rules.map(rule => `{ ${rule} }`).join(', ')}]`,
      { files },
    )
  const anonymous = 'who: anonymous, match: "docker.io/library/*", allow: [pull]'
  const some = 'who: alice, match: "localhost/**", allow: [pull]'
  for (const rules of [[anonymous], [anonymous, some], [some, anonymous]])
    t.match(told(...rules), [
      /warning: access\[\d\]\.who: nobody who has logged in gets pull by it/,
    ])
  for (const more of [
    'who: alice, match: "**", allow: [pull]',
    'who: "*", match: "docker.io/**", allow: [pull]',
    'who: "net:10.0.0.0/8", match: "docker.io/library/alpine", allow: [pull, list]',
  ])
    t.same(told(anonymous, more), [], more)
  t.same(told('who: anonymous, match: "docker.io/**", allow: []', some), [], 'it gives nothing')
  t.end()
})
