// A copy of the catalog in a file of its own, which nobody changes: what stands in it, and its
// bytes.
import { createReadStream, statSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import type { CatalogSnapshot } from '../../../registry/ports/catalog-snapshot.ts'
import { contentClass, digestBytes, digestFromBytes } from '../encoding.ts'
import { openForReading } from '../file/database.ts'

interface Row {
  readonly digest: Buffer
  readonly size: number
  readonly class: number
}

/** In the thread that serves, between two rounds of its clients. */
const PIECE_BYTES = 256 * 1024

/** @throws SqliteError */
export function openSnapshot(file: string): CatalogSnapshot {
  const database = openForReading(file)
  const page = database.prepare(
    `SELECT digest, size, class FROM content
     WHERE digest > ? AND present = 1 AND created_at > 0 ORDER BY digest LIMIT ?`,
  )
  return {
    sizeBytes: statSync(file).size,
    contents: ({ after, limit }) => {
      const start = after === undefined ? Buffer.alloc(0) : digestBytes(after)
      return (page.all(start, limit) as Row[]).map(row => ({
        digest: digestFromBytes(row.digest),
        sizeBytes: row.size,
        isKept: contentClass(row.class) === 'kept',
      }))
    },
    read: () => createReadStream(file, { highWaterMark: PIECE_BYTES }),
    remove: async () => {
      database.close()
      await rm(file, { force: true }).catch(() => {})
    },
  }
}
