// Goal: `entrepot user` changes a file of accounts that other programs read as well: whole or not
// at all, for nobody else to read, and with passwords that never are arguments. Method: the command
// as main.ts runs it, over a real directory; hashes of Apache's htpasswd.
import { compareSync } from 'bcryptjs'
import {
  chmodSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import t from 'tap'
import { parseHtpasswd } from '../../../src/access/htpasswd/parse.ts'
import { runCli, typed } from '../../kit/cli.ts'

/** By htpasswd of Apache 2.4, of s3cret. */
const ALICE = 'alice:$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2\n'

function user(args: readonly string[], stdin = typed('')) {
  return runCli(['user', ...args, '--cost', '4'], { stdin })
}

/** At which keys are hit, and the modes that it was in. */
function terminal(keys: string | Uint8Array) {
  const modes: boolean[] = []
  const stdin = Object.assign(Readable.from([Buffer.from(keys)]), {
    isTTY: true,
    setRawMode: (isRaw: boolean) => modes.push(isRaw),
  })
  return { stdin, modes }
}

function passwordOf(file: string, name: string, password: string): boolean {
  const found = parseHtpasswd(readFileSync(file, 'utf8')).entries.find(each => each.name === name)
  return found !== undefined && compareSync(password, found.hash)
}

t.test('R503: a new file is its owner’s alone, and has the password that came in', async t => {
  const file = join(t.testdir(), 'htpasswd')
  const added = await user(['add', 'alice', '--file', file], typed('s3cret\nnot this line\n'))
  t.same(added, { exitCode: 0, stdout: 'alice: added\n', stderr: '' })
  t.equal(statSync(file).mode & 0o7777, 0o600)
  t.ok(passwordOf(file, 'alice', 's3cret'))
  t.match(readFileSync(file, 'utf8'), /^alice:\$2y\$04\$/, 'as htpasswd writes it')
})

t.test('R828: no account is made that the audit log would take for somebody else', async t => {
  const file = join(t.testdir(), 'htpasswd')
  for (const name of ['operator', 'nobody', 'anonymous']) {
    const added = await user(['add', name, '--file', file], typed('s3cret\n'))
    t.match(added, { exitCode: 2, stderr: /call.* so/ }, name)
  }
  writeFileSync(file, ALICE.replace('alice', 'operator'))
  t.equal((await user(['passwd', 'operator', '--file', file], typed('other\n'))).exitCode, 0)
})

t.test('R503: a file of htpasswd keeps mode, comments and other lines', async t => {
  const file = join(t.testdir({ htpasswd: `# people\n${ALICE}bob:{SHA}kept=\n` }), 'htpasswd')
  chmodSync(file, 0o640)
  const inode = statSync(file).ino
  const changed = await user(['passwd', 'alice', '--file', file], typed('other\r\n'))
  t.equal(changed.exitCode, 0)
  t.match(changed.stderr, /htpasswd:3: .*SHA-1/, 'what no server would take is told')
  t.equal(statSync(file).mode & 0o7777, 0o640)
  t.not(statSync(file).ino, inode, 'it was replaced, and never half-written')
  t.match(readFileSync(file, 'utf8'), /^# people\nalice:\$2y\$04\$[^\n]+\nbob:\{SHA\}kept=\n$/)
  t.ok(passwordOf(file, 'alice', 'other'))
  t.equal((await user(['rm', 'alice', '--file', file])).exitCode, 0)
  t.equal(readFileSync(file, 'utf8'), '# people\nbob:{SHA}kept=\n')
})

t.test('R503: what is no file is told so', async t => {
  const directory = t.testdir()
  t.match(await user(['add', 'alice', '--file', directory], typed('s3cret\n')), {
    exitCode: 1,
    stderr: /cannot be changed: it is a directory/,
  })
})

t.test('R503: a link stays one, and what it leads to is changed', async t => {
  const directory = t.testdir({ real: ALICE })
  const link = join(directory, 'link')
  symlinkSync(join(directory, 'real'), link)
  t.equal((await user(['rm', 'alice', '--file', link])).exitCode, 0)
  t.equal(readFileSync(join(directory, 'real'), 'utf8'), '')
  t.same(readdirSync(directory).sort(), ['link', 'real'])
})

t.test('R503: while one changes the file no other does, and nothing is lost', async t => {
  const directory = t.testdir({ htpasswd: ALICE })
  const file = join(directory, 'htpasswd')
  writeFileSync(`${file}.lock`, '')
  const refused = await user(['add', 'bob', '--file', file], typed('x\n'))
  t.match(refused, { exitCode: 1, stderr: /if nobody does, remove .*htpasswd\.lock\n$/ })
  t.equal(readFileSync(file, 'utf8'), ALICE)
  t.same(readdirSync(directory).sort(), ['htpasswd', 'htpasswd.lock'], 'the lock is another’s')
})

t.test('R503: many at once wait for each other, and all are there afterwards', async t => {
  const file = join(t.testdir(), 'htpasswd')
  writeFileSync(`${file}.lock`, '')
  const names = Array.from({ length: 8 }, (_, index) => `user-${index}`)
  const all = names.map(name => user(['add', name, '--file', file], typed('s3cret\n')))
  // Each has its password, and has found the lock.
  for (let turns = 0; turns < 200; turns += 1) await new Promise(setImmediate)
  rmSync(`${file}.lock`)
  for (const { exitCode, stderr } of await Promise.all(all)) t.same([exitCode, stderr], [0, ''])
  const entries = parseHtpasswd(readFileSync(file, 'utf8')).entries.map(({ name }) => name)
  t.same(entries.sort(), names)
})

t.test('R503: what cannot be done is said, and leaves the file and nothing beside it', async t => {
  const directory = t.testdir({ htpasswd: ALICE })
  const file = join(directory, 'htpasswd')
  const cases: readonly (readonly [string[], string, object])[] = [
    [['add', 'alice'], 'x\n', { exitCode: 1, stderr: /already.*user passwd/ }],
    [['passwd', 'bob'], 'x\n', { exitCode: 1, stderr: /no bob in/ }],
    [['rm', 'bob'], '', { exitCode: 1, stderr: /no bob in/ }],
    [['add', 'a:b'], 'x\n', { exitCode: 2, stderr: /no colon/ }],
    [['add', 'local'], 'x\n', { exitCode: 2, stderr: /rules of access/ }],
    [['add', 'bob'], '\n', { exitCode: 1, stderr: /at least one/ }],
    [['add', 'bob'], `${'é'.repeat(37)}\n`, { exitCode: 1, stderr: /72 bytes/ }],
    [['add', 'bob'], 'a\u0000b\n', { exitCode: 1, stderr: /control characters/ }],
    [['add', 'bob', 'secret'], '', { exitCode: 2, stderr: /usage/ }],
    [['change', 'bob'], '', { exitCode: 2, stderr: /usage/ }],
  ]
  for (const [args, text, told] of cases) {
    t.match(await user([...args, '--file', file], typed(text)), told, args.join(' '))
    t.equal(readFileSync(file, 'utf8'), ALICE)
  }
  t.match(await runCli(['user', 'add', 'bob', '--file', file, '--cost', '13']), { exitCode: 2 })
  const nowhere = join(directory, 'no', 'htpasswd')
  for (const [what, text] of [
    ['add', 'x\n'],
    ['rm', ''],
  ] as const)
    t.match(await user([what, 'bob', '--file', nowhere], typed(text)), {
      exitCode: 1,
      stderr: /htpasswd cannot be changed: there is no directory .*\/no\n/,
    })
  t.match(await user(['ls', '--file', nowhere]), { exitCode: 1, stderr: /no such file/ })
  t.same(readdirSync(directory), ['htpasswd'])
})

t.test('R504: at a terminal the password is typed twice, and nothing of it shows', async t => {
  const file = join(t.testdir(), 'htpasswd')
  const { stdin, modes } = terminal('wrong\u0015s3crex\u007fté\u007f\rs3cret\n')
  const added = await user(['add', 'alice', '--file', file], stdin)
  t.match(added, { exitCode: 0, stdout: 'alice: added\n' })
  t.equal(added.stderr, 'New password for alice: \nAgain: \n')
  t.same(modes, [true, false], 'the terminal is as it was')
  t.ok(passwordOf(file, 'alice', 's3cret'))
})

t.test('R504: two passwords, or an interrupt, change nothing', async t => {
  const directory = t.testdir()
  for (const [keys, told] of [
    ['one\rtwo\r', /two different/],
    ['one\u0003', /no password/],
    ['one\r', /no password/],
  ] as const) {
    const { stdin, modes } = terminal(keys)
    const refused = await user(['add', 'alice', '--file', join(directory, 'htpasswd')], stdin)
    t.match(refused, { exitCode: 1, stderr: told })
    t.same(modes, [true, false])
  }
  t.same(readdirSync(directory), [])
})

t.test('R503: a list has names and costs, and no hash', async t => {
  const file = join(t.testdir({ htpasswd: `${ALICE}x:broken\n` }), 'htpasswd')
  const people = await user(['ls', '--file', file])
  t.match(people, { exitCode: 0, stderr: /htpasswd:2: .*\n1 fault: no server takes it\n$/ })
  t.equal(people.stdout, 'NAME   COST\nalice  4\n')
  const json = await user(['ls', '--file', file, '--json'])
  t.same(JSON.parse(json.stdout), { accounts: [{ name: 'alice', cost: 4 }] })
})
