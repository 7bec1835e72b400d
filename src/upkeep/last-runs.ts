// How the last run of each job ended, kept in the catalog: an operator who looks after a restart
// sees what was done before it.
import { JOB_NAMES, JOB_OUTCOMES, type JobName, type LastRun } from '../registry/job.ts'
import type { Catalog } from '../registry/ports/catalog.ts'

/** What fits on an operator's screen. */
const REASON_MAX_LENGTH = 1_000

type Kept = Readonly<Record<string, unknown>>

export class LastRuns {
  readonly #catalog: Pick<Catalog, 'noteJob'>
  readonly #runs: Map<JobName, LastRun>

  constructor(catalog: Pick<Catalog, 'noteJob'>, runs: ReadonlyMap<JobName, LastRun> = new Map()) {
    this.#catalog = catalog
    this.#runs = new Map(runs)
  }

  /** Undefined when it never ran. */
  find(name: JobName): LastRun | undefined {
    return this.#runs.get(name)
  }

  /** Known from the call on; durable when it resolves. @throws StoreError */
  async note(name: JobName, { reason, ...run }: LastRun): Promise<void> {
    const last = reason === undefined ? run : { ...run, reason: reason.slice(0, REASON_MAX_LENGTH) }
    this.#runs.set(name, last)
    await this.#catalog.noteJob({ name, body: JSON.stringify(last) })
  }
}

/** As earlier processes left them. @throws StoreError */
export async function openLastRuns(catalog: Pick<Catalog, 'listJobNotes' | 'noteJob'>) {
  const runs = new Map<JobName, LastRun>()
  for (const { name, body } of await catalog.listJobNotes()) {
    const job = JOB_NAMES.find(each => each === name)
    const run = runFrom(body)
    // Another version may have jobs that this one does not have.
    if (job !== undefined && run !== undefined) runs.set(job, run)
  }
  return new LastRuns(catalog, runs)
}

function runFrom(body: string): LastRun | undefined {
  const { outcome, beganAtMs, tookMs, count, freedBytes, reason } = fieldsOf(body)
  const known = JOB_OUTCOMES.find(each => each === outcome)
  if (known === undefined) return undefined
  if (!isNumber(beganAtMs) || !isNumber(tookMs)) return undefined
  if (!isNumber(count) || !isNumber(freedBytes)) return undefined
  const run = { outcome: known, beganAtMs, tookMs, count, freedBytes }
  return typeof reason === 'string' ? { ...run, reason } : run
}

function fieldsOf(body: string): Kept {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null ? (value as Kept) : {}
  } catch {
    return {}
  }
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && value >= 0
}
