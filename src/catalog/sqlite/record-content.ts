// What recording content does to the tables: presence, edges, and membership with all that lies
// below. Runs on the writer thread inside somebody else's transaction, as operations.ts says.
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { Edge, RecordBlob, RecordManifest } from '../../registry/ports/catalog-content.ts'
import type { RecordPush } from '../../registry/ports/catalog-pushes.ts'
import { CLASS_CODES, digestBytes, digestFromBytes, EDGE_CODES, REASON_CODES } from './encoding.ts'
import type { EdgeRow, WriteStatements } from './write-statements.ts'

/** What a push and an upstream's answer say of a manifest alike. */
export type ManifestContent = Pick<
  RecordManifest,
  'repository' | 'manifest' | 'contentClass' | 'atMs'
>

export function contentWrites(sql: WriteStatements) {
  return { repositoryId, contentId, recordManifest, recordPushed, recordBlob, confirmMember }

  function repositoryId(repository: Repository): number {
    const key = repositoryKey(repository)
    return (sql.findRepository.get(key) ?? sql.insertRepository.get(key)) as number
  }

  function contentId(digest: Digest): number {
    const bytes = digestBytes(digest)
    return (sql.findContent.get(bytes) ?? sql.insertContent.get(bytes)) as number
  }

  /**
   * As an upstream says: what the manifest lists is a member, too, and so wherever an upstream
   * lists the manifest (R179).
   */
  function recordManifest(record: ManifestContent): void {
    const { repository, id } = setManifest(record)
    const edgesChanged = replaceEdges(id, record.manifest.edges)
    const isNews = sql.prove.run(id).changes === 1 || edgesChanged
    const reason = sql.findReason.get(repository, id)
    sql.insertManifest.run(repository, id, record.manifest.mediaType)
    if (reason === undefined || reason === REASON_CODES.confirmed) addBelow(repository, id)
    // Another repository may have listed this manifest before its bytes, and so its children, were
    // known.
    if (isNews) for (const lister of sql.findListers.all(id)) addBelow(lister as number, id)
  }

  /** As a client says, which proves nothing of what is below: neither here nor elsewhere. */
  function recordPushed(
    record: ManifestContent & Pick<RecordPush, 'elsewhere' | 'completes'>,
  ): void {
    const { manifest, elsewhere = [], completes = false } = record
    const { repository, id } = setManifest(record)
    if (replaceEdges(id, manifest.edges)) sql.claim.run(id)
    sql.notePushed.run(repository)
    // A second tag, or a PUT that is repeated, sends no blob: what is pending by then is of
    // others.
    const isNew = sql.isGiven.get(repository, id) === undefined
    sql.pushManifest.run(repository, id, manifest.mediaType)
    if (completes && isNew && sql.completePushes.run(repository, id).changes > 0)
      sql.dropCompleted.run(repository)
    for (const member of elsewhere.map(contentId)) confirmMember(repository, member)
  }

  function setManifest({ repository, manifest, contentClass, atMs }: ManifestContent) {
    const id = contentId(manifest.digest)
    const { sizeBytes, mediaType } = manifest
    sql.setPresent.run(id, sizeBytes, mediaType, CLASS_CODES[contentClass], atMs)
    return { repository: repositoryId(repository), id }
  }

  function recordBlob(record: RecordBlob): void {
    const repository = repositoryId(record.repository)
    const id = contentId(record.digest)
    const code = CLASS_CODES[record.contentClass]
    sql.setPresent.run(id, record.sizeBytes, null, code, record.atMs)
    sql.bringMember.run(repository, id)
    if (record.acknowledgedAtMs !== undefined)
      sql.addPending.run(repository, id, record.acknowledgedAtMs)
  }

  /** Nothing below it: as a blob it lists nothing, whatever it is as a manifest. */
  function confirmMember(repository: number, id: number): void {
    sql.confirmMember.run(repository, id)
  }

  function addBelow(repository: number, parent: number): void {
    sql.insertBelow.run(parent, repository)
  }

  /**
   * True when they are not what was there. Edges follow from the bytes, so a second recording
   * rarely changes any.
   */
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
