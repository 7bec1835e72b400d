// Compiles src/ to dist/ and native/ when something there is newer than the last build; does nothing otherwise.
import { spawnSync } from 'node:child_process'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildNative } from './build-native.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const stamp = join(root, 'dist', '.built')
const inputs = ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json', 'src']

/** The newest modification time under `path`, in milliseconds; 0 when there is none. */
function newestMs(path) {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return 0
  if (!stat.isDirectory()) return stat.mtimeMs
  // A directory's own time tells of a file that was removed.
  return readdirSync(path).reduce(
    (newest, name) => Math.max(newest, newestMs(join(path, name))),
    stat.mtimeMs,
  )
}

export function buildIfNeeded() {
  buildNative()
  const newestInput = Math.max(...inputs.map(name => newestMs(join(root, name))))
  if (newestMs(stamp) >= newestInput) return
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const run = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
    cwd: root,
    stdio: 'inherit',
  })
  if (run.status !== 0) process.exit(run.status ?? 1)
  writeFileSync(stamp, '')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) buildIfNeeded()
