// A repository as it is judged: its tags, its manifests with what they list and refer to, and what
// holds either whatever the policy says. Read page by page, so that others get their turn.
import type { Digest } from '../../oci/digest.ts'
import { type Repository, repositoryKey, type Tag } from '../../oci/reference.ts'
import { type CarriedThere, allCarriedBy } from '../deliveries/delivery-payload.ts'
import { listUsedTags, type UsedTag } from '../content/used-tags.ts'
import type { Pins } from '../pins/pins.ts'
import { formatSelector } from '../pins/selectors.ts'
import type { Edge } from '../ports/catalog-content.ts'
import type { HeldManifest } from '../ports/catalog-holdings.ts'
import type { ImageUsage } from '../ports/catalog-images.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { ManifestToJudge, RepositoryToJudge } from './judge.ts'
import type { TagToJudge } from './judge-tags.ts'
import { laterOf, LatestPulls, type PulledManifest } from './latest-pulls.ts'
import { pagesOf } from '../pacing/pages.ts'
import { Pieces } from '../pacing/pieces.ts'

/**
 * All of one repository is judged at once, since some conditions count. So many take some hundred
 * megabytes; a repository with more is left alone.
 */
export const JUDGED_MAX = 500_000

export interface ReadDeps {
  readonly catalog: Catalog
  readonly pins: Pick<Pins, 'findWithListed'> | undefined
  /** Leases that were to end by then are over. */
  readonly leasesOverMs: number
}

const UNDELIVERED = 'it waits to be delivered'
const OF_AN_UPSTREAM = 'an upstream has it'

/** Undefined: there is more of it than can be judged. @throws StoreError */
export async function readRepository(
  deps: ReadDeps,
  repository: Repository,
): Promise<RepositoryToJudge | undefined> {
  const { catalog } = deps
  const here = new Map<Digest, ManifestToJudge>()
  const opened = await openReading(deps, repository)
  const pulls = new LatestPulls(async digest => {
    const found = here.get(digest)
    await opened.pieces.done(1 + (found?.children.length ?? 0))
    return found
  })
  const reading = { ...opened, pulls }
  const held = pagesOf<HeldManifest, number>(
    page => catalog.listManifests(repository, page),
    ({ position }) => position,
  )
  for await (const page of held) {
    for (const each of page) here.set(each.digest, await toJudge(reading, each))
    if (here.size > JUDGED_MAX) return undefined
  }
  const tags: TagToJudge[] = []
  const used = pagesOf<UsedTag, Tag>(
    page => listUsedTags(catalog, repository, page),
    ({ tag }) => tag,
  )
  for await (const page of used) {
    for (const each of page) tags.push(await readTag(reading, each))
    if (tags.length > JUDGED_MAX) return undefined
  }
  return { tags, manifests: [...here.values()] }
}

export interface Reading extends ReadDeps {
  readonly repository: Repository
  /** On its way to an upstream, it has no other home until it is there. */
  readonly undelivered: CarriedThere
  readonly pulls: LatestPulls
  readonly pieces: Pieces
}

/** What is on its way to an upstream, and a pull, is looked up once for all that is read. */
export async function openReading(deps: ReadDeps, repository: Repository): Promise<Reading> {
  const undelivered = allCarriedBy(await deps.catalog.listDeliveriesOf(repositoryKey(repository)))
  const pieces = new Pieces()
  const pulls = new LatestPulls(async digest => {
    const pulled = await pulledManifest(deps.catalog, repository, digest)
    await pieces.done(1 + pulled.children.length)
    return pulled
  })
  return { ...deps, repository, undelivered, pulls, pieces }
}

/** One of them; undefined when it is not here. @throws StoreError */
export async function readManifest(
  reading: Reading,
  digest: Digest,
): Promise<ManifestToJudge | undefined> {
  const { catalog, repository } = reading
  if ((await catalog.findManifest(repository, digest)) === undefined) return undefined
  const { lastUsedAtMs = 0 } = (await catalog.findContent(digest)) ?? {}
  return await toJudge(reading, { digest, lastUsedAtMs })
}

async function toJudge(
  reading: Reading,
  each: Pick<HeldManifest, 'digest' | 'lastUsedAtMs'>,
): Promise<ManifestToJudge> {
  const { catalog, repository } = reading
  const { digest } = each
  const edges = (await catalog.findManifest(repository, digest))?.edges ?? []
  await reading.pieces.done(1 + edges.length)
  const children = childrenOf(edges)
  const subject = edges.find(({ kind }) => kind === 'subject')?.child
  const held = await heldBy(reading, digest)
  const usage = await catalog.usageOf(repository, digest)
  // A push that brings nothing new is a use of the content alone.
  const lastUsedAtMs = Math.max(each.lastUsedAtMs, usage?.usedAtMs ?? 0)
  return { digest, lastUsedAtMs, pulledAtMs: pulledBy(usage), children, subject, held }
}

async function pulledManifest(
  catalog: Catalog,
  repository: Repository,
  digest: Digest,
): Promise<PulledManifest> {
  const edges = (await catalog.findManifest(repository, digest))?.edges ?? []
  const pulledAtMs = pulledBy(await catalog.usageOf(repository, digest))
  return { pulledAtMs, children: childrenOf(edges) }
}

function childrenOf(edges: readonly Edge[]): readonly Digest[] {
  return edges.filter(({ kind }) => kind === 'manifest').map(({ child }) => child)
}

/** What nobody has pulled was used when it was pushed. */
function pulledBy(usage: ImageUsage | undefined): number | undefined {
  return usage !== undefined && usage.pulls > 0 ? usage.usedAtMs : undefined
}

async function heldBy(reading: Reading, digest: Digest): Promise<string | undefined> {
  const { catalog, repository, undelivered, leasesOverMs } = reading
  const holds = await catalog.holdsOf(repository, digest)
  if (undelivered.digests.has(digest) || holds.includes('undelivered')) return UNDELIVERED
  // It may be kept for another repository; only what this one is the home of is judged.
  if (!holds.includes('pushed')) return OF_AN_UPSTREAM
  const pinned = await pinnedBy(reading, digest)
  if (pinned !== undefined) return pinned
  const leasedMs = await catalog.leasedUntil(repository, digest)
  const isLeased = leasedMs !== undefined && leasedMs > leasesOverMs
  return isLeased ? 'a client was just told that it is here' : undefined
}

async function pinnedBy({ pins, repository }: Reading, digest: Digest) {
  const pin = await pins?.findWithListed(repository, digest)
  return pin && `it is pinned: ${formatSelector(pin.selector)}`
}

export async function readTag(
  reading: Reading,
  { tag, digest, checkedAtMs, local, usage }: UsedTag,
): Promise<TagToJudge> {
  const isUndelivered = reading.undelivered.tags.has(tag)
  // What leads to pinned content is pinned with it.
  const held = local ? await pinnedBy(reading, digest) : OF_AN_UPSTREAM
  return {
    tag,
    digest,
    // Of one that an older version recorded: when it was pushed, it was checked.
    pushedAtMs: usage?.pushedAtMs ?? checkedAtMs,
    pulledAtMs: laterOf(usage?.pulledAtMs, await reading.pulls.of(digest)),
    held: isUndelivered ? UNDELIVERED : held,
  }
}
