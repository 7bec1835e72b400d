// Has a file of the newest version what this program makes of one? Builds from before a release
// wrote the same version with other tables: on such a file each statement that knows more fails,
// and the edge would serve and keep nothing.
import type { Database } from 'better-sqlite3'
import { StoreError } from '../../../registry/ports/store-error.ts'
import { NEWEST } from './schema-newest.ts'

interface Part {
  readonly type: 'table' | 'index' | 'trigger'
  readonly name: string
  readonly sql: string
}

/** As schema-newest.ts has them: one a line. */
const EXPECTED = new Set(NEWEST.trim().split(/;\n|;$/))

/**
 * What others have added stays, as a tool that copies the file adds tables of its own, but no
 * trigger, which acts on what is written. Reads some ten pages.
 *
 * @throws StoreError io, with a hint
 */
export function assertSchema(database: Database): void {
  const parts = database
    .prepare<[], Part>('SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL')
    .all()
    .map(part => ({ ...part, sql: part.sql.replaceAll(/\s+/g, ' ') }))
  const found = new Set(parts.map(({ sql }) => sql))
  const isWhole = [...EXPECTED].every(sql => sql === '' || found.has(sql))
  const isStrange = parts.some(({ type, sql }) => type === 'trigger' && !EXPECTED.has(sql))
  if (isWhole && !isStrange) return
  throw new StoreError(
    'io',
    'catalog.db has the format of this version, and other tables: a build from before its release wrote it',
    {
      hint: 'move catalog.db away, with catalog.db-wal and catalog.db-shm where they are there: what was pushed is read from facts/ at the next start, what was pulled is found again as it is pulled',
    },
  )
}
