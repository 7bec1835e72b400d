// A kept manifest that a catalog begun anew does not know yet: recorded from its own bytes, with
// the blobs of it that are on disk.
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { parseManifest } from '../../oci/manifest.ts'
import { manifestKind } from '../../oci/media-type.ts'
import { parseRepositoryKey, type Repository } from '../../oci/reference.ts'
import { asRecorded } from '../content/edges.ts'
import { filterFew, mapFew } from '../../async/few-at-once.ts'
import type { StoredContent } from '../content/content.ts'
import type { Edge, RecordedManifest } from '../ports/catalog-content.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { NoteEvent } from '../ports/events.ts'
import { type KeptManifestFact, memberEdges } from '../facts/kept-manifest.ts'
import { isHome, type RepositoryPolicies } from '../routing/repository-policy.ts'

export interface RebuildManifestParts {
  readonly content: StoredContent
  readonly catalog: Catalog
  readonly policies: RepositoryPolicies
  readonly note: NoteEvent
}

/** Looks at the disk at a time, for each of the manifests that are read at once. */
const LOOKS_AT_ONCE = 4

export interface RebuildManifestOptions {
  /** Of what it lists, this was taken out. Default nothing was. */
  readonly isGone?: (child: Digest) => Promise<boolean>
  /** Whoever brought its bytes need not have synced them. Default they have been. */
  readonly sync?: boolean
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
  { isGone = async () => false, sync = false, ...acknowledged }: RebuildManifestOptions = {},
): Promise<number | undefined> {
  const { atMs, digest } = fact
  const repository = parseRepositoryKey(fact.repository)
  const pushed = await parts.content.pushFromDisk(digest, { sync }, async bytes => {
    const manifest = readManifest(parts, fact, bytes)
    if (manifest === undefined) return undefined
    // What the fact tells of was a member, or has a tombstone. What is below that has facts of its
    // own.
    const listed = memberEdges(fact, manifest.edges).map(({ child }) => child)
    const confirmed = await filterFew(
      [...new Set(listed)],
      LOOKS_AT_ONCE,
      async child => !(await isGone(child)),
    )
    // Elsewhere its delivery says why it is kept.
    const elsewhere = fact.imported ? 'imported' : 'awaited'
    const hold = isHome(parts.policies, repository) ? 'pushed' : elsewhere
    return { repository, manifest, confirmed, hold, tags: [], atMs }
  })
  if (pushed === undefined) return undefined
  const { manifest, confirmed } = pushed
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
  { content }: RebuildManifestParts,
  repository: Repository,
  { edge, ...at }: { edge: Edge; atMs: number; acknowledgedAtMs?: number },
): Promise<boolean> {
  const { child: digest, sizeBytes: declaredBytes } = edge
  const of = { repository, digest, hold: 'awaited', ...at } as const
  return (await content.recordHere(of, declaredBytes)) !== undefined
}

/** Has it a blob's fact? So have children that are no manifests; those have facts of their own. */
export function isKeptAsBlob({ kind, mediaType }: Edge): boolean {
  return kind === 'config' || kind === 'layer' || (kind === 'manifest' && isOpaque(mediaType))
}

function isOpaque(mediaType: string): boolean {
  return manifestKind(mediaType) === 'opaque'
}

function readManifest(
  { note }: RebuildManifestParts,
  { repository, digest, mediaType }: KeptManifestFact,
  bytes: Uint8Array | undefined,
): RecordedManifest | undefined {
  const lost = (why: string) => {
    note({
      kind: 'storage failed',
      failure: 'corrupt',
      reason: `the manifest ${digest} of ${repository} was pushed here, and ${why}`,
      hint: `push it again, bring the file back from a backup and start this edge again, or give it up with "entrepot purge ${repository}@${digest} --kept"; then check the disk`,
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
