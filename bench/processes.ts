// What the kernel tells about processes: CPU time and memory of a server with all its children,
// what the whole machine computed, and how much of it others used meanwhile. Linux only.
import { readdirSync, readFileSync } from 'node:fs'

/**
 * Of /proc/PID/stat and /proc/stat: USER_HZ, which is 100 on every architecture that Node runs on.
 */
const TICKS_PER_SECOND = 100
const KIB_PER_MIB = 1024

interface Stat {
  readonly pid: number
  readonly parent: number
  /** User and system time of the process, ended threads included. */
  readonly ticks: number
  /** Of children that have ended and were waited for. */
  readonly childTicks: number
}

/** Seconds of processor time, user and system. */
export interface CpuTime {
  /** Of one process and everything below it; NaN where none was named. */
  readonly cpuSeconds: number
  /**
   * Of the whole machine, which is that of the server, its clients, the kernel between them, and
   * whatever else runs.
   */
  readonly boxSeconds: number
}

/**
 * Starts to watch what `pid` and the machine compute. The result tells what they computed since.
 */
export function watchCpu(pid: number | undefined): () => CpuTime {
  const ticksNow = () => ({
    own: pid === undefined ? Number.NaN : sumTicks(processTree(pid)),
    box: readMachine().busy,
  })
  const before = ticksNow()
  return () => {
    const after = ticksNow()
    return {
      cpuSeconds: (after.own - before.own) / TICKS_PER_SECOND,
      boxSeconds: (after.box - before.box) / TICKS_PER_SECOND,
    }
  }
}

/** Resident memory of `pid` and everything below it. Pages that they share count once for each. */
export function residentMiB(pid: number): number {
  return processTree(pid).reduce((sum, stat) => {
    const status = readIfThere(`/proc/${stat.pid}/status`)
    return sum + Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / KIB_PER_MIB
  }, 0)
}

/** Of what a machine had to give, in cores on average. */
export interface Others {
  /** What processes used that are neither this one nor its children. */
  readonly foreignCores: number
  /** What a virtual machine wanted and its host gave to others. */
  readonly stolenCores: number
}

/** Starts to watch the machine. The result tells what others took since. */
export function watchOthers(ownPid: number): () => Others {
  const startMs = performance.now()
  const before = machineTicks(ownPid)
  return () => {
    const ticks = TICKS_PER_SECOND * ((performance.now() - startMs) / 1000)
    const after = machineTicks(ownPid)
    return {
      foreignCores: Math.max(0, (after.foreign - before.foreign) / ticks),
      stolenCores: (after.stolen - before.stolen) / ticks,
    }
  }
}

function machineTicks(ownPid: number): { readonly foreign: number; readonly stolen: number } {
  const { busy, stolen } = readMachine()
  return { foreign: busy - sumTicks(processTree(ownPid)), stolen }
}

function readMachine() {
  return parseMachine(readFileSync('/proc/stat', 'utf8'))
}

/**
 * Of /proc/stat, in ticks: what was computed here, which is all but idling and waiting for disks,
 * and what the host gave to others.
 */
export function parseMachine(text: string): { readonly busy: number; readonly stolen: number } {
  const [first = ''] = text.split('\n')
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0, stolen = 0] = first
    .split(/\s+/)
    .slice(1)
    .map(Number)
  return { busy: user + nice + system + irq + softIrq, stolen }
}

function sumTicks(tree: readonly Stat[]): number {
  return tree.reduce((sum, { ticks, childTicks }) => sum + ticks + childTicks, 0)
}

/** `pid` and its descendants, as far as they are there. */
function processTree(pid: number): readonly Stat[] {
  const all = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(name => parseStat(readIfThere(`/proc/${name}/stat`)))
  const below = (parent: number): Stat[] =>
    all.filter(stat => stat.parent === parent).flatMap(stat => [stat, ...below(stat.pid)])
  return [...all.filter(stat => stat.pid === pid), ...below(pid)]
}

/**
 * The name in the second field may hold anything, so counting starts behind its last parenthesis.
 */
export function parseStat(text: string): Stat[] {
  const end = text.lastIndexOf(')')
  if (end === -1) return []
  const fields = text.slice(end + 2).split(' ')
  const at = (index: number) => Number(fields[index])
  return [
    {
      pid: Number.parseInt(text, 10),
      parent: at(1),
      ticks: at(11) + at(12),
      childTicks: at(13) + at(14),
    },
  ]
}

/** Empty when the process is gone. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
