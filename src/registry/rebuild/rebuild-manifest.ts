// A kept manifest that a catalog begun anew does not know yet: recorded from its own bytes, with
// the blobs of it that are on disk.
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { parseManifest } from '../../oci/manifest.ts'
import { manifestKind } from '../../oci/media-type.ts'
import { parseRepositoryKey, type Repository } from '../../oci/reference.ts'
import { asRecorded } from '../edges.ts'
import { filterFew, mapFew } from '../../async/few-at-once.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Edge, RecordedManifest } from '../ports/catalog-content.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { NoteEvent } from '../ports/events.ts'
import { type KeptManifestFact, memberEdges } from '../kept-manifest.ts'

export interface RebuildManifestParts {
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly note: NoteEvent
}

/** Looks at the disk at a time, for each of the manifests that are read at once. */
const LOOKS_AT_ONCE = 4

export interface RebuildManifestOptions {
  /** Of what it lists, this was taken out. Default nothing was. */
  readonly isGone?: (child: Digest) => Promise<boolean>
  /**
   * Its blobs count as acknowledged then, for a push that may be under way. Default they do not.
   */
  readonly acknowledgedAtMs?: number
}

/**
 * How many of its blobs are here; undefined, after an event, when it is lost.
 * @throws StoreError
 */
export async function rebuildManifest(
  parts: RebuildManifestParts,
  fact: KeptManifestFact,
  { isGone = async () => false, ...acknowledged }: RebuildManifestOptions = {},
): Promise<number | undefined> {
  const { catalog } = parts
  const { atMs } = fact
  const repository = parseRepositoryKey(fact.repository)
  const manifest = await readManifest(parts, fact)
  if (manifest === undefined) return undefined
  // What the fact tells of was a member, or has a tombstone. What is below that has facts of its
  // own.
  const listed = memberEdges(fact, manifest.edges).map(({ child }) => child)
  const confirmed = await filterFew(
    [...new Set(listed)],
    LOOKS_AT_ONCE,
    async child => !(await isGone(child)),
  )
  const record = { repository, manifest, contentClass: 'kept', confirmed, atMs } as const
  await catalog.recordPush({ ...record, tags: [], local: true })
  const kept = new Set(confirmed)
  const blobs = new Map(
    manifest.edges
      .filter(edge => isKeptAsBlob(edge) && kept.has(edge.child))
      .map(edge => [edge.child, edge]),
  )
  const here = await mapFew([...blobs.values()], LOOKS_AT_ONCE, edge =>
    recordBlob(parts, repository, { edge, atMs, ...acknowledged }),
  )
  return here.filter(Boolean).length
}

async function recordBlob(
  { store, catalog }: RebuildManifestParts,
  repository: Repository,
  { edge, ...at }: { edge: Edge; atMs: number; acknowledgedAtMs?: number },
): Promise<boolean> {
  const blob = await store.find(edge.child, edge.sizeBytes)
  if (blob === undefined) return false
  await catalog.recordBlob({ repository, ...blob, contentClass: 'kept', ...at })
  return true
}

/** Has it a blob's fact? So have children that are no manifests; those have facts of their own. */
export function isKeptAsBlob({ kind, mediaType }: Edge): boolean {
  return kind === 'config' || kind === 'layer' || (kind === 'manifest' && isOpaque(mediaType))
}

function isOpaque(mediaType: string): boolean {
  return manifestKind(mediaType) === 'opaque'
}

async function readManifest(
  { store, note }: RebuildManifestParts,
  { repository, digest, mediaType }: KeptManifestFact,
): Promise<RecordedManifest | undefined> {
  const bytes = await store.readVerified(digest)
  const lost = (why: string) => {
    note({
      kind: 'storage failed',
      failure: 'corrupt',
      reason: `the manifest ${digest} of ${repository} was pushed here, and ${why}`,
      hint: 'push it again, or bring the file back from a backup and start this edge again; then check the disk',
    })
    return undefined
  }
  if (bytes === undefined) return lost('its bytes are not on disk')
  try {
    return asRecorded(parseManifest(bytes, mediaType), digest, bytes.length)
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    return lost(`it is no manifest: ${error.message}`)
  }
}
