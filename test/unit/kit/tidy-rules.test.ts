// Goal: the rules of tidy.test.ts see what they are for, and only that. Method: small samples, good
// and bad, for the reader of source text and for each rule.
import t from 'tap'
import { lostNames } from '../../kit/named-files.ts'
import { commentLines, readSource } from '../../kit/source-text.ts'
import * as rules from '../../kit/tidy-rules.ts'

const source = (path: string, ...lines: string[]) => readSource(path, `${lines.join('\n')}\n`)
const inOci = (...lines: string[]) => source('src/oci/x.ts', '// x', ...lines)

t.test('comments and literals are blanked, code is not', async t => {
  const read = (text: string) => readSource('x.ts', text).code
  t.equal(read('a // b\nc'), 'a     \nc')
  t.equal(read('a /* b\nc */ d'), 'a     \n     d')
  t.equal(read("a('//b') + \"c'\""), 'a(\'   \') + "  "')
  t.equal(read('a(`b${c /* d */ + `e${{ f }}`}g`)'), 'a(` ${c         + ` ${{ f }}`} `)')
  t.equal(read('a / b; c = /d["\'`/]e/g; f(/g/)'), 'a / b; c = /          ; f(/  )')
  t.equal(read('#!/usr/bin/env node\na'), '                   \na')
  t.equal(readSource('x.ts', "import 'a' // b").withoutComments, "import 'a'     ")
})

t.test('imports are found in every form, and not in comments or texts', async t => {
  const file = inOci(
    "import { a } from './a.ts'",
    "import type {\n  B,\n} from './b.ts'",
    "import c, { type D } from 'c'",
    "import 'node:e'",
    "export { f } from './f.ts'",
    "export * from './g.ts'",
    "const h = await import('./h.ts')",
    "type I = import('./i.ts').I",
    "// import { j } from './j.ts'",
    'const k = "import l from \'./l.ts\'"',
  )
  t.same(file.imports, ['./a.ts', './b.ts', 'c', 'node:e', './f.ts', './g.ts', './h.ts', './i.ts'])
})

t.test('functions are found in every form, with their lines', async t => {
  const file = inOci(
    'function a() {',
    '  return () => {',
    '  }',
    '}',
    'const b = {',
    '  c() {},',
    '}',
    'class D {',
    '  e = async () => {}',
    '  f() {',
    '  }',
    '}',
  )
  t.same(
    file.functions.map(({ line, lines }) => [line, lines]),
    [
      [2, 4],
      [3, 2],
      [7, 1],
      [10, 1],
      [11, 2],
    ],
  )
})

t.test('lines of comments are told from lines of texts that look like them', async t => {
  t.same(commentLines(inOci('const a = `', '* b', '`', '/** c', ' * d', ' */', 'e() // f')), [
    '// x',
    '/** c',
    ' * d',
    ' */',
    'e() // f',
  ])
})

t.test('rooms: what an import may reach', async t => {
  t.same(rules.misplacedImports(inOci("import { a } from './digest.ts'")), [])
  t.equal(
    rules.misplacedImports(inOci("import type { A } from '../registry/answers.ts'")).length,
    1,
  )
  t.equal(rules.misplacedImports(source('src/http/a.ts', "import '../store/memory.ts'")).length, 1)
  t.equal(
    rules.misplacedImports(source('src/store/a.ts', "import '../registry/fill.ts'")).length,
    1,
  )
  t.same(
    rules.misplacedImports(source('src/store/a.ts', "import '../registry/ports/catalog.ts'")),
    [],
  )
  t.equal(
    rules.misplacedImports(source('src/observe/a.ts', "import '../registry/ports/catalog.ts'"))
      .length,
    1,
  )
  t.equal(rules.misplacedImports(source('src/elsewhere/a.ts')).length, 1)
  t.equal(rules.misplacedImports(source('src/stray.ts')).length, 1)
  t.same(rules.misplacedImports(source('src/server/start.ts', "import './store/memory.ts'")), [])
})

t.test('rooms inside rooms: the longest key says what an import may reach', async t => {
  const rooms = {
    http: { imports: ['oci'], builtins: { never: ['node:fs'] } },
    'http/memory': { imports: ['http'], never: ['http/endpoints', 'http/app.ts'] },
    'http/tls': { imports: [], builtins: { never: [] } },
  }
  const misplaced = (path: string, specifier: string) =>
    rules.misplacedImports(source(path, `import '${specifier}'`), rooms).length
  t.equal(misplaced('src/http/memory/a.ts', './b.ts'), 0)
  t.equal(misplaced('src/http/memory/a.ts', '../serve.ts'), 0)
  t.equal(misplaced('src/http/memory/a.ts', '../endpoints/blob.ts'), 1)
  t.equal(misplaced('src/http/memory/a.ts', '../app.ts'), 1)
  t.equal(misplaced('src/http/memory/a.ts', '../../oci/digest.ts'), 1)
  t.equal(misplaced('src/http/memory-a.ts', './endpoints/blob.ts'), 0)
  t.equal(misplaced('src/http/tls/a.ts', '../serve.ts'), 1)
  t.equal(misplaced('src/http/endpoints/a.ts', '../memory/b.ts'), 0)
  const builtins = (path: string) =>
    rules.misplacedBuiltins(source(path, "import 'node:fs'"), rooms).length
  t.equal(builtins('src/http/memory/a.ts'), 1)
  t.equal(builtins('src/http/tls/a.ts'), 0)
})

t.test('inside the registry, use cases know those that they need', async t => {
  const misplaced = (path: string, specifier: string) =>
    rules.misplacedImports(source(`src/registry/${path}`, `import '${specifier}'`)).length
  const good = [
    ['pull/a.ts', '../fill/b.ts'],
    ['push/a.ts', '../pull/b.ts'],
    ['push/a.ts', '../upload/b.ts'],
    ['push/a.ts', '../restore-facts.ts'],
    ['operator/a.ts', '../pull/b.ts'],
    ['fill/a.ts', '../space/ledger.ts'],
    ['registry.ts', './push/b.ts'],
    ['ports/a.ts', './b.ts'],
  ] as const
  for (const [path, specifier] of good) t.equal(misplaced(path, specifier), 0, path + specifier)
  const all = ['fill', 'pull', 'upload', 'push', 'delete', 'rebuild', 'operator']
  const bad = {
    fill: ['pull', 'upload', 'push', 'delete', 'rebuild', 'operator'],
    pull: ['upload', 'push', 'delete', 'rebuild', 'operator'],
    upload: ['fill', 'pull', 'push', 'delete', 'rebuild', 'operator'],
    push: ['fill', 'delete', 'rebuild', 'operator'],
    delete: ['fill', 'pull', 'upload', 'push', 'rebuild', 'operator'],
    rebuild: ['fill', 'pull', 'upload', 'push', 'delete', 'operator'],
    operator: ['fill', 'upload', 'push', 'delete', 'rebuild'],
    ports: all,
  }
  for (const [folder, never] of Object.entries(bad)) {
    for (const other of never) t.equal(misplaced(`${folder}/a.ts`, `../${other}/b.ts`), 1)
  }
  t.equal(misplaced('ports/a.ts', '../space/ledger.ts'), 1)
  t.equal(misplaced('space.ts', './operator/b.ts'), 1)
})

t.test('rooms: rows that hold nothing any more are found', async t => {
  const sources = [
    source('src/oci/digest.ts'),
    source('src/http/app.ts', "import '../oci/digest.ts'", "import 'undici'"),
    source('src/http/send/blob.ts', "import '../app.ts'"),
    source('src/main.ts', "import './http/app.ts'"),
  ]
  const rooms = {
    oci: { imports: [] },
    http: { imports: ['oci'], never: ['http/send'] },
    'http/send': { imports: ['http/app.ts'] },
    'main.ts': { imports: ['*'] },
  }
  const good = { rooms, libraries: { undici: ['http'] }, mayTouchProcess: ['src/main.ts'] }
  t.same(rules.staleRows(sources, good), [])
  const stale = (bad: Partial<typeof rooms>, rest: object = {}) =>
    rules.staleRows(sources, { ...good, rooms: { ...rooms, ...bad }, ...rest })
  const { 'http/send': send, ...others } = rooms
  t.same(rules.staleRows(sources, { ...good, rooms: { ...others, 'http/sent': send } }), [
    'rooms.ts: there is no http/sent',
    'rooms.ts: http/sent may import http/app.ts, and does not',
  ])
  t.same(stale({ 'main.ts': { imports: ['http', 'cli'] } }), ['rooms.ts: there is no cli'])
  t.same(stale({ http: { imports: ['oci'], never: ['http/sent'] } }), [
    'rooms.ts: there is no http/sent',
  ])
  t.same(stale({ 'http/send': { imports: ['http', 'oci'] } }), [
    'rooms.ts: http/send may import oci, and does not',
  ])
  t.same(stale({}, { libraries: { undici: ['http', 'oci', 'cli'] } }), [
    'rooms.ts: there is no cli',
    'rooms.ts: undici does not live in oci',
  ])
  t.same(stale({}, { mayTouchProcess: ['src/start.ts'] }), ['rooms.ts: there is no start.ts'])
})

t.test('rooms: built-in modules and libraries', async t => {
  t.same(rules.misplacedBuiltins(inOci("import { createHash } from 'node:crypto'")), [])
  t.equal(rules.misplacedBuiltins(inOci("import { join } from 'node:path'")).length, 1)
  t.equal(
    rules.misplacedBuiltins(source('src/registry/a.ts', "import 'node:fs/promises'")).length,
    1,
  )
  t.same(rules.misplacedBuiltins(source('src/store/a.ts', "import 'node:fs'")), [])
  t.same(rules.librariesFromHome(source('src/upstream/a.ts', "import { Agent } from 'undici'")), [])
  t.equal(
    rules.librariesFromHome(source('src/http/a.ts', "import { Agent } from 'undici'")).length,
    1,
  )
  t.equal(
    rules.librariesFromHome(source('src/catalog/a.ts', "import S from 'better-sqlite3'")).length,
    1,
  )
  t.equal(rules.librariesFromHome(inOci("import { LRUCache } from 'lru-cache'")).length, 1)
  t.match(rules.librariesFromHome(inOci("import 'left-pad'"))[0], /no home/)
})

t.test('process is touched only in main.ts', async t => {
  const touching = [
    'process.exit(1)',
    'f(process)',
    'const a = process',
    "process['env']",
    'globalThis.process',
    'process?.env',
  ]
  for (const line of touching) t.equal(rules.touchesProcess(inOci(line)).length, 1, line)
  t.equal(rules.touchesProcess(inOci("import { env } from 'node:process'")).length, 1)
  for (const line of [
    '// one process. Two',
    "'process.exit'",
    'a.process(1)',
    'process: true',
    'options.process.x',
    'processes.x',
    'process.nextTick(f)',
  ]) {
    t.same(rules.touchesProcess(inOci(line)), [], line)
  }
  t.same(rules.touchesProcess(source('src/main.ts', 'process.exit()')), [])
})

t.test('content that is stored or written down elsewhere is found', async t => {
  const inPull = (line: string) => source('src/registry/pull/a.ts', line)
  for (const line of [
    "await deps.store.put(digest, bytes, 'kept')",
    'await store.keep(digest)',
    "const stored = await file.commit('cached')",
    'await this.#deps.catalog.recordBlob(record)',
    'await catalog.recordPush(push)',
  ])
    t.equal(rules.strayContent(inPull(line)).length, 1, line)
  for (const line of ['await store.find(digest)', 'await content.putManifest(digest, bytes, of)'])
    t.same(rules.strayContent(inPull(line)), [], line)
  t.same(rules.strayContent(source('src/registry/content/content.ts', 'store.keep(digest)')), [])
})

t.test(
  'walls that are passed by way of a file of the room are found, those of types are not',
  async t => {
    const push = source('src/registry/push/a.ts', "import { b } from '../b.ts'")
    const beside = (line: string) => source('src/registry/b.ts', line)
    const fill = source('src/registry/fill/c.ts', "import '../../store/d.ts'")
    const passed = (line: string) => rules.passedWalls([push, beside(line), fill])
    const way = ['registry/push/a.ts → registry/b.ts → registry/fill/c.ts']
    t.same(passed("import { c } from './fill/c.ts'"), way)
    t.same(passed("import { type C, c } from './fill/c.ts'"), way)
    t.same(passed("import { type C } from './fill/c.ts'"), [])
    t.same(passed("import type { C } from './fill/c.ts'"), [])
    t.same(passed("import { c } from './ports/c.ts'"), [])
  },
)

t.test('cycles are found, those of types alone too', async t => {
  const a = inOci("import { y } from './y.ts'")
  const values = source('src/oci/y.ts', "import { z } from './z.ts'")
  const back = source('src/oci/z.ts', "import { x } from './x.ts'")
  const types = source('src/oci/z.ts', "import type { X } from './x.ts'")
  const found = ['src/oci/x.ts → src/oci/y.ts → src/oci/z.ts → src/oci/x.ts']
  t.same(rules.cycles([a, values, back]), found)
  t.same(rules.cycles([a, values, types]), found)
  t.same(rules.cycles([a, values]), [])
})

t.test('barrels, drawers, default exports and enums are found', async t => {
  const plain = inOci("export { a } from './a.ts'", 'export const b = 1')
  t.same(rules.looseForms(plain), [])
  t.equal(rules.looseForms(inOci("export { a } from './a.ts'", "export * from './b.ts'")).length, 1)
  t.equal(rules.looseForms(inOci('export default a')).length, 1)
  t.equal(rules.looseForms(inOci('const enum A { b }')).length, 1)
  for (const path of [
    'src/oci/index.ts',
    'src/utils/a.ts',
    'src/oci/helper.ts',
    'src/oci/text-utils.ts',
    'src/oci/common.ts',
  ]) {
    t.equal(rules.looseForms(source(path, 'export const a = 1')).length, 1, path)
  }
  t.same(
    rules.looseForms(source('src/upstream/auth/credential-helper.ts', 'export const a = 1')),
    [],
  )
})

t.test('long and mute files are found', async t => {
  t.same(rules.unreadable(inOci('const a = 1')), [])
  t.same(rules.unreadable(source('src/main.ts', '#!/usr/bin/env node', '// main', 'a()')), [])
  t.equal(rules.unreadable(source('src/oci/x.ts', 'const a = 1')).length, 1)
  t.equal(rules.unreadable(inOci(...Array.from({ length: 300 }, () => 'a()'))).length, 1)
  t.equal(rules.unreadable(inOci("import './a'")).length, 1)
})

t.test('comments that are wider than code are found, texts are not', async t => {
  t.same(rules.wideComments(inOci(`// ${'a'.repeat(97)}`)), [])
  t.equal(rules.wideComments(inOci(`// ${'a'.repeat(98)}`)).length, 1)
  t.equal(rules.wideComments(inOci('/**', ` * ${'a'.repeat(98)}`, ' */')).length, 1)
  t.equal(rules.wideComments(inOci(`a() // ${'a'.repeat(94)}`)).length, 1)
  t.equal(rules.wideComments(inOci(`a(/* ${'a'.repeat(94)} */)`)).length, 1)
  t.equal(rules.wideComments(inOci('a() /* a', `${'a'.repeat(98)} */ b()`)).length, 1)
  t.same(rules.wideComments(inOci(`const a = '${'a'.repeat(150)}'`)), [])
  t.same(rules.wideComments(inOci(`const a = '// ${'a'.repeat(150)}'`)), [])
})

t.test('comments on comments are found', async t => {
  t.same(rules.stackedComments(inOci('/** a */', 'b()', '/** c */', 'd()')), [])
  t.same(rules.stackedComments(inOci('/** a */', '', '/** b */', 'c()')), [])
  const stacked = inOci('class A {', '  /**', '   * a', '   */', '  /** b */', '  c() {}', '}')
  t.same(rules.stackedComments(stacked), ['src/oci/x.ts:5: a comment on a comment'])
})

t.test('files that comments name, and that are not there, are found', async t => {
  const found = (...comments: string[]) =>
    lostNames([
      source('src/oci/x.ts', ...comments.map(each => `// ${each}`), "import './gone.ts'"),
      source('src/oci/inner/y.ts', '// y'),
      source('src/http/z.ts', '// z'),
      source('src/main.ts', '// main'),
    ])
  t.same(found('See y.ts, inner/y.ts, oci/inner/y.ts, ./x.ts, http/z.ts and main.ts.'), [])
  t.same(found('(z.ts)'), ['src/oci/x.ts: z.ts'], 'in another room')
  t.same(found('`outer/y.ts`, www.y.ts'), ['src/oci/x.ts: outer/y.ts', 'src/oci/x.ts: www.y.ts'])
})

t.test('so are those of C and of the shell', async t => {
  const found = (...lines: string[]) =>
    rules.wideNotes({ path: 'native/x.c', text: lines.join('\n') }).length
  for (const begin of ['# ', '  // ', '/** ', ' * ', 'a(); /* ']) {
    t.equal(found('a', `${begin}${'a'.repeat(100 - begin.length)}`), 0, begin)
    t.equal(found('a', `${begin}${'a'.repeat(101 - begin.length)}`), 1, begin)
  }
  t.equal(found(`die "${'a'.repeat(150)}"`), 0)
})

t.test('folders that the codemap forgot, and those that it only names, are found', async t => {
  const sources = [
    source('src/main.ts'),
    source('src/oci/x.ts'),
    source('src/store/filesystem/growing/y.ts'),
  ]
  const oci = '| `oci/` | words | import `x.ts` of `other/y.ts` |'
  const store = '| `store/` | files (`filesystem/`, `growing/`) | |'
  const found = (...rows: string[]) => rules.unmappedFolders(sources, rows.join('\n'))
  t.same(found(oci, store), [])
  t.same(found(oci), ['the codemap has no store/'])
  t.same(found(oci, '| `store/` | `growing/` |'), ['it has no store/…filesystem/'])
  t.same(found('| `oci/` | `words/` |', store), ['oci/ has no words/'])
})

t.test('functions that no screen holds are found, with all that is inside them', async t => {
  const ofLines = (inside: number) =>
    inOci('function a() {', '  return {', ...Array.from({ length: inside }, () => 'b() {},'), '}}')
  t.same(rules.longFunctions(ofLines(67)), [])
  t.same(rules.longFunctions(ofLines(68)), ['src/oci/x.ts:2: a function of 71 lines'])
})

t.test('banned words are found whole, in code and comments', async t => {
  const bad = [
    '// the origin server',
    'const uplink = 1',
    '// a remote',
    'const remoteHost = 1',
    'const isRemote = 1',
    '// todo: later',
    '// XXX',
    'class KeptOpen {}',
    'goWithout(missing)',
    'const shelf = shelves[0]',
    'class Peer {}',
    'const ebbAfterMs = 1',
    'const UNASKED_MAX_BYTES = 1',
    'this.#unaskedBytes = 0',
    '// some send it unasked',
    '// until it ebbs',
  ]
  for (const line of bad) t.equal(rules.bannedWords(inOci(line)).length, 1, line)
  const good = [
    'socket.remoteAddress',
    'proxy.remoteurl',
    'url.origin',
    'const todos = 1',
    '// hacking',
    '// telling a peer of the trip',
    'const roundTrip = Peering',
    'const ebbinghaus = pebbles',
  ]
  for (const line of good) t.same(rules.bannedWords(inOci(line)), [], line)
})

t.test('tests that are left out or sleep are found', async t => {
  const inTest = (line: string) => rules.lazyTests(source('test/x.test.ts', '// goal', line))
  const bad = [
    "t.test.skip('a')",
    't.todo()',
    "t.test('a', { skip: true })",
    "t.test('a', { only: true })",
    'await setTimeout(100)',
    'await sleep(1_000)',
    'new Promise(resolve => setTimeout(resolve, 250))',
  ]
  for (const line of bad) t.equal(inTest(line).length, 1, line)
  const good = [
    'await setTimeout(5)',
    'setTimeout(() => abort(), 5_000).unref()',
    "'t.skip()'",
    'page.skipped()',
  ]
  for (const line of good) t.same(inTest(line), [], line)
  t.equal(rules.lazyTests(source('test/x.test.ts', 'a()')).length, 1)
})
