// Content comes back from the registry that its repository is of, by the way that clients' pulls
// bring it.
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { Repository } from '../../oci/reference.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Namespaces } from '../routing/namespaces.ts'
import type { RunningRegistry } from '../running-registry.ts'
import type { ContentSource } from './healing.ts'

export interface FromUpstreamDeps {
  readonly registry: Pick<RunningRegistry, 'pullBlob' | 'pullManifest' | 'settled'>
  readonly catalog: Pick<Catalog, 'findMember'>
  readonly namespaces: Namespaces
}

export function fromUpstream({ registry, catalog, namespaces }: FromUpstreamDeps): ContentSource {
  return {
    bring: async (repository, digest, signal) => {
      const namespace = namespaces.find(repository.registry)
      if (namespace === undefined || namespace.policy.offline) return
      const member = await catalog.findMember(repository, digest)
      try {
        if (member?.mediaType === undefined)
          await pullBlob(registry, repository, { digest, signal })
        else
          await registry.pullManifest(repository, {
            reference: { kind: 'digest', digest },
            accept: [],
          })
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error
      }
    },
  }
}

async function pullBlob(
  registry: FromUpstreamDeps['registry'],
  repository: Repository,
  { digest, signal }: { readonly digest: Digest; readonly signal: AbortSignal },
): Promise<void> {
  const answer = await registry.pullBlob(repository, digest)
  try {
    if (answer.sizeBytes > 0)
      for await (const chunk of answer.read({ first: 0, last: answer.sizeBytes - 1 }, signal))
        answer.giveBack?.(chunk)
  } finally {
    await answer.close()
  }
  await registry.settled(digest)
}
