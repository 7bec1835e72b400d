// What upstreams listed of what a purge takes: the next who asks has the upstream asked.
import type { Digest } from '../../oci/digest.ts'
import { parseRepositoryKey, type Repository, repositoryKey } from '../../oci/reference.ts'
import type { Plan } from './plan.ts'

export interface TakeLists {
  /** Upstream's lists of this repository, and of what refers to these, are gone. */
  readonly takeLists: (repository: Repository, subjects: readonly Digest[]) => Promise<void>
}

/** `kept`: what was pushed has gone as well. @throws StoreError */
export async function takeLists(
  deps: TakeLists,
  { repositories, free, held }: Plan,
  { kept }: { readonly kept: boolean },
): Promise<void> {
  const taken = kept ? [...free, ...held] : free
  const of = Map.groupBy(taken, ({ repository }) => repositoryKey(repository))
  for (const key of repositories) {
    const subjects = of.get(key)?.map(({ digest }) => digest) ?? []
    await deps.takeLists(parseRepositoryKey(key), subjects)
  }
}
