// What a purge takes of each repository, as the catalog has it: nothing is changed here.
import type { Digest } from '../../oci/digest.ts'
import {
  formatImage,
  parseRepositoryKey,
  type Repository,
  type RepositoryKey,
  type Tag,
} from '../../oci/reference.ts'
import { INDEX_DEPTH_MAX } from '../content/edges.ts'
import { createPacer } from '../pacing/pacer.ts'
import { rowsOf } from '../pacing/pages.ts'
import type { ListedMember } from '../ports/catalog-content.ts'
import type { Image } from '../ports/catalog-images.ts'
import type { RecordedTag } from '../ports/catalog-tags.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { Matcher } from '../pins/selectors.ts'

/** Repositories that have one digest; far more than there are of any. */
const HOLDERS_MAX = 10_000

export interface Named extends Image {
  /** That lead to it. */
  readonly tags: readonly RecordedTag[]
}

/** By its first tag, where it has one. */
export function nameOf({ repository, digest, tags }: Named): string {
  const [first] = tags
  return formatImage(
    repository,
    first === undefined ? { kind: 'digest', digest } : { kind: 'tag', tag: first.tag },
  )
}

/** Who needs that content stays: whoever pushed it to this repository, or to others alone. */
export type KeptFor = 'here' | 'others' | 'nobody'

export interface Plan {
  /** That it is about, and that have anything of it. */
  readonly repositories: ReadonlySet<RepositoryKey>
  /** What is listed stands before what lists it: an index goes behind its manifests. */
  readonly free: readonly Named[]
  /** The same of what was pushed to its repository, or has a tag there that was. */
  readonly held: readonly Named[]
  /** Meant by themselves, and not as what a manifest lists. */
  readonly blobs: readonly (Image & { readonly keptFor: KeptFor })[]
  /** That lead to what is not here. */
  readonly bareTags: readonly { readonly repository: Repository; readonly tag: RecordedTag }[]
}

type PlanCatalog = Pick<
  Catalog,
  | 'listRepositories'
  | 'listRepositoriesOf'
  | 'listMembers'
  | 'listTags'
  | 'findContent'
  | 'findManifest'
  | 'findMember'
  | 'findNeed'
  | 'isKeptForOthers'
>

export interface PlanDeps {
  readonly catalog: PlanCatalog
  readonly clock: Pick<Clock, 'monotonicMs'>
  /** Resolves when what clients have whole of this blob is written down. */
  readonly published: (digest: Digest) => Promise<void>
}

/** @throws StoreError */
export async function planPurge(deps: PlanDeps, matcher: Matcher): Promise<Plan> {
  const { catalog } = deps
  const { selector } = matcher
  const keys =
    selector.kind === 'content'
      ? await catalog.listRepositoriesOf(selector.digest, HOLDERS_MAX)
      : allRepositories(catalog)
  const plan: Growing = {
    repositories: new Set(),
    free: [],
    held: [],
    blobs: [],
    bareTags: [],
  }
  const planning = { ...deps, pause: createPacer(deps.clock) }
  for await (const key of keys)
    if (matcher.isAbout(key)) await planIn(planning, { matcher, key, plan })
    else await planning.pause()
  return plan
}

interface Planning extends PlanDeps {
  /** Lets others run, where it is time. Awaited for each row that is looked at. */
  readonly pause: () => Promise<void>
}

interface Growing {
  readonly repositories: Set<RepositoryKey>
  readonly free: Named[]
  readonly held: Named[]
  readonly blobs: Plan['blobs'][number][]
  readonly bareTags: Plan['bareTags'][number][]
}

async function planIn(
  planning: Planning,
  { matcher, key, plan }: { matcher: Matcher; key: RepositoryKey; plan: Growing },
): Promise<void> {
  const repository = parseRepositoryKey(key)
  const { catalog, published, pause } = planning
  const { tags, meant } = await tagsIn(planning, repository, matcher)
  const { roots, blobs } = await rootsIn(planning, repository, matcher)
  for (const { digest } of meant) roots.add(digest)
  const { manifests, listed } = await withChildren(planning, repository, roots)
  const tagsOf = Map.groupBy(tags, ({ digest }) => digest)
  for (const digest of [...manifests].reverse()) {
    await pause()
    const named = { repository, digest, tags: tagsOf.get(digest) ?? [] }
    const isPushed = named.tags.some(({ local }) => local)
    const isHeld = isPushed || (await isKeptFor(catalog, named)) === 'here'
    plan[isHeld ? 'held' : 'free'].push(named)
  }
  for (const digest of listed) {
    await pause()
    await published(digest)
  }
  const alone = blobs.filter(digest => !listed.has(digest))
  for (const digest of alone) {
    const blob = { repository, digest }
    await pause()
    plan.blobs.push({ ...blob, keptFor: await isKeptFor(catalog, blob) })
  }
  const bare = meant.filter(({ digest }) => !manifests.has(digest))
  plan.bareTags.push(...bare.map(tag => ({ repository, tag })))
  if (manifests.size + alone.length + bare.length > 0) plan.repositories.add(key)
}

/** Meant by their digest, or because all of the repository is. */
async function rootsIn({ catalog, pause }: Planning, repository: Repository, matcher: Matcher) {
  const { selector } = matcher
  const roots = new Set<Digest>()
  const blobs: Digest[] = []
  if (selector.kind === 'repositories')
    for await (const { digest, isManifest } of allMembers(catalog, repository)) {
      if (isManifest) roots.add(digest)
      else blobs.push(digest)
      await pause()
    }
  if (selector.kind === 'manifest' || selector.kind === 'content') {
    const { digest } = selector
    const member = await catalog.findMember(repository, digest)
    if (member?.mediaType !== undefined) roots.add(digest)
    else if (member !== undefined && selector.kind === 'content') blobs.push(digest)
  }
  return { roots, blobs }
}

async function isKeptFor(catalog: PlanCatalog, { repository, digest }: Image): Promise<KeptFor> {
  if ((await catalog.findContent(digest))?.contentClass !== 'kept') return 'nobody'
  return (await catalog.isKeptForOthers(repository, digest)) ? 'others' : 'here'
}

/** Those of `roots` that are here, and what they list as manifests, roots first; what all list. */
async function withChildren(
  { catalog, pause }: Planning,
  repository: Repository,
  roots: ReadonlySet<Digest>,
): Promise<{ manifests: ReadonlySet<Digest>; listed: ReadonlySet<Digest> }> {
  const found = new Set<Digest>()
  const listed = new Set<Digest>()
  let level = [...roots]
  for (let depth = 0; depth < INDEX_DEPTH_MAX && level.length > 0; depth += 1) {
    const below: Digest[] = []
    for (const digest of level) {
      await pause()
      const manifest = await catalog.findManifest(repository, digest)
      if (manifest === undefined) {
        await addNeeded({ catalog, pause }, digest, listed)
        continue
      }
      // What was found as one of a list stands behind it.
      found.delete(digest)
      found.add(digest)
      for (const { child, kind } of manifest.edges) {
        if (kind === 'manifest') below.push(child)
        if (kind !== 'subject') listed.add(child)
      }
    }
    level = below
  }
  return { manifests: found, listed }
}

/**
 * What a manifest lists that was not given to this repository: with an index that lists it, the
 * repository has all of that as it has blobs.
 */
async function addNeeded(
  { catalog, pause }: Pick<Planning, 'catalog' | 'pause'>,
  manifest: Digest,
  listed: Set<Digest>,
): Promise<void> {
  const looked = [manifest]
  for (const digest of looked)
    for (const each of (await catalog.findNeed(digest))?.lists ?? []) {
      await pause()
      if (listed.has(each)) continue
      listed.add(each)
      looked.push(each)
    }
}

/** All tags, and those that are meant. */
async function tagsIn({ catalog, pause }: Planning, repository: Repository, matcher: Matcher) {
  const tags: RecordedTag[] = []
  const meant: RecordedTag[] = []
  for await (const each of rowsOf<RecordedTag, Tag>(
    page => catalog.listTags(repository, page),
    ({ tag }) => tag,
  )) {
    tags.push(each)
    if (matcher.hasTag(each.tag) || matcher.hasDigest(each.digest)) meant.push(each)
    await pause()
  }
  return { tags, meant }
}

function allMembers(catalog: PlanCatalog, repository: Repository): AsyncGenerator<ListedMember> {
  return rowsOf<ListedMember, Digest>(
    page => catalog.listMembers(repository, page),
    ({ digest }) => digest,
  )
}

function allRepositories(catalog: PlanCatalog): AsyncGenerator<RepositoryKey> {
  return rowsOf<RepositoryKey, RepositoryKey>(
    page => catalog.listRepositories(page),
    key => key,
  )
}
