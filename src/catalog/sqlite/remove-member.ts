// What a delete takes out of a repository: the content itself, the tags that point to it, and, if
// it was a manifest there, what nothing else there lists (R255); what is pending for a push that
// may be under way once that is over (R296). Runs on the writer thread inside somebody else's
// transaction, as operations.ts says.
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { PendingBlob } from '../../registry/ports/catalog-pushes.ts'
import { digestBytes } from './encoding.ts'
import type { TagWrites } from './record-tags.ts'
import type { WriteStatements } from './write-statements.ts'

interface AloneRow {
  readonly content: number
  /** Its upstream listed it, so what it lists belongs here through it. */
  readonly lists: number
}

export function memberRemoval(sql: WriteStatements, tags: TagWrites) {
  return { removeMember, expirePendingBlob }

  function removeMember(repository: Repository, digest: Digest): void {
    const { id, content } = idsOf(repository, digest)
    if (id === undefined || content === undefined) return
    sql.forgetTaken.run(id, content)
    sql.dropPending.run(id, content)
    const isLister = sql.isLister.get(id, content) !== undefined
    if (sql.deleteMember.run(id, content).changes === 0) return
    tags.deleteTagsOf(id, content)
    if (isLister) takeBelow(id, [content])
  }

  /** What a delete has left for it goes now, unless something lists it by now. */
  function expirePendingBlob({ repository, digest, acknowledgedAtMs }: PendingBlob): void {
    const { id, content } = idsOf(repository, digest)
    if (id === undefined || content === undefined) return
    if (sql.expirePendingBlob.get(id, content, acknowledgedAtMs) !== 1) return
    const alone = sql.findAlone.get(content, id) as AloneRow | undefined
    if (alone !== undefined) takeBelow(id, take(id, alone))
  }

  /** Not recursive: an upstream's indexes may be nested as deep as it likes. */
  function takeBelow(repository: number, gone: number[]): void {
    for (const parent of gone) {
      for (const child of sql.listAlone.all(parent, repository) as AloneRow[])
        if (sql.deferRemoval.run(repository, child.content).changes === 0)
          gone.push(...take(repository, child))
    }
  }

  /** Of what it lists the same is to be asked. */
  function take(repository: number, { content, lists }: AloneRow): number[] {
    sql.noteTaken.run(repository, content)
    sql.deleteMember.run(repository, content)
    return lists === 1 ? [content] : []
  }

  function idsOf(repository: Repository, digest: Digest) {
    return {
      id: sql.findRepository.get(repositoryKey(repository)) as number | undefined,
      content: sql.findContent.get(digestBytes(digest)) as number | undefined,
    }
  }
}
