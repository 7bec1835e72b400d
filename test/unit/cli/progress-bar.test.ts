// Goal: whoever watches a pull sees how fast it comes and how long it takes, and the terminal is
// not flooded. Method: progress at times that the test sets; what is drawn is counted and read.
import t from 'tap'
import { createProgressBar } from '../../../src/cli/progress-bar.ts'

const MIB = 2 ** 20

function open(columns?: number) {
  const drawn: string[] = []
  let nowMs = 0
  const stdout = {
    write: (text: string) => drawn.push(text),
    ...(columns === undefined ? {} : { columns }),
  }
  const draw = createProgressBar({ stdout }, () => nowMs)
  /** As it stands on the terminal. */
  const line = () => (drawn.at(-1) ?? '').replace('\r\u001b[2K', '').replace(/\n$/, '')
  const at = (ms: number, doneBytes: number, label = 'sha256:0123456789ab') => {
    nowMs = ms
    draw({ label, doneBytes, totalBytes: 100 * MIB })
  }
  return { drawn, line, at }
}

t.test('R290: a pull shows its rate and what is left', async t => {
  const { line, at } = open(100)
  at(0, 0)
  t.notMatch(line(), /left|\/s/, 'nothing is known yet')
  at(2_000, 20 * MIB)
  t.match(line(), /20\.0 MiB of 100 MiB {2}10\.0 MiB\/s {2}8 s left$/)
  t.match(line(), /\[=+> +\]/)
  at(10_000, 100 * MIB)
  t.match(line(), /\[=+\] {2}100 MiB of 100 MiB {2}10\.0 MiB\/s$/)
})

t.test('R290: a pull is drawn ten times a second at most, and at its end', async t => {
  const { drawn, at } = open(100)
  for (let ms = 0; ms < 1_000; ms += 1) at(ms, ms * 1_000)
  t.equal(drawn.length, 10)
  at(1_000, 100 * MIB)
  t.equal(drawn.length, 11)
  t.match(drawn.at(-1), /\n$/)
  at(1_001, 0, 'sha256:another')
  t.equal(drawn.length, 12, 'the next blob begins at once')
})

t.test(
  'R290: a terminal without a size gets whole lines, and none gets longer ones than it has',
  async t => {
    for (const columns of [undefined, 0, 200, 80, 60, 40, 20]) {
      const { line, at } = open(columns)
      at(0, 0)
      at(3_000, 33 * MIB)
      const most = columns === undefined || columns === 0 ? 80 : columns
      t.ok(line().length < most, `${columns}: ${line()}`)
      if (most >= 80)
        t.match(line(), /\[=+> +\] {2}33\.0 MiB of 100 MiB {2}11\.0 MiB\/s {2}6 s left$/)
    }
  },
)
