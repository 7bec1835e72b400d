// Goal: what is built stands in one place as a whole, runs as a program, and carries the licenses
// of what it took in. Method: builds of this source into a directory of the test's own, two of them
// at once.
import { execFile } from 'node:child_process'
import {
  cpSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)
const BUILD = join(import.meta.dirname, '../../../scripts/build.mjs')
const PACKAGE = readFileSync('package.json', 'utf8')
const LOCK = '{ "packages": {} }'
/** Below src/, what threads run: a build wants them all. */
const THREADS = {
  server: { 'http-thread.ts': '' },
  catalog: {
    sqlite: { snapshot: { 'snapshot-thread.ts': '' }, writer: { 'writer-thread.ts': '' } },
  },
  accounts: { 'bcrypt-thread.ts': '' },
  store: { filesystem: { reading: { 'hashing-thread.ts': '' } } },
}
/** Not in a build: with a binary of its own, and headers that nothing loads. */
const LEFT_OUT = ['better-sqlite3', 'node-api-headers']

/** The build of the checkout at `root`, as a start does it. */
const buildIfNeeded = (root: string, ...args: string[]) => {
  const start = `(await import('./scripts/build.mjs')).buildIfNeeded(${args.map(each => JSON.stringify(each)).join()})`
  return run(process.execPath, ['--input-type=module', '--eval', start], { cwd: root })
}
const build = (place: string) => run(process.execPath, [BUILD, place])

t.test('two builds at once', async t => {
  // Below the root, where what a build leaves out is found.
  const around = t.testdir({ 'package.json': PACKAGE })
  const place = join(around, 'dist')
  await Promise.all([build(place), build(place)])
  const beside = readdirSync(around)
  t.strictSame(beside, ['dist', 'package.json'], 'nothing is left of the other')
  const program = join(place, 'main.js')
  const { stdout } = await run(program, ['--version'])
  t.match(stdout, /^entrepot \d+\.\d+\.\d+/)

  const before = statSync(program).ino
  await buildIfNeeded(process.cwd(), place)
  t.equal(statSync(program).ino, before, 'nothing is built while nothing has changed')
  await build(place)
  t.not(statSync(program).ino, before, 'but by whoever asks for it by hand')

  const { dependencies } = JSON.parse(PACKAGE)
  const licenses = readFileSync(join(place, 'licenses.txt'), 'utf8')
  const taken = Object.keys(dependencies).filter(name => !LEFT_OUT.includes(name))
  t.ok(taken.length > 5)
  for (const name of taken) t.ok(licenses.includes(`== ${name} ${dependencies[name]}: `), name)
  t.match(licenses, /Permission is hereby granted, free of charge/)
})

t.test('a checkout that another version of older files replaced is built anew', async t => {
  const source = (text: string) => ({ 'main.ts': `console.log('${text}')\n` })
  const src = { ...source('one'), ...THREADS }
  const root = t.testdir({ 'package-lock.json': LOCK, 'package.json': PACKAGE, src, native: {} })
  cpSync('scripts', join(root, 'scripts'), { recursive: true })
  symlinkSync(join(process.cwd(), 'node_modules'), join(root, 'node_modules'))
  const main = join(root, 'src', 'main.ts')
  const said = async () => (await run(process.execPath, [join(root, 'dist', 'main.js')])).stdout
  await buildIfNeeded(root)
  t.equal(await said(), 'one\n')
  const builtAt = statSync(join(root, 'dist')).ino
  utimesSync(main, new Date(), new Date())
  await buildIfNeeded(root)
  t.equal(statSync(join(root, 'dist')).ino, builtAt, 'the same text of another time is the same')
  writeFileSync(main, source('two')['main.ts'])
  for (const path of [main, join(root, 'src')]) utimesSync(path, 1, 1)
  await buildIfNeeded(root)
  t.equal(await said(), 'two\n')

  const sender = join(root, 'native', 'sender.c')
  const addon = join(root, 'native', 'sender.node')
  const builtOf = async (text: string) => {
    writeFileSync(sender, text)
    utimesSync(sender, 1, 1)
    await buildIfNeeded(root)
    return statSync(addon, { throwIfNoEntry: false })?.ino
  }
  const before = await builtOf('int one;\n')
  if (before === undefined) return
  t.not(await builtOf('int another;\n'), before, 'where there is a compiler, so is the native part')
})

// npm 9.2, which Debian 12 has, takes `libc` out when it prunes.
t.test('R484: a lock file that an old npm has pruned locks the same, and starts', async t => {
  const src = { 'main.ts': '', ...THREADS }
  const locking = (version: string, more = {}) =>
    JSON.stringify({
      packages: { 'node_modules/one': { version, integrity: 'sha512-a', ...more } },
    })
  const lock = locking('1.0.0', { libc: ['glibc'] })
  const root = t.testdir({ 'package-lock.json': lock, 'package.json': PACKAGE, src, native: {} })
  cpSync('scripts', join(root, 'scripts'), { recursive: true })
  symlinkSync(join(process.cwd(), 'node_modules'), join(root, 'node_modules'))
  const builtWith = async (text: string) => {
    writeFileSync(join(root, 'package-lock.json'), text)
    await buildIfNeeded(root)
    return statSync(join(root, 'dist')).ino
  }
  const before = await builtWith(lock)
  t.equal(await builtWith(locking('1.0.0')), before)
  t.not(await builtWith(locking('1.0.1')), before, 'another version is another build')
})

t.test('a build that cannot be started says so', async t => {
  const place = t.testdir({ 'package-lock.json': LOCK, src: {}, native: {} })
  cpSync('scripts', join(place, 'scripts'), { recursive: true })
  symlinkSync(join(process.cwd(), 'node_modules'), join(place, 'node_modules'))
  const start = `process.execPath = '/none'; (await import('./scripts/build.mjs')).buildIfNeeded()`
  const args = ['--input-type=module', '--eval', start]
  const ended = run(process.execPath, args, { cwd: place })
  await t.rejects(ended, { code: 1, stderr: /dist\/ must be built anew, .*ENOENT/ })
})
