// What recording content does to the tables: presence, edges, and membership with all that lies below. Runs on the writer thread inside
// somebody else's transaction, as operations.ts says.
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type {
  Edge,
  MembershipReason,
  RecordBlob,
  RecordManifest,
} from '../../registry/ports/catalog.ts'
import { CLASS_CODES, digestBytes, digestFromBytes, EDGE_CODES, REASON_CODES } from './encoding.ts'
import type { EdgeRow, WriteStatements } from './write-statements.ts'

/** What a push and an upstream's answer say of a manifest alike. */
export type ManifestContent = Pick<
  RecordManifest,
  'repository' | 'manifest' | 'contentClass' | 'atMs'
>

export function contentWrites(sql: WriteStatements) {
  return { repositoryId, contentId, recordManifest, recordBlob, addMember }

  function repositoryId(repository: Repository): number {
    const key = repositoryKey(repository)
    return (sql.findRepository.get(key) ?? sql.insertRepository.get(key)) as number
  }

  function contentId(digest: Digest): number {
    const bytes = digestBytes(digest)
    return (sql.findContent.get(bytes) ?? sql.insertContent.get(bytes)) as number
  }

  function recordManifest(record: ManifestContent): void {
    const { manifest, atMs } = record
    const repository = repositoryId(record.repository)
    const id = contentId(manifest.digest)
    const edgesChanged = replaceEdges(id, manifest.edges)
    const code = CLASS_CODES[record.contentClass]
    sql.setPresent.run(id, manifest.sizeBytes, manifest.mediaType, code, atMs)
    addMember(repository, id, 'manifest')
    // Another repository may have listed this manifest before its bytes, and so its children, were known.
    if (edgesChanged) for (const holder of sql.findHolders.all(id)) addBelow(holder as number, id)
  }

  function recordBlob(record: RecordBlob): void {
    const repository = repositoryId(record.repository)
    const id = contentId(record.digest)
    const code = CLASS_CODES[record.contentClass]
    sql.setPresent.run(id, record.sizeBytes, null, code, record.atMs)
    addMember(repository, id, 'confirmed')
  }

  /** What a manifest lists is a member wherever the manifest is (R179); see addBelow. */
  function addMember(repository: number, id: number, reason: MembershipReason): void {
    const added = sql.insertMember.run(repository, id, REASON_CODES[reason]).changes === 1
    if (added) addBelow(repository, id)
    else sql.strengthenMember.run(REASON_CODES[reason], repository, id)
  }

  function addBelow(repository: number, parent: number): void {
    sql.insertBelow.run(parent, repository)
  }

  /** True when they are not what was there. Edges follow from the bytes, so a second recording rarely changes any. */
  function replaceEdges(parent: number, edges: readonly Edge[]): boolean {
    const before = sql.listEdges.all(parent) as EdgeRow[]
    if (before.length === edges.length && before.every((row, at) => isSameEdge(row, edges[at])))
      return false
    sql.deleteEdges.run(parent)
    edges.forEach((edge, position) =>
      sql.insertEdge.run(
        parent,
        position,
        contentId(edge.child),
        EDGE_CODES[edge.kind],
        edge.sizeBytes,
        edge.mediaType,
        edge.platform ?? null,
        edge.distributable ? 1 : 0,
      ),
    )
    return true
  }
}

export type ContentWrites = ReturnType<typeof contentWrites>

function isSameEdge(row: EdgeRow, edge: Edge | undefined): boolean {
  return (
    edge !== undefined &&
    digestFromBytes(row.digest) === edge.child &&
    row.kind === EDGE_CODES[edge.kind] &&
    row.size === edge.sizeBytes &&
    row.media_type === edge.mediaType &&
    row.platform === (edge.platform ?? null) &&
    row.distributable === (edge.distributable ? 1 : 0)
  )
}
