// Runs the store's writer under strace and tells what it asked of the operating system, in order,
// in the store's own words.
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Clock } from '../../../src/registry/ports/clock.ts'
import type { StoreDirectory } from './store-directory.ts'

const run = promisify(execFile)
const WRITER = fileURLToPath(new URL('./store-writer.ts', import.meta.url))
const CALLS =
  'openat,write,pwrite64,pwritev,fsync,fdatasync,fchmod,close,rename,renameat,renameat2,unlink'

/** The writer needs no other time than that of the files it finds. */
export const FILE_SYSTEM_CLOCK: Clock = {
  nowMs: Date.now,
  monotonicMs: () => 0,
  sleep: () => Promise.resolve(),
}

/** See store-writer.ts. */
export type StoreTask =
  | 'put cached'
  | 'put kept'
  | 'commit cached'
  | 'commit kept'
  | 'commit ahead'
  | 'park'
  | 'park ahead'
  | 'upload cached'
  | 'upload kept'
  | 'park upload'
  | 'keep'
  | 'keep again'
  | 'write fact'
  | 'remove fact'

export interface TracedTask {
  readonly root: string
  readonly task: StoreTask
  readonly sizeBytes: number
  readonly chunkBytes: number
  /** An injection of strace: `fsync:error=EIO`. */
  readonly inject?: string
}

export interface Traced {
  /** What the writer printed. */
  readonly outcome: { readonly kind: string; readonly failure?: string; readonly hint?: string }
  /** `write part`, `rename part blob`, …: every call on a file below the root. */
  readonly calls: readonly string[]
}

/** @throws when strace is missing: a suite that needs it fails rather than skips. */
export async function traced({ root, inject, ...options }: TracedTask): Promise<Traced> {
  const scratch = await mkdtemp(join(tmpdir(), 'entrepot-trace-'))
  const log = join(scratch, 'trace')
  const { task, sizeBytes, chunkBytes } = options
  const strace = ['-f', '-y', '-s', '0', '-o', log, '-e', `trace=${CALLS}`]
  if (inject !== undefined) strace.push('-e', `inject=${inject}`)
  // strace counts for each thread on its own; with one thread for the disk, the second call is the
  // second call.
  const pool = inject?.includes('when=') === true ? { UV_THREADPOOL_SIZE: '1' } : {}
  const env = { ...process.env, ...pool }
  const writer = [process.execPath, WRITER, root, task, String(sizeBytes), String(chunkBytes)]
  try {
    const { stdout } = await run('strace', [...strace, ...writer], { env }).catch(
      (cause: unknown) => {
        throw new Error('this test runs a program under strace: apt-get install strace', { cause })
      },
    )
    const lines = (await readFile(log, 'utf8')).split('\n')
    const calls = lines.map(line => callOf(line, root)).filter(call => call !== undefined)
    return { outcome: JSON.parse(stdout), calls }
  } finally {
    await rm(scratch, { recursive: true })
  }
}

const CONTENT = / (part|upload|blob|prefix|temporary|sidecar|facts?)\b/

const VERBS: Record<string, string> = {
  openat: 'open',
  pwrite64: 'write',
  pwritev: 'write',
  fsync: 'sync',
  fdatasync: 'datasync',
  fchmod: 'chmod',
  renameat: 'rename',
  renameat2: 'rename',
}

/** A call is told where it starts; the line that says it resumed adds nothing. */
function callOf(line: string, root: string): string | undefined {
  const [, name = '', rest = ''] = /^\d+\s+(\w+)\((.*)$/.exec(line) ?? []
  const [given = ''] = rest.split(/\) += /)
  const paths = [...given.matchAll(/[<"](\/[^>"]*)[>"]/g)].map(match => match[1] ?? '')
  const files = paths.filter(path => path.startsWith(`${root}/`)).map(path => fileOf(path, root))
  return files.length === 0 ? undefined : [VERBS[name] ?? name, ...files].join(' ')
}

function fileOf(path: string, root: string): string {
  const [top = '', ...below] = path.slice(root.length + 1).split('/')
  if (top === 'tmp' && below.length === 1) return 'temporary'
  if (top === 'fills' && below.length === 1) return path.endsWith('.json') ? 'sidecar' : 'part'
  if (top === 'uploads' && below.length === 1) return path.endsWith('.json') ? 'sidecar' : 'upload'
  if (top === 'facts' && below.length === 1) return 'fact'
  if (top === 'blobs' && below.length === 3) return 'blob'
  if (top === 'blobs' && below.length === 2) return 'prefix'
  return top
}

/**
 * As traced, in a directory whose own directories were made before: what is told is only the way of
 * contents and facts.
 */
export async function traceContent(directory: StoreDirectory, options: Omit<TracedTask, 'root'>) {
  await directory.open()
  const { calls, outcome } = await traced({ root: directory.root, ...options })
  const onContent = calls.filter(call => CONTENT.test(call))
  return { directory, outcome, calls: onContent }
}

export function count(calls: readonly string[], call: string): number {
  return calls.filter(other => other === call).length
}
