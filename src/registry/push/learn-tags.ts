// Where the upstream's tags point that a queued push is to move there, and of which this edge knows
// nothing: asked for while its client waits, and not for long. What is not learned was not known,
// so that at the delivery anything else there is somebody else's.
import { type Digest, digestOf } from '../../oci/digest.ts'
import type { Repository, RepositoryName, Tag } from '../../oci/reference.ts'
import { mapFew } from '../../async/few-at-once.ts'
import { withTimeLimit } from '../../async/within.ts'
import type { Namespaces } from '../routing/namespaces.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import { type Upstream, UpstreamError } from '../ports/upstream.ts'

/**
 * A push into a queue is to be quick, whatever the line does; a line that works answers within
 * this.
 */
const LEARNING_TIMEOUT_MS = 2_000
const ASKED_AT_ONCE = 8

export interface LearnTagsDeps {
  readonly catalog: Catalog
  readonly namespaces: Namespaces
  readonly clock: Clock
}

/**
 * Those that are not known here and that the upstream has. Throws nothing that the upstream brought
 * about.
 * @throws StoreError
 */
export async function learnTags(
  { catalog, namespaces, clock }: LearnTagsDeps,
  repository: Repository,
  tags: readonly Tag[],
): Promise<ReadonlyMap<Tag, Digest>> {
  const learned = new Map<Tag, Digest>()
  const namespace = namespaces.find(repository.registry)
  if (namespace === undefined || namespace.policy.offline) return learned
  const unknown: Tag[] = []
  for (const tag of tags)
    if ((await catalog.findTag(repository, tag)) === undefined) unknown.push(tag)
  if (unknown.length === 0) return learned
  try {
    await withTimeLimit(clock, { ms: LEARNING_TIMEOUT_MS, late: slow }, signal =>
      mapFew(unknown, ASKED_AT_ONCE, async tag => {
        const found = await pointsTo(namespace.upstream, repository.name, { tag, signal })
        if (found !== undefined) learned.set(tag, found)
      }),
    )
  } catch (error) {
    // Whoever does not answer one question is not asked the next.
    if (!(error instanceof UpstreamError)) throw error
  }
  return learned
}

function slow(): UpstreamError {
  return new UpstreamError('unavailable', 'the upstream is slow to say where a tag is')
}

/** Undefined: the upstream has no such tag. @throws UpstreamError when there was no answer */
export async function pointsTo(
  upstream: Upstream,
  name: RepositoryName,
  { tag, signal }: { tag: Tag; signal?: AbortSignal },
): Promise<Digest | undefined> {
  const reference = { kind: 'tag', tag } as const
  const options = { signal, endpoints: 'registry' } as const
  try {
    const { digest } = await upstream.headManifest(name, reference, options)
    // Some registries do not say it.
    return digest ?? digestOf((await upstream.getManifest(name, reference, options)).bytes)
  } catch (error) {
    if (error instanceof UpstreamError && error.failure === 'not-found') return undefined
    throw error
  }
}
