// Goal: the data directory is made where it is not there, and where it cannot be the operator is
// told which key to change. Method: paths in a directory of the test's own, and one in /proc, where
// nothing can be made.
import { mkdirSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { assertNotHalfRestored, makeDataDirectory } from '../../../src/server/data-directory.ts'

t.test('what is missing of its path is made, for nobody else to read', async t => {
  const path = join(t.testdir({}), 'a', 'b', 'data')
  makeDataDirectory(path)
  t.equal(statSync(path).mode & 0o777, 0o700)
  makeDataDirectory(path)
})

t.test('one that is there is left as it is, also behind a link', async t => {
  const directory = t.testdir({ real: {} })
  const path = join(directory, 'link')
  symlinkSync(join(directory, 'real'), path)
  makeDataDirectory(path)
  mkdirSync(join(path, 'inside'))
  t.ok(statSync(join(directory, 'real', 'inside')).isDirectory())
})

t.test('what cannot be one is named with its key, the reason and a way out', async t => {
  const directory = t.testdir({ file: 'something' })
  const dangling = join(directory, 'dangling')
  symlinkSync(join(directory, 'gone'), dangling)
  const cases = {
    [join(directory, 'file')]: /something else has that name \(EEXIST\)$/,
    [join(directory, 'file', 'below')]: /\((EEXIST|ENOTDIR)\)$/,
    [dangling]: /\(EEXIST\)$/,
    // Asked to make all that is missing here at once, node would never come back.
    '/proc/nope/data': /what is to hold it is not there \(ENOENT\)$/,
  }
  for (const [path, message] of Object.entries(cases)) {
    const expected = {
      name: 'StoreError',
      failure: 'io',
      message,
      hint: /may write to.*mounted\?$/,
    }
    t.throws(() => makeDataDirectory(path), expected, path)
    t.throws(
      () => makeDataDirectory(path),
      { message: new RegExp(`^storage\\.rootdirectory is ${path}, which`) },
      path,
    )
  }
})

t.test('R852: what a restore that was cut off has left is no edge, and is said so', async t => {
  const path = t.testdir({ blobs: {} })
  assertNotHalfRestored(path)
  mkdirSync(join(path, 'restoring'))
  t.throws(() => assertNotHalfRestored(path), {
    name: 'StoreError',
    failure: 'io',
    message: /a restore into .* was cut off$/,
    hint: /run the same "entrepot restore" again/,
  })
})
