// Runs one or more test suites and says in one line how many tests passed and failed.
// usage: node scripts/test.mjs SUITE… [--cuts N]   with the suites of the table below; exit code 1 when anything failed or was
// skipped. N: power cuts of the fault suite, 20 when not given.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildIfNeeded } from './build.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Of a longer run of power cuts: what one may take. */
const SECONDS_PER_CUT = 15

/** Fault tests that need root, a compiler, much memory or minutes. */
const isHeavy = file => /\/fault\/(heavy-|store-|native-)/.test(file)

/**
 * `files` chooses among all test files; `timeoutSeconds` ends one file that hangs; `atOnce` files run side by side, one where they
 * load the machine or share its ports.
 */
const SUITES = {
  fast: {
    files: file => !file.startsWith('test/e2e/') && !isHeavy(file),
    timeoutSeconds: 300,
    atOnce: 3,
    env: {},
  },
  // The data port's own tests once more, over TLS.
  tls: {
    files: file => /^test\/protocol\/(hot|http|pull|push)-/.test(file),
    timeoutSeconds: 300,
    atOnce: 3,
    env: { OVER_TLS: '1' },
  },
  fault: {
    files: file => isHeavy(file) || /\/fault\/(lying-upstream|mutated-requests)/.test(file),
    timeoutSeconds: 900,
    atOnce: 1,
    env: { FAULTS: '1000', MUTATIONS: '10000' },
  },
  e2e: { files: file => file.startsWith('test/e2e/'), timeoutSeconds: 1800, atOnce: 1, env: {} },
}

function testFiles(directory) {
  return readdirSync(directory)
    .map(name => join(directory, name))
    .flatMap(path =>
      statSync(path).isDirectory() ? testFiles(path) : path.endsWith('.test.ts') ? [path] : [],
    )
    .map(path => (path.startsWith(root) ? relative(root, path) : path))
    .sort((a, b) => (a < b ? -1 : 1))
}

/** Runs tap, keeps its whole output in .tap/, and shows one line for each file and whatever failed. */
function runSuite(name) {
  const suite = SUITES[name]
  const files = testFiles(join(root, 'test')).filter(suite.files)
  const args = [
    '--disable-coverage',
    '--allow-empty-coverage',
    '--reporter=tap',
    `--timeout=${suite.timeoutSeconds}`,
  ]
  const tap = join(root, 'node_modules', '.bin', 'tap')
  if (!existsSync(tap)) {
    console.error('the tools for tests are not installed: run "npm ci"')
    process.exit(1)
  }
  const child = spawn(tap, [...args, `--jobs=${suite.atOnce}`, ...files], {
    cwd: root,
    // tap starts whatever `node` comes first; that must be the one that runs this.
    env: {
      ...suite.env,
      ...process.env,
      PATH: `${dirname(process.execPath)}${delimiter}${process.env.PATH}`,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const output = []
  const total = { passed: 0, failed: 0, skipped: 0 }
  let failing = false
  createInterface({ input: child.stdout }).on('line', line => {
    output.push(line)
    const result = /^(\s*)(not ok|ok) \d+( - .*)?/.exec(line)
    if (result?.[1] === '' && result[3] !== undefined) console.log(line)
    if (result !== null) failing = result[2] === 'not ok' && !line.includes('# SKIP')
    if (failing && result?.[1] !== '') console.log(line)
    // What tests print on purpose: matrices, histograms.
    if (/^\s*# (?!Subtest|time=|\{ total|No coverage)/.test(line)) console.log(line)
    const footer = /^# \{ total: (\d+)(.*)\}/.exec(line)
    if (footer !== null) {
      const count = what => Number(new RegExp(`${what}: (\\d+)`).exec(footer[2])?.[1] ?? 0)
      total.passed = count('pass')
      total.failed = count('fail')
      total.skipped = count('skip') + count('todo')
    }
  })
  return new Promise(resolve => {
    child.on('close', code => {
      mkdirSync(join(root, '.tap'), { recursive: true })
      writeFileSync(join(root, '.tap', `${name}.tap`), `${output.join('\n')}\n`)
      // A runner that dies before its footer has failed, whatever it counted.
      if (code !== 0 && total.failed === 0) total.failed = 1
      if (total.passed === 0) total.failed += 1
      resolve(total)
    })
  })
}

const { values, positionals: names } = parseArgs({
  options: { cuts: { type: 'string' } },
  allowPositionals: true,
})
if (values.cuts !== undefined) {
  process.env.CUTS = values.cuts
  SUITES.fault.timeoutSeconds += Number(values.cuts) * SECONDS_PER_CUT
}
const unknown = names.find(name => !Object.hasOwn(SUITES, name))
if (unknown !== undefined || names.length === 0) {
  console.error(`usage: node scripts/test.mjs ${Object.keys(SUITES).join('|')}…`)
  process.exit(2)
}
// Once, before several tests start the real process at the same time.
buildIfNeeded()
const sum = { passed: 0, failed: 0, skipped: 0 }
for (const name of names) {
  const total = await runSuite(name)
  for (const key of Object.keys(sum)) sum[key] += total[key]
}
const skipped = sum.skipped === 0 ? '' : `, ${sum.skipped} skipped`
console.log(`${sum.passed} passed, ${sum.failed} failed${skipped}`)
process.exit(sum.failed + sum.skipped === 0 ? 0 : 1)
