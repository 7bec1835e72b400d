// end-12: what refers to a digest. Proxied lists are kept briefly, since a signature usually
// follows its image by a minute (R81); a failure is never an empty list (R78); the filter is
// applied here whatever the upstream did (R75). What was pushed here and is not there yet is in
// every list (R115).
import { type Digest, isDigestText } from '../../oci/digest.ts'
import { parseManifest, type ReferrerDescriptor, referrerDescriptor } from '../../oci/manifest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import type { ReferrersAnswer, Source } from '../answers.ts'
import { allCarriedBy } from '../deliveries/delivery-payload.ts'
import { filterFew, mapFew } from '../../async/few-at-once.ts'
import { Turns } from '../../async/turns.ts'
import type { ManifestContent, ManifestContents } from './manifest-content.ts'
import type { Namespace, Namespaces } from '../routing/namespaces.ts'
import type { Catalog } from '../ports/catalog.ts'
import { UpstreamError } from '../ports/upstream.ts'
import type { RepositoryPolicies } from '../routing/repository-policy.ts'
import { withClientErrors } from '../refusals/upstream-failure.ts'
import type { ListSource, UpstreamLists } from './upstream-lists.ts'

const LONGEST_TTL_MS = 30_000
/** Looks at the catalog at a time. */
const LOOKS_AT_ONCE = 16

/** Each is an open file, and up to 4 MiB. */
const READ_AT_ONCE = 4
/**
 * Of one list. What comes beyond is listed without its annotations, which its manifest has as well.
 */
export const LOCAL_LIST_BYTES = 4 * 1024 * 1024

export interface ListReferrersDeps {
  readonly catalog: Catalog
  readonly namespaces: Namespaces
  readonly lists: UpstreamLists
  readonly local: LocalReferrers
  readonly policies: RepositoryPolicies
}

/** The list's key in the catalog. */
export function referrersKey(subject: Digest): string {
  return `referrers ${subject}`
}

/** The kept list with `referrer` in it: it was pushed to the upstream a moment ago. */
export function withReferrer(body: string, referrer: ReferrerDescriptor): string {
  return JSON.stringify(merge(JSON.parse(body) as unknown[], [referrer]))
}

interface Found {
  readonly manifests: readonly unknown[]
  readonly source: Source
  readonly warnings: readonly string[]
}

/** @throws RegistryError */
export async function listReferrers(
  deps: ListReferrersDeps,
  repository: Repository,
  { digest, artifactTypes }: { digest: Digest; artifactTypes: readonly string[] },
): Promise<ReferrersAnswer> {
  return withClientErrors(repository, 'NAME_UNKNOWN', async () => {
    const found = await find(deps, repository, digest)
    const filtered = artifactTypes.length > 0
    const manifests = filtered
      ? found.manifests.filter(each =>
          artifactTypes.includes(String(memberOf(each, 'artifactType'))),
        )
      : found.manifests
    return { ...found, manifests, filtered }
  })
}

async function find(
  deps: ListReferrersDeps,
  repository: Repository,
  digest: Digest,
): Promise<Found> {
  const namespace = deps.namespaces.find(repository.registry)
  if (namespace === undefined || namespace.policy.offline) {
    const source = namespace === undefined ? 'local' : 'hit'
    const referrers = await deps.catalog.listReferrers(repository, digest)
    return { manifests: await deps.local.describe(repository, referrers), source, warnings: [] }
  }
  const pushed = await pushedReferrers(deps, repository, digest)
  const found = await atUpstream(deps, repository, { digest, namespace, pushed })
  if (pushed.length === 0) return found
  const descriptors = await deps.local.describe(repository, pushed)
  return { ...found, manifests: merge(found.manifests, descriptors) }
}

async function atUpstream(
  deps: ListReferrersDeps,
  repository: Repository,
  options: { digest: Digest; namespace: Namespace; pushed: readonly Digest[] },
): Promise<Found> {
  const { digest, namespace } = options
  const source: ListSource = {
    repository,
    key: referrersKey(digest),
    ttlMs: Math.min(LONGEST_TTL_MS, namespace.policy.ttlMs),
    maxStaleMs: namespace.policy.maxStaleMs,
    ask: async how =>
      asText((await namespace.upstream.listReferrers(repository.name, digest, how)).manifests),
  }
  try {
    const list = await deps.lists.get(source)
    return { ...list, manifests: JSON.parse(list.body) as unknown[] }
  } catch (error) {
    // The upstream knows neither the digest nor the repository: that has no referrers, and 404
    // would make clients believe that there is no such endpoint here (R73).
    if (error instanceof UpstreamError && error.failure === 'not-found') {
      return { manifests: [], source: 'miss', warnings: [] }
    }
    if (options.pushed.length === 0 || !(error instanceof UpstreamError)) throw error
    const warning = `${repository.registry} failed (${error.failure}); only referrers that were pushed here are listed`
    return { manifests: [], source: 'local', warnings: [warning] }
  }
}

/** Those that the upstream need not know yet. */
async function pushedReferrers(
  { catalog, policies }: ListReferrersDeps,
  repository: Repository,
  digest: Digest,
): Promise<readonly Digest[]> {
  const known = await catalog.listReferrers(repository, digest)
  if (known.length === 0) return known
  if (policies.find(repository).push === 'store')
    return filterFew(known, LOOKS_AT_ONCE, async each => {
      return (await catalog.findContent(each))?.contentClass === 'kept'
    })
  const waiting = await catalog.listDeliveriesOf(repositoryKey(repository))
  const undelivered = allCarriedBy(waiting).digests
  return known.filter(each => undelivered.has(each))
}

/** Both, each digest once. */
function merge(listed: readonly unknown[], more: readonly unknown[]): readonly unknown[] {
  const known = new Set(listed.map(each => memberOf(each, 'digest')))
  return [...listed, ...more.filter(each => !known.has(memberOf(each, 'digest')))]
}

/** What a descriptor has (image-spec, "Properties"). */
const DESCRIPTOR_MEMBERS = [
  'mediaType',
  'digest',
  'size',
  'urls',
  'annotations',
  'data',
  'artifactType',
  'platform',
]

/**
 * Only what is a descriptor is kept and passed on: the rest of an upstream's list is its own
 * affair.
 */
function asText(manifests: readonly unknown[]): string {
  const members = (each: unknown) =>
    Object.fromEntries(DESCRIPTOR_MEMBERS.map(name => [name, memberOf(each, name)]))
  return JSON.stringify(manifests.filter(isDescriptor).map(members))
}

function isDescriptor(value: unknown): boolean {
  const digest = memberOf(value, 'digest')
  const size = memberOf(value, 'size')
  return (
    typeof memberOf(value, 'mediaType') === 'string' &&
    typeof digest === 'string' &&
    isDigestText(digest) &&
    Number.isSafeInteger(size) &&
    Number(size) >= 0
  )
}

function memberOf(value: unknown, member: string): unknown {
  return typeof value === 'object' && value !== null
    ? (value as Record<string, unknown>)[member]
    : undefined
}

/**
 * The referrers of which the manifests are here, as descriptors: read from disk a few at a time,
 * one list of a repository after the other, and no manifest is held longer than it takes to
 * describe it. A list may have thousands.
 */
export class LocalReferrers {
  readonly #contents: Pick<ManifestContents, 'here'>
  readonly #turns = new Turns()

  constructor(contents: Pick<ManifestContents, 'here'>) {
    this.#contents = contents
  }

  /** Of those whose manifests are here. */
  describe(
    repository: Repository,
    referrers: readonly Digest[],
  ): Promise<readonly ReferrerDescriptor[]> {
    if (referrers.length === 0) return Promise.resolve([])
    return this.#turns.take(repositoryKey(repository), async () => {
      let listedBytes = 0
      const described = await mapFew(referrers, READ_AT_ONCE, async each => {
        const content = await this.#contents.here(repository, each)
        if (content === undefined) return undefined
        const descriptor = describe(content)
        listedBytes += JSON.stringify(descriptor).length
        return listedBytes > LOCAL_LIST_BYTES ? withoutAnnotations(descriptor) : descriptor
      })
      return described.filter(each => each !== undefined)
    })
  }
}

function describe({ recorded, bytes }: ManifestContent): ReferrerDescriptor {
  return referrerDescriptor(parseManifest(bytes, recorded.mediaType), recorded.digest, bytes.length)
}

function withoutAnnotations(descriptor: ReferrerDescriptor): ReferrerDescriptor {
  const { annotations, ...rest } = descriptor
  return annotations === undefined ? descriptor : rest
}
