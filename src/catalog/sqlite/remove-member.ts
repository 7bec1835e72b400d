// What a delete takes out of a repository: the content itself, the tags that point to it, and, if it was a manifest there, what nothing
// else there lists (R255). Runs on the writer thread inside somebody else's transaction, as operations.ts says.
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import { digestBytes } from './encoding.ts'
import type { TagWrites } from './record-tags.ts'
import type { WriteStatements } from './write-statements.ts'

interface AloneRow {
  readonly content: number
  /** Its upstream listed it, so what it lists belongs here through it. */
  readonly lists: number
}

export function memberRemoval(sql: WriteStatements, tags: TagWrites) {
  return function removeMember(repository: Repository, digest: Digest): void {
    const id = sql.findRepository.get(repositoryKey(repository)) as number | undefined
    const content = sql.findContent.get(digestBytes(digest)) as number | undefined
    if (id === undefined || content === undefined) return
    sql.forgetTaken.run(id, content)
    const isLister = sql.isLister.get(id, content) !== undefined
    if (sql.deleteMember.run(id, content).changes === 0) return
    tags.deleteTagsOf(id, content)
    if (isLister) takeBelow(id, content)
  }

  /** Not recursive: an upstream's indexes may be nested as deep as it likes. */
  function takeBelow(repository: number, content: number): void {
    const gone = [content]
    for (const parent of gone) {
      for (const child of sql.listAlone.all(parent, repository) as AloneRow[]) {
        sql.noteTaken.run(repository, child.content)
        sql.deleteMember.run(repository, child.content)
        if (child.lists === 1) gone.push(child.content)
      }
    }
  }
}
