// A manifest that was pushed, and is lost: a fact tells of it, and the catalog never learned of it,
// since its bytes were gone, or the fact could not be read, when that was built. Whoever deletes it
// gives it up: its facts go, as those of one that is here, and nothing is held for it any more.
import { filterFew } from '../../async/few-at-once.ts'
import { parseRepositoryKey, repositoryKey, type Tag } from '../../oci/reference.ts'
import { KnownLoss } from '../facts/known-loss.ts'
import type { Image } from '../ports/catalog-images.ts'
import type { Clock } from '../ports/clock.ts'
import type { Fact } from '../ports/facts.ts'
import { type DeleteManifestDeps, type Removing, removeManifest } from './delete-manifest.ts'

export type LostDeps = DeleteManifestDeps

/** With the tags that facts say lead to it. */
export interface LostManifest extends Image {
  readonly tags: readonly Tag[]
}

/** What is lost of a larger store is found by the next look, once this was given up. */
export const LOST_MAX = 10_000

/** Few tags that lead to one thing are looked up for a delete. */
const LOOKS_AT_ONCE = 4

type Looking = Pick<LostDeps, 'catalog' | 'facts' | 'stock'>
type NamingFact = Extract<Fact, { kind: 'manifest' | 'tag' }>

export interface FoundLost {
  readonly lost: readonly LostManifest[]
  /** There are facts that cannot be read, and may tell of more. */
  readonly hasUnreadable: boolean
}

/**
 * Reads every fact, if anything may be lost, and looks at those that are `isMeant`. What is being
 * pushed may be among them: `giveUp` looks again.
 * @throws StoreError
 */
export async function findLost(
  deps: Looking,
  isMeant: (fact: NamingFact) => boolean,
): Promise<FoundLost> {
  if (deps.stock?.isAllFound === true) return { lost: [], hasUnreadable: false }
  const found = new Map<string, Image & { readonly tags: Tag[] }>()
  let tags = 0
  let hasUnreadable = false
  for await (const fact of deps.facts.list()) {
    if (fact === 'unreadable') {
      hasUnreadable = true
      continue
    }
    if ((fact.kind !== 'manifest' && fact.kind !== 'tag') || !isMeant(fact)) continue
    const { repository: key, digest } = fact
    const name = `${key} ${digest}`
    const image = found.get(name) ?? { repository: parseRepositoryKey(key), digest, tags: [] }
    if (!found.has(name) && !(await isLost(deps, image))) continue
    found.set(name, image)
    // Those of the rest are of no manifest then, and go when facts are compared.
    if (fact.kind === 'tag' && (tags += 1) <= LOST_MAX) image.tags.push(fact.tag)
    if (found.size >= LOST_MAX) break
  }
  return { lost: [...found.values()], hasUnreadable }
}

/** What of all repositories tags lead to, and is lost. */
export interface LostTags {
  readonly lost: readonly LostManifest[]
  /** There may be more: a fact cannot be read, or too much is lost. */
  readonly isMore: boolean
}

/** For who asks often. */
export class KnownLostTags {
  readonly #deps: Looking
  readonly #known: KnownLoss<LostTags>

  constructor(deps: Looking & { readonly clock: Pick<Clock, 'monotonicMs'> }) {
    this.#deps = deps
    const isClear = ({ lost, isMore }: LostTags) => lost.length === 0 && !isMore
    this.#known = new KnownLoss({ clock: deps.clock, isClear })
  }

  /** @throws StoreError */
  async find(): Promise<LostTags> {
    const found = await this.#known.find(() => this.#look())
    return found ?? { lost: [], isMore: true }
  }

  async #look(): Promise<LostTags> {
    const { lost, hasUnreadable } = await findLost(this.#deps, ({ kind }) => kind === 'tag')
    const tags = lost.reduce((sum, each) => sum + each.tags.length, 0)
    return { lost, isMore: hasUnreadable || tags >= LOST_MAX }
  }
}

/** The same of one manifest; undefined when it is not lost. @throws StoreError */
export async function findLostManifest(
  deps: Looking,
  image: Image,
): Promise<LostManifest | undefined> {
  if (deps.stock?.isAllFound === true || !(await isLost(deps, image))) return undefined
  const { digest } = image
  const key = repositoryKey(image.repository)
  const isMeant = (fact: NamingFact) => fact.repository === key && fact.digest === digest
  const [found] = (await findLost(deps, isMeant)).lost
  // Where its fact cannot be read, no tag may lead to it.
  return found ?? { ...image, tags: [] }
}

/**
 * MUST run in the repository's turn. Durable when it resolves; false when it is not lost any more.
 * Whoever calls it has `stock` look again.
 * @throws StoreError
 */
export async function giveUp(
  deps: LostDeps,
  { repository, digest, tags }: LostManifest,
  how: Pick<Removing, 'deletedAtMs'> = {},
): Promise<boolean> {
  if (!(await isLost(deps, { repository, digest }))) return false
  const factTags = await tagsStill(deps, { repository, digest, tags })
  return removeManifest(deps, repository, digest, { ...how, factTags })
}

/** With those of its tags that lead to it still. MUST run in the repository's turn. */
export async function stillLost(deps: Looking, lost: LostManifest): Promise<LostManifest> {
  return { ...lost, tags: (await isLost(deps, lost)) ? await tagsStill(deps, lost) : [] }
}

function tagsStill(deps: Looking, lost: LostManifest): Promise<readonly Tag[]> {
  return filterFew(lost.tags, LOOKS_AT_ONCE, tag => leadsTo(deps, lost, tag))
}

/** Also with its tombstone: a delete that could not even put its facts back is gone on with. */
async function isLost(
  { catalog, facts }: Pick<LostDeps, 'catalog' | 'facts'>,
  { repository, digest }: Image,
): Promise<boolean> {
  if ((await catalog.findManifest(repository, digest)) !== undefined) return false
  return facts.has({ kind: 'manifest', repository: repositoryKey(repository), digest })
}

/** Unless something else was pushed since. */
async function leadsTo(
  { catalog, facts }: Pick<LostDeps, 'catalog' | 'facts'>,
  { repository, digest }: Image,
  tag: Tag,
): Promise<boolean> {
  const known = await catalog.findTag(repository, tag)
  // What an upstream says of it is no push.
  if (known?.local === true && known.digest !== digest) return false
  const fact = await facts.find({ kind: 'tag', repository: repositoryKey(repository), tag })
  return (
    fact !== undefined && fact !== 'unreadable' && fact.kind === 'tag' && fact.digest === digest
  )
}
