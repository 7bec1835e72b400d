// Puts tap into one file, for the nodes that run test files: to find and read its 250 modules took
// each of them a tenth of a second, and a suite has 450 files.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/**
 * Resolves with its URL, below `directory`, where it finds node_modules of this repository: what
 * tap loads only when asked to is not in the file.
 */
export async function bundleTap(directory) {
  // Not before who asks has seen that it is installed.
  const { build } = await import('rolldown')
  // By this name tap knows its own lines, and leaves them out of what it says of a failure.
  const dir = join(directory, 'node_modules', '@tapjs', 'tap')
  mkdirSync(dir, { recursive: true })
  await build({
    input: { tap: 'tap' },
    platform: 'node',
    output: { dir, format: 'esm', entryFileNames: '[name].mjs' },
    logLevel: 'warn',
  })
  return pathToFileURL(join(dir, 'tap.mjs')).href
}
