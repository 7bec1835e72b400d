// Goal: a file of accounts is judged before it is in force, with its lines, and what is said about
// accounts elsewhere with it; no hash is told. Method: texts loaded as files.
import t from 'tap'
import { compareConfigs } from '../../../src/config/settings-list.ts'
import { complaints, configOf, loadText } from '../../kit/load-text.ts'

const HASH = '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2'
const LOCAL = 'http: { addr: "127.0.0.1:5000", host: "https://edge.example.com" }\n'
const AUTH = `${LOCAL}auth: { htpasswd: { path: /etc/ht } }\n`
const files = { '/etc/ht': `# people\nalice:${HASH}\nbob:${HASH}\n` }

t.test('R515: accounts and groups arrive, and hashes nowhere else', async t => {
  const text = `${LOCAL}auth: { htpasswd: { realm: Edge 1, path: /etc/ht }, groups: { ci: [bob] } }\n`
  const config = configOf(text, { files })
  t.match(config.auth, { realm: 'Edge 1', file: { path: '/etc/ht' }, groups: { ci: ['bob'] } })
  t.same(config.auth?.names, ['alice', 'bob'])
  t.notMatch(JSON.stringify(config), /WQst/)
  t.equal(configOf(AUTH, { files }).auth?.realm, 'Registry')
  t.equal(configOf('').auth, undefined)
})

t.test('R515: what is wrong in the file is told with its lines, and no content', async t => {
  const around = { files: { '/etc/ht': `alice:${HASH}\nbob:{SHA}hidden=\nalice:${HASH}\n` } }
  const told = complaints(AUTH, around)
  t.match(told, [
    /edge\.yaml:2:\d+: error: auth\.htpasswd\.path: \/etc\/ht:2: .*SHA-1/,
    /auth\.htpasswd\.path: \/etc\/ht:3: has the name of line 1/,
  ])
  t.notMatch(told.join(), /hidden|WQst/)
  t.match(loadText(AUTH, around), { kind: 'invalid', accountsPath: '/etc/ht' })
})

t.test(
  'R515: a file that is not there, or everybody’s to read, is told with the way out',
  async t => {
    t.match(complaints(AUTH), [
      /error: auth\.htpasswd\.path: cannot read \/etc\/ht: there is no such file/,
      /entrepot user add NAME --file \/etc\/ht/,
    ])
    const isDirectory = complaints(AUTH, { directories: ['/etc/ht'] })
    t.notMatch(isDirectory.join(), /user add/, 'nobody can make one of that name')
    const closed = complaints(AUTH, { closed: ['/etc/ht'] })
    t.match(closed.join(), /may not read it.*has to be the one that the server runs as.*chown/)
    t.notMatch(closed.join(), /user add/, 'it is there')
    t.match(complaints(AUTH, { files, modes: { '/etc/ht': 0o100644 } }), [
      /warning: .*every user of this machine can read \/etc\/ht/,
    ])
    t.match(complaints('auth: {}'), [/error: auth: has no htpasswd/])
    t.match(complaints(`${LOCAL}auth: { htpasswd: {} }`), [
      /error: auth\.htpasswd\.path: is missing/,
    ])
    t.match(complaints(`${LOCAL}auth: { htpasswd: { path: /etc/ht, realm: 'a"b' } }`, { files }), [
      /error: auth\.htpasswd\.realm: must be/,
    ])
    t.match(complaints('auth: { token: {} }'), [
      /auth\.token\.realm: is missing/,
      /auth\.token\.service: is missing/,
      /auth\.token\.issuer: is missing/,
    ])
  },
)

t.test('R515: names that nobody has are told, wherever they stand', async t => {
  const told = complaints(
    `${LOCAL}auth: { htpasswd: { path: /etc/ht }, groups: { ci: [bob, alise] } }
access:
  - { who: allice, match: "localhost/a", allow: [pull] }
  - { who: "group:cj", match: "localhost/b", allow: [pull] }
  - { who: anonymous, match: "localhost/**", allow: [pull] }
  - { who: alice, match: "localhost/**", allow: [pull] }
  - { who: alice, match: "localhost/c", allow: [pull] }
`,
    { files },
  )
  t.match(told, [
    /warning: auth\.groups\.ci\[1\]: is no account.*did you mean alice/,
    /warning: access\[0\]\.who: is nobody.*did you mean alice/,
    /warning: access\[1\]\.who: is nobody.*did you mean group:ci/,
    /warning: access\[4\]: is never reached: access\[3\]/,
  ])
  t.equal(told.length, 4)
})

t.test('R828: accounts that are called as the audit log calls others are warned of', async t => {
  const around = { files: { '/etc/ht': `operator:${HASH}\nnobody:${HASH}\nalice:${HASH}\n` } }
  t.match(complaints(AUTH, around), [
    /warning: auth\.htpasswd\.path: \/etc\/ht: .*calls others operator/,
    /warning: auth\.htpasswd\.path: \/etc\/ht: .*calls others nobody/,
  ])
})

t.test('R530: robots are in groups by the name that rules call them', async t => {
  const groups = (members: string) =>
    `${LOCAL}auth: { htpasswd: { path: /etc/ht }, groups: { ci: [${members}] } }\n`
  t.same(complaints(groups('alice, "robot:build-7"'), { files }), [])
  const { auth } = configOf(groups('"robot:build-7"'), { files })
  t.same(auth?.groups, { ci: ['robot:build-7'] })
  t.match(complaints(groups('"robot:Build 7"'), { files }), [
    /error: auth\.groups\.ci\[0\]: behind robot: stands the name of a robot/,
  ])
  t.match(complaints(groups('"team:a"'), { files }), [/is no account: a name has no colon/])
})

t.test('R515: who is asked for a login is not everybody', async t => {
  const upstream = 'upstreams: { docker.io: { username: u, password: p } }\n'
  const open = 'auth: { htpasswd: { path: /etc/ht } }\n'
  const exposed = /whoever reaches this edge may pull all of it/
  t.match(complaints(upstream).join(), exposed)
  t.notMatch(complaints(`${upstream}${open}`, { files }).join(), exposed)
})

t.test('R515: a reload takes over what changed in the file', async t => {
  const later = { '/etc/ht': `alice:${HASH}\n` }
  t.same(compareConfigs(configOf(AUTH, { files }), configOf(AUTH, { files: later })), {
    changed: ['auth.htpasswd.path'],
    needsRestart: [],
  })
  t.same(compareConfigs(configOf(LOCAL), configOf(AUTH, { files })).needsRestart, [])
})

t.test(
  'R515, R525: passwords over plain HTTP are warned of, also where a proxy may be in front',
  async t => {
    const open = 'auth: { htpasswd: { path: /etc/ht } }\n'
    t.match(complaints(open, { files }), [
      /warning: auth: passwords come over plain HTTP.*http\.tls, or http\.host.*own machine/,
    ])
    t.same(complaints(`${open}http: { host: "https://edge.example.com" }`, { files }), [])
    t.same(complaints(AUTH, { files }), [])
    const local = `${open}http: { addr: "127.0.0.1:5000" }`
    t.match(complaints(local, { files }), [/warning: auth: there is neither.*behind a proxy set/])
  },
)

t.test('R519: names that nobody can call so, or that change nothing, are warned of', async t => {
  const told = (http: string, more = '') =>
    complaints(`http: { addr: "127.0.0.1:5000", ${http} }\n${more}`, { files }).filter(
      each => !/behind a proxy set http\.host/.test(each),
    )
  const auth = 'auth: { htpasswd: { path: /etc/ht } }\n'
  const rule =
    'access: [{ who: anonymous, match: "docker.io/library/**", allow: [pull] }, { who: "*", match: "docker.io/**", allow: [pull] }]\n'
  t.same(told('anonymous: [mirror.lan, "mirror.lan:5000"]', auth + rule), [])
  t.match(told('anonymous: [mirror.lan]', rule), [/http\.anonymous: changes nothing: without auth/])
  t.match(told('anonymous: [mirror.lan]', auth), [
    /warning: http\.anonymous: nobody gets anything by these names.*no rule of access/,
  ])
  t.match(told('anonymous: ["mirror.lan:80", "mirror.lan:5001"]', auth + rule), [
    /http\.anonymous\[0\]: is no name that clients send.*did you mean mirror\.lan\?/,
    /http\.anonymous\[1\]: is called by nobody.*listens on 5000.*did you mean mirror\.lan\?/,
  ])
  t.match(told('host: "https://edge.lan", anonymous: ["mirror.lan:443"]', auth + rule), [
    /they leave out :443/,
  ])
  t.same(told('host: "https://edge.lan", anonymous: ["mirror.lan:8443"]', auth + rule), [])
  t.match(told('anonymous: ["*.lan"]', auth + rule), [
    /error: http\.anonymous\[0\]: must be a host/,
  ])
  const both =
    'http: { addr: "127.0.0.1:5000", host: "https://edge.lan", hosts: [a.lan], anonymous: [mirror.lan] }\n'
  const { hosts } = configOf(both + auth + rule, { files }).http
  t.same(hosts, ['a.lan', 'edge.lan', 'mirror.lan'], 'it may be called so')
})
