// Lets the clocks of a process leap forward while it runs, as after a machine was suspended:
// leaping-clock.c, compiled on the spot and preloaded. What waits for minutes in the product is
// then seen in seconds, with the product's own figures. Takes a C compiler and Linux.
import { execFile } from 'node:child_process'
import { closeSync, openSync, writeSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const SOURCE = new URL('./leaping-clock.c', import.meta.url).pathname
const NS_PER_MS = 1_000_000n

export interface LeapingClock {
  /** For the process whose clock it is. */
  readonly env: Readonly<Record<string, string>>
  /**
   * The process, and those after it, are `ms` further from now on. Timers that are due by that ring
   * when the process next wakes for anything: send it a request.
   */
  leap(ms: number): void
  remove(): Promise<void>
}

/** @throws with what is missing when it can't be compiled */
export async function compileLeapingClock(): Promise<LeapingClock> {
  const own = await mkdtemp(join(tmpdir(), 'entrepot-leap-'))
  const library = join(own, 'leap.so')
  const control = join(own, 'control')
  await run('cc', ['-shared', '-fPIC', '-O2', '-o', library, SOURCE, '-ldl']).catch(
    (cause: unknown) => {
      throw new Error('this test compiles a few lines of C: install gcc and libc6-dev', { cause })
    },
  )
  await writeFile(control, Buffer.alloc(8))
  const file = openSync(control, 'r+')
  let aheadMs = 0
  return {
    env: { LD_PRELOAD: library, LEAP_CONTROL: control },
    leap(ms) {
      aheadMs += ms
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64LE(BigInt(aheadMs) * NS_PER_MS)
      writeSync(file, bytes, 0, 8, 0)
    },
    async remove() {
      closeSync(file)
      await rm(own, { recursive: true, force: true })
    },
  }
}
