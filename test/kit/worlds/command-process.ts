// A command of the product as a process of its own, as people run it: another user's where the test
// says so, and one that can be killed.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { PROJECT } from './edge-process.ts'

export interface EndedCommand {
  /** Null where it was killed. */
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Default: those of the test. */
  readonly user?: { readonly uid: number; readonly gid: number }
}

const MAIN = join(PROJECT, 'src/main.ts')

/** Resolves at its end. @throws when it cannot be started */
export async function runProcess(
  argv: readonly string[],
  { env = {}, user }: CommandOptions = {},
): Promise<EndedCommand> {
  // As in edge-process.ts: what whoever runs the tests has node load is not for the product.
  const own = ['-u', 'NODE_OPTIONS', '-u', 'NODE_COMPILE_CACHE']
  const child = spawn('env', [...own, process.execPath, MAIN, ...argv], {
    cwd: '/',
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...user,
  })
  const output = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].setEncoding('utf8').on('data', (text: string) => (output[stream] += text))
  const [exitCode] = (await once(child, 'close')) as [number | null]
  return { exitCode, ...output }
}
