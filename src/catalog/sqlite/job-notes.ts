// What jobs note for later: a row of `meta` for each, since none of it is about content.
import type { Database } from 'better-sqlite3'
import type { JobNote } from '../../registry/ports/catalog-job-notes.ts'

/** Before the name. */
const KEY = 'job: '

export function jobNoteReads(database: Database) {
  const list = database.prepare(
    `SELECT substr(key, ${KEY.length + 1}) AS name, value AS body FROM meta
     WHERE key GLOB '${KEY}*' AND typeof(value) = 'text' ORDER BY key`,
  )

  return { listJobNotes: (): JobNote[] => list.all() as JobNote[] }
}

export function jobNoteWrites(database: Database) {
  const note = database.prepare(
    'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
  )

  return {
    noteJob({ name, body }: JobNote): void {
      note.run(`${KEY}${name}`, body)
    },
  }
}
