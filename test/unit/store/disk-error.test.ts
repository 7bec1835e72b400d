// Goal: whatever the disk says becomes one of the few failures that the engine knows, with a hint
// that an operator can follow; a fault of this program stays one. Method: a table of errors, and
// one real one.
import { open } from 'node:fs/promises'
import t from 'tap'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import { diskError } from '../../../src/store/filesystem/disk-error.ts'

const DOING = { doing: 'write a part', root: '/data' }

t.test('system errors become full or io, with a hint', async t => {
  const table: [string, string, RegExp][] = [
    ['ENOSPC', 'full', /free space .* under \/data or lower storage\.maxsize/],
    ['EDQUOT', 'full', /quota/],
    ['EFBIG', 'full', /LimitFSIZE/],
    ['EIO', 'io', /kernel log/],
    ['EROFS', 'io', /read-only/],
    ['EMFILE', 'io', /LimitNOFILE/],
    ['EACCES', 'io', /chown/],
  ]
  for (const [code, failure, hint] of table) {
    const cause = Object.assign(new Error('x'), { code })
    const error = diskError(cause, DOING)
    t.ok(error instanceof StoreError, code)
    t.match(error, { failure, hint, cause, message: `cannot write a part: ${code}` })
  }
})

t.test('what is no system error stays what it is', async t => {
  const failure = new StoreError('corrupt', 'x')
  t.equal(diskError(failure, DOING), failure)
  const fault = Object.assign(new TypeError('x'), { code: 'ERR_INVALID_ARG_TYPE' })
  t.equal(diskError(fault, DOING), fault)
  t.equal(diskError('text', DOING), 'text')
})

t.test('system errors that node has no name for are known by their number', async t => {
  const table: [number, string, RegExp][] = [
    [-122, 'full', /EDQUOT/],
    [-117, 'io', /EUCLEAN/],
    [-9999, 'io', /errno -9999/],
  ]
  for (const [errno, failure, message] of table) {
    const code = `Unknown system error ${errno}`
    t.match(diskError(Object.assign(new Error(code), { errno, code }), DOING), { failure, message })
  }
})

t.test('an error of node:fs is a system error', async t => {
  const error: unknown = await open('/nonexistent/file').catch((failure: unknown) => failure)
  t.match(diskError(error, DOING), { failure: 'io', message: 'cannot write a part: ENOENT' })
})
