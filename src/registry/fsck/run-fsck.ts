// fsck as operators ask for it: what is wrong, and where they say so what a start and a scrub would
// do about it, and no more: what was pushed is never removed. Then what is wrong is looked for
// again.
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { JobRun } from '../job.ts'
import { recover, type RecoveryParts } from '../rebuild/recovery.ts'
import type { RunningRegistry } from '../running-registry.ts'
import type { ScrubResult } from '../scrub/scrub.ts'
import { type DamageKind, menderOf } from './damage.ts'
import { fsck } from './fsck.ts'
import type { FsckReport } from './report.ts'
import type { ReadPart } from './read-part.ts'
import type { FsckDeps, FsckProgress } from './steps.ts'

export interface RunFsck {
  readonly read: ReadPart | undefined
  readonly repair: boolean
}

/** What was wrong and is not any more: so many of each kind. */
export interface Mended {
  readonly kind: DamageKind
  readonly count: number
}

export type FsckEvent =
  | FsckProgress
  | {
      readonly kind: 'report'
      /** With `mended`: as it is after that. */
      readonly report: FsckReport
      readonly mended?: readonly Mended[]
    }

export interface FsckControl {
  /** Ends after `report`. @throws RegistryError while another one runs; StoreError */
  run(wanted: RunFsck, signal: AbortSignal): AsyncIterable<FsckEvent>
}

export interface RepairDeps extends RecoveryParts {
  readonly registry: Pick<RunningRegistry, 'compareFacts' | 'adoptFiles'>
  readonly scrubThese: (run: JobRun, digests: readonly Digest[]) => Promise<ScrubResult>
}

/** What a look at the file by a scrub may put right, or bring back. */
const FOR_SCRUB: ReadonlySet<DamageKind> = new Set([
  'wrong bytes',
  'wrong size',
  'forbidden',
  'unreadable',
  'kept missing',
  'cached missing',
])

/** Over a running registry. */
export class RunningFsck implements FsckControl {
  readonly #deps: FsckDeps & RepairDeps
  #isRunning = false

  constructor(deps: FsckDeps & RepairDeps) {
    this.#deps = deps
  }

  async *run(wanted: RunFsck, signal: AbortSignal): AsyncGenerator<FsckEvent> {
    if (this.#isRunning) throw new RegistryError('UNAVAILABLE', 'another fsck runs')
    this.#isRunning = true
    try {
      yield* eventsOf(tell => runFsck(this.#deps, wanted, { progress: tell, signal }))
    } finally {
      this.#isRunning = false
    }
  }
}

interface Told {
  readonly progress: (progress: FsckProgress) => void
  readonly signal: AbortSignal
}

async function runFsck(
  deps: FsckDeps & RepairDeps,
  { read, repair }: RunFsck,
  told: Told,
): Promise<Extract<FsckEvent, { kind: 'report' }>> {
  const look = () => fsck(deps, { read, catalogDamages: [], isLive: true, ...told })
  const report = await look()
  if (!repair || report.repairable + report.operators === 0) return { kind: 'report', report }
  await repairFound(deps, report, told.signal)
  const after = await look()
  return { kind: 'report', report: after, mended: mendedBetween(report, after) }
}

export function mendedBetween(before: FsckReport, after: FsckReport): readonly Mended[] {
  const left = new Map(after.found.map(({ kind, count }) => [kind, count]))
  return before.found
    .map(({ kind, count }) => ({ kind, count: count - (left.get(kind) ?? 0) }))
    .filter(({ kind, count }) => count > 0 && menderOf(kind) !== 'nobody')
}

/**
 * As a start does, and a scrub of what was found.
 * @throws StoreError; the signal's reason
 */
export async function repairFound(
  deps: RepairDeps,
  { found }: FsckReport,
  signal: AbortSignal,
): Promise<void> {
  const { registry } = deps
  const compared = await registry.compareFacts(signal)
  // By their names: rows that are forgotten have nobody to bring their files back.
  const digests = found
    .filter(({ kind }) => FOR_SCRUB.has(kind))
    .flatMap(({ damages }) => damages.map(({ what }) => what as Digest))
    .filter(what => what.includes(':'))
  const pause = async () => signal.throwIfAborted()
  const run: JobRun = { signal, dryRun: false, progress: () => {}, pause }
  await deps.scrubThese(run, digests)
  await recover(deps, { full: true, signal })
  const isAllFound = compared.lost + compared.unreadable === 0
  await registry.adoptFiles({ isAllFound, signal })
}

/** What `work` tells, the last of it where it tells faster than is asked, and then its end. */
async function* eventsOf(
  work: (tell: (event: FsckProgress) => void) => Promise<FsckEvent>,
): AsyncGenerator<FsckEvent> {
  let last: FsckProgress | undefined
  let wake = Promise.withResolvers<void>()
  const end = work(progress => {
    last = progress
    wake.resolve()
  })
  const ended = end.then(
    () => true,
    () => true,
  )
  for (;;) {
    const isOver = await Promise.race([ended, wake.promise.then(() => false)])
    if (isOver) break
    wake = Promise.withResolvers<void>()
    if (last !== undefined) yield last
  }
  yield await end
}
