// Goal: the accounts of a file are taken up when it has changed and stands still, whole, however it
// was written; a faulty one is told once and changes nothing. Method: the real file system, and
// looks that the test takes itself.
import { chmodSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { AccountsFile, type FileFault } from '../../../src/accounts/accounts-file.ts'

const HASH = '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2'
const lines = (...names: string[]) => names.map(name => `${name}:${HASH}\n`).join('')

function open(directory: string, text = lines('alice')) {
  const path = join(directory, 'htpasswd')
  writeFileSync(path, text)
  const told: string[] = []
  const file = new AccountsFile(
    { path, text },
    {
      sleep: async () => {},
      changed: async entries => void told.push(entries.map(({ name }) => name).join()),
      refused: why => void told.push(describe(why)),
      mended: () => void told.push('mended'),
    },
  )
  return {
    path,
    told,
    file,
    look: () => file.look('if it stands still'),
    async twice() {
      await file.look('if it stands still')
      await file.look('if it stands still')
    },
  }
}

function describe(why: FileFault): string {
  return why.kind === 'lines' ? `line ${why.faults[0]?.line}` : `unreadable ${String(why.error)}`
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
  t.match(told.slice(2), [/^unreadable.*ENOENT/])
  mkdirSync(path)
  await twice()
  t.match(told.slice(3), [/no regular file/])
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

t.test('R512: a reload that names another file, or none, is followed', async t => {
  const directory = t.testdir()
  const { path, told, file, twice } = open(directory)
  const other = join(directory, 'other')
  writeFileSync(other, lines('carol'))
  file.replace({ path: other, text: lines('carol') })
  writeFileSync(path, lines('bob'))
  await twice()
  t.same(told, [])
  writeFileSync(other, lines('carol', 'dave'))
  await twice()
  t.same(told, ['carol,dave'])
  file.forget()
  rmSync(other)
  await twice()
  t.same(told, ['carol,dave'])
})
