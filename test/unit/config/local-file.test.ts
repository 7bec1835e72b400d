// Goal: files that keys name are read, or refused with a reason that a person understands. Method:
// a directory with each kind.
import { chmodSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { isLocalDirectory, readLocalFile } from '../../../src/config/local-file.ts'

t.test('a file comes with its text and mode', async t => {
  const file = join(t.testdir(), 'secret')
  writeFileSync(file, 'geheim\n')
  chmodSync(file, 0o600)
  const read = readLocalFile(file)
  t.match(read, { kind: 'file', text: 'geheim\n' })
  t.equal(read.kind === 'file' && read.mode !== undefined ? read.mode & 0o777 : undefined, 0o600)
})

t.test('what is no readable file is told with a reason', async t => {
  const directory = t.testdir({ large: '' })
  truncateSync(join(directory, 'large'), 5 * 2 ** 20)
  symlinkSync('loop', join(directory, 'loop'))
  t.match(readLocalFile(join(directory, 'none')), {
    kind: 'failed',
    reason: 'there is no such file',
  })
  t.match(readLocalFile(directory), { kind: 'failed', reason: 'it is a directory' })
  t.match(readLocalFile(join(directory, 'large')), {
    kind: 'failed',
    reason: 'it is far too large',
  })
  t.match(readLocalFile(join(directory, 'loop')), { kind: 'failed', reason: /circle/ })
  t.match(readLocalFile('/dev/null'), { kind: 'failed', reason: 'it is no regular file' })
})

t.test('a directory is told from what is none', async t => {
  const directory = t.testdir({ file: '' })
  t.equal(isLocalDirectory(directory), true)
  t.equal(isLocalDirectory(join(directory, 'file')), false)
  t.equal(isLocalDirectory(join(directory, 'none')), false)
})
