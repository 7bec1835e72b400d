// Liveness and readiness. Liveness says that this process answers, and asks nothing; readiness says
// whether traffic should come here. An unreachable upstream makes nobody unready: serving without
// it is the purpose.
import { LATE, within } from '../async/within.ts'

/** A disk that hangs must show within five seconds; this leaves room for the rest. */
export const READINESS_LIMIT_MS = 4_000

/** Resolves when all is well; rejects, with a reason for the operator, when not. */
export type ReadinessCheck = () => Promise<void>

export interface ReadinessOptions {
  /** By name, as it shows in the answer: `store`, `catalog`. */
  readonly checks: Readonly<Record<string, ReadinessCheck>>
  readonly draining: () => boolean
  /** As Clock.sleep. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>
}

export interface CheckResult {
  readonly ok: boolean
  readonly reason: string | undefined
}

export interface Readiness {
  readonly ready: boolean
  readonly checks: Readonly<Record<string, CheckResult>>
}

/** Runs all checks at once, each for at most READINESS_LIMIT_MS; never rejects. */
export async function checkReadiness(options: ReadinessOptions): Promise<Readiness> {
  const names = Object.keys(options.checks)
  const results = await Promise.all(
    Object.values(options.checks).map(check => runCheck(check, options.sleep)),
  )
  const draining = options.draining()
  const checks: Record<string, CheckResult> = {
    drain: { ok: !draining, reason: draining ? 'the process is stopping' : undefined },
  }
  for (const [index, name] of names.entries()) {
    const result = results[index]
    if (result !== undefined) checks[name] = result
  }
  return { ready: Object.values(checks).every(({ ok }) => ok), checks }
}

async function runCheck(
  check: ReadinessCheck,
  sleep: ReadinessOptions['sleep'],
): Promise<CheckResult> {
  try {
    const outcome = await within({ sleep }, READINESS_LIMIT_MS, check())
    return outcome === LATE
      ? { ok: false, reason: 'no answer in time' }
      : { ok: true, reason: undefined }
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) }
  }
}
