// Files that comments name: each is to be found by whoever follows the name, also after a move.
import { commentLines, type SourceFile } from './source-text.ts'

const NAMED = /(?<![\w./-])(?:\.{1,2}\/)*((?:[\w.-]+\/)*[\w.-]*\w\.ts)\b/g

/**
 * Names that lead nowhere, as `path: name`. A bare one in `src/` is that of a file of the same room
 * or of none; one with a folder, and any in tests, that of a file anywhere.
 */
export function lostNames(sources: readonly SourceFile[]): readonly string[] {
  const paths = sources.map(({ path }) => path)
  return sources.flatMap(source => {
    const room = /^src\/[^/]+\//.exec(source.path)?.[0] ?? ''
    const text = commentLines(source).join('\n')
    return [...text.matchAll(NAMED)].flatMap(([, name = '']) => {
      const within = name.includes('/') ? '' : room
      const isThere = paths.some(
        path =>
          path === `src/${name}` || (path.startsWith(within) && `/${path}`.endsWith(`/${name}`)),
      )
      return isThere ? [] : [`${source.path}: ${name}`]
    })
  })
}
