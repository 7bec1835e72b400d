// Goal: the power cuts of this suite are sharp enough to see a missing directory fsync. In the
// whole product they are not: the catalog's own commit on the same file system carries most renames
// along, so the order of its system calls is asserted elsewhere. Method: a writer of plain files
// under the same cuts, with the directory fsync and without it.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { mountCutDisk } from '../kit/disk/cut-disk.ts'
import { createRandom, seedOf } from '../kit/seeded.ts'

const WRITER = new URL('../kit/disk/bare-writer.ts', import.meta.url).pathname
const DISK_MIB = 400
const CUTS = 10
/**
 * Every third cut or so loses something: this many without a loss have a chance of one in a hundred
 * thousand.
 */
const CONTROL_CUTS_MAX = 40
/**
 * Enough for some journal commits, so that there is something to lose and something that is safe.
 */
const ACKNOWLEDGED = [20, 400] as const

t.setTimeout(300_000)

async function cutUnder(kind: 'synced' | 'unsynced', cuts: number) {
  const random = createRandom(seedOf(process.env))
  const disk = await mountCutDisk(DISK_MIB)
  let acknowledged = 0
  let lost = 0
  let done = 0
  try {
    for (; done < cuts && lost === 0; done += 1) {
      const enough = random.between(...ACKNOWLEDGED)
      const child = spawn(
        'env',
        ['-u', 'NODE_OPTIONS', process.execPath, WRITER, disk.path, kind],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      )
      const names: string[] = []
      const lines = createInterface({ input: child.stdout })
      for await (const line of lines) {
        names.push(line)
        if (names.length >= enough) break
      }
      child.kill('SIGSTOP')
      await disk.cut()
      child.kill('SIGKILL')
      await once(child, 'exit')
      await disk.comeBack()
      acknowledged += names.length
      lost += names.filter(name => !existsSync(join(disk.path, name))).length
    }
  } finally {
    await disk.unmount()
  }
  return { acknowledged, lost, done }
}

t.test('R02: a bare writer that syncs its directory loses nothing', async t => {
  const { acknowledged, lost, done } = await cutUnder('synced', CUTS)
  t.comment(`${done} cuts: ${acknowledged} acknowledged, ${lost} lost`)
  t.equal(lost, 0)
})

t.test('R02: a bare writer that does not sync its directory loses some', async t => {
  const { acknowledged, lost, done } = await cutUnder('unsynced', CONTROL_CUTS_MAX)
  t.comment(`${done} cuts: ${acknowledged} acknowledged, ${lost} lost`)
  t.ok(lost > 0)
})
