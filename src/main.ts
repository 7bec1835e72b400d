#!/usr/bin/env node
// argv → command. The only reader of `process`: arguments, environment, signals, streams and exit
// codes pass through here. It looks at Node's version before anything is loaded that would crash on
// an old one.
import { availableParallelism, totalmem } from 'node:os'
import { isatty } from 'node:tty'
import { setFlagsFromString } from 'node:v8'

/** The oldest Node that runs everything: type stripping and the SQLite binding set it. */
const OLDEST_NODE = [24, 12] as const

function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])
}

if (isTooOld(process.versions.node)) {
  process.stderr.write(
    `entrepot needs Node ${OLDEST_NODE.join('.')} or newer and this is ${process.versions.node}: run it with "npm start", which brings its own, or install a newer one\n`,
  )
  process.exit(78)
}

// Disk and DNS run on these threads, four by default: a few pushes that sync would hold every pull.
// Their number is read when the first of them is needed, which is not before this line; what the
// environment says stays.
process.env['UV_THREADPOOL_SIZE'] ??= '16'

// How large the heap may be before V8 looks for garbage is said for this thread, which fills
// (systemd/entrepot.service). The others need less, and would let as much lie about.
setFlagsFromString('--initial-heap-size=0')
setFlagsFromString('--min-semi-space-size=0')

// What a command prints is its result: without it, it has failed. A reader that has seen enough
// (`entrepot ls | head`) is no error.
let outlivesStreams = false
for (const [name, stream] of Object.entries({ output: process.stdout, error: process.stderr })) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (outlivesStreams) return
    if (error.code === 'EPIPE') process.exit(0)
    process.stderr.write(`standard ${name} cannot be written: ${error.code ?? error.message}\n`)
    process.exit(1)
  })
}

const { runCommand } = await import('./cli/commands.ts')
const { exitCode } = await runCommand(process.argv.slice(2), {
  env: process.env,
  stdin: () => process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  isTerminal: process.stdout.isTTY === true,
  hasTerminal: [0, 1, 2].some(isatty),
  nodeVersion: process.versions.node,
  pid: process.pid,
  // Without a limit, constrainedMemory is beyond what any machine has, or 0.
  memoryBytes: Math.min(totalmem(), process.constrainedMemory() || totalmem()),
  // As the scheduler, and a control group's quota, let this process have them.
  cores: availableParallelism(),
  uid: process.geteuid?.(),
  native: process.env['ENTREPOT_NATIVE'] !== 'off',
  onSignal: (signal, act) => {
    process.on(signal, act)
  },
  onExit: act => {
    process.on('exit', act)
  },
  outliveStreams: () => {
    outlivesStreams = true
  },
  exit: code => process.exit(code),
})
process.exitCode = exitCode
