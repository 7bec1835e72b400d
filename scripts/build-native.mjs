// Compiles native/sender.c to native/sender.node when it is newer than the last build, or when
// asked to. Where that cannot be, on another system or without a compiler, nothing is built and
// nothing is said: the product works without, only slower.
// usage: node scripts/build-native.mjs [--loud] [--sanitize] [--out FILE]
// --loud: say what kept it from being built, exit code 1; --sanitize: with the address and
// undefined-behaviour sanitizers, for tests.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, renameSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('..', import.meta.url))
const SOURCE = join(root, 'native', 'sender.c')
const OUTPUT = join(root, 'native', 'sender.node')

const FLAGS = [
  '-std=c11',
  '-Wall',
  '-Wextra',
  '-shared',
  '-fPIC',
  '-pthread',
  '-fvisibility=hidden',
]
// Its threads outlive the environment that loaded it.
const LINK = ['-Wl,-z,nodelete', '-Wl,-z,relro', '-Wl,-z,now']
const RELEASE = ['-O2']
const SANITIZED = ['-O1', '-g', '-fno-omit-frame-pointer', '-fsanitize=address,undefined']

const modifiedMs = path => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0

/**
 * `anew`: also when the last build is newer, since another version may bring older files.
 * @returns undefined when it is built or was, else why it is not. Never throws.
 */
export function buildNative({ anew = false, sanitize = false, output = OUTPUT } = {}) {
  if (process.platform !== 'linux') return 'it is for Linux'
  if (!anew && modifiedMs(output) > modifiedMs(SOURCE)) return undefined
  let directory
  try {
    const headers = require('node-api-headers').include_dir
    // Beside the output, so that it is put in its place at once and whole.
    directory = mkdtempSync(join(dirname(output), '.build-'))
    const built = join(directory, 'sender.node')
    const flags = [...FLAGS, ...(sanitize ? SANITIZED : RELEASE), ...LINK]
    const args = [...flags, '-I', headers, SOURCE, '-o', built]
    const run = spawnSync(process.env.CC || 'cc', args, { encoding: 'utf8' })
    if (run.error !== undefined) return `there is no C compiler (${run.error.code})`
    if (run.status !== 0) return `the C compiler failed:\n${run.stderr}`
    renameSync(built, output)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      loud: { type: 'boolean', default: false },
      sanitize: { type: 'boolean', default: false },
      out: { type: 'string' },
    },
  })
  const why = buildNative({ sanitize: values.sanitize, ...(values.out && { output: values.out }) })
  if (why !== undefined && values.loud) {
    console.error(`native/sender.node is not built: ${why}`)
    process.exitCode = 1
  }
}
