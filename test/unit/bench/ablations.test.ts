// Goal: what the bench leaves out of the product to see what it earns is really left out. Method:
// every constant that it changes is looked for in the product's text.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { ABLATIONS, changed } from '../../../bench/ablations.ts'

const ROOT = new URL('../../../', import.meta.url)
const textOf = (file: string) => readFileSync(new URL(file, ROOT), 'utf8')

t.test('each constant is there, and gets its other value', async t => {
  for (const { name, changes, upstream } of ABLATIONS) {
    t.ok(changes.length > 0 || upstream !== undefined, name)
    for (const change of changes) {
      const text = changed(textOf(change.file), change)
      t.ok(text.includes(`const ${change.constant} = ${change.value}\n`), name)
    }
  }
})

t.test('a constant that is gone, or there twice, is an error that names it', async t => {
  const change = { file: 'a.ts', constant: 'MAX', value: '0' }
  t.equal(
    changed('export const MAX = 1\nconst MAXIMUM = 2\n', change).split('\n')[1],
    'const MAXIMUM = 2',
  )
  t.throws(() => changed('const MAXIMUM = 2\n', change), { message: /a\.ts declares MAX 0 times/ })
  t.throws(() => changed('const MAX = 1\nconst MAX = 2\n', change), { message: /2 times/ })
})
