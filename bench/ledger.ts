// What a run has started, written down as it starts, so that the next run can end what an aborted
// one left: processes by id and start time, and network namespaces by name. A run that ends by
// itself has ended all of it before.
import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Of directories and of network namespaces of a run; the process id of the run follows. */
export const RUN_PREFIX = 'entrepot-bench-'
const LEDGER = 'started'

interface Entry {
  readonly pid: number
  /** Ticks since the machine started: with the id it names a process for ever. */
  readonly startTicks: number
}

let ledger: string | undefined

/**
 * A directory of this run with the ledger in it; removed when the process ends. Whatever was
 * started before is not written down.
 */
export function openRunDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), `${RUN_PREFIX}${process.pid}-`))
  ledger = join(directory, LEDGER)
  spreadOut(directory)
  writeFileSync(ledger, '')
  noteProcess(process.pid)
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/**
 * Ext4 looks through what was deleted nearby in the last minutes for each file that is made: a
 * million of them took ten minutes after a row that had removed as many. Directories in one that is
 * marked so lie apart. No effect on other file systems.
 */
function spreadOut(directory: string): void {
  spawnSync('chattr', ['+T', directory], { stdio: 'ignore' })
}

/** No effect outside a run. */
export function noteProcess(pid: number): void {
  const startTicks = startTicksOf(pid)
  if (ledger === undefined || startTicks === undefined) return
  appendFileSync(ledger, `${pid} ${startTicks}\n`)
}

/**
 * Ends and removes what runs left whose own process is gone. Returns what it found, as lines for
 * people.
 */
export function endLeftovers(): readonly string[] {
  const directories = readdirSync(tmpdir()).filter(name => name.startsWith(RUN_PREFIX))
  const found = directories.flatMap(name => {
    const directory = join(tmpdir(), name)
    const [run, ...started] = readLedger(directory)
    // Without a ledger it is nobody's of whom anything is known.
    if (run === undefined || isAlive(run)) return []
    const left = started.filter(isAlive)
    for (const { pid } of left) endGroup(pid)
    removeMounts(directory)
    rmSync(directory, { recursive: true, force: true })
    return [`${name}: of an aborted run; removed, and ${left.length} processes ended`]
  })
  return [...found, ...endNamespaces()]
}

/** The first is the run itself. */
function readLedger(directory: string): readonly Entry[] {
  try {
    return parseLedger(readFileSync(join(directory, LEDGER), 'utf8'))
  } catch {
    return []
  }
}

/** A last line that was cut short is left out. */
export function parseLedger(text: string): readonly Entry[] {
  return [...text.matchAll(/^(\d+) (\d+)\n/gm)].map(([, pid, startTicks]) => ({
    pid: Number(pid),
    startTicks: Number(startTicks),
  }))
}

function isAlive({ pid, startTicks }: Entry): boolean {
  return startTicksOf(pid) === startTicks
}

function startTicksOf(pid: number): number | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name in the second field may hold anything; the start time is the 22nd field.
    return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[19])
  } catch {
    return undefined
  }
}

/** Servers lead a group of their own; workers do not. */
function endGroup(pid: number): void {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, 'SIGKILL')
    } catch {
      // It leads no group, or is gone.
    }
  }
}

/** Daemons of containers leave mounts, which hold their directory. */
function removeMounts(directory: string): void {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map(line => line.split(' ')[1] ?? '')
    .filter(mount => mount.startsWith(`${directory}/`))
  for (const mount of mounts.toReversed()) spawnSync('umount', ['--lazy', mount])
}

function endNamespaces(): readonly string[] {
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' })
  const names = (stdout ?? '').split('\n').map(line => line.split(' ')[0] ?? '')
  return names
    .filter(name => name.startsWith(RUN_PREFIX))
    .filter(name => startTicksOf(Number.parseInt(name.slice(RUN_PREFIX.length), 10)) === undefined)
    .map(name => {
      spawnSync('ip', ['netns', 'del', name])
      return `network namespace ${name}: of an aborted run; removed`
    })
}
