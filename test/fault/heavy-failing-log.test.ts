// Goal: a disk that is full under the log costs log lines and nothing else; once there is room the
// log goes on, and says what is missing. Method: the process that `npm start` starts, its output in
// a file on a tmpfs that is filled and relieved; every request is counted.
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { mountSmallDisk } from '../kit/disk/small-disk.ts'
import { startUnlogged } from '../kit/worlds/unlogged-edge.ts'

t.setTimeout(300_000)

/** Each some 300 bytes of log. */
const ROUND = 500

t.test('R278: a full disk under the log costs its lines; with room it goes on', async t => {
  const disk = await mountSmallDisk(1)
  t.teardown(() => disk.unmount())
  const file = join(disk.path, 'log')
  const log = openSync(file, 'a')
  const edge = await startUnlogged(t, { stdio: ['ignore', log, log] })
  closeSync(log)
  const ask = async (times: number) => {
    for (let done = 0; done < times; done += 1)
      t.equal((await fetch(`${edge.url}/v2/`)).status, 200)
  }
  await ask(ROUND)
  await disk.fill()
  // More than is gathered before a write, so that one has failed by the end.
  await ask(ROUND)
  await disk.relieve()
  await ask(ROUND)
  edge.child.kill('SIGTERM')
  t.same(await edge.ended, { code: 0, signal: null })
  const lines = (await readFile(file, 'utf8')).split('\n').flatMap(parsed)
  const logged = lines.filter(({ msg }) => msg === 'request completed').length
  const told = lines.filter(({ msg }) => msg === 'log lines were dropped')
  const dropped = told.reduce((sum, { lines: count }) => sum + count, 0)
  t.ok(dropped > 0, 'some are missing')
  t.match(told[0], { level: 'warn', code: 'ENOSPC', hint: /standard output/ })
  t.equal(logged + dropped, 3 * ROUND, 'and the log says how many')
})

interface Line {
  readonly msg: string
  readonly lines: number
}

/** Nothing for the line that the full disk has cut. */
function parsed(line: string): readonly Line[] {
  try {
    return [JSON.parse(line) as Line]
  } catch {
    return []
  }
}
