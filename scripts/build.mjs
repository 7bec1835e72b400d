// Makes dist/ of src/ and what it uses of node_modules/, and native/. A few large files, because
// finding, reading and linking 1,200 small ones was a third of a start. `npm start` and the tests
// build when dist/ was made of something else; run by hand, this always builds.
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
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildNative } from './build-native.mjs'
import { licensesOf } from './licenses.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const DIST = join(root, 'dist')
/** Has two digests of what was built from, a line each: of how it looks, and of its contents. */
const STAMP = '.built'
const LOCK = join(root, 'package-lock.json')
const inputs = [
  'package-lock.json',
  'tsconfig.json',
  'scripts/build.mjs',
  'scripts/build-native.mjs',
  'scripts/licenses.mjs',
  'native/sender.c',
  'src',
]
/** Each is started by its name: the program, and what its threads run. */
const entries = {
  main: 'src/main.ts',
  'http-thread': 'src/server/http-thread.ts',
  'writer-thread': 'src/catalog/sqlite/writer/writer-thread.ts',
  'snapshot-thread': 'src/catalog/sqlite/snapshot/snapshot-thread.ts',
  'bcrypt-thread': 'src/accounts/bcrypt-thread.ts',
  'hashing-thread': 'src/store/filesystem/reading/hashing-thread.ts',
}

/** The files at and under `path`, which need not be there, always in the same order. */
function filesOf(path) {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) return []
  if (!stat.isDirectory()) return [{ path, stat }]
  return readdirSync(path)
    .toSorted()
    .flatMap(name => filesOf(join(path, name)))
}

function digestOfInputs(describe) {
  const hash = createHash('sha256')
  for (const file of inputs.flatMap(name => filesOf(join(root, name)))) {
    const what = describe(file)
    hash.update(`${relative(root, file.path)}\0${what.length}\0`).update(what)
  }
  return hash.digest('hex')
}

/** In half of the time that all contents take. */
const looksOfInputs = () =>
  digestOfInputs(({ path, stat }) =>
    path === LOCK ? lockedPackages() : `${stat.size} ${stat.mtimeMs}`,
  )

const contentsOfInputs = () =>
  digestOfInputs(({ path }) => (path === LOCK ? lockedPackages() : readFileSync(path)))

/**
 * Which version with which bytes stands where. Nothing more of the lock file: npm writes it anew as
 * it prunes, and an old one leaves out what it does not know.
 */
function lockedPackages() {
  const { packages } = JSON.parse(readFileSync(LOCK, 'utf8'))
  return JSON.stringify(
    Object.entries(packages).map(([path, { version, integrity }]) => [path, version, integrity]),
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
export function buildIfNeeded(dist = DIST) {
  buildNative()
  if (isBuilt(dist)) return
  const args = [fileURLToPath(import.meta.url), dist]
  const { status, signal, error } = spawnSync(process.execPath, args, { stdio: 'inherit' })
  if (status === 0) return
  // Else it has said itself what is wrong.
  if (status === null)
    console.error(`dist/ must be built anew, and the build ended: ${error?.message ?? signal}`)
  process.exit(status ?? 1)
}

/** No time alone says so: another version may bring older files, and a copy newer ones. */
function isBuilt(dist) {
  const [looks, contents] = readStamp(dist).split('\n')
  return looks === looksOfInputs() || contents === contentsOfInputs()
}

/** Empty where there is none; another build may take it away at any moment. */
function readStamp(dist) {
  try {
    return readFileSync(join(dist, STAMP), 'utf8')
  } catch {
    return ''
  }
}

async function buildInto(dist) {
  const { build } = await loadRolldown()
  // Before anything is read: what changes meanwhile makes the next start build again.
  const stamp = `${looksOfInputs()}\n${contentsOfInputs()}\n`
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
  writeFileSync(join(made, STAMP), stamp)
  replace(dist, made)
}

async function loadRolldown() {
  try {
    return await import('rolldown')
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
    // Pruned: whoever runs dist/ needs no tools, until it was made of something else.
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
  buildNative({ anew: true })
  await buildInto(dist)
}
