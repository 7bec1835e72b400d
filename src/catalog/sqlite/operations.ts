// The writes of the catalog port as plain values, and what each does to the tables. Runs on the writer thread, inside
// a transaction that someone else begins and commits; nothing is remembered between operations, so a rollback is complete.
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey, type Tag } from '../../oci/reference.ts'
import type {
  Edge,
  ListFact,
  MembershipReason,
  RecordBlob,
  RecordManifest,
  TagCheck,
} from '../../registry/ports/catalog.ts'
import { CLASS_CODES, digestBytes, digestFromBytes, EDGE_CODES, REASON_CODES } from './encoding.ts'
import { prepareWrites, type EdgeRow } from './write-statements.ts'

/** A write on its way to the writer thread. */
export type Operation =
  | { readonly kind: 'record manifest'; readonly record: RecordManifest }
  | { readonly kind: 'record blob'; readonly record: RecordBlob }
  | {
      readonly kind: 'record member'
      readonly repository: Repository
      readonly digest: Digest
      readonly atMs: number
    }
  | {
      readonly kind: 'record tag'
      readonly repository: Repository
      readonly tag: Tag
      readonly digest: Digest
      readonly check: TagCheck
    }
  | {
      readonly kind: 'record list'
      readonly repository: Repository
      readonly key: string
      readonly list: ListFact
    }
  | { readonly kind: 'note uses'; readonly uses: readonly (readonly [Digest, number])[] }
  | { readonly kind: 'forget tag'; readonly repository: Repository; readonly tag: Tag }
  | { readonly kind: 'forget content'; readonly digest: Digest }
  | { readonly kind: 'mark recovered' }

/** Prepares every statement once; the function it returns carries out one operation. */
export function prepareOperations(database: Database): (operation: Operation) => void {
  const sql = prepareWrites(database)

  return operation => {
    switch (operation.kind) {
      case 'record manifest':
        return recordManifest(operation.record)
      case 'record blob':
        return recordBlob(operation.record)
      case 'record member': {
        const repository = repositoryId(operation.repository)
        addMember(repository, contentId(operation.digest), 'confirmed')
        return
      }
      case 'record tag':
        return recordTag(operation)
      case 'record list': {
        const { key, list } = operation
        sql.upsertList.run(repositoryId(operation.repository), key, list.body, list.checkedAtMs)
        return
      }
      case 'note uses':
        for (const [digest, atMs] of operation.uses)
          sql.noteUse.run(atMs, digestBytes(digest), atMs)
        return
      case 'forget tag':
        sql.deleteTag.run(repositoryKey(operation.repository), operation.tag)
        return
      case 'forget content':
        sql.forgetContent.run(digestBytes(operation.digest))
        return
      case 'mark recovered':
        sql.markRecovered.run()
        return
    }
  }

  function repositoryId(repository: Repository): number {
    const key = repositoryKey(repository)
    return (sql.findRepository.get(key) ?? sql.insertRepository.get(key)) as number
  }

  function contentId(digest: Digest): number {
    const bytes = digestBytes(digest)
    return (sql.findContent.get(bytes) ?? sql.insertContent.get(bytes)) as number
  }

  function recordManifest(record: RecordManifest): void {
    const { manifest, atMs, tag, previous } = record
    const repository = repositoryId(record.repository)
    const id = contentId(manifest.digest)
    const edgesChanged = replaceEdges(id, manifest.edges)
    const code = CLASS_CODES[record.contentClass]
    sql.setPresent.run(id, manifest.sizeBytes, manifest.mediaType, code, atMs)
    addMember(repository, id, 'manifest')
    // Another repository may have listed this manifest before its bytes, and so its children, were known.
    if (edgesChanged) for (const holder of sql.findHolders.all(id)) addBelow(holder as number, id)
    if (tag !== undefined)
      recordTag({
        repository: record.repository,
        tag,
        digest: manifest.digest,
        check: { checkedAtMs: atMs, previous },
      })
  }

  function recordBlob(record: RecordBlob): void {
    const repository = repositoryId(record.repository)
    const id = contentId(record.digest)
    const code = CLASS_CODES[record.contentClass]
    sql.setPresent.run(id, record.sizeBytes, null, code, record.atMs)
    addMember(repository, id, 'confirmed')
  }

  function recordTag(fact: {
    repository: Repository
    tag: Tag
    digest: Digest
    check: TagCheck
  }): void {
    const { repository, tag, digest } = fact
    const { checkedAtMs, previous } = fact.check
    sql.upsertTag.run(
      repositoryId(repository),
      tag,
      contentId(digest),
      checkedAtMs,
      checkedAtMs,
      previous === undefined ? null : contentId(previous.digest),
      previous?.checkedAtMs ?? null,
    )
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
