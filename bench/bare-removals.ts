// What a disk gives to whoever removes files durably: the same steps as Entrepot's, and nothing
// else.
import { mkdirSync } from 'node:fs'
import { open, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { eachFew } from '../src/async/few-at-once.ts'
import { layoutUnder, prefixNames } from '../src/store/filesystem/layout.ts'

/** As `registry/leave/leaving.ts` has it. */
const IN_ONE_COMMIT = 256
const REMOVED_AT_ONCE = 8
/** That rows become absent, and that their intents go. */
const COMMITS = 2
/** A page of the catalog for each second file, more or less. */
const LOG = Buffer.alloc(512 * 1024, 1)

/**
 * Makes so many small files in the directories of the blobs below `directory`, and removes them
 * with as many synced writes as their rows take. Resolves to files a second, of the removal alone.
 */
export async function removeBare(directory: string, files: number): Promise<number> {
  const prefixes = prefixNames().map(name => join(layoutUnder(directory).blobs, 'sha256', name))
  for (const each of prefixes) mkdirSync(each, { recursive: true })
  const paths = Array.from({ length: files }, (_, n) =>
    join(prefixes[n % prefixes.length] ?? directory, `of-the-bench-${n}`),
  )
  await eachFew(paths, REMOVED_AT_ONCE, path => writeFile(path, 'a small file'))
  const log = await open(join(directory, 'of-the-bench'), 'w')
  try {
    const startMs = performance.now()
    for (let at = 0; at < paths.length; at += IN_ONE_COMMIT) {
      await eachFew(paths.slice(at, at + IN_ONE_COMMIT), REMOVED_AT_ONCE, unlink)
      for (let n = 0; n < COMMITS; n += 1) {
        await log.write(LOG)
        await log.datasync()
      }
    }
    return files / ((performance.now() - startMs) / 1000)
  } finally {
    await log.close()
    await unlink(join(directory, 'of-the-bench'))
  }
}
