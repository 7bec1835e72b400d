// Where things lie under the root directory, and nothing else decides it. A path is made only from
// a Digest, from an id that its grammar has let pass or that was generated here, or from the name
// of a fact, which is a hash (R191): never from a repository, a tag or anything else that a client
// or an upstream wrote.
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import {
  type Digest,
  type DigestAlgorithm,
  digestAlgorithm,
  digestFrom,
  digestHex,
} from '../../oci/digest.ts'
import { isFactName } from '../fact-text.ts'
import { type UploadId, uploadIdFrom } from '../upload-id.ts'

/** The bytes are the owner's alone; a group may be let in by the operator. */
export const DIRECTORY_MODE = 0o700
export const WRITING_MODE = 0o600
/** Whole content is never written again; the group may read it, to back it up without root. */
export const WHOLE_MODE = 0o440

export const ALGORITHMS = ['sha256', 'sha512'] as const satisfies readonly DigestAlgorithm[]
export const SIDECAR_SUFFIX = '.json'

/** In the root directory while a backup is brought back there: no edge is to start beside it. */
export const RESTORING = 'restoring'

export interface Layout {
  readonly root: string
  readonly blobs: string
  readonly fills: string
  readonly uploads: string
  readonly facts: string
  readonly temporary: string
  readonly quarantine: string
}

export function layoutUnder(root: string): Layout {
  return {
    root,
    blobs: join(root, 'blobs'),
    fills: join(root, 'fills'),
    uploads: join(root, 'uploads'),
    facts: join(root, 'facts'),
    temporary: join(root, 'tmp'),
    quarantine: join(root, 'quarantine'),
  }
}

/**
 * The 256 directories `00` … `ff` of one algorithm: few enough to make at once, enough for ten
 * million blobs.
 */
export function prefixNames(): string[] {
  return Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
}

export function algorithmDirectory(layout: Layout, algorithm: DigestAlgorithm): string {
  return join(layout.blobs, algorithm)
}

export function blobDirectory(layout: Layout, digest: Digest): string {
  const prefix = digestHex(digest).slice(0, 2)
  return join(algorithmDirectory(layout, digestAlgorithm(digest)), prefix)
}

export function blobPath(layout: Layout, digest: Digest): string {
  return join(blobDirectory(layout, digest), digestHex(digest))
}

export function partPath(layout: Layout, digest: Digest): string {
  return join(layout.fills, `${digestAlgorithm(digest)}-${digestHex(digest)}`)
}

export function sidecarPath(layout: Layout, digest: Digest): string {
  return partPath(layout, digest) + SIDECAR_SUFFIX
}

export function uploadPath(layout: Layout, id: UploadId): string {
  return join(layout.uploads, id)
}

export function uploadSidecarPath(layout: Layout, id: UploadId): string {
  return uploadPath(layout, id) + SIDECAR_SUFFIX
}

/** `name` is what factName gives. */
export function factPath(layout: Layout, name: string): string {
  if (!isFactName(name)) throw new Error('the name of a fact is 64 hex characters')
  return join(layout.facts, name)
}

/** A new name at each call, so that no two writers ever share a file. */
export function temporaryPath(layout: Layout): string {
  return join(layout.temporary, randomUUID())
}

/** Ends the name of what was pushed here, as whoever has lost the catalog must be able to tell. */
const KEPT_MARK = '-kept'

/** Sorts by time. `atMs` is the wall clock's. */
export function quarantinePath(
  layout: Layout,
  digest: Digest,
  { atMs, isKept }: { readonly atMs: number; readonly isKept: boolean },
): string {
  const time = new Date(atMs).toISOString().replaceAll(/[-:]/g, '')
  const name = `${time}-${digestAlgorithm(digest)}-${digestHex(digest)}`
  return join(layout.quarantine, isKept ? `${name}${KEPT_MARK}` : name)
}

/**
 * Whose content a file in `quarantine/` was, and whether it was pushed, as far as its name tells;
 * undefined for a name that is not ours.
 */
export function parseQuarantineName(
  name: string,
): { readonly digest: Digest; readonly isKept: boolean } | undefined {
  const isKept = name.endsWith(KEPT_MARK)
  const end = isKept ? -KEPT_MARK.length : name.length
  const digest = digestFrom(name.slice(name.indexOf('-') + 1, end).replace('-', ':'))
  return digest && { digest, isKept }
}

/**
 * The digest that a file in `blobs/<algorithm>/<prefix>/` stands for; undefined for a name that is
 * not ours.
 */
export function digestOfBlobName(
  algorithm: DigestAlgorithm,
  prefix: string,
  name: string,
): Digest | undefined {
  return name.startsWith(prefix) ? digestFrom(`${algorithm}:${name}`) : undefined
}

export type FillEntry = { readonly kind: 'part' | 'sidecar'; readonly digest: Digest }

/** What a file in `fills/` is; undefined for a name that is not ours. */
export function fillEntry(name: string): FillEntry | undefined {
  const kind = name.endsWith(SIDECAR_SUFFIX) ? 'sidecar' : 'part'
  const stem = kind === 'sidecar' ? name.slice(0, -SIDECAR_SUFFIX.length) : name
  const digest = digestFrom(stem.replace('-', ':'))
  return digest === undefined ? undefined : { kind, digest }
}

export type UploadEntry = { readonly kind: 'file' | 'sidecar'; readonly id: UploadId }

/** What a file in `uploads/` is; undefined for a name that is not ours. */
export function uploadEntry(name: string): UploadEntry | undefined {
  const kind = name.endsWith(SIDECAR_SUFFIX) ? 'sidecar' : 'file'
  const id = uploadIdFrom(kind === 'sidecar' ? name.slice(0, -SIDECAR_SUFFIX.length) : name)
  return id === undefined ? undefined : { kind, id }
}
