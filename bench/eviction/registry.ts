// A simulated registry: images that list blobs, made while they are asked for. Blobs are shared as
// they are in practice: images stand on a few popular bases, an image that takes a tag over has
// all but the last blobs of the one before, and the platforms of an image share nothing but the
// index, which is a small blob here that leaves with the last of them.
import { type Chance, type SizeOptions, Zipf } from './chance.ts'

export interface Upstream {
  /** Until the first byte. */
  readonly delaySeconds: number
  readonly bytesPerSecond: number
}

/** What a client pulls: one platform of a tag, at one time. */
export interface Image {
  /** The index, the manifest and the config among them, since all of them take room. */
  readonly blobs: readonly number[]
  /** The blob that is its manifest. */
  readonly manifest: number
  /** Of the tag and the platform: images that have replaced one another have the same. */
  readonly tag: number
  readonly upstream: number
}

/** Images and blobs are numbered from 0. */
export interface Registry {
  readonly upstreams: readonly Upstream[]
  readonly images: readonly Image[]
  readonly sizes: readonly number[]
}

export interface TagOptions {
  /** How long until the next image takes it over. */
  readonly periodDays: number
  readonly platforms: 1 | 2
  readonly upstream: number
  /** Its own blobs are as those of models: this many times as large. */
  readonly times: number
}

const MIB = 2 ** 20
/** Docker Hub over a line of 100 Mbit/s, a registry in the house, one that is far away. */
export const UPSTREAMS: readonly Upstream[] = [
  { delaySeconds: 0.3, bytesPerSecond: 12e6 },
  { delaySeconds: 0.05, bytesPerSecond: 60e6 },
  { delaySeconds: 0.6, bytesPerSecond: 2.5e6 },
]
const BASES = 40
/** Most images stand on a handful of bases. */
const BASE_SKEW = 1.2
const BASE_PERIOD_DAYS = 30
/** How often an image that takes a tag over also takes the newest version of its base. */
const REBASES = 0.5
/** How often what stands between the base and the last blobs is built anew. */
const REBUILDS = 0.15
/**
 * Half of the blobs of production registries have less than a MiB or so, a tenth more than some
 * tens of MiB (Anwar et al., FAST '18). A base's first blob is a whole distribution.
 */
const DISTRIBUTION: SizeOptions = { median: 30 * MIB, spread: 0.7, most: 512 * MIB }
const BLOB: SizeOptions = { median: MIB, spread: 2.5, most: 1024 * MIB }
const MANIFEST_BYTES = 2_000
const CONFIG_BYTES = 6_000

interface Tag extends TagOptions {
  readonly number: number
  readonly base: number
  readonly offsetDays: number
  readonly generations: Generation[]
}

interface Generation {
  readonly baseVersion: number
  readonly platforms: readonly Built[]
}

interface Built {
  readonly between: readonly number[]
  readonly image: number
}

export interface Wanted {
  readonly tag: number
  readonly day: number
  /** How many images ago; as far as there were any. */
  readonly back: number
  readonly platform: number
}

export class GrowingRegistry implements Registry {
  readonly upstreams = UPSTREAMS
  readonly images: Image[] = []
  readonly sizes: number[] = []
  readonly #chance: Chance
  readonly #bases = new Zipf(BASES, BASE_SKEW)
  readonly #baseBlobs = new Map<string, readonly number[]>()
  /** By image. */
  readonly #basesOf: (readonly number[])[] = []
  readonly #tags: Tag[] = []

  constructor(chance: Chance) {
    this.#chance = chance
  }

  addTag(options: TagOptions): number {
    const number = this.#tags.length
    this.#tags.push({
      ...options,
      number,
      base: this.#bases.pick(this.#chance),
      offsetDays: Number.isFinite(options.periodDays)
        ? this.#chance.below(Math.ceil(options.periodDays))
        : 0,
      generations: [],
    })
    return number
  }

  /** A platform that the tag does not have is its first. */
  imageOf({ tag: number, day, back, platform }: Wanted): number {
    const tag = this.#tags[number]
    if (tag === undefined) throw new RangeError(`there is no tag ${number}`)
    const { periodDays, offsetDays, generations } = tag
    const current = Math.floor((day + offsetDays) / periodDays)
    while (generations.length <= current) generations.push(this.#next(tag))
    const { platforms } = generations[Math.max(0, current - back)] as Generation
    return (platforms[platform] ?? (platforms[0] as Built)).image
  }

  /** The blobs of an image that are its base's. */
  baseOf(image: number): readonly number[] {
    return this.#basesOf[image] ?? []
  }

  #next(tag: Tag): Generation {
    const before = tag.generations.at(-1)
    const day = tag.generations.length === 0 ? 0 : tag.generations.length * tag.periodDays
    const newest = Math.floor((day + tag.base) / BASE_PERIOD_DAYS)
    const rebases = before === undefined || this.#chance.isTrue(REBASES)
    const baseVersion = rebases ? newest : before.baseVersion
    const anew = before?.baseVersion !== baseVersion || this.#chance.isTrue(REBUILDS)
    const index = tag.platforms > 1 ? [this.#blob({ size: MANIFEST_BYTES })] : []
    const platforms = Array.from({ length: tag.platforms }, (_, platform) => {
      const between = anew ? undefined : before?.platforms[platform]?.between
      return this.#build({ tag, platform, baseVersion, between, index })
    })
    return { baseVersion, platforms }
  }

  #build(of: {
    readonly tag: Tag
    readonly platform: number
    readonly baseVersion: number
    readonly between: readonly number[] | undefined
    readonly index: readonly number[]
  }): Built {
    const { tag, platform, index } = of
    const base = this.#base(tag.base, of.baseVersion, platform)
    const between = of.between ?? this.#several(1 + this.#chance.below(7), tag.times)
    const last = this.#several(1 + this.#chance.below(3), tag.times)
    const manifest = this.#blob({ size: MANIFEST_BYTES })
    const config = this.#blob({ size: CONFIG_BYTES })
    const image = this.images.length
    this.images.push({
      blobs: [...index, manifest, config, ...base, ...between, ...last],
      manifest,
      tag: tag.number * 2 + platform,
      upstream: tag.upstream,
    })
    this.#basesOf.push(base)
    return { between, image }
  }

  #base(base: number, version: number, platform: number): readonly number[] {
    const key = `${base}/${version}/${platform}`
    const known = this.#baseBlobs.get(key)
    if (known !== undefined) return known
    const blobs = [this.#blob(DISTRIBUTION), ...this.#several(this.#chance.below(4), 1)]
    this.#baseBlobs.set(key, blobs)
    return blobs
  }

  #several(count: number, times: number): readonly number[] {
    const median = BLOB.median * times
    return Array.from({ length: count }, () => this.#blob({ ...BLOB, median }))
  }

  #blob(of: SizeOptions | { readonly size: number }): number {
    return this.sizes.push('size' in of ? of.size : this.#chance.size(of)) - 1
  }
}
