// Goal: the native sender is there where it can be, loads in the node that runs this, and is
// missing without a word where it cannot be. Method: the script that an installation runs, with and
// without a compiler.
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { buildNative } from '../../../scripts/build-native.mjs'
import { loadSendfile } from '../../../src/http/send/sendfile.ts'

const run = promisify(execFile)
const SCRIPT = join(import.meta.dirname, '../../../scripts/build-native.mjs')
const NO_COMPILER = { ...process.env, CC: '/nonexistent/cc' }

t.test('what was built loads in this node', async t => {
  const why = buildNative()
  t.comment(`node ${process.version}: ${why ?? 'built'}`)
  t.equal(loadSendfile() !== undefined, why === undefined)
})

t.test('without a compiler nothing is built, and nothing is said', async t => {
  const directory = t.testdir({})
  const out = join(directory, 'sender.node')
  const said = await run(process.execPath, [SCRIPT, '--out', out], { env: NO_COMPILER })
  t.match(said, { stdout: '', stderr: '' })
  t.same(readdirSync(directory), [], 'not even a directory is left')
})

t.test('who asks for it by hand is told what is missing', async t => {
  const out = join(t.testdir({}), 'sender.node')
  const args = [SCRIPT, '--loud', '--out', out]
  await t.rejects(run(process.execPath, args, { env: NO_COMPILER }), {
    code: 1,
    stderr: /^native\/sender\.node is not built: there is no C compiler \(ENOENT\)$/m,
  })
})
