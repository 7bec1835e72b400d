// Lets a disk fail for a while: reads of content fail with EIO, whichever thread of a process asks,
// and are well again afterwards. failing-reads.c, compiled on the spot and preloaded. Takes a C
// compiler and Linux.
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const SOURCE = new URL('./failing-reads.c', import.meta.url).pathname

export interface FailingReads {
  /** For the process whose disk it is. */
  readonly env: Readonly<Record<string, string>>
  begin(): Promise<void>
  end(): Promise<void>
  remove(): Promise<void>
}

/**
 * `below`: of which files, `blobs` or `fills`.
 * @throws with what is missing when it can't be compiled
 */
export async function compileFailingReads(
  below: 'blobs' | 'fills' = 'blobs',
): Promise<FailingReads> {
  const own = await mkdtemp(join(tmpdir(), 'entrepot-reads-'))
  const library = join(own, 'reads.so')
  const failing = join(own, 'failing')
  await run('cc', ['-shared', '-fPIC', '-O1', '-o', library, SOURCE, '-ldl']).catch(
    (cause: unknown) => {
      throw new Error('this test compiles a few lines of C: install gcc and libc6-dev', { cause })
    },
  )
  return {
    // What io_uring reads is read by no call.
    env: {
      LD_PRELOAD: library,
      FAILING_WHILE: failing,
      FAILING_BELOW: `/${below}/`,
      UV_USE_IO_URING: '0',
    },
    begin: () => writeFile(failing, ''),
    end: () => rm(failing, { force: true }),
    remove: () => rm(own, { recursive: true, force: true }),
  }
}
