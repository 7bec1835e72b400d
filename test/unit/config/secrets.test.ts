// Goal: passwords come from where they are safe, are read right, and show nowhere. Method: files as
// objects, and every way in which JavaScript prints a value.
import { inspect } from 'node:util'
import t from 'tap'
import { UNIT_CREDENTIALS } from '../../../src/config/judge.ts'
import { Secret } from '../../../src/config/secret.ts'
import { makeCertificate } from '../../kit/certificate.ts'
import { complaints, configOf, loadText } from '../../kit/load-text.ts'

const CANARY = 'c4n4ry-p4ssw0rd'
/** Behind a whole one. */
const CUT = `${makeCertificate().ca}-----BEGIN CERTIFICATE-----\n`
const FILES = { '/etc/hub': `${CANARY}\n`, '/run/credentials/hub': CANARY }

/** Of an edge that nobody else reaches: who may read with its credentials is not looked at here. */
function upstream(keys: string): string {
  return `upstreams: { docker.io: { ${keys} } }\nhttp: { addr: "127.0.0.1:5000" }`
}

t.test('a password file is read without its last line break', async t => {
  const { upstreams } = configOf(upstream('username: u, passwordfile: /etc/hub'), { files: FILES })
  const credentials = upstreams[0]?.credentials
  t.match(credentials, { kind: 'password', username: 'u' })
  t.equal(credentials?.kind === 'password' && credentials.password.reveal(), CANARY)
})

t.test('a name without a slash is a systemd credential', async t => {
  const text = upstream('username: u, passwordfile: hub')
  const env = { CREDENTIALS_DIRECTORY: '/run/credentials' }
  t.match(configOf(text, { files: FILES, env }).upstreams[0], { credentials: { kind: 'password' } })
  t.match(complaints(text, { files: FILES }), [
    /passwordfile: cannot read hub: there is no such file; a credential of the unit is there while it runs, for root; else set CREDENTIALS_DIRECTORY/,
  ])
})

t.test('a command beside the running unit finds its credentials', async t => {
  const text = upstream('username: u, passwordfile: hub')
  const files = { [`${UNIT_CREDENTIALS}/hub`]: CANARY }
  const around = { files, directories: [UNIT_CREDENTIALS] }
  t.match(configOf(text, around).upstreams[0], { credentials: { kind: 'password' } })
  const env = { CREDENTIALS_DIRECTORY: '/elsewhere' }
  t.match(
    complaints(text, { ...around, env }),
    [/cannot read \/elsewhere\/hub/],
    'given ones go first',
  )
})

t.test('R195: a secret shows in nothing that prints', async t => {
  const { upstreams, settings } = configOf(upstream('username: u, passwordfile: /etc/hub'), {
    files: FILES,
    env: { HTTPS_PROXY: `http://u:${CANARY}@proxy.example` },
  })
  const secret = new Secret(CANARY)
  const shown = [
    JSON.stringify({ upstreams, settings, secret }),
    inspect({ upstreams, settings, secret }, { depth: 20, showHidden: true }),
    `${String(secret)} ${new Error(String(secret)).stack}`,
    Object.values(secret).join(''),
  ].join('')
  t.notMatch(shown, CANARY)
  t.equal(inspect({ secret }), '{ secret: [secret] }')
  t.equal(JSON.stringify({ secret }), '{"secret":"[secret]"}')
})

t.test('R195: no finding repeats a secret', async t => {
  const texts = [
    upstream(`username: u, password: ${CANARY}`),
    upstream(`password: ${CANARY}`),
    upstream(`username: u, password: [${CANARY}]`),
    upstream(`url: "https://u:${CANARY}@a.example"`),
    upstream(`url: "https://a.example?token=${CANARY}"`),
    upstream(`proxy: "http://u:${CANARY}@a.example:3128"`),
  ]
  for (const text of texts) {
    const said = complaints(text).join('\n')
    t.match(said, /error|warning/)
    t.notMatch(said, CANARY)
  }
  t.match(complaints(texts[3]), [/must not hold a user name or password.*passwordfile/])
})

t.test(
  'a password in the file is accepted with a warning, in the environment without one',
  async t => {
    const inFile = loadText(upstream(`username: u, password: ${CANARY}`))
    t.match(inFile, {
      kind: 'ok',
      warnings: [{ severity: 'warning', path: 'upstreams.docker.io.password' }],
    })
    const env = { ENTREPOT_UPSTREAMS_DOCKER_IO_PASSWORD: CANARY }
    t.match(configOf(upstream('username: u'), { env }).upstreams[0], {
      credentials: { kind: 'password' },
    })
  },
)

t.test('a secret file that everybody can read is warned about', async t => {
  const text = upstream('username: u, passwordfile: /etc/hub')
  t.match(complaints(text, { files: FILES, modes: { '/etc/hub': 0o100604 } }), [
    /warning: upstreams.docker.io.passwordfile: every user of this machine can read \/etc\/hub: chmod 600 it/,
  ])
  t.same(complaints(text, { files: FILES, modes: { '/etc/hub': 0o100640 } }), [])
})

t.test('credentials that are incomplete, empty or given twice are faults', async t => {
  const files = { ...FILES, '/empty': '\n', '/two': 'a\nb\n', '/etc/cut': CUT }
  const table: Record<string, RegExp> = {
    'username: u': /username: has no password/,
    'passwordfile: /etc/hub': /docker.io: has a password and no username/,
    'username: u, passwordfile: /nowhere': /passwordfile: cannot read \/nowhere/,
    'username: u, passwordfile: /empty': /passwordfile: names an empty file/,
    'username: u, passwordfile: /two': /passwordfile: names a file with more than one line/,
    'username: u, passwordfile: /etc/hub, credentials: { helper: x }': /credentials: give one of/,
    'credentials: { helper: x, dockerconfig: /etc/hub }': /credentials: give one of/,
    'credentials: {}': /credentials: needs dockerconfig or helper/,
    'credentials: { dockerconfig: /nowhere }': /dockerconfig: cannot read \/nowhere/,
    'client: { certificate: /etc/hub, key: /etc/hub }':
      /client.certificate: \/etc\/hub holds no PEM certificate/,
    'ca: /etc/cut': /ca: \/etc\/cut holds a certificate that is damaged/,
    'client: { certificate: /etc/hub }': /client.key: is missing/,
    'ca: /etc/hub': /ca: \/etc\/hub holds no PEM certificate/,
  }
  for (const [keys, message] of Object.entries(table)) {
    t.match(complaints(upstream(keys), { files })[0], message, keys)
  }
  const env = { ENTREPOT_UPSTREAMS_DOCKER_IO_PASSWORD: CANARY }
  t.match(complaints(upstream('username: u, passwordfile: /etc/hub'), { files, env }), [
    /give password or passwordfile/,
  ])
})

t.test('certificates and keys arrive as the text of their files', async t => {
  const { cert: certificate } = makeCertificate()
  const key = `-----BEGIN EC PRIVATE KEY-----\n${CANARY}\n-----END EC PRIVATE KEY-----\n`
  const config = configOf(upstream('ca: /ca, client: { certificate: /crt, key: /key }'), {
    files: { '/ca': certificate, '/crt': certificate, '/key': key },
  })
  t.equal(config.upstreams[0]?.connection.ca, certificate)
  t.equal(config.upstreams[0]?.client?.key.reveal(), key)
  t.notMatch(inspect(config, { depth: 20 }), CANARY)
})

t.test('credentials over plain HTTP are warned about', async t => {
  const said = complaints(upstream('http: true, username: u, passwordfile: /etc/hub'), {
    files: FILES,
  })
  t.match(said, [/warning: upstreams.docker.io: sends its credentials over plain HTTP/])
})

t.test('secrets are equal when their values are', async t => {
  t.ok(new Secret('a').equals(new Secret('a')))
  t.notOk(new Secret('a').equals(new Secret('b')))
})
