// strace on a process that runs already, its threads too: which calls it made, and calls that fail
// on order.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export interface TracedProcess {
  /** Lets go of the process; the lines of all calls so far, as strace writes them. */
  stop(): Promise<readonly string[]>
}

interface TraceOptions {
  readonly calls: string
  readonly inject?: string
  readonly raw?: boolean
}

/**
 * `calls` and `inject` as `-e trace=` and `-e inject=` take them; `raw`: arguments as numbers,
 * addresses too.
 * @throws when strace is missing or may not
 */
export async function straceProcess(
  pid: number,
  { calls, inject, raw = false }: TraceOptions,
): Promise<TracedProcess> {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-strace-'))
  const log = join(directory, 'log')
  const args = ['-f', '-o', log, '-p', String(pid), '-e', `trace=${calls}`]
  if (raw) args.push('-e', `raw=${calls}`)
  if (inject !== undefined) args.push('-e', `inject=${inject}`)
  const strace = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(strace, 'close')
  const said: string[] = []
  await new Promise<void>((resolve, reject) => {
    strace.once('error', cause =>
      reject(
        new Error('this test watches a program with strace: apt-get install strace', { cause }),
      ),
    )
    void ended.then(() => reject(new Error(`strace ended: ${said.join('\n')}`)))
    createInterface({ input: strace.stderr }).on('line', line => {
      said.push(line)
      if (/attached/.test(line)) resolve()
    })
  })
  return {
    async stop() {
      strace.kill('SIGINT')
      await ended
      const lines = (await readFile(log, 'utf8')).split('\n')
      await rm(directory, { recursive: true })
      return lines.filter(line => line !== '')
    },
  }
}
