// What leaves for want of room, for people.
import { formatImage, type Repository, repositoryKey, type Tag } from '../../oci/reference.ts'
import type { Gone } from '../job.ts'
import type { Candidate, Stage } from './candidate.ts'
import type { Chosen } from './chosen.ts'

export type Told = (gone: Gone) => void

export interface Evict {
  readonly signal: AbortSignal
  /** For whom: a floor that is its own holds nothing back from it. */
  readonly of?: Repository | undefined
  /** Told of each thing that leaves. MUST NOT throw. */
  readonly told?: Told
}

const SPANS = [
  ['days', 24 * 3_600_000],
  ['hours', 3_600_000],
  ['minutes', 60_000],
] as const

/** What differs between candidates. */
export function nameOf(candidate: Candidate): string {
  if (candidate.kind === 'loose') return candidate.content.digest
  const { repository, digest } = candidate.image
  return `${repositoryKey(repository)}@${digest}`
}

/** Of the tags of one image, told: which image it is, and not all that are there. */
export const TAGS_TOLD = 3

/** `tags`: that lead to it, as many as are told and one more. */
export function tellOf(
  { candidate, bytes }: Chosen,
  { stage, nowMs, tags }: { stage: Stage; nowMs: number; tags: readonly Tag[] },
): Gone {
  const usedAtMs =
    candidate.kind === 'loose' ? candidate.content.lastUsedAtMs : candidate.image.usedAtMs
  const what =
    candidate.kind === 'loose'
      ? 'nothing needs it'
      : stage.isOver
        ? 'above its quota'
        : 'the coldest'
  const reason = `${what}, last used ${describeSpan(nowMs - usedAtMs)} ago`
  return { what: nameWith(candidate, tags), reason: `${reason}${alsoTagged(tags)}`, bytes }
}

function nameWith(candidate: Candidate, [tag]: readonly Tag[]): string {
  if (candidate.kind === 'loose' || tag === undefined) return nameOf(candidate)
  const { repository, digest } = candidate.image
  return `${formatImage(repository, { kind: 'tag', tag })}@${digest}`
}

function alsoTagged([, ...others]: readonly Tag[]): string {
  if (others.length === 0) return ''
  const told = others.slice(0, TAGS_TOLD - 1).join(', ')
  return `; also tagged ${told}${others.length < TAGS_TOLD ? '' : ' and more'}`
}

function describeSpan(ms: number): string {
  for (const [unit, unitMs] of SPANS)
    if (ms >= 2 * unitMs) return `${Math.floor(ms / unitMs)} ${unit}`
  const seconds = Math.max(0, Math.floor(ms / 1000))
  return seconds === 1 ? '1 second' : `${seconds} seconds`
}
