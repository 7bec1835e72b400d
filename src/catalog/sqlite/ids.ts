// The numbers that stand for repositories and digests in every relation, on the writer's
// connection. One that was never given is given by whoever records something about it.
import type { Database } from 'better-sqlite3'
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import { digestBytes } from './encoding.ts'

export function idsIn(database: Database) {
  const one = (sql: string) => database.prepare(sql).pluck()
  const findRepository = one('SELECT id FROM repository WHERE key = ?')
  const insertRepository = one('INSERT INTO repository (key) VALUES (?) RETURNING id')
  const findContent = one('SELECT id FROM content WHERE digest = ?')
  const insertContent = one('INSERT INTO content (digest) VALUES (?) RETURNING id')

  return {
    repositoryId(repository: Repository): number {
      const key = repositoryKey(repository)
      return (findRepository.get(key) ?? insertRepository.get(key)) as number
    },
    contentId(digest: Digest): number {
      const bytes = digestBytes(digest)
      return (findContent.get(bytes) ?? insertContent.get(bytes)) as number
    },
    /** Undefined for what nothing was ever recorded about. */
    knownRepository: (repository: Repository) =>
      findRepository.get(repositoryKey(repository)) as number | undefined,
    knownContent: (digest: Digest) => findContent.get(digestBytes(digest)) as number | undefined,
  }
}

export type Ids = ReturnType<typeof idsIn>
