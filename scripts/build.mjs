// Makes dist/ of src/ and what it uses of node_modules/, and native/, when something there is newer
// than the last build; does nothing otherwise. A few large files, because finding, reading and
// linking 1,200 small ones was a third of a start.
// usage: node scripts/build.mjs [DIRECTORY]   default: dist
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildNative } from './build-native.mjs'
import { licensesOf } from './licenses.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const DIST = join(root, 'dist')
/**
 * Says which lock file was built from: npm writes it anew whenever it runs, so that its time says
 * nothing.
 */
const STAMP = '.built'
const inputs = ['tsconfig.json', 'scripts/build.mjs', 'scripts/licenses.mjs', 'src']
/** Each is started by its name: the program, and what its threads run. */
const entries = {
  main: 'src/main.ts',
  'http-thread': 'src/server/http-thread.ts',
  'writer-thread': 'src/catalog/sqlite/writer-thread.ts',
}

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

/**
 * An import of a module of Node's own reads each of its exports, and `WebSocket` among those of
 * node:http loads a second undici: 55 ms and 16 MiB in each thread. Not in main.js, which has to
 * say what is wrong to an old Node.
 */
const builtinsAsTheyAre = {
  name: 'builtins-as-they-are',
  renderChunk(code, { name }) {
    if (name === 'main') return null
    const imports = /^import \{ (.+) \} from "(node:.+)";$/gm
    const changed = code.replaceAll(imports, (_, names, id) => {
      const bindings = names.replaceAll(' as ', ': ')
      return `const { ${bindings} } = process.getBuiltinModule("${id}");`
    })
    // Each line stays where it is.
    return { code: changed, map: null }
  },
}

/**
 * In a process of its own: what the tools take, some 400 MiB, would stay with a server that was
 * started by `npm start` for years.
 */
export function buildIfNeeded() {
  buildNative()
  if (isBuilt(DIST)) return
  const { status, signal, error } = spawnSync(process.execPath, [fileURLToPath(import.meta.url)], {
    stdio: 'inherit',
  })
  if (status === 0) return
  // Else it has said itself what is wrong.
  if (status === null)
    console.error(`dist/ must be built anew, and the build ended: ${error?.message ?? signal}`)
  process.exit(status ?? 1)
}

function isBuilt(dist) {
  const newestInput = Math.max(...inputs.map(name => newestMs(join(root, name))))
  const stamp = join(dist, STAMP)
  return newestMs(stamp) >= newestInput && readFileSync(stamp, 'utf8') === lockDigest()
}

async function buildInto(dist) {
  const { build } = await loadRolldown()
  // Beside it, and then put in its place as a whole: another build may be under way, or this one
  // fail.
  const made = `${dist}.${process.pid}`
  const { output } = await build({
    cwd: root,
    input: entries,
    platform: 'node',
    plugins: [builtinsAsTheyAre],
    // It finds its binary beside itself.
    external: ['better-sqlite3'],
    output: {
      dir: made,
      format: 'esm',
      // All but the program lies in one directory: what a thread runs is looked for beside what
      // starts it.
      entryFileNames: ({ name }) => (name === 'main' ? 'main.js' : 'parts/[name].js'),
      chunkFileNames: 'parts/[name].js',
      sourcemap: true,
    },
    logLevel: 'warn',
  })
  const modules = output.flatMap(part => (part.type === 'chunk' ? part.moduleIds : []))
  writeFileSync(join(made, 'licenses.txt'), licensesOf(modules))
  chmodSync(join(made, 'main.js'), 0o755)
  writeFileSync(join(made, STAMP), lockDigest())
  replace(dist, made)
}

function lockDigest() {
  const text = readFileSync(join(root, 'package-lock.json'))
  return createHash('sha256').update(text).digest('hex')
}

async function loadRolldown() {
  try {
    return await import('rolldown')
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
    // Pruned: whoever runs dist/ needs no tools, until something there is newer.
    console.error('dist/ must be built anew, and the tools for it are not installed: run "npm ci"')
    process.exit(1)
  }
}

function replace(place, made) {
  const before = `${made}.before`
  try {
    renameSync(place, before)
  } catch {
    // There was none.
  }
  try {
    renameSync(made, place)
  } catch (error) {
    // Another build was quicker, with the same source.
    if (!['ENOTEMPTY', 'EEXIST'].includes(error.code)) throw error
  }
  for (const left of [made, before]) rmSync(left, { recursive: true, force: true })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , dist = DIST] = process.argv
  buildNative()
  if (!isBuilt(dist)) await buildInto(dist)
}
