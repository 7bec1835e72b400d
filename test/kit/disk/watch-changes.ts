// What changes in a data directory, told as it happens by the kernel: nothing of the product is
// asked. Linux only.
import { existsSync, watch } from 'node:fs'
import { join } from 'node:path'

export type DirectoryChange =
  | 'an upload appears'
  | 'a temporary file appears'
  | 'a fact appears'
  | 'a fact goes'
  | 'the log of the catalog is written'

/** The directories are there. Ends when the answer is called. */
export function watchChanges(root: string, tell: (change: DirectoryChange) => void): () => void {
  const watchers = [
    watchNames(join(root, 'uploads'), { appears: () => tell('an upload appears') }),
    watchNames(join(root, 'tmp'), { appears: () => tell('a temporary file appears') }),
    watchNames(join(root, 'facts'), {
      appears: () => tell('a fact appears'),
      goes: () => tell('a fact goes'),
    }),
    watch(root, (event, name) => {
      if (event === 'change' && name === 'catalog.db-wal') tell('the log of the catalog is written')
    }),
  ]
  return () => {
    for (const watcher of watchers) watcher.close()
  }
}

/**
 * A name that was never seen appears, however short its life; one that was seen goes when it is not
 * there any more.
 */
function watchNames(directory: string, on: { appears: () => void; goes?: () => void }) {
  const seen = new Set<string>()
  return watch(directory, (event, name) => {
    if (event !== 'rename' || name === null) return
    const isNew = !seen.has(name)
    seen.add(name)
    if (isNew) on.appears()
    if (!existsSync(join(directory, name))) {
      seen.delete(name)
      on.goes?.()
    }
  })
}
