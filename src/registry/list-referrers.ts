// end-12: what refers to a digest. Proxied lists are kept briefly, since a signature usually follows its image by a minute
// (R81); a failure is never an empty list (R78); the filter is applied here whatever the upstream did (R75).
import type { Digest } from '../oci/digest.ts'
import { isDigestText } from '../oci/digest.ts'
import { parseManifest, referrerDescriptor } from '../oci/manifest.ts'
import type { Repository } from '../oci/reference.ts'
import type { ReferrersAnswer, Source } from './answers.ts'
import type { ManifestContent, ManifestContents } from './manifest-content.ts'
import type { Namespaces } from './namespaces.ts'
import type { Catalog } from './ports/catalog.ts'
import { UpstreamError } from './ports/upstream.ts'
import { telling } from './upstream-failure.ts'
import type { ListSource, UpstreamLists } from './upstream-lists.ts'

const LONGEST_TTL_MS = 30_000
/** Manifests read at once: each is an open file, and there may be thousands. */
const READ_AT_ONCE = 16

export interface ListReferrersDeps {
  readonly catalog: Catalog
  readonly namespaces: Namespaces
  readonly lists: UpstreamLists
  readonly contents: ManifestContents
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
  return telling(repository, 'NAME_UNKNOWN', async () => {
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
    return { manifests: await knownReferrers(deps, repository, digest), source, warnings: [] }
  }
  const source: ListSource = {
    repository,
    key: `referrers ${digest}`,
    ttlMs: Math.min(LONGEST_TTL_MS, namespace.policy.ttlMs),
    maxStaleMs: namespace.policy.maxStaleMs,
    ask: async () =>
      asText((await namespace.upstream.listReferrers(repository.name, digest)).manifests),
  }
  try {
    const list = await deps.lists.get(source)
    return { ...list, manifests: JSON.parse(list.body) as unknown[] }
  } catch (error) {
    // The upstream knows neither the digest nor the repository: that has no referrers, and 404 would make clients believe
    // that there is no such endpoint here (R73).
    if (error instanceof UpstreamError && error.failure === 'not-found') {
      return { manifests: [], source: 'miss', warnings: [] }
    }
    throw error
  }
}

/** Only what is a descriptor is passed on: the rest of an upstream's list is its own affair. */
function asText(manifests: readonly unknown[]): string {
  return JSON.stringify(manifests.filter(isDescriptor))
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

/** Referrers whose manifests are here. */
async function knownReferrers(
  deps: ListReferrersDeps,
  repository: Repository,
  digest: Digest,
): Promise<readonly unknown[]> {
  const referrers = await deps.catalog.listReferrers(repository, digest)
  const descriptors: unknown[] = []
  for (let at = 0; at < referrers.length; at += READ_AT_ONCE) {
    const some = referrers.slice(at, at + READ_AT_ONCE)
    const contents = await Promise.all(some.map(each => deps.contents.here(repository, each)))
    for (const content of contents) if (content !== undefined) descriptors.push(describe(content))
  }
  return descriptors
}

function describe({ fact, bytes }: ManifestContent): unknown {
  return referrerDescriptor(parseManifest(bytes, fact.mediaType), fact.digest, bytes.length)
}
