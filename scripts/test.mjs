// Runs one or more test suites and says in one line how many tests passed and failed.
// usage: node scripts/test.mjs SUITE… [--cuts N]
// With the suites of the table below; exit code 1 when anything failed or was skipped. N: power
// cuts of the fault suite, 20 when not given.
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildIfNeeded } from './build.mjs'
import { bundleTap } from './bundle-tap.mjs'
import { runTestFiles, sumOf } from './run-test-files.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Of a longer run of power cuts: what one may take. */
const SECONDS_PER_CUT = 15

/** What a suite that runs in memory may need of it: some 500 MB at once, and room to spare. */
const MEMORY_MIN_BYTES = 4 * 1024 ** 3
const MEMORY = '/dev/shm'
/** For all others. */
const DISK = tmpdir()
/** For what the files print, and for what is to find node_modules. */
const KEPT = join(root, '.tap')

/** Fault tests that need root, a compiler, much memory or minutes. */
const isHeavy = file => /\/fault\/(heavy-|store-|native-)/.test(file)

/** Those of them that measure memory, or what the kernel was asked for and keeps. */
const isMeasured = file => /\/fault\/(heavy-(herd|hot|stalled)|native-(leaks|stalled))/.test(file)

const isEndToEnd = file => file.startsWith('test/e2e/')

const FAST = {
  files: file => !isEndToEnd(file) && !isHeavy(file),
  timeoutSeconds: 300,
  atOnce: 3,
  env: {},
}

const FAULT = {
  files: file =>
    isHeavy(file) || /\/fault\/(lying-upstream|mutated-requests|space-model)/.test(file),
  timeoutSeconds: 900,
  // Most of it is starts of processes, syncs, and one thread that simulates.
  atOnce: 2,
  isAlone: isMeasured,
  first: [
    'heavy-fsck',
    'push-calls',
    'power-cut',
    'full-cache',
    'lying-upstream',
    'collection-calls',
    'space-model',
  ],
  env: { FAULTS: '1000', MUTATIONS: '10000', STEPS: '1000000' },
}

/**
 * `files` chooses among all test files; `timeoutSeconds` ends one file that hangs; `atOnce` files
 * run side by side, but no two of those that `isInTurn` says, as they share ports of the machine,
 * and by themselves those that `isAlone` says; those named by `first` begin, as they take longest;
 * `inMemory` puts temporary files there, where there is room: for what has been run on a disk
 * already, on which making and removing some hundred directories for each edge takes a third of the
 * time.
 */
const SUITES = {
  fast: FAST,
  // Once more, by the oldest Node that is supported; what shows that a simulation can fail has been
  // shown.
  oldest: { ...FAST, inMemory: true, env: { CONTROLS: 'off' } },
  // The data port's own tests once more, over TLS.
  tls: {
    files: file => /^test\/protocol\/[a-z]+\/(hot|http|pull|push)-/.test(file),
    timeoutSeconds: 300,
    atOnce: 3,
    env: { OVER_TLS: '1' },
    inMemory: true,
  },
  fault: FAULT,
  e2e: { files: isEndToEnd, timeoutSeconds: 1800, atOnce: 1, env: {} },
  // Both: clients wait for their daemons half of the time.
  slow: {
    ...FAULT,
    files: file => FAULT.files(file) || isEndToEnd(file),
    timeoutSeconds: 1800,
    isInTurn: isEndToEnd,
  },
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

/** Removed when this ends. */
function temporary(parent) {
  const directory = mkdtempSync(join(parent, 'entrepot-'))
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
  return directory
}

function hasRoom(directory) {
  if (!existsSync(directory)) return false
  const { bavail, bsize } = statfsSync(directory)
  return bavail * bsize >= MEMORY_MIN_BYTES
}

/**
 * Keeps all that the files print in .tap/, and shows one line for each file and whatever failed.
 */
async function runSuite(name) {
  const { files, first = [], env, inMemory, ...how } = SUITES[name]
  const kept = join(KEPT, `${name}.tap`)
  writeFileSync(kept, '')
  // Those that are not named there come last, in their order.
  const rank = file => first.findIndex(part => file.includes(part)) >>> 0
  const chosen = testFiles(join(root, 'test'))
    .filter(files)
    .sort((a, b) => rank(a) - rank(b))
  if (chosen.length === 0) throw new Error(`suite ${name} has no files`)
  process.env.TMPDIR = inMemory && hasRoom(MEMORY) ? temporary(MEMORY) : DISK
  const startedMs = performance.now()
  const total = await runTestFiles(chosen, {
    directory: root,
    // What the first files compiled, the others and all threads that they start find.
    env: { ...env, NODE_COMPILE_CACHE: compiled, TAP_URL: tapUrl },
    ...how,
    ended: ({ all, shown }) => {
      appendFileSync(kept, `${all.join('\n')}\n`)
      console.log(shown.join('\n'))
    },
  })
  const seconds = ms => `${Math.round(ms / 1_000)} s`
  const tookMs = performance.now() - startedMs
  console.log(`# ${name}: ${seconds(tookMs)}, ${seconds(total.processorMs)} of processors`)
  return total
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
if (!existsSync(join(root, 'node_modules', 'tap'))) {
  console.error('the tools for tests are not installed: run "npm ci"')
  process.exit(1)
}
// Once, before several tests start the real process at the same time.
buildIfNeeded()
mkdirSync(KEPT, { recursive: true })
const compiled = temporary(DISK)
const tapUrl = await bundleTap(temporary(KEPT))
const totals = []
for (const name of names) totals.push(await runSuite(name))
const sum = sumOf(totals)
const skipped = sum.skipped === 0 ? '' : `, ${sum.skipped} skipped`
console.log(`${sum.passed} passed, ${sum.failed} failed${skipped}`)
process.exit(sum.failed + sum.skipped === 0 ? 0 : 1)
