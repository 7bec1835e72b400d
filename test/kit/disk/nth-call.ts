// Lets a process die before its n-th change to a directory, or that change fail, whichever of its
// threads makes it: nth-call.c, compiled on the spot and preloaded. Takes a C compiler and Linux.
import { execFile } from 'node:child_process'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const SOURCE = new URL('./nth-call.c', import.meta.url).pathname

/** As nth-call.c has them. */
const NUMBERS_BYTES = 24
const KINDS_MAX = 4096

/** In the order of the numbers that nth-call.c knows. */
const MODES = ['off', 'count', 'kill', 'EIO', 'ENOSPC'] as const
export type NthMode = (typeof MODES)[number]

export interface NthCall {
  /** For the process that is to be hit. */
  readonly env: Readonly<Record<string, string>>
  /** From now on calls are counted from 1, and the `n`-th is hit. */
  arm(mode: NthMode, n?: number): void
  /** Calls since `arm`. */
  calls(): number
  /** Of those that were counted, a letter for each: nth-call.c says which. */
  kinds(): string
  remove(): Promise<void>
}

/** `directory` must be there. @throws with what is missing when it can't be compiled */
export async function compileNthCall(directory: string): Promise<NthCall> {
  const own = await mkdtemp(join(tmpdir(), 'entrepot-nth-'))
  const library = join(own, 'nth.so')
  const control = join(own, 'control')
  await run('cc', ['-shared', '-fPIC', '-O1', '-o', library, SOURCE, '-ldl']).catch(
    (cause: unknown) => {
      throw new Error('this test compiles a few lines of C: install gcc and libc6-dev', { cause })
    },
  )
  await writeFile(control, Buffer.alloc(NUMBERS_BYTES + KINDS_MAX))
  const file = openSync(control, 'r+')
  const calls = () => {
    const bytes = Buffer.alloc(8)
    readSync(file, bytes, 0, 8, 16)
    return Number(bytes.readBigInt64LE())
  }
  return {
    env: {
      LD_PRELOAD: library,
      NTH_CONTROL: control,
      NTH_DIRECTORY: await realpath(directory),
      // Files that are written by io_uring are not written by calls.
      UV_USE_IO_URING: '0',
    },
    arm(mode, n = 0) {
      const numbers = new BigInt64Array([BigInt(MODES.indexOf(mode)), BigInt(n), 0n])
      // Off first, so that no call is counted between the numbers.
      writeSync(file, Buffer.alloc(8), 0, 8, 0)
      const bytes = Buffer.from(numbers.buffer)
      writeSync(file, bytes, 8, 16, 8)
      writeSync(file, bytes, 0, 8, 0)
    },
    calls,
    kinds() {
      const bytes = Buffer.alloc(Math.min(calls(), KINDS_MAX))
      readSync(file, bytes, 0, bytes.length, NUMBERS_BYTES)
      return bytes.toString()
    },
    async remove() {
      closeSync(file)
      await rm(own, { recursive: true, force: true })
    },
  }
}
