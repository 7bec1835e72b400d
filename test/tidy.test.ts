// Goal: what the house style says of the tree is true of it. Method: every file of src/ and test/
// is read as text and held against the rules of kit/tidy-rules.ts; generated documents are written
// again and compared. Each violation is printed; there are no exceptions but the rows of
// kit/rooms.ts.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { documents } from '../scripts/docs.ts'
import { lostNames } from './kit/named-files.ts'
import { readSources } from './kit/source-text.ts'
import * as rules from './kit/tidy-rules.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const sources = readSources(ROOT, 'src')
const beside = ['test', 'bench', 'scripts'].flatMap(directory => readSources(ROOT, directory))
const tests = beside.filter(({ path }) => path.endsWith('.test.ts'))

const README_LINES_MAX = 150

t.test('there is something to look at', async t => {
  t.ok(sources.some(({ path }) => path === 'src/oci/digest.ts'))
  t.ok(tests.some(({ path }) => path === 'test/tidy.test.ts'))
})

t.test(
  'the rooms, and the rooms inside them, import only what the table of rooms allows',
  async t => {
    t.same(
      sources.flatMap(source => rules.misplacedImports(source)),
      [],
    )
  },
)

t.test('no folder reaches by way of others what it may not import', async t => {
  t.same(rules.passedWalls(sources), [])
})

t.test('the table of rooms names what is there, and allows what is needed', async t => {
  t.same(rules.staleRows(sources), [])
})

t.test('built-in modules stay out of the rooms that decide', async t => {
  t.same(
    sources.flatMap(source => rules.misplacedBuiltins(source)),
    [],
  )
})

t.test('each library is imported only where it lives', async t => {
  t.same(sources.flatMap(rules.librariesFromHome), [])
})

t.test('only main.ts touches process', async t => {
  t.same(sources.flatMap(rules.touchesProcess), [])
})

t.test('content is stored and written down in one place', async t => {
  t.same(sources.flatMap(rules.strayContent), [])
})

t.test('no file imports itself by way of others', async t => {
  t.same(rules.cycles(sources), [])
})

t.test('no barrels, no drawers for odds and ends, no default exports, no enums', async t => {
  t.same(sources.flatMap(rules.looseForms), [])
})

t.test('files are short, readable, and open with what they are', async t => {
  t.same(sources.flatMap(rules.unreadable), [])
})

t.test('functions fit on a screen', async t => {
  const all = [...sources, ...beside].filter(({ path }) => !path.startsWith('test/'))
  t.same(all.flatMap(rules.longFunctions), [])
})

t.test('comments are no wider than code, beside src/ too', async t => {
  t.same([...sources, ...beside].flatMap(rules.wideComments), [])
})

t.test('comments stand on what they are about', async t => {
  t.same([...sources, ...beside].flatMap(rules.stackedComments), [])
})

t.test('what is started as a file of its own is built as one', async t => {
  t.same(rules.unbuiltEntries(sources, read('scripts/build.mjs')), [])
})

t.test('the codemap names each folder', async t => {
  t.same(rules.unmappedFolders(sources, read('docs/ARCHITECTURE.md')), [])
})

t.test('files that comments name are there', async t => {
  t.same(lostNames([...sources, ...beside]), [])
})

t.test('nor are those of C and of the shell', async t => {
  const places = ['native', 'scripts', 'test/kit/disk', 'systemd', '.ci']
  const paths = places.flatMap(place =>
    readdirSync(new URL(`../${place}`, import.meta.url)).map(name => `${place}/${name}`),
  )
  const found = paths.filter(path => /\.(?:c|sh|service)$|^\.ci\//.test(path))
  t.ok(found.includes('native/sender.c'))
  t.same(
    found.flatMap(path => rules.wideNotes({ path, text: read(path) })),
    [],
  )
})

t.test('words are those of the specification, and nothing is left to do', async t => {
  t.same(sources.flatMap(rules.bannedWords), [])
})

/** What an idle edge asks of the kernel shows only while time passes. */
const COUNTS_OVER_TIME = 'test/fault/idle-wakeups.test.ts:'

t.test('tests are run, all of them, do not wait for time to pass, and say their goal', async t => {
  const found = tests.flatMap(rules.lazyTests)
  t.same(
    found.filter(each => !each.startsWith(COUNTS_OVER_TIME)),
    [],
  )
  t.equal(found.length, 1)
})

t.test('generated documents are what their tables say: npm run docs writes them', async t => {
  for (const { path, render } of documents) t.equal(read(path), await render(), path)
})

t.test('the README is short', async t => {
  t.ok(read('README.md').split('\n').length <= README_LINES_MAX)
})

/** Empty when there is no such file. */
function read(path: string): string {
  try {
    return readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')
  } catch {
    return ''
  }
}
