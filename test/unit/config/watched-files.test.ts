// Goal: what files hold is taken up when they have changed and stand still, whole and together,
// however they were written; faulty ones are told once and change nothing. Method: the real file
// system, and looks that the test takes itself; a file of accounts, and a pair that must agree.
import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { type Entry, type LineFault, parseHtpasswd } from '../../../src/access/htpasswd/parse.ts'
import { type FilesFault, type Judged, WatchedFiles } from '../../../src/config/watched-files.ts'

const HASH = '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2'
const lines = (...names: string[]) => names.map(name => `${name}:${HASH}\n`).join('')

function open(directory: string, text = lines('alice')) {
  const path = join(directory, 'htpasswd')
  writeFileSync(path, text)
  const told: string[] = []
  const file = new WatchedFiles<readonly Entry[], readonly LineFault[]>([{ path, text }], {
    sleep: async () => {},
    judge: ([now = '']) => judgeAccounts(now),
    changed: async entries => void told.push(entries.map(({ name }) => name).join()),
    refused: why => void told.push(describe(why)),
    mended: () => void told.push('mended'),
  })
  return {
    path,
    told,
    file,
    look: () => file.look('if they stand still'),
    twice: () => twice(file),
  }
}

async function twice(file: Pick<WatchedFiles<unknown, unknown>, 'look'>): Promise<void> {
  await file.look('if they stand still')
  await file.look('if they stand still')
}

function judgeAccounts(text: string): Judged<readonly Entry[], readonly LineFault[]> {
  const { entries, faults } = parseHtpasswd(text)
  return faults.length > 0 ? { kind: 'faulty', fault: faults } : { kind: 'good', value: entries }
}

function describe(why: FilesFault<readonly LineFault[]>): string {
  return why.kind === 'faulty' ? `line ${why.fault[0]?.line}` : `unreadable ${why.reason}`
}

t.test('R512: a change is taken once it stands still, and once', async t => {
  const { path, told, look, twice } = open(t.testdir())
  await twice()
  t.same(told, [], 'it is in force already')
  writeFileSync(path, lines('alice', 'bob'))
  await look()
  t.same(told, [])
  await look()
  t.same(told, ['alice,bob'])
  await twice()
  t.same(told, ['alice,bob'])
})

t.test('R512: what an editor has written half is not taken', async t => {
  const { path, told, look } = open(t.testdir())
  await look()
  for (const half of ['', lines('alice'), `${lines('alice')}bob:$2y`]) {
    writeFileSync(path, half)
    await look()
  }
  writeFileSync(path, lines('alice', 'bob'))
  await look()
  t.same(told, [], 'it was another one at each look')
  await look()
  t.same(told, ['alice,bob'])
})

t.test(
  'R512: a file that takes the place of another is taken, also after a while of none',
  async t => {
    const { path, told, look, twice } = open(t.testdir())
    writeFileSync(`${path}.new`, lines('bob'))
    renameSync(`${path}.new`, path)
    await twice()
    t.same(told, ['bob'])
    rmSync(path)
    await look()
    writeFileSync(path, lines('carol'))
    await twice()
    t.same(told, ['bob', 'carol'])
  },
)

t.test('R513: a faulty file is told once, and the accounts of before stay', async t => {
  const { path, told, file, twice } = open(t.testdir())
  writeFileSync(path, `${lines('bob')}carol:{SHA}x\n`)
  await twice()
  await twice()
  t.same(told, ['line 2'])
  t.equal(file.isRefused, true)
  writeFileSync(path, lines('alice'))
  await twice()
  t.same(told, ['line 2', 'mended'], 'it is the one in force again')
  rmSync(path)
  await twice()
  await twice()
  t.same(told.slice(2), ['unreadable there is no such file'])
  mkdirSync(path)
  await twice()
  t.same(told.slice(3), ['unreadable it is a directory'])
  t.equal(file.isRefused, true)
})

t.test('R512: who has written it whole need not wait, and hears when all go by it', async t => {
  const { path, told, file } = open(t.testdir())
  writeFileSync(path, lines('bob'))
  chmodSync(path, 0o640)
  await file.look('now')
  t.same(told, ['bob'])
  await file.look('now')
  t.same(told, ['bob'])
})

t.test('R531: who has written it has it taken, though others write as well', async t => {
  const { path, told, file } = open(t.testdir())
  const look = file.look('now')
  // Each read of it takes more steps than one of these, and there are more tries than of them.
  for (let time = 1; time <= 12; time += 1) {
    writeFileSync(path, lines('alice', 'x'.repeat(time)))
    await stat(path)
  }
  await look
  t.match(told.at(-1), /^alice,x+$/)
})

t.test('R531: who has written it has it taken, though a reload comes between', async t => {
  const { path, told, file } = open(t.testdir())
  writeFileSync(path, lines('bob'))
  const look = file.look('now')
  await Promise.resolve()
  file.replace([{ path, text: lines('alice') }])
  await look
  t.same(told, ['bob'])
})

t.test('R512: a reload that names another file, or none, is followed', async t => {
  const directory = t.testdir()
  const { path, told, file, twice } = open(directory)
  const other = join(directory, 'other')
  writeFileSync(other, lines('carol'))
  file.replace([{ path: other, text: lines('carol') }])
  writeFileSync(path, lines('bob'))
  await twice()
  t.same(told, [])
  writeFileSync(other, lines('carol', 'dave'))
  await twice()
  t.same(told, ['carol,dave'])
  file.replace([])
  rmSync(other)
  await twice()
  t.same(told, ['carol,dave'])
})

t.test('R540: files that belong together are taken together, and not half renewed', async t => {
  const directory = t.testdir({ one: 'a', other: 'a' })
  const paths = ['one', 'other'].map(name => join(directory, name))
  const told: string[] = []
  const judge = ([one = '', other = '']: readonly string[]): Judged<string, string> =>
    one === other
      ? { kind: 'good', value: one }
      : { kind: 'faulty', fault: `${one} is not ${other}` }
  const files = new WatchedFiles(
    paths.map(path => ({ path, text: 'a' })),
    {
      sleep: async () => {},
      judge,
      changed: async value => void told.push(value),
      refused: why => void told.push(why.kind === 'faulty' ? why.fault : `unreadable ${why.path}`),
      mended: () => void told.push('mended'),
    },
  )
  const [one = '', other = ''] = paths
  writeFileSync(one, 'b')
  await files.look('if they stand still')
  writeFileSync(other, 'b')
  await twice(files)
  t.same(told, ['b'], 'the second came before the first stood still')
  writeFileSync(other, 'c')
  await twice(files)
  await twice(files)
  t.same(told.splice(0), ['b', 'b is not c'])
  writeFileSync(one, 'c')
  await twice(files)
  t.same(told.splice(0), ['c', 'mended'])
  rmSync(one)
  await twice(files)
  t.same(told, [`unreadable ${one}`])
})
