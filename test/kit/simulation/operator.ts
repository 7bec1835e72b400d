// What an operator wants in a simulation, and whether it is so: pins, quotas, retention, a purge.
// Here content leaves by the real jobs alone, which ask for all of that; what clients and operators
// take away themselves holds nothing up. Looked at when nothing is under way.
import { type Repository, repositoryKey, parseRepositoryKey } from '../../../src/oci/reference.ts'
import type { Pins } from '../../../src/registry/pins/pins.ts'
import type { Selector } from '../../../src/registry/pins/selectors.ts'
import { createQuotas, NO_QUOTAS, type Quotas } from '../../../src/registry/evict/quotas.ts'
import { onDiskBytes } from '../../../src/registry/ports/blob-store.ts'
import type { RepositoryPolicies } from '../../../src/registry/routing/repository-policy.ts'
import type { Image } from '../image.ts'
import type { ClientsOf, Deed } from './clients.ts'
import type { Edge, World } from './edge.ts'
import { BYTES, IMAGES } from './images.ts'
import { listedBy, type AcknowledgedRecord, Broken } from './record.ts'
import { CACHED, LOCAL, PUSHED } from './repositories.ts'
import { drawPurge, NEVER, retain, WHOLE } from './space.ts'

/** Of repositories with quotas; what is above the one leaves, and what is in the other stays. */
export const [CEILED, FLOORED] = CACHED as [Repository, Repository]
const CEILING = { ceiling: { kind: 'bytes', bytes: 24_000 } } as const
const FLOOR = { floor: { kind: 'bytes', bytes: 60_000 } } as const
/** What was used later is in nobody's way, and leaves last. */
const LATE_MS = 20 * 60_000

export const QUOTA_RULES = [
  { match: repositoryKey(CEILED), quota: CEILING },
  { match: repositoryKey(FLOORED), quota: FLOOR },
]

export function quotasOf({ isOperated, isDeaf }: World['options'], policies: RepositoryPolicies) {
  if (isOperated !== true || isDeaf === 'quotas') return NO_QUOTAS
  const ofRules = [CEILING, FLOOR]
  return createQuotas({ ofUpstreams: new Map(), ofRules, policies }) satisfies Quotas
}

export function drawOperatorDeed({ schedule }: World): Deed {
  const { random } = schedule
  const drawn = random.below(100)
  if (drawn < 20) return { name: 'collect', run: ({ edge }) => collectNow(edge) }
  if (drawn < 45) return { name: 'keep room', run: ({ edge }) => edge.registry.keepRoom(NEVER) }
  if (drawn < 60) return { name: 'evict', run: ({ edge }) => evictNow(edge) }
  if (drawn < 68) return { name: 'retain', run: retain }
  if (drawn < 72) return drawPurge(PUSHED[random.below(PUSHED.length)] as Repository)
  const image = IMAGES[random.below(IMAGES.length)] as Image
  const repositories = repositoryKey(CACHED[random.below(CACHED.length)] as Repository)
  const { digest } = image.manifest
  const selector: Selector = random.oneIn(4)
    ? { kind: 'repositories', repositories }
    : { kind: 'manifest', repositories, digest }
  const what = JSON.stringify(selector)
  if (drawn < 80) return { name: `pin ${what}`, run: ({ edge }) => pinNow(edge, selector) }
  return {
    name: `unpin ${what}`,
    run: async ({ edge, world }) => {
      world.unpinned += 1
      await edge.pins.unpin(selector)
      world.unpinned += 1
    },
  }
}

async function collectNow({ registry }: Edge): Promise<void> {
  await registry.collect(WHOLE)
}

async function pinNow({ pins }: Edge, selector: Selector): Promise<void> {
  await pins.pin(selector)
}

async function evictNow({ registry }: Edge): Promise<void> {
  await registry.evict(WHOLE)
}

/** Resolves when what it is given has ended. */
type Finish = (work: Promise<unknown>) => Promise<void>

interface Pinned {
  readonly repository: Repository
  readonly image: Image
  readonly since: number
}

/** Whole and pinned when it was looked at last; each is to be there at the next look. */
export class OperatorJudge {
  readonly #record: AcknowledgedRecord
  #pinned: readonly Pinned[] = []
  #unpinned = 0

  constructor(record: AcknowledgedRecord) {
    this.#record = record
  }

  /** What `work` begins is over when it resolves. @throws Broken */
  async look(edge: Edge, world: World, finish: Finish) {
    await this.#comparePinned(world)
    const { random } = world.schedule
    world.schedule.advance(LATE_MS)
    if (random.oneIn(3)) await this.#compareQuotas(edge, world, finish)
    if (random.oneIn(3)) await this.#compareRetained(edge, world, finish)
    if (random.oneIn(4)) await this.#comparePurged(edge, world, finish)
    this.#unpinned = world.unpinned
    this.#pinned = await this.#lookForPinned(edge.pins, world)
  }

  async #comparePinned(world: World): Promise<void> {
    // Nobody can tell what left between two pins.
    if (world.unpinned !== this.#unpinned) return
    for (const { repository, image, since } of this.#pinned) {
      const all = [image.manifest.digest, ...listedBy(image)]
      const isExcused = all.some(
        digest =>
          this.#record.wasDeleted(repository, digest, since) || world.power.hasVanished(digest),
      )
      if (isExcused || (await isWhole(world, repository, image))) continue
      throw new Broken(
        `${repositoryKey(repository)}@${image.manifest.digest} is pinned, and has left`,
      )
    }
  }

  async #lookForPinned(pins: Pins, world: World): Promise<Pinned[]> {
    const since = this.#record.now()
    const found: Pinned[] = []
    for (const repository of CACHED)
      for (const image of IMAGES.filter(({ children }) => children.length === 0)) {
        const isPinned = pins
          .list()
          .some(
            ({ selector }) =>
              'repositories' in selector &&
              selector.repositories === repositoryKey(repository) &&
              (selector.kind === 'repositories' ||
                (selector.kind === 'manifest' && selector.digest === image.manifest.digest)),
          )
        if (isPinned && (await isWhole(world, repository, image)))
          found.push({ repository, image, since })
      }
    return found
  }

  /** After a round, and one down to the low water. */
  async #compareQuotas(edge: Edge, world: World, finish: Finish): Promise<void> {
    const before = await holdingOf(world, FLOORED)
    await finish(edge.registry.keepRoom(NEVER))
    await this.#compareCeiling(edge, world)
    await finish(evictNow(edge))
    const after = await holdingOf(world, FLOORED)
    const haveLeft = [...before.manifests].some(digest => !after.manifests.has(digest))
    // A floor holds no more than images.
    if (haveLeft && after.bytes < FLOOR.floor.bytes - before.unlistedBytes)
      throw new Broken(
        `${after.bytes} bytes are left in ${repositoryKey(FLOORED)}, below its floor`,
      )
  }

  async #compareCeiling(edge: Edge, world: World): Promise<void> {
    const arePinned = edge.pins
      .list()
      .some(
        ({ selector }) =>
          'repositories' in selector && selector.repositories === repositoryKey(CEILED),
      )
    const above = await bytesOf(world, CEILED)
    // What is kept by way of another repository counts, and can't leave. What would take from the
    // floor of another stays, too: a floor is for who shares as well.
    const { images: cold } = await world.catalog.listColdest({ limit: 100 })
    const own = cold.filter(each => repositoryKey(each.repository) === repositoryKey(CEILED))
    const { byImage } = await world.catalog.footprint(own)
    const mayLeave = byImage.some(({ repositories }) =>
      repositories.every(({ repository }) => repository !== repositoryKey(FLOORED)),
    )
    if (!arePinned && mayLeave && above > CEILING.ceiling.bytes)
      throw new Broken(`${above} bytes are in ${repositoryKey(CEILED)}, above its ceiling`)
  }

  /** What was purged is gone, pinned or not, whatever others have of the same. */
  async #comparePurged(edge: Edge, world: World, finish: Finish): Promise<void> {
    const ended = this.#record.clearingBegun(FLOORED)
    const selector = { kind: 'repositories', repositories: repositoryKey(FLOORED) } as const
    if (world.options.isDeaf !== 'purges')
      await finish(edge.registry.purge(selector, { ...WHOLE, kept: false }))
    ended()
    const members = await world.catalog.listMembers(FLOORED, { limit: 100 })
    // What is kept by way of another repository goes only with `--kept`.
    const left = members.find(each => each.isManifest && each.contentClass === 'cached')
    if (left !== undefined) throw new Broken(`${left.digest} was purged, and is still here`)
  }

  /** Of the tags that were pushed last, one stays. */
  async #compareRetained(edge: Edge, world: World, finish: Finish): Promise<void> {
    const repository = LOCAL[1] as Repository
    const tags = () => world.catalog.listTagUsage(repository, { limit: 10 })
    const before = await tags()
    const lastMs = Math.max(...before.map(({ pushedAtMs }) => pushedAtMs ?? 0))
    const latest = before.filter(({ pushedAtMs }) => (pushedAtMs ?? 0) === lastMs)
    const clients: ClientsOf = { edge, world, record: this.#record }
    await finish(retain(clients))
    const after = await tags()
    const isThere = latest.some(({ tag }) => after.some(each => each.tag === tag))
    if (latest.length > 0 && !isThere)
      throw new Broken('retention took away the tag that was pushed last')
  }
}

async function isWhole({ catalog }: World, repository: Repository, image: Image): Promise<boolean> {
  if ((await catalog.findManifest(repository, image.manifest.digest)) === undefined) return false
  for (const digest of listedBy(image))
    if ((await catalog.findContent(digest)) === undefined) return false
  return true
}

async function holdingOf(world: World, repository: Repository) {
  const members = await world.catalog.listMembers(repository, { limit: 100 })
  const given = members.filter(({ isManifest }) => isManifest)
  const manifests = new Set(given.map(({ digest }) => digest))
  const images = IMAGES.filter(({ manifest }) => manifests.has(manifest.digest))
  const listed = new Set([...manifests, ...images.flatMap(listedBy)])
  const unlistedBytes = members
    .filter(({ digest }) => !listed.has(digest))
    .reduce((sum, { digest }) => sum + onDiskBytes(BYTES.get(digest)?.length ?? 0), 0)
  return { manifests, unlistedBytes, bytes: await bytesOf(world, repository) }
}

async function bytesOf({ catalog }: World, repository: Repository): Promise<number> {
  const rows = await catalog.listRepositoryBytes({ after: '', limit: 100 })
  const key = repositoryKey(repository)
  return rows.find(row => repositoryKey(parseRepositoryKey(row.repository)) === key)?.bytes ?? 0
}
