// Goal: lines come out whole and in order, and the last ones of a process, too. Method: real files, read back.
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { type DropReason, LogOutput, WAITING_MAX_BYTES } from '../../../src/observe/log-output.ts'

async function open(t: { teardown(fn: () => unknown): unknown }, device?: string) {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-log-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const path = device ?? join(directory, 'log')
  const fd = openSync(path, 'a')
  t.teardown(() => closeSync(fd))
  const dropped: [DropReason, number][] = []
  const output = new LogOutput({
    fd,
    dropped: (reason, lines) => dropped.push([reason, lines]),
    resumed: () => {},
  })
  return { output, dropped, text: () => readFile(path, 'utf8') }
}

t.test('what waits is written at the end, in order', async t => {
  const { output, text } = await open(t)
  for (const line of ['one', 'two', 'ü']) output.write(`${line}\n`)
  output.end()
  t.equal(await text(), 'one\ntwo\nü\n')
  output.end()
  t.equal(await text(), 'one\ntwo\nü\n', 'once')
})

t.test(
  'lines beyond what is kept are dropped, each counted, and the end does not fail',
  async t => {
    const { output, dropped } = await open(t, '/dev/full')
    const line = `${'x'.repeat(WAITING_MAX_BYTES / 4 - 1)}\n`
    for (let count = 0; count < 6; count += 1) output.write(line)
    t.same(dropped, [
      ['slow', 1],
      ['slow', 1],
    ])
    output.end()
  },
)
