// What an upload's file says about itself, so that a later process knows whose it is: written by
// this edge alone, read with care.
import type { DigestAlgorithm } from '../../oci/digest.ts'
import { parseRepositoryKey, type RepositoryKey, repositoryKey } from '../../oci/reference.ts'

export interface UploadNote {
  readonly repository: RepositoryKey
  /** By which it is hashed as it grows (R105). */
  readonly algorithm: DigestAlgorithm
  /** Wall clock. */
  readonly startedAtMs: number
  /** Who began it, as far as that tells clients apart. */
  readonly client?: string
}

/** At most a few hundred characters: a key has 255. */
export function formatUploadNote({
  repository,
  algorithm,
  startedAtMs,
  client,
}: UploadNote): string {
  return JSON.stringify({ repository, algorithm, startedAtMs, client })
}

/**
 * Undefined when another version, or a damaged disk, wrote something else: then nobody can go on
 * with the upload.
 */
export function parseUploadNote(text: string): UploadNote | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { repository, algorithm, startedAtMs, client } = value as Partial<Record<string, unknown>>
  const isAlgorithm = algorithm === 'sha256' || algorithm === 'sha512'
  if (!isAlgorithm || typeof startedAtMs !== 'number') return undefined
  const key = keyFrom(repository)
  if (key === undefined) return undefined
  const who = typeof client === 'string' ? { client } : {}
  return { repository: key, algorithm, startedAtMs, ...who }
}

function keyFrom(value: unknown): RepositoryKey | undefined {
  if (typeof value !== 'string') return undefined
  try {
    return repositoryKey(parseRepositoryKey(value))
  } catch {
    return undefined
  }
}
