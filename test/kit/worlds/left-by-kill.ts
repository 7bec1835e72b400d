// What a process that was killed has left, once the next one has finished what was begun: its
// content on disk, compared with its catalog from outside.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { EdgeProcess } from './edge-process.ts'

/** Looks that a start may take until it has finished what was begun. */
const LOOKS_MAX = 2_000
/** What a process says that was started after a kill, once it writes no more facts by itself. */
export const COMPARED = 'what is kept beside the content was compared with the catalog'

/** Of content: files that no row tells of, rows without a file, and intents. */
async function uncounted(dataDirectory: string): Promise<readonly string[]> {
  const database = new DatabaseSync(join(dataDirectory, 'catalog.db'), { readOnly: true })
  const hexes = (sql: string) =>
    database
      .prepare(sql)
      .all()
      .map(({ hex }) => String(hex))
  const present = hexes('SELECT lower(hex(digest)) AS hex FROM content WHERE present = 1')
  const leaving = hexes(
    'SELECT lower(hex(digest)) AS hex FROM content WHERE id IN (SELECT content FROM leaving)',
  )
  database.close()
  const options = { recursive: true, withFileTypes: true } as const
  const entries = await readdir(join(dataDirectory, 'blobs'), options)
  const files = entries.filter(entry => entry.isFile()).map(({ name }) => name)
  return [
    ...files.filter(name => !present.some(hex => hex.endsWith(name))).map(name => `file ${name}`),
    ...present.filter(hex => !files.some(name => hex.endsWith(name))).map(hex => `row ${hex}`),
    ...leaving.map(hex => `intent ${hex}`),
  ]
}

/** Once the start has finished what was begun; what it never does stays in the list. */
export async function uncountedAfterStart(edge: EdgeProcess): Promise<readonly string[]> {
  let wrong = await uncounted(edge.dataDirectory)
  for (let look = 0; look < LOOKS_MAX && wrong.length > 0; look += 1) {
    await edge.send('GET', '/v2/')
    wrong = await uncounted(edge.dataDirectory)
  }
  return wrong
}
