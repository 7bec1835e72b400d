// Goal: a bench measures what it was asked for, or says what there is. Method: its program, asked
// for what there is not.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'

const run = promisify(execFile)

t.test('a server that there is not is told, with those that there are', async t => {
  // With a row that there is not either: nothing is measured, whatever becomes of the names of
  // servers.
  const only = ['--only', 'zot', '--only', 'nginx, static', '--only', 'zott']
  const ended = run(process.execPath, ['bench/run.ts', 'no-row', ...only])
  await t.rejects(ended, {
    code: 1,
    stderr: /^no such server: zott; there are Entrepot; .*; zot; nginx, static; /m,
  })
})
