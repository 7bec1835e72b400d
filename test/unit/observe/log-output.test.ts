// Goal: lines come out whole and in order, and the last ones of a process, too. Method: real files,
// read back.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, fstatSync, openSync, readSync, watch } from 'node:fs'
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
  const resumed: number[] = []
  let wake: (() => void) | undefined
  const output = new LogOutput({
    fd,
    dropped: (reason, lines) => dropped.push([reason, lines]),
    resumed: lines => {
      resumed.push(lines)
      wake?.()
    },
  })
  /** Resolves when it has taken lines again so many times. */
  const untilResumed = async (times: number) => {
    while (resumed.length < times) await new Promise<void>(resolve => (wake = resolve))
  }
  return { output, dropped, resumed, untilResumed, text: () => readFile(path, 'utf8') }
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

/** Of six lines the first is being written, three wait, and two are too many. */
function burst(output: LogOutput): void {
  for (let count = 0; count < 6; count += 1)
    output.write(`${String(count).repeat(WAITING_MAX_BYTES / 4 - 1)}\n`)
}

t.test('R278: what was dropped is told each time anew', async t => {
  const { output, dropped, resumed, untilResumed, text } = await open(t)
  for (let times = 1; times <= 2; times += 1) {
    burst(output)
    await untilResumed(times)
    // The other three come after it.
    while ((await text()).length < times * WAITING_MAX_BYTES) await new Promise(setImmediate)
    output.end()
  }
  t.same(resumed, [2, 2])
  t.equal(dropped.length, 4)
})

t.test('R278: the end does not write again what is being written', async t => {
  const { output, untilResumed, text } = await open(t)
  burst(output)
  output.end()
  await untilResumed(1)
  const written = (await text()).split('\n').map(line => line.slice(0, 1))
  t.same(written.toSorted(), ['', '0', '1', '2', '3'])
})

t.test('R278: a line that was cut by a failure stays by itself', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-log-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const path = join(directory, 'pipe')
  execFileSync('mkfifo', [path])
  const first = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const { output, dropped } = await open(t, path)
  // More than a pipe takes: the beginning of it is in there when its reader goes.
  output.write(`${'x'.repeat(WAITING_MAX_BYTES / 2)}\n`)
  let taken = 0
  while (taken === 0) {
    await new Promise(setImmediate)
    taken = readNow(first).length
  }
  closeSync(first)
  while (dropped.length === 0) await new Promise(setImmediate)
  const second = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  t.teardown(() => closeSync(second))
  while (readNow(second) !== '') {}
  output.write('next\n')
  output.end()
  t.equal(readNow(second), '\nnext\n')
})

/** What is there. */
function readNow(fd: number): string {
  const piece = Buffer.alloc(WAITING_MAX_BYTES)
  try {
    return piece.toString('latin1', 0, readSync(fd, piece))
  } catch {
    return ''
  }
}

t.test('a file that is done with is closed once, with all that waited for it', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-log-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const dropped: number[] = []
  const options = { dropped: (_: DropReason, lines: number) => dropped.push(lines), resumed() {} }
  const [first, second] = [join(directory, 'first'), join(directory, 'second')]
  const fd = openSync(first, 'a')
  const output = new LogOutput({ ...options, fd })
  output.write('one\n')
  await output.close()
  t.equal(await readFile(first, 'utf8'), 'one\n')
  const next = openSync(second, 'a')
  t.equal(next, fd, 'the number is another file’s')
  const other = new LogOutput({ ...options, fd: next })
  const watched = watch(second)
  const written = once(watched, 'change')
  other.write('two\n')
  output.write('three\n')
  // What was due of the first is over when that of the second is written.
  await written
  watched.close()
  t.ok(fstatSync(next).isFile(), 'which stays open')
  t.same(dropped, [1])
  await other.close()
  t.equal(await readFile(second, 'utf8'), 'two\n')
})

t.test('a file that takes no more does not hold up its end', async t => {
  const dropped: number[] = []
  const output = new LogOutput({
    fd: openSync('/dev/full', 'a'),
    dropped: (_, lines) => dropped.push(lines),
    resumed() {},
  })
  for (const line of ['one', 'two']) output.write(`${line}\n`)
  await output.close()
  t.same(dropped, [2])
})
