// Renders src/catalog/sqlite/schema/schema-newest.ts: what all steps of the catalog's schema make
// of a new file, as the statements that make it at once.
import Sqlite from 'better-sqlite3'
import { MIGRATIONS } from '../../src/catalog/sqlite/schema/schema.ts'

const HEAD = `// What all steps of schema.ts make of a new file, made at once: in a fifth of the time, which each
// first start takes. Written by "npm run docs", never by hand.

export const NEWEST = \`
`

/** The whole file, formatted as the others are. */
export function renderNewestSchema(): string {
  const database = new Sqlite(':memory:')
  try {
    for (const { sql } of MIGRATIONS) database.exec(sql)
    const statements = database
      .prepare<[], string>('SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid')
      .pluck()
      .all()
    // What the file says stays as long as the file: without what it is indented by here.
    return `${HEAD}${statements.map(sql => `${sql.replaceAll(/\s+/g, ' ')};\n`).join('')}\`\n`
  } finally {
    database.close()
  }
}
