// Goal: an operator is told which access rule decides, where it stands, and what else speaks
// against a write. Method: the command as main.ts runs it, over files of the test's own.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { KINDS_OF_WHO } from '../../../src/access/names.ts'
import { runCli } from '../../kit/cli.ts'
import { makeKey } from '../../kit/stubs/issuer.ts'

async function open(t: Test, text: string) {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-access-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const config = join(directory, 'edge.yaml')
  await writeFile(config, text)
  return {
    config,
    test: (...argv: string[]) => runCli(['access', 'test', ...argv, '--config', config]),
    check: () => runCli(['check', '--config', config]),
  }
}

/** By htpasswd of Apache 2.4. */
const HASH = '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2'

const RULES = `access:
  - { who: "net:10.0.0.0/8", match: "localhost/team/**", tags: ["v*"], allow: [push, delete] }
  - { who: local, match: "**", allow: [pull, push, list] }
  - { who: "*", match: "docker.io/library/*", allow: [pull] }
`

t.test('R407: access test names the deciding rule and its line', async t => {
  const { test } = await open(t, RULES)
  for (const [argv, exitCode, stdout] of [
    [
      ['10.0.0.7', 'push', 'localhost/team/app'],
      0,
      /^allowed: access\[0\] on line 2 decides: who net:10\.0\.0\.0\/8, match localhost\/team\/\*\*, tags v\*, allow push delete$/m,
    ],
    [['10.0.0.7', 'push', 'localhost/team/app', '--tag', 'v1'], 0, /access\[0\]/],
    [['10.0.0.7', 'push', 'localhost/team/app', '--tag', 'edge'], 1, /^denied: no rule of access/],
    [['10.0.0.7', 'delete', 'localhost/team/app', '--tag', 'v1'], 0, /access\[0\]/],
    [['10.0.0.7', 'delete', 'localhost/team/app'], 1, /^denied/],
    [['::ffff:10.0.0.7', 'push', 'localhost/team/app'], 0, /access\[0\]/],
    [['local', 'push', 'localhost/a'], 0, /access\[1\] on line 3/],
    [
      ['local', 'push', 'docker.io/library/alpine'],
      0,
      /access\[1\].*\n +repositories refuses all pushes there/,
    ],
    [['local', 'delete', 'localhost/a'], 1, /^denied: access\[1\] on line 3 decides/],
    [['anonymous', 'pull', 'docker.io/library/alpine'], 0, /access\[2\] on line 4/],
    [['anonymous', 'list', 'docker.io/library/alpine'], 1, /access\[2\]/],
    [['192.0.2.1', 'pull', 'localhost/a'], 1, /after the last one nothing is allowed/],
  ] as const)
    t.match(await test(...argv), { exitCode, stdout }, argv.join(' '))
  const json = await test('local', 'delete', 'localhost/a', '--json')
  t.match(JSON.parse(json.stdout), { allowed: false, rule: 1, place: { source: 'file', line: 3 } })
})

t.test('R407: access test reads names as the data port does', async t => {
  const { test } = await open(t, RULES)
  for (const [name, exitCode, stdout] of [
    ['docker.io/library/alpine', 0, /access\[2\] on line 4[^\n]*\n$/],
    ['docker.io/alpine', 0, /access\[2\].*\n +docker\.io\/alpine is docker\.io\/library\/alpine/],
    ['index.docker.io/library/alpine', 0, /is docker\.io\/library\/alpine/],
    ['registry-1.docker.io/alpine', 0, /is docker\.io\/library\/alpine/],
    ['docker.io:443/alpine', 0, /is docker\.io\/library\/alpine/],
    ['docker.io/team/app', 1, /^denied: no rule/],
  ] as const)
    t.match(await test('192.0.2.1', 'pull', name), { exitCode, stdout }, name)
  const usage = (stderr: RegExp) => ({ exitCode: 2, stderr })
  t.match(await test('192.0.2.1', 'pull', 'team/app'), usage(/such as docker\.io\/team\/app/))
  t.match(await test('192.0.2.1', 'pull', 'nowhere.example/a'), usage(/is not an upstream/))
})

t.test('R407: nobody is local in a pod, unless the configuration says so', async t => {
  const inPod = { env: { KUBERNETES_SERVICE_HOST: '10.0.0.1' } }
  const ask = async (text: string) => {
    const { config } = await open(t, text)
    const argv = ['access', 'test', 'local', 'push', 'localhost/a', '--config', config]
    const { stdout } = await runCli(['check', '--config', config], inPod)
    return { ...(await runCli(argv, inPod)), told: stdout }
  }
  for (const text of [RULES, ''])
    t.match(await ask(text), { exitCode: 1, told: /nobody is a program of this machine.*pod/ })
  for (const text of [RULES, ''])
    t.match(await ask(`http: { localpush: true }\n${text}`), { exitCode: 0 })
})

t.test('R407: without rules access test says what holds', async t => {
  const { test } = await open(t, '')
  t.match(await test('192.0.2.1', 'pull', 'localhost/a'), { exitCode: 0, stdout: /everybody may/ })
  t.match(await test('192.0.2.1', 'push', 'localhost/a'), { exitCode: 1, stdout: /only programs/ })
  t.match(await test('local', 'push', 'localhost/a'), { exitCode: 0 })
  const off = await open(t, 'http: { localpush: false }')
  t.match(await off.test('local', 'push', 'localhost/a'), { exitCode: 1 })
})

t.test('R786: access test asks for a member of a group, and says where no account is', async t => {
  const opened = await open(t, RULES)
  const accounts = `${opened.config}.htpasswd`
  const names = ['alice', 'bob', 'carol', 'dave']
  await writeFile(accounts, names.map(each => `${each}:${HASH}\n`).join(''))
  await writeFile(
    opened.config,
    `auth:
  htpasswd: { path: ${accounts} }
  groups: { ci: [alice, bob, carol, "robot:fleet"], few: [dave], none: [] }
access:
  - { who: "group:ci", match: "**", allow: [pull] }
`,
  )
  const { test } = opened
  for (const [who, told] of [
    ['group:ci', 'group:ci is a group: name one of its members, alice, bob, carol, … (4 in all)'],
    ['group:few', 'group:few is a group: name one of its members, dave'],
    ['group:none', 'group:none has no members: nobody is in it'],
    ['group:c1', 'group:c1: no such group under auth.groups (did you mean group:ci?)'],
    ['group:constructor', 'group:constructor: no such group under auth.groups'],
    ['alise', `alise: no such account in ${accounts} (did you mean alice?)`],
    ['anonymus', `anonymus: no such account in ${accounts} (did you mean anonymous?)`],
  ] as const)
    for (const words of [['pull', 'localhost/a'], ['admin']]) {
      const { exitCode, stderr } = await test(who, ...words)
      t.equal(exitCode, 2, who)
      t.ok(stderr.includes(`${told}\n`), stderr)
    }
})

t.test('what access test cannot read is a usage error with the way out', async t => {
  const { test, config } = await open(t, RULES)
  for (const [argv, stderr] of [
    [['10.0.0.7', 'read', 'localhost/a'], /an action is one of pull, push, delete, list/],
    [['10.0.0.7', 'pul', 'localhost/a'], /did you mean pull/],
    [['alice', 'pull', 'localhost/a'], /alice is nobody here/],
    [['10.0.0.0/8', 'pull', 'localhost/a'], /is nobody here: it is one of alice, robot:ci, oidc:/],
    [['local', 'pull', 'alpine'], /written with its registry/],
    [['local', 'push', 'localhost/a', '--tag', '.'], /a tag is/],
    [['local', 'pull'], /usage/],
    [['local', 'pull', 'localhost/a', 'more'], /usage/],
  ] as const)
    t.match(await test(...argv), { exitCode: 2, stderr }, argv.join(' '))
  t.match(await runCli(['access', 'show', '--config', config]), { exitCode: 2, stderr: /usage/ })
  const broken = await open(t, 'access: [{ who: alice, match: "**", allow: [pull] }]')
  t.match(await broken.test('local', 'pull', 'localhost/a'), {
    exitCode: 78,
    stderr: /access\[0\]/,
  })
})

t.test('R737: access test tells who may run the edge from elsewhere', async t => {
  const { config, test } = await open(t, '')
  const file = join(t.testdir({ htpasswd: `alice:${HASH}\nbob:${HASH}\n` }), 'htpasswd')
  const all = (who: string, ...allow: readonly string[]) => ({ who, match: '**', allow })
  const write = (access: readonly object[], more: object = {}) =>
    writeFile(config, JSON.stringify({ auth: { htpasswd: { path: file } }, access, ...more }))
  const api = { admin: { api: '127.0.0.1:5002' } }
  await write([all('alice', 'admin'), all('cert:ops', 'pull', 'admin'), all('*', 'pull')], api)
  for (const [who, exitCode, stdout] of [
    ['alice', 0, /^allowed: access\[0\] on line 1 decides: who alice, match \*\*, allow admin\n$/],
    ['cert:ops', 0, /^allowed: access\[1\]/],
    ['bob', 1, /^denied: access\[2\]/],
    ['robot:ci', 1, /^denied: access\[2\]/],
    ['local', 1, /^denied: it is for accounts, robots and certificates alone/],
    ['10.0.0.7', 1, /^denied: it is for accounts/],
  ] as const)
    t.match(await test(who, 'admin'), { exitCode, stdout }, who)
  const json = await test('alice', 'admin', '--json')
  t.match(JSON.parse(json.stdout), { allowed: true, rule: 0, place: { source: 'file', line: 1 } })
  t.match(await test('alice', 'admin', 'localhost/a'), { exitCode: 2 })
  t.match(await test('alice', 'pull'), { exitCode: 2 })
  await write([all('alice', 'admin')])
  t.match(await test('alice', 'admin'), { exitCode: 0, stdout: /admin\.api is not set/ })
  await write([], api)
  t.match(await test('alice', 'admin'), { exitCode: 1, stdout: /^denied: no rule/ })
})

t.test('check says what programs on the machine may do', async t => {
  for (const [text, stdout] of [
    ['', /programs on this machine may push and delete/],
    ['http: { localpush: false }', /nobody may push or delete/],
    [RULES, /programs on this machine may do what access allows them/],
  ] as const)
    t.match(await (await open(t, text)).check(), { exitCode: 0, stdout })
})

t.test('R511: access test knows accounts, their groups, and what holds without rules', async t => {
  const file = join(t.testdir({ htpasswd: `alice:${HASH}\nbob:${HASH}\n` }), 'htpasswd')
  const auth = `auth: { htpasswd: { path: ${file} }, groups: { ci: [bob] } }\n`
  const ruled = await open(
    t,
    `${auth}access:\n  - { who: "group:ci", match: "localhost/**", allow: [pull, push] }\n`,
  )
  t.match(await ruled.test('bob', 'push', 'localhost/a'), { exitCode: 0, stdout: /who group:ci/ })
  t.match(await ruled.test('alice', 'pull', 'localhost/a'), { exitCode: 1, stdout: /no rule/ })
  t.match(await ruled.test('alicia', 'pull', 'localhost/a'), { exitCode: 2, stderr: /mean alice/ })
  const alone = await open(t, auth)
  t.match(await alone.test('alice', 'push', 'localhost/a'), { exitCode: 0, stdout: /logged in/ })
  for (const who of ['anonymous', 'local', '10.0.0.7'])
    t.match(await alone.test(who, 'pull', 'localhost/a'), { exitCode: 1, stdout: /logged in/ }, who)
  const checked = await runCli(['check', '--config', alone.config])
  t.match(checked.stdout, /2 accounts in .*htpasswd: whoever has logged in may do everything/)
  t.match(checked.stdout, /programs on this machine log in like others/)
  await writeFile(file, '')
  t.match(await alone.test('local', 'push', 'localhost/a'), {
    exitCode: 0,
    stdout: /no account in the file/,
  })
  const empty = await runCli(['check', '--config', alone.config])
  t.match(empty.stdout, /may do everything until there is an account/)
})

t.test('R589, R760: access test knows who shows a token of an identity provider', async t => {
  const { test, check } = await open(
    t,
    `auth: { oidc: { ci: { issuer: "https://ci.example.com", audiences: [edge], groups: repository } } }
access:
  - { who: "oidc:ci:repo:team/app", match: "localhost/app/**", allow: [pull, push] }
  - { who: "group:oidc:ci:team/app", match: "localhost/app/**", allow: [pull] }
  - { who: "group:oidc:ci", match: "localhost/open/**", allow: [pull] }
`,
  )
  for (const [who, action, name, exitCode, stdout] of [
    ['oidc:ci:repo:team/app', 'push', 'localhost/app/x', 0, /access\[0\] on line 3/],
    ['oidc:ci:repo:team/other', 'pull', 'localhost/app/x', 1, /no rule of access/],
    ['oidc:ci:repo:team/other', 'pull', 'localhost/open/x', 0, /access\[2\] on line 5/],
    ['group:oidc:ci:team/app', 'pull', 'localhost/app/x', 0, /access\[1\] on line 4/],
    ['group:oidc:ci:team/app', 'push', 'localhost/app/x', 1, /access\[1\] on line 4/],
    ['group:oidc:ci', 'pull', 'localhost/open/x', 0, /access\[2\] on line 5/],
  ] as const) {
    const told = await test(who, action, name)
    t.match(told, { exitCode, stdout }, `${who} ${action} ${name}`)
  }
  t.match(await test('oidc:cd:x', 'pull', 'localhost/open/x'), { exitCode: 2 })
  const job = ['oidc:ci:repo:team/app:ref:main', 'pull', 'localhost/app/x'] as const
  t.match(await test(...job), {
    exitCode: 1,
    stdout:
      /^denied: .*\n +its groups are not known here: with --group team\/app access\[1\] on line 4 allows it\n$/,
  })
  t.match(await test(...job, '--group', 'team/other'), {
    exitCode: 1,
    stdout: /^denied: [^\n]*\n$/,
  })
  for (const groups of [['team/app'], ['team/other', 'team/app']])
    t.match(await test(...job, ...groups.flatMap(each => ['--group', each])), {
      exitCode: 0,
      stdout: /^allowed: access\[1\] on line 4[^\n]*\n$/,
    })
  for (const who of ['10.0.0.7', 'group:oidc:ci'])
    t.match(await test(who, 'pull', 'localhost/app/x', '--group', 'team/app'), {
      exitCode: 2,
      stderr: /--group is for oidc:PROVIDER:NAME/,
    })
  t.match(await check(), { exitCode: 0, stdout: /tokens of ci: access says what they may do/ })
})

t.test('access test takes one of each kind of who that its help names, and no other', async t => {
  const { config, test } = await open(t, '')
  const file = join(t.testdir({ htpasswd: `alice:${HASH}\n` }), 'htpasswd')
  const github = { issuer: 'https://ci.example.com', audiences: ['edge'], groups: 'groups' }
  const auth = { htpasswd: { path: file }, oidc: { github }, groups: { ci: ['alice'] } }
  const access = [{ who: '*', match: '**', allow: ['pull'] }]
  await writeFile(config, JSON.stringify({ auth, access }))
  const { stdout: help } = await runCli(['access', '--help'])
  for (const { example, canCall } of Object.values(KINDS_OF_WHO)) {
    t.match(await test(example, 'pull', 'localhost/a'), { exitCode: canCall ? 0 : 2 }, example)
    t.equal(help.includes(` ${example} `), canCall, example)
  }
})

t.test('R806: rules about who logs in say what is missing, where nobody can', async t => {
  for (const [who, told] of [
    ['alice', /no accounts without auth\.htpasswd/],
    ['robot:ci', /no robots without auth, .*auth\.htpasswd, auth\.oidc or auth\.token/],
    ['group:ci', /no groups without auth/],
    ['oidc:github:a', /no identity providers without auth\.oidc/],
  ] as const) {
    const { check } = await open(t, `access: [{ who: "${who}", match: "**", allow: [pull] }]\n`)
    t.match(await check(), { exitCode: 78, stderr: told }, who)
  }
})

t.test('R666: access test says of a token server’s accounts what rules say', async t => {
  const { config, test, check } = await open(t, '')
  const jwks = join(config, '..', 'jwks')
  const { kid, publicKey } = makeKey('ES256', 'one')
  await writeFile(jwks, JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid }] }))
  const token = { realm: 'https://auth.example.com/t', service: 'edge', issuer: 'a', jwks }
  const rule = { who: 'alice', match: 'localhost/app/**', allow: ['pull'] }
  await writeFile(config, JSON.stringify({ auth: { token }, access: [rule] }))
  t.match(await test('alice', 'pull', 'localhost/app/x'), {
    exitCode: 0,
    stdout: /access\[0\].*\n +a token has to grant it, too/,
  })
  t.match(await test('bob', 'pull', 'localhost/app/x'), { exitCode: 1 })
  t.match(await check(), { exitCode: 0, stdout: /tokens of https:\/\/auth\.example\.com\/t say/ })
  await writeFile(config, JSON.stringify({ auth: { token } }))
  t.match(await test('alice', 'pull', 'localhost/app/x'), {
    exitCode: 0,
    stdout:
      /^allowed: .*whoever shows a token .* may do what it grants.*\n +a token has to grant it, too\n$/,
  })
  for (const who of ['local', 'anonymous'])
    t.match(await test(who, 'push', 'localhost/app/x'), { exitCode: 1, stdout: /nobody else/ })
  const robot = await test('robot:rr', 'pull', 'localhost/app/x')
  t.match(robot, { exitCode: 0, stdout: /^allowed: .*a robot may, by its secret\n$/ })
  const stdout = /programs on this machine show tokens like others/
  t.match(await check(), { exitCode: 0, stdout }, 'R733: nobody is let in without one')
})
