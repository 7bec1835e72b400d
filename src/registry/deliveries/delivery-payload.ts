// What the outbox's entries for the carrier `queue` say: a pushed manifest, to be brought to its
// repository's upstream with everything that it needs. Written by a push, read by delivery/.
import { type Digest, digestFrom } from '../../oci/digest.ts'
import { type Repository, repositoryKey, type Tag, tagFrom } from '../../oci/reference.ts'
import type { NewDelivery } from '../ports/outbox.ts'

export interface ManifestDelivery {
  readonly digest: Digest
  readonly mediaType: string
  /** Empty: by digest alone. */
  readonly tags: readonly DeliveredTag[]
}

export interface DeliveredTag {
  readonly tag: Tag
  /**
   * Digests that the upstream's tag may have when this is delivered, beside the delivered one and
   * none at all: what this edge knew it to be at the push, and what earlier entries make of it.
   * Empty: the upstream had none, or could not be asked.
   */
  readonly expected: readonly Digest[]
  readonly overtaking?: Overtaking
}

/**
 * A later push, which did not go through the outbox, was about to point the tag to `by`. Found
 * there, the tag is left alone.
 */
export interface Overtaking {
  readonly by: Digest
  /**
   * Where the tag was before, or may come to be by an earlier entry; undefined: nowhere. The same
   * as `by`, it tells nothing.
   */
  readonly from: Digest | undefined
  /** From `sequence()`: no push leaves an entry as an attempt has seen it. */
  readonly mark: number
}

/** More than a tag is pushed while a line is down; the oldest ones are left out. */
export const EXPECTED_MAX = 32

export function formatDelivery(
  repository: Repository,
  delivery: ManifestDelivery,
  { id, atMs }: { id: number; atMs: number },
): NewDelivery {
  const { digest, mediaType, tags } = delivery
  return {
    id,
    carrier: 'queue',
    key: repositoryKey(repository),
    payload: JSON.stringify({ digest, mediaType, tags }),
    createdAtMs: atMs,
  }
}

/** Undefined when an earlier version, or a damaged disk, wrote something else. */
export function parseDelivery(payload: string): ManifestDelivery | undefined {
  let value: unknown
  try {
    value = JSON.parse(payload)
  } catch {
    return undefined
  }
  const { digest, mediaType, tags } = asObject(value)
  const parsed = typeof digest === 'string' ? digestFrom(digest) : undefined
  if (parsed === undefined || typeof mediaType !== 'string' || !Array.isArray(tags))
    return undefined
  const delivered = tags.map(parseTagOf)
  return delivered.every(each => each !== undefined)
    ? { digest: parsed, mediaType, tags: delivered }
    : undefined
}

/** What entries of one repository bring to its upstream between them. */
export interface CarriedThere {
  readonly digests: ReadonlySet<Digest>
  readonly tags: ReadonlySet<Tag>
}

/**
 * Of those that say what they carry. By the payloads, and not by the catalog's rows of `carried`:
 * those know of manifests alone, and of no entry that an older minor made.
 */
export function allCarriedBy(entries: readonly Pick<NewDelivery, 'payload'>[]): CarriedThere {
  const deliveries = entries.flatMap(({ payload }) => parseDelivery(payload) ?? [])
  return {
    digests: new Set(deliveries.map(({ digest }) => digest)),
    tags: new Set(deliveries.flatMap(({ tags }) => tags.map(({ tag }) => tag))),
  }
}

function parseTagOf(value: unknown): DeliveredTag | undefined {
  const { tag, expected, overtaking: told } = asObject(value)
  const parsed = typeof tag === 'string' ? tagFrom(tag) : undefined
  if (parsed === undefined || !Array.isArray(expected)) return undefined
  const digests = expected.map(each => (typeof each === 'string' ? digestFrom(each) : undefined))
  if (!digests.every(each => each !== undefined)) return undefined
  const overtaking = parseOvertaking(told)
  return { tag: parsed, expected: digests, ...(overtaking === undefined ? {} : { overtaking }) }
}

function parseOvertaking(value: unknown): Overtaking | undefined {
  const { by, from, mark } = asObject(value)
  const digest = typeof by === 'string' ? digestFrom(by) : undefined
  if (digest === undefined || typeof mark !== 'number') return undefined
  return { by: digest, from: typeof from === 'string' ? digestFrom(from) : undefined, mark }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
