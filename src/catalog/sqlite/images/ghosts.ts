// Ghosts of images that were evicted, and what came again of them: what a larger disk would have
// saved. A ghost outlives the rows of its image, so it is known by a hash.
import type { Database } from 'better-sqlite3'
import { onDiskBytes } from '../../../registry/ports/blob-store.ts'
import type { Evicted, Image, ReturnedImages } from '../../../registry/ports/catalog-images.ts'
import { MAX_GHOSTS } from '../../bounds.ts'
import { imageHash } from '../../image-name.ts'
import { BLOCK_BYTES } from '../schema/schema-space.ts'

export function ghostReads(database: Database) {
  const find = database.prepare('SELECT returned_images, returned_blocks FROM totals')

  return {
    returnedImages(): ReturnedImages {
      const row = find.get() as { returned_images: number; returned_blocks: number }
      return { images: row.returned_images, bytes: row.returned_blocks * BLOCK_BYTES }
    },
  }
}

export function ghostWrites(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  const noteEvicted = row('UPDATE totals SET evicted_blocks = evicted_blocks + ?')
  const insert = row(
    `INSERT OR REPLACE INTO ghost (image, blocks, evicted) SELECT ?, ?, evicted_blocks FROM totals`,
  )
  const bound = row(`DELETE FROM ghost WHERE seq <= (SELECT max(seq) FROM ghost) - ${MAX_GHOSTS}`)
  const take = row('DELETE FROM ghost WHERE image = ? RETURNING blocks').pluck()
  const noteReturned = row(
    'UPDATE totals SET returned_images = returned_images + 1, returned_blocks = returned_blocks + ?',
  )
  const trim = row(
    `DELETE FROM ghost WHERE seq < coalesce(
       (SELECT seq FROM ghost WHERE evicted >= (SELECT evicted_blocks FROM totals) - ? ORDER BY seq LIMIT 1),
       (SELECT max(seq) + 1 FROM ghost))`,
  )

  return {
    /** No effect for what has left no room. */
    haunt(image: Image, { leaves }: Evicted): void {
      const bytes = leaves.reduce((sum, { sizeBytes }) => sum + onDiskBytes(sizeBytes), 0)
      const blocks = bytes / BLOCK_BYTES
      if (blocks <= 0) return
      noteEvicted.run(blocks)
      insert.run(imageHash(image), blocks)
      bound.run()
    },
    /** It was recorded again. */
    welcome(image: Image): void {
      const blocks = take.get(imageHash(image)) as number | undefined
      if (blocks !== undefined) noteReturned.run(blocks)
    },
    trimGhosts(roomBytes: number): void {
      trim.run(Math.floor(roomBytes / BLOCK_BYTES))
    },
  }
}

export type GhostWrites = ReturnType<typeof ghostWrites>
