// When may a tag's known answer be given? The rule of docs/configuration.md, as a function of time
// alone.
import picomatch, { type PicomatchOptions } from 'picomatch'
import { NAME_GLOB } from '../../oci/name-glob.ts'
import type { Repository, Tag } from '../../oci/reference.ts'
import type { Repeatable } from '../answers.ts'
import type { FreshnessPolicy } from '../routing/namespaces.ts'

/**
 * After its freshness an answer is still given at once, while one HEAD runs, for as long again but
 * at most this.
 */
const LONGEST_GRACE_MS = 60_000

/**
 * Whether all of an image is here is looked at again so often where nobody can be asked for the
 * rest: files may go by any hand.
 */
const LOOKED_AT_MS = 60_000

/** `grace`: give the known answer now and check it in the background. `expired`: check first. */
export type Freshness = 'fresh' | 'grace' | 'expired'

export function freshnessOf(checkedAtMs: number, ttlMs: number, nowMs: number): Freshness {
  const ageMs = nowMs - checkedAtMs
  // A clock that was set back makes ages negative: checked in the future is not known to be fresh.
  if (ageMs < 0) return 'expired'
  if (ageMs < ttlMs) return 'fresh'
  return ageMs < ttlMs + graceMs(ttlMs) ? 'grace' : 'expired'
}

/** The same, said beforehand. */
export function freshFrom(checkedAtMs: number, ttlMs: number): Repeatable {
  const untilMs = checkedAtMs + ttlMs
  return { sinceMs: checkedAtMs, untilMs, graceUntilMs: untilMs + graceMs(ttlMs) }
}

/** Of what no time makes old. `sinceMs`: when a tag was confirmed. */
export function alwaysFrom(sinceMs = 0): Repeatable {
  return { sinceMs, untilMs: Number.POSITIVE_INFINITY, graceUntilMs: Number.POSITIVE_INFINITY }
}

/** Of what was given because all of it was found here at `nowMs`. */
export function whileWholeFrom(sinceMs: number, nowMs: number): Repeatable {
  const untilMs = nowMs + LOOKED_AT_MS
  return { sinceMs, untilMs, graceUntilMs: untilMs }
}

function graceMs(ttlMs: number): number {
  return Math.min(ttlMs, LONGEST_GRACE_MS)
}

/** May an answer of this age stand in for an upstream that failed? */
export function isServableStale(checkedAtMs: number, maxStaleMs: number, nowMs: number): boolean {
  return nowMs - checkedAtMs <= maxStaleMs
}

/** Compiles a policy's patterns once. Returns how long a tag of a repository is fresh. */
export function compileTtl(policy: FreshnessPolicy): (repository: Repository, tag: Tag) => number {
  const rules = policy.tagRules.map(rule => ({
    matchesRepository: matcher(rule.repository, NAME_GLOB),
    matchesTag: matcher(rule.tag, { dot: true }),
    ttlMs: rule.ttlMs,
  }))
  return (repository, tag) =>
    rules.find(rule => rule.matchesRepository(repository.name) && rule.matchesTag(tag))?.ttlMs ??
    policy.ttlMs
}

/** `*` alone matches every repository, with slashes too: that is what people mean by `*:latest`. */
function matcher(glob: string, options: PicomatchOptions): (text: string) => boolean {
  return glob === '*' || glob === '**' ? () => true : picomatch(glob, options)
}
