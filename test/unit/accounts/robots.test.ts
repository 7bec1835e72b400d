// Goal: whatever the file of robots holds, the edge starts, says what is wrong with which file, and
// takes nobody for a robot. Method: the real file, whole and with each of its fields spoiled.
import { spawnSync } from 'node:child_process'
import fs, { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { dirname, join } from 'node:path'
import t from 'tap'
import { Robots } from '../../../src/accounts/tokens/robots.ts'

type Test = Pick<typeof t, 'testdir'>

function open(test: Test, path = join(test.testdir(), 'robots.json')) {
  const damaged: unknown[] = []
  const robots = new Robots(path, { nowMs: () => 1_000, damaged: error => damaged.push(error) })
  return { path, robots, damaged }
}

function issued({ robots }: { readonly robots: Robots }): string {
  const change = robots.issue('ci', undefined)
  return change.kind === 'issued' ? change.secret : ''
}

t.test('R522: robots outlast a restart', async t => {
  const before = open(t)
  t.ok(before.robots.isEmpty)
  const secret = issued(before)
  const after = open(t, before.path)
  t.match(after.robots.find(secret), { name: 'ci' })
  t.same(after.damaged, [])
})

t.test('R810: a secret may overlap for ever, and all robots outlast that', async t => {
  const before = open(t)
  const old = issued(before)
  const change = before.robots.rotate('ci', Infinity)
  const secret = change.kind === 'issued' ? change.secret : ''
  const after = open(t, before.path)
  t.same(after.damaged, [])
  for (const each of [old, secret])
    t.match(after.robots.find(each), { name: 'ci', forMs: Infinity })
})

t.test('R794: a secret without an end as an earlier build wrote it has none', async t => {
  const before = open(t)
  const old = issued(before)
  before.robots.rotate('ci', Infinity)
  const text = readFileSync(before.path, 'utf8')
  const whole = JSON.parse(text) as { robots: { secrets: object[] }[] }
  for (const { secrets } of whole.robots)
    for (const each of secrets) Object.assign(each, { untilMs: null })
  writeFileSync(before.path, JSON.stringify(whole))
  const after = open(t, before.path)
  t.same(after.damaged, [])
  t.match(after.robots.find(old), { name: 'ci', forMs: Infinity })
  after.robots.issue('other', undefined)
  t.notMatch(readFileSync(before.path, 'utf8'), 'null', 'from now on as it is written today')
})

t.test('R655: a file of robots of whatever shape is told by its name, and left', async t => {
  const before = open(t)
  const secret = issued(before)
  const whole = JSON.parse(readFileSync(before.path, 'utf8')) as { robots: readonly object[] }
  const robot = (fields: object) => ({ robots: [{ ...whole.robots[0], ...fields }] })
  const wrong = [
    { robots: undefined },
    { robots: {} },
    { robots: [null] },
    { robots: ['ci'] },
    robot({ name: 7 }),
    robot({ name: 'Not a name' }),
    robot({ secrets: undefined }),
    robot({ secrets: [null] }),
    robot({ secrets: [{}] }),
    robot({ secrets: [{ hash: 'x', untilMs: 'soon' }] }),
    robot({ issuedAtMs: undefined }),
    robot({ expiresAtMs: 'never' }),
    robot({ lifeMs: null }),
    { version: undefined },
    { version: 2 },
  ].map(fields => JSON.stringify({ ...whole, ...fields }))
  for (const text of ['', '{', 'null', '[]', '7', ...wrong]) {
    writeFileSync(before.path, text)
    const { robots, damaged } = open(t, before.path)
    t.match(damaged, [new RegExp(before.path)], text)
    t.equal(robots.find(secret), undefined)
    t.notOk(robots.isEmpty, 'there may have been some')
    t.throws(() => robots.issue('other', undefined), /damaged/)
    t.equal(readFileSync(before.path, 'utf8'), text)
  }
})

/** While `work` runs no directory can be synced, as on a disk that fails. */
function withoutDirectories(work: () => void): void {
  const { fsyncSync } = fs
  fs.fsyncSync = descriptor => {
    if (fs.fstatSync(descriptor).isDirectory()) throw new Error('EIO: i/o error, fsync')
    fsyncSync(descriptor)
  }
  syncBuiltinESMExports()
  try {
    work()
  } finally {
    fs.fsyncSync = fsyncSync
    syncBuiltinESMExports()
  }
}

t.test('R685: a change that the disk failed, and that is told so, is not in force', async t => {
  const before = open(t)
  withoutDirectories(() => t.throws(() => issued(before), /EIO/))
  t.ok(open(t, before.path).robots.isEmpty)
  const secret = issued(before)
  withoutDirectories(() => {
    t.throws(() => before.robots.issue('other', undefined), /EIO/)
    t.throws(() => before.robots.rotate('ci', 0), /EIO/)
    t.throws(() => before.robots.revoke('ci'), /EIO/)
  })
  for (const { robots } of [before, open(t, before.path)]) {
    t.match(robots.find(secret), { name: 'ci' })
    t.match(robots.all, [{ name: 'ci' }])
  }
  t.ok(before.robots.revoke('ci'))
  t.equal(open(t, before.path).robots.find(secret), undefined)
  t.same(readdirSync(dirname(before.path)), ['robots.json'], 'no copy is left of what was')
})

/** As soon as the change is in place, and before anything else is done. */
const REVOKE_AND_DIE = `
  import fs from 'node:fs'
  import { syncBuiltinESMExports } from 'node:module'
  const [path, robotsModule] = process.argv.slice(1)
  const { Robots } = await import(robotsModule)
  const robots = new Robots(path, { nowMs: () => 1_000, damaged: () => {} })
  const { fsyncSync } = fs
  fs.fsyncSync = descriptor => {
    if (fs.fstatSync(descriptor).isDirectory()) process.kill(process.pid, 'SIGKILL')
    fsyncSync(descriptor)
  }
  syncBuiltinESMExports()
  robots.revoke('ci')`

t.test('R687: nothing that was taken away is left of a process that was killed', async t => {
  const before = open(t)
  const secret = issued(before)
  const robotsModule = new URL('../../../src/accounts/tokens/robots.ts', import.meta.url).href
  const script = ['--input-type=module', '--eval', REVOKE_AND_DIE]
  const killed = spawnSync(process.execPath, [...script, before.path, robotsModule])
  t.match(killed, { signal: 'SIGKILL', stderr: Buffer.alloc(0) })
  const directory = dirname(before.path)
  t.same(readdirSync(directory).sort(), ['robots.json', 'robots.json.before'])
  t.equal(open(t, before.path).robots.find(secret), undefined)
  t.same(readdirSync(directory), ['robots.json'])
})
