// What a purge means of what was pushed and is lost (delete/lost-manifest.ts): no repository has
// it, and facts alone say where it was.
import {
  formatImage,
  parseRepositoryKey,
  repositoryKey,
  type RepositoryKey,
} from '../../oci/reference.ts'
import { noteStorage } from '../best-effort.ts'
import {
  findLost,
  type FoundLost,
  findLostManifest,
  giveUp,
  type LostDeps,
  type LostManifest,
} from '../delete/lost-manifest.ts'
import type { JobRun } from '../job.ts'
import type { Matcher } from '../pins/selectors.ts'

export interface LostTaken {
  readonly what: string
  /** Why, where it does. */
  readonly stays?: string
}

const HELD = 'it was pushed here, and is lost: --kept gives it up'

interface LostRun extends JobRun {
  readonly kept: boolean
}

/** Frees nothing by itself: what is held for it leaves as any other then. @throws StoreError */
export async function* takeLost(
  deps: LostDeps,
  manifests: readonly LostManifest[],
  { kept, dryRun, pause, signal }: LostRun,
): AsyncGenerator<LostTaken> {
  try {
    for (const lost of manifests) {
      await pause()
      if (signal.aborted) break
      const what = nameOf(lost)
      const take = () => giveUp(deps, lost, { deletedAtMs: 'at once' })
      if (!kept) yield { what, stays: HELD }
      else if (dryRun || (await deps.turns.take(repositoryKey(lost.repository), take)))
        yield { what }
    }
  } finally {
    // Also of those before one that failed.
    if (kept && !dryRun && manifests.length > 0) deps.stock?.lookAgain()
  }
}

/** Files in `facts/` may tell of what is lost and meant. */
export const NOT_ALL_READ =
  'not all files in facts/ can be read, and the log names the first: more may be lost than is told here, and "entrepot purge REPOSITORY@DIGEST --kept" gives it up'

/** What is lost of that, as far as facts tell it. @throws StoreError */
export async function findMeant(
  deps: LostDeps,
  matcher: Matcher,
  { kept }: Pick<LostRun, 'kept'>,
): Promise<FoundLost> {
  try {
    return await findMatching(deps, matcher)
  } catch (error) {
    // Of what stays anyhow nobody needs to know, where facts cannot be read.
    if (kept) throw error
    noteStorage(deps.note, error)
    return { lost: [], hasUnreadable: false }
  }
}

async function findMatching(deps: LostDeps, matcher: Matcher): Promise<FoundLost> {
  const { selector } = matcher
  const isDigest = 'digest' in selector
  const { lost, hasUnreadable } = await findLost(
    deps,
    ({ repository, digest }) =>
      matcher.isAbout(repository) && (!isDigest || matcher.hasDigest(digest)),
  )
  const meant = lost.filter(
    ({ digest, tags }) => matcher.hasDigest(digest) || tags.some(tag => matcher.hasTag(tag)),
  )
  if (selector.kind !== 'manifest' || meant.length > 0) return { lost: meant, hasUnreadable }
  // A fact that cannot be read is found by what it is about alone; of a pattern there is none.
  const { digest } = selector
  const key = selector.repositories as RepositoryKey
  if (!(await deps.facts.has({ kind: 'manifest', repository: key, digest })))
    return { lost: [], hasUnreadable }
  const found = await findLostManifest(deps, { repository: parseRepositoryKey(key), digest })
  return { lost: found === undefined ? [] : [found], hasUnreadable }
}

function nameOf({ repository, digest, tags }: LostManifest): string {
  const [tag] = tags
  return formatImage(
    repository,
    tag === undefined ? { kind: 'digest', digest } : { kind: 'tag', tag },
  )
}
