// Says what is wrong with a data directory, and changes nothing: rows against files, facts against
// rows both ways, images against what they list, and where it is asked for bytes against digests.
// The catalog may be a copy of one that nobody has open, or that of the running server, while
// clients change what is here: so what looks wrong is looked at again when all else is done.
import type { OddFile } from '../ports/inspected-files.ts'
import type { Damage } from './damage.ts'
import { compareFactsAndRows } from './facts-and-rows.ts'
import { type FsckReport, Report } from './report.ts'
import type { ReadPart } from './read-part.ts'
import { compareRowsAndFiles } from './rows-and-files.ts'
import type { FsckDeps, FsckProgress, FsckSteps } from './steps.ts'

export interface FsckOptions {
  /** Of which content every byte is read; undefined: none is. */
  readonly read: ReadPart | undefined
  /** What was found of the catalog's file before it was opened. */
  readonly catalogDamages: readonly Damage[]
  /** Called now and then. */
  readonly progress: (progress: FsckProgress) => void
  readonly signal: AbortSignal
  /** A server works here: what it is about to finish is no damage. Default: none does. */
  readonly isLive?: boolean
}

/** What of these lies there while a server works is its own, and swept by its next start. */
const GROWING: ReadonlySet<OddFile['kind']> = new Set([
  'part of no use',
  'upload of no use',
  'leftover',
])

/** Told so often, by what was looked at. */
const PROGRESS_EVERY = 1_000
/** Some milliseconds of work; then whoever pulls has the thread. */
const AT_ONCE = 256
const PAUSE_MS = 1

/** @throws StoreError; the signal's reason */
export async function fsck(deps: FsckDeps, options: FsckOptions): Promise<FsckReport> {
  const report = new Report()
  for (const damage of options.catalogDamages) report.add(damage)
  const unreadable = new Map<string, Damage>()
  report.looked.files += await deps.files.others(odd => {
    if (options.isLive === true && GROWING.has(odd.kind)) return
    const damage = damageOf(odd)
    if (odd.kind === 'fact unreadable') unreadable.set(odd.path, damage)
    else report.add(damage)
  })
  const steps = { ...deps, report, step: stepper(deps, report, options) }
  await compareRowsAndFiles(steps, options.read)
  await compareFactsAndRows(steps, unreadable)
  for (const damage of unreadable.values()) report.add(damage)
  return report.end()
}

function stepper(
  { clock }: FsckDeps,
  report: Report,
  { progress, signal }: FsckOptions,
): FsckSteps['step'] {
  const done = { files: 0, facts: 0, images: 0 }
  let steps = 0
  return async at => {
    signal.throwIfAborted()
    done[at] += 1
    steps += 1
    if (done[at] % PROGRESS_EVERY === 0)
      progress({ kind: 'progress', at, done: done[at], damages: report.damages })
    if (steps % AT_ONCE === 0) await clock.sleep(PAUSE_MS, signal)
  }
}

function damageOf({ kind, path, detail, digest }: OddFile): Damage {
  return { kind, what: digest ?? path, detail }
}
