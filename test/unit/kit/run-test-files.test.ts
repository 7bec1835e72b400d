// Goal: whatever becomes of a test file, the sum of its suite says so. Method: small programs that
// print what test files print, or end as they should not.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { runTestFiles, type Total } from '../../../scripts/run-test-files.ts'

interface Ran {
  readonly total: Omit<Total, 'processorMs'>
  readonly processorMs: number
  readonly shown: readonly string[]
  readonly all: readonly string[]
}

interface Chosen {
  readonly atOnce?: number
  readonly isAlone?: (file: string) => boolean
  readonly isInTurn?: (file: string) => boolean
  readonly timeoutSeconds?: number
  readonly env?: Readonly<Record<string, string>>
}

/** The programs are run in the order of their names. */
async function run(
  t: { teardown(fn: () => unknown): unknown },
  programs: Readonly<Record<string, string>>,
  { atOnce = 1, timeoutSeconds = 60, env = { GIVEN: 'given' }, ...chosen }: Chosen = {},
): Promise<Ran> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-run-'))
  t.teardown(() => rm(directory, { recursive: true }))
  for (const [name, text] of Object.entries(programs))
    await writeFile(join(directory, name), text.replaceAll('print(', 'console.log('))
  const shown: string[] = []
  const all: string[] = []
  const { processorMs, ...total } = await runTestFiles(Object.keys(programs), {
    directory,
    env,
    atOnce,
    ...chosen,
    timeoutSeconds,
    ended: lines => {
      shown.push(...lines.shown.map(line => line.replace(/ # time=.*/, '')))
      all.push(...lines.all)
    },
  })
  return { total, processorMs, shown, all }
}

/** The directive of TAP, in two parts: who searches this tree for open work shall not find it. */
const OPEN = ['TO', 'DO'].join('')

const GOOD = "print('ok 1 - a\\n# { total: 1, pass: 1 }')"

t.test('what files say is added up, and shown by file', async t => {
  const two = "print('ok 1 - a\\n# seed 7\\nok 2 - b\\n# { total: 2, pass: 2 }\\n# time=1ms')"
  const { total, shown, all } = await run(t, { 'a.mjs': GOOD, 'b.mjs': two })
  t.same(total, { passed: 3, failed: 0, skipped: 0 })
  t.same(shown, ['ok 1 - a.mjs', '    # seed 7', 'ok 2 - b.mjs'])
  t.ok(all.includes('    ok 2 - b'), 'everything is kept')
})

t.test('a failure is counted once and shown with its details', async t => {
  const text =
    "print('ok 1 - a\\nnot ok 2 - b\\n  diff: x\\nok 3 - c\\n# { total: 3, pass: 2, fail: 1 }'); process.exitCode = 1"
  const { total, shown } = await run(t, { 'a.mjs': text })
  t.same(total, { passed: 2, failed: 1, skipped: 0 })
  t.same(shown, ['    not ok 2 - b', '      diff: x', 'not ok 1 - a.mjs'])
})

t.test('what is skipped or still to be done is told apart from what passed', async t => {
  const text = `print('ok 1 - a\\nok 2 - b # SKIP no\\nok 3 - c # ${OPEN}\\n# { total: 3, pass: 1, todo: 1, skip: 1 }')`
  t.same((await run(t, { 'a.mjs': text })).total, { passed: 1, failed: 0, skipped: 2 })
})

for (const [name, text] of Object.entries({
  'dies before its sum': "print('ok 1 - a'); process.exit(0)",
  'counts no failure and ends with one': `${GOOD}; process.exitCode = 1`,
  'is killed after its sum': `${GOOD}; process.kill(process.pid, 'SIGKILL')`,
  'tests nothing': "print('1..0\\n# { total: 0, pass: 0 }')",
})) {
  t.test(`a file that ${name} has failed, and the others count`, async t => {
    const { total, shown } = await run(t, { 'a.mjs': text, 'b.mjs': GOOD })
    t.equal(total.failed, 1)
    t.ok(shown.includes('not ok 1 - a.mjs') && shown.includes('ok 2 - b.mjs'), shown.join('; '))
  })
}

t.test('a file that hears nothing any more is ended', async t => {
  const { total, shown } = await run(t, { 'a.mjs': 'for (;;);' }, { timeoutSeconds: 1 / 2 })
  t.same(total, { passed: 0, failed: 1, skipped: 0 })
  t.match(shown, [/SIGKILL/, /^not ok 1 - a.mjs$/])
})

t.test('the processor time of a file is told, with that of what it started', async t => {
  const busyMs = 200
  const busy = `while (process.cpuUsage().user < ${busyMs * 1_000});`
  const text = `import { execFileSync } from 'node:child_process'
    execFileSync(process.execPath, ['-e', ${JSON.stringify(busy)}])
    ${GOOD}`
  const { processorMs, shown } = await run(t, { 'a.mjs': text, 'b.mjs': GOOD })
  if (process.platform === 'linux') t.ok(processorMs >= busyMs, `${processorMs} ms`)
  t.same(shown, ['ok 1 - a.mjs', 'ok 2 - b.mjs'], 'beside its time')
})

t.test('side by side, the lines of two files do not mix', async t => {
  // Each waits until the other has begun to print.
  const meets = (own: string, other: string) => `
    import { existsSync, watch, writeFileSync } from 'node:fs'
    print('# one of ${own}')
    const seen = new Promise(resolve => watch('.', () => existsSync('${other}') && resolve()))
    writeFileSync('${own}', '')
    if (!existsSync('${other}')) await seen
    print('# two of ${own}')
    ${GOOD}
    process.exit()`
  const programs = { 'a.mjs': meets('a', 'b'), 'b.mjs': meets('b', 'a') }
  const { total, shown } = await run(t, programs, { atOnce: 2 })
  t.same(total, { passed: 2, failed: 0, skipped: 0 })
  const halves = [shown.slice(0, 3), shown.slice(3)].map(half => half.join(''))
  t.same(halves.sort(), [
    '    # one of a    # two of aok 1 - a.mjs',
    '    # one of b    # two of bok 2 - b.mjs',
  ])
})

t.test('files that nothing may run beside have ended before the others begin', async t => {
  const text = (own: string) => `
    import { readdirSync, writeFileSync } from 'node:fs'
    print('# ${own} after', readdirSync('.').filter(name => name.length === 1).sort().join())
    process.on('exit', () => writeFileSync('${own}', ''))
    ${GOOD}`
  const programs = Object.fromEntries(['a', 'b', 'c', 'd'].map(own => [`${own}.mjs`, text(own)]))
  const isAlone = (file: string) => file > 'c'
  const { total, shown } = await run(t, programs, { atOnce: 2, isAlone })
  t.same(total, { passed: 4, failed: 0, skipped: 0 })
  const said = shown.filter(line => line.includes('after')).sort()
  t.match(said, [/a after (b,)?c,d$/, /b after (a,)?c,d$/, / c after $/, / d after c$/])
})

t.test('of files that take turns one runs at a time, beside the others', async t => {
  // Held until the last of the others has ended.
  const holding = `
    import { existsSync, mkdirSync, rmdirSync, watch } from 'node:fs'
    try { mkdirSync('held') } catch { process.exit(1) }
    const seen = new Promise(resolve => watch('.', () => existsSync('over') && resolve()))
    if (!existsSync('over')) await seen
    rmdirSync('held')
    ${GOOD}
    process.exit()`
  const programs = {
    'a.mjs': holding,
    'b.mjs': holding,
    'c.mjs': GOOD,
    'd.mjs': `import { writeFileSync } from 'node:fs'; writeFileSync('over', ''); ${GOOD}`,
  }
  const isInTurn = (file: string) => file < 'c'
  const { total } = await run(t, programs, { atOnce: 3, isInTurn })
  t.same(total, { passed: 4, failed: 0, skipped: 0 })
  const { total: all } = await run(t, programs, { atOnce: 3 })
  t.equal(all.failed, 1, 'the others do not wait for each other')
})

t.test('a file gets its time, the environment, and this node as node', async t => {
  const text = `import { execFileSync } from 'node:child_process'
    const node = execFileSync('node', ['-p', 'process.execPath'], { encoding: 'utf8' }).trim()
    print('#', process.env.TAP_TIMEOUT, process.env.GIVEN, node === process.execPath)
    ${GOOD}`
  const { shown } = await run(t, { 'a.mjs': text })
  t.ok(shown.includes('    # 60 given true'), shown.join('; '))
})

t.test('a file runs without hooks, with the arguments that it would have by itself', async t => {
  const text = `import { createHook } from 'node:async_hooks'
    let seen = 0
    createHook({ init: () => (seen += 1) }).enable()
    await new Promise(resolve => setImmediate(resolve))
    print('#', seen, process.argv.length, process.argv[1] === import.meta.filename)
    ${GOOD}`
  const { shown } = await run(t, { 'a.mjs': text })
  t.ok(shown.includes('    # 0 2 true'), shown.join('; '))
})

t.test(
  'a file is given the tap that the runner has for all, and what it starts is not',
  async t => {
    const text = `import tap from 'tap'
    print('#', tap, process.env.TAP_URL)
    ${GOOD}`
    const env = { TAP_URL: 'data:text/javascript,export default "in one file"' }
    const { shown } = await run(t, { 'a.mjs': text }, { env })
    t.ok(shown.includes('    # in one file undefined'), shown.join('; '))
  },
)

t.test('an error that nobody caught fails the file, and not the next one', async t => {
  const tap = import.meta.resolve('tap')
  const stray = `import t from '${tap}'
    t.test('sound', async t => t.pass())
    t.test('stray', async t => {
      setImmediate(() => { throw new Error('expected: nobody catches it') })
      await new Promise(() => {})
    })`
  const { total, shown } = await run(t, { 'a.mjs': stray, 'b.mjs': GOOD })
  t.equal(total.passed, 2)
  t.ok(total.failed > 0)
  t.ok(
    shown.some(line => /not ok 2 - stray/.test(line)),
    'the test that it came from is named',
  )
  t.ok(shown.includes('not ok 1 - a.mjs') && shown.includes('ok 2 - b.mjs'), shown.join('; '))
})
