// `why`: where an image's answer comes from, when it was checked, and what a pull would do at this
// moment.
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import { compileTtl, type Freshness, freshnessOf, isServableStale } from '../pull/freshness.ts'
import { isComplete } from '../content/completeness.ts'
import { parseDelivery } from '../deliveries/delivery-payload.ts'
import type { Namespace } from '../routing/namespaces.ts'
import type { PreviousDigest, RecordedTag } from '../ports/catalog-tags.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { FactStore } from '../ports/facts.ts'
import { findStandIn } from '../pull/previous-image.ts'
import { findImage, type FoundImage } from './find-image.ts'
import type { OperatorDeps } from './operator-deps.ts'
import { explainLeaving, type Leaving } from './why-leave.ts'

export interface Explanation extends Omit<Leaving, 'sentences'> {
  readonly image: string
  readonly repository: string
  /** The registry it is pulled from; undefined for what is kept here alone. */
  readonly upstream: string | undefined
  readonly offline: boolean
  readonly digest: string | undefined
  /**
   * When the upstream last confirmed the tag (undefined for one that was pushed here), and when the
   * tag last moved.
   */
  readonly checkedAtMs: number | undefined
  readonly changedAtMs: number | undefined
  readonly ttlMs: number | undefined
  readonly freshness: Freshness | undefined
  /** In this repository: what is pulled by another name is not used here. */
  readonly lastUsedAtMs: number | undefined
  /** Everything that the manifest needs is on disk. */
  readonly complete: boolean
  /** The server's clock, for ages. */
  readonly nowMs: number
  /** Sentences for people, in order. */
  readonly now: readonly string[]
}

/** @throws RegistryError for names that are malformed or lead nowhere */
export async function explainImage(deps: OperatorDeps, text: string): Promise<Explanation> {
  const found = await findImage(deps, text)
  const namespace = deps.namespaces.find(found.repository.registry)
  const { repository, digest, tag, reference } = found
  const recorded =
    digest === undefined ? undefined : await deps.catalog.findManifest(repository, digest)
  const usage = digest === undefined ? undefined : await deps.catalog.usageOf(repository, digest)
  const complete = recorded !== undefined && (await isComplete(deps, repository, recorded))
  const ttlMs =
    namespace === undefined || reference.kind === 'digest'
      ? undefined
      : compileTtl(namespace.policy)(repository, reference.tag)
  const nowMs = deps.clock.nowMs()
  const freshness =
    tag === undefined || tag.local || ttlMs === undefined
      ? undefined
      : freshnessOf(tag.checkedAtMs, ttlMs, nowMs)
  const previous =
    tag === undefined || namespace === undefined
      ? undefined
      : await findStandIn(deps, repository, { known: tag, policy: namespace.policy, nowMs })
  const { sentences, ...leaving } = await explainLeaving(deps, found)
  return {
    ...leaving,
    image: found.image,
    repository: `${repository.registry}/${repository.name}`,
    upstream: namespace?.upstream.registry,
    offline: namespace?.policy.offline ?? false,
    digest,
    checkedAtMs: tag?.local === true ? undefined : tag?.checkedAtMs,
    changedAtMs: tag?.changedAtMs,
    ttlMs,
    freshness,
    lastUsedAtMs: usage?.usedAtMs,
    complete,
    nowMs,
    now: [
      ...(tag?.local === true && namespace !== undefined
        ? [await pushedTagSentence(deps.catalog, repository, tag)]
        : nameSentences(found, { namespace, freshness, nowMs })),
      contentSentence({ known: recorded !== undefined, complete, namespace }),
      ...(recorded === undefined && (await isLost(deps.facts, found)) ? [LOST] : []),
      ...previousSentences(previous, namespace),
      ...sentences,
    ],
  }
}

const LOST =
  'it was pushed here, and is lost: bring its file back, push it again, or give it up ("When something that was pushed is lost" in docs/operations.md)'

/** Facts alone tell of it (delete/lost-manifest.ts). */
async function isLost(
  facts: Pick<FactStore, 'find' | 'has'>,
  { repository, reference, digest }: FoundImage,
): Promise<boolean> {
  const key = repositoryKey(repository)
  if (digest !== undefined) return facts.has({ kind: 'manifest', repository: key, digest })
  if (reference.kind === 'digest') return false
  return facts.has({ kind: 'tag', repository: key, tag: reference.tag })
}

/**
 * What becomes of a tag that was pushed here under an upstream's name and is not there yet. Asks no
 * upstream.
 */
async function pushedTagSentence(
  catalog: Catalog,
  repository: Repository,
  { tag, digest }: RecordedTag,
): Promise<string> {
  const { registry } = repository
  const entries = await catalog.listDeliveriesOf(repositoryKey(repository))
  const entry = entries.findLast(({ payload }) => {
    const delivery = parseDelivery(payload)
    return delivery?.digest === digest && delivery.tags.some(each => each.tag === tag)
  })
  if (entry === undefined)
    return `the tag was pushed here and is kept here: ${registry} is not asked about it`
  const { id, state } = entry
  return state === 'waiting'
    ? `the tag was pushed here, and waits to be delivered to ${registry} as entry ${id} of the queue: given at once, nobody is asked`
    : `the tag was pushed here, and its delivery to ${registry} is parked: "entrepot queue ls" says why at entry ${id}; until then it is given from here`
}

function nameSentences(
  found: FoundImage,
  context: { namespace: Namespace | undefined; freshness: Freshness | undefined; nowMs: number },
): string[] {
  const { namespace, freshness, nowMs } = context
  if (found.reference.kind === 'digest')
    return ['a digest names one document for ever: the upstream is not asked about it']
  if (namespace === undefined) {
    return [
      found.tag === undefined
        ? 'the tag is not at this edge, and nobody else can be asked'
        : 'the tag is kept here',
    ]
  }
  const { registry, breaker } = namespace.upstream.health()
  if (namespace.policy.offline) {
    return [
      found.tag === undefined
        ? 'the tag is not here and the namespace is offline: 404'
        : 'offline: nobody is asked whether the tag moved',
    ]
  }
  if (found.tag === undefined) return [`the tag is not here: ${registry} would be asked`]
  if (freshness === 'fresh') return ['the tag is fresh: given at once, nobody is asked']
  if (freshness === 'grace')
    return [
      `the tag has just gone past its ttl: given at once, and ${registry} is asked in the background`,
    ]
  return [
    `the tag is past its ttl: ${registry} is asked by HEAD first`,
    ...(breaker === 'open' ? [outage(found.tag, namespace, nowMs)] : []),
  ]
}

function outage(tag: RecordedTag, namespace: Namespace, nowMs: number): string {
  const { maxStaleMs } = namespace.policy
  return isServableStale(tag.checkedAtMs, maxStaleMs, nowMs)
    ? 'the upstream is failing: the tag would be given stale, with a warning'
    : 'the upstream is failing and the tag is older than maxstale: 503'
}

function previousSentences(
  previous: PreviousDigest | undefined,
  namespace: Namespace | undefined,
): string[] {
  if (previous === undefined || namespace === undefined) return []
  const { policy, upstream } = namespace
  const when = policy.offline ? '' : `should ${upstream.registry} fail, `
  return [
    `the tag moved, and what it pointed to before is all on disk: ${when}${previous.digest} is given stale, with a warning`,
  ]
}

function contentSentence(state: {
  known: boolean
  complete: boolean
  namespace: Namespace | undefined
}): string {
  if (state.complete) return 'everything of it is on disk: no byte would be fetched'
  const offline = state.namespace === undefined || state.namespace.policy.offline
  if (!state.known) return offline ? 'its manifest is not here' : 'its manifest would be fetched'
  return offline
    ? 'some of its blobs are not here and cannot be fetched'
    : 'the blobs that are missing would be fetched once each'
}
