// Runs test files, each in a node of its own that prints its results itself, and adds up what they
// print. Not by tap's own runner: that loads itself into every node and every thread that a test
// starts, which took longer than what most tests do.
import { spawn } from 'node:child_process'
import { delimiter, dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface Total {
  readonly passed: number
  readonly failed: number
  /** With what is marked as to be done. */
  readonly skipped: number
  /** Of files that came to their end, with what they started; 0 where the kernel does not tell. */
  readonly processorMs: number
}

export interface RunOptions {
  /** Of the repository: file names are relative to it. */
  readonly directory: string
  readonly env: Readonly<Record<string, string>>
  /** So many files side by side. */
  readonly atOnce: number
  /** Those that nothing may run beside: they come first, one after the other. Default: none. */
  readonly isAlone?: (file: string) => boolean
  /** Those of which no two may run at once, beside whatever else does. Default: none. */
  readonly isInTurn?: (file: string) => boolean
  /** What one file may take, if it does not say itself that it needs longer. */
  readonly timeoutSeconds: number
  /**
   * Gets a file's lines when it has ended, so that those of two never mix: all of them, and those
   * that somebody wants to see.
   */
  readonly ended: (lines: { readonly all: readonly string[]; readonly shown: string[] }) => void
}

/**
 * A file ends itself after its time; one that runs in a circle and does not look at the clock is
 * ended after so many times that.
 */
const DEAF_FACTOR = 2

const ONE_FILE = fileURLToPath(new URL('test-file.mjs', import.meta.url))

/** Never rejects: a file that cannot be run, or that says no sum, has failed. */
export async function runTestFiles(files: readonly string[], options: RunOptions): Promise<Total> {
  const { atOnce, isAlone = () => false, isInTurn = () => false } = options
  const queues = Map.groupBy(files.entries(), ([, file]) =>
    isAlone(file) ? 'alone' : isInTurn(file) ? 'in turn' : 'free',
  )
  const totals: Total[] = []
  const runThrough = async (...kinds: readonly ('alone' | 'in turn' | 'free')[]) => {
    for (const kind of kinds) {
      const queue = queues.get(kind) ?? []
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const [index, file] = next
        totals.push(await runFile(file, index + 1, options))
      }
    }
  }
  await runThrough('alone')
  await Promise.all([
    runThrough('in turn', 'free'),
    ...Array.from({ length: atOnce - 1 }, () => runThrough('free')),
  ])
  return sumOf(totals)
}

export function sumOf(totals: readonly Total[]): Total {
  const sum = (of: (total: Total) => number) => totals.reduce((all, each) => all + of(each), 0)
  return {
    passed: sum(({ passed }) => passed),
    failed: sum(({ failed }) => failed),
    skipped: sum(({ skipped }) => skipped),
    processorMs: sum(({ processorMs }) => processorMs),
  }
}

async function runFile(file: string, number: number, options: RunOptions): Promise<Total> {
  const startedMs = performance.now()
  const { lines, processorMs, end } = await outputOf(file, options)
  const counted = countOf(lines)
  const why = whyFailed(counted, end)
  // What ended otherwise than it should has failed, whatever it counted.
  const unsaid = why !== undefined && counted.failed === 0 ? 1 : 0
  const tookMs = Math.round(performance.now() - startedMs)
  const verdict = `${why === undefined ? 'ok' : 'not ok'} ${number} - ${file} # time=${tookMs}ms processors=${processorMs}ms`
  const inner = lines.map(line => (line === '' ? '' : `    ${line}`))
  const reason = unsaid === 0 ? [] : [`    not ok - ${why}`]
  options.ended({
    all: [`# Subtest: ${file}`, ...inner, ...reason, verdict],
    shown: [...inner.filter(createFilter()), ...reason, verdict],
  })
  return { ...counted, failed: counted.failed + unsaid, processorMs }
}

/** What test-file.mjs says at its end. */
const PROCESSOR_TIME = /^# processor time=(\d+)ms$/

function outputOf(
  file: string,
  { directory, env, timeoutSeconds }: RunOptions,
): Promise<{ lines: string[]; processorMs: number; end: string }> {
  const child = spawn(process.execPath, [ONE_FILE, file], {
    cwd: directory,
    env: {
      ...env,
      ...process.env,
      TAP_TIMEOUT: String(timeoutSeconds),
      // What tests start as `node` must be the one that runs this.
      PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH']}`,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const deaf = setTimeout(() => child.kill('SIGKILL'), timeoutSeconds * DEAF_FACTOR * 1_000)
  const lines: string[] = []
  let processorMs = 0
  createInterface({ input: child.stdout }).on('line', line => {
    const said = PROCESSOR_TIME.exec(line)?.[1]
    if (said === undefined) lines.push(line)
    else processorMs = Number(said)
  })
  return new Promise(resolve => {
    const over = (end: string) => {
      clearTimeout(deaf)
      resolve({ lines, processorMs, end })
    }
    child.on('error', error => over(error.message))
    child.on('close', (code, signal) => over(signal ?? `exit code ${code}`))
  })
}

const SOUND = 'exit code 0'

/** `isTold` is false where the file said no sum. */
function countOf(
  lines: readonly string[],
): Omit<Total, 'processorMs'> & { readonly isTold: boolean } {
  const sum = lines.findLast(line => line.startsWith('# { total: ')) ?? ''
  const count = (what: string) => Number(new RegExp(`${what}: (\\d+)`).exec(sum)?.[1] ?? 0)
  return {
    passed: count('pass'),
    failed: count('fail'),
    skipped: count('skip') + count('todo'),
    isTold: sum !== '',
  }
}

function whyFailed(
  { isTold, passed, failed, skipped }: ReturnType<typeof countOf>,
  end: string,
): string | undefined {
  if (!isTold) return `it ended without its sum: ${end}`
  if (failed > 0 || end !== SOUND) return `it ended otherwise than it should: ${end}`
  return passed + skipped === 0 ? 'it tests nothing' : undefined
}

/**
 * Lets through what failed, with its details, and what tests print on purpose: matrices,
 * histograms.
 */
function createFilter(): (line: string) => boolean {
  let failing = false
  return line => {
    const result = /^\s*(not ok|ok) \d+/.exec(line)
    if (result !== null) failing = result[1] === 'not ok' && !line.includes('# SKIP')
    return failing || /^\s*# (?!Subtest|time=|\{ total)/.test(line)
  }
}
