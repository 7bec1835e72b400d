// `ls`: the tags that are here, with what they point to, and kept images that no tag names.
import picomatch from 'picomatch'
import { RegistryError } from '../../oci/errors.ts'
import { parseImageText } from '../../oci/image-text.ts'
import type { Digest } from '../../oci/digest.ts'
import { formatImage, parseRepositoryKey, type RepositoryKey } from '../../oci/reference.ts'
import type { CompletenessDeps } from '../content/completeness.ts'
import { listUsedTags, type UsedTag } from '../content/used-tags.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import { withoutEdge } from './find-image.ts'
import type { OperatorDeps } from './operator-deps.ts'
import { type ImageSize, sizeUp } from './size-up.ts'
import { untaggedImages } from './untagged.ts'
import { paced } from '../pacing/pacer.ts'
import { rowsOf } from '../pacing/pages.ts'

/** More rows than a person reads; a pattern narrows them. */
const LISTED_MAX = 10_000
/** Longer than any repository and tag together. */
const PATTERN_MAX = 512
/** What the compiler gives for ranges that run backwards. */
const MATCHES_NOTHING = '$^'

export interface ListedImage {
  /** `docker.io/library/alpine:3.20`; `localhost/app@sha256:…` where no tag names it. */
  readonly image: string
  readonly digest: string
  /** Undefined while only a HEAD has told of it. */
  readonly mediaType: string | undefined
  /** Undefined while only a HEAD has told of it. */
  readonly size: ImageSize | undefined
  /** With the upstream. */
  readonly checkedAtMs: number
  /** By this tag, or where there is none by its digest; undefined while nobody has. */
  readonly pulledAtMs: number | undefined
  readonly pulls: number
  /** It was pushed here, and no upstream is asked. */
  readonly local: boolean
  /**
   * Its name leads nowhere: the operator excludes it, or its registry is no upstream any more. What
   * is here is given to nobody.
   */
  readonly keptOut: boolean
}

export interface ListedImages {
  readonly images: readonly ListedImage[]
  /** There are more. */
  readonly truncated: boolean
  /** The server's clock, for ages. */
  readonly nowMs: number
}

type CompareImages = (a: ListedImage, b: ListedImage) => number

/** What never was pulled was not pulled for the longest time. */
const ORDERS = {
  size: (a, b) => (b.size?.sizeBytes ?? 0) - (a.size?.sizeBytes ?? 0),
  'last-pull': (a, b) => (a.pulledAtMs ?? 0) - (b.pulledAtMs ?? 0),
  pulls: (a, b) => a.pulls - b.pulls,
} as const satisfies Record<string, CompareImages>

export type ListOrder = keyof typeof ORDERS

export type ListDeps = CompletenessDeps & Pick<OperatorDeps, 'registry' | 'clock' | 'ownNameIn'>

export interface Listing {
  readonly pattern?: string | undefined
  /** Default by name. */
  readonly by?: ListOrder | undefined
  /** At most so many, which are the first by the order of all that there is. */
  readonly most?: number
}

/** @throws RegistryError NAME_INVALID for a pattern that is no glob */
export async function listImages(
  deps: ListDeps,
  { pattern, by, most = LISTED_MAX }: Listing,
): Promise<ListedImages> {
  const matches = pattern === undefined ? ALL : imageMatcher(withoutEdge(deps, pattern))
  const order = by === undefined ? undefined : ORDERS[by]
  const images: ListedImage[] = []
  let truncated = false
  const nowMs = deps.clock.nowMs()
  for await (const image of matching(deps, matches)) {
    // Each in its place at once: to sort them all would keep clients waiting.
    images.splice(order === undefined ? images.length : placeOf(image, images, order), 0, image)
    if (images.length <= most) continue
    images.pop()
    truncated = true
    if (order === undefined) break
  }
  return { images, truncated, nowMs }
}

/** Behind those that are equal. */
function placeOf(image: ListedImage, sorted: readonly ListedImage[], order: CompareImages): number {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (order(sorted[middle] as ListedImage, image) <= 0) low = middle + 1
    else high = middle
  }
  return low
}

async function* matching(deps: ListDeps, matches: Matches): AsyncGenerator<ListedImage> {
  for await (const { key, tag, digest } of namesOf(deps, matches))
    yield tag === undefined
      ? await describeUntagged(deps, key, digest)
      : await describe(deps, { key, tag })
}

/** A name that is here. */
export interface ListedName {
  readonly key: RepositoryKey
  /** Undefined where no tag leads to it. */
  readonly tag: UsedTag | undefined
  readonly digest: Digest
}

/**
 * What any of these patterns matches; without one everything. By repository, then by tag, and then
 * what has none. @throws RegistryError NAME_INVALID for a pattern that is no glob
 */
export function namesMatching(
  deps: LookDeps & Pick<OperatorDeps, 'ownNameIn'>,
  patterns: readonly string[],
): AsyncGenerator<ListedName> {
  const matchers = patterns.map(each => imageMatcher(withoutEdge(deps, each)))
  if (matchers.length === 0) return namesOf(deps, ALL)
  return namesOf(deps, {
    tag: (key, tag) => matchers.some(each => each.tag(key, tag)),
    repository: key => matchers.some(each => each.repository(key)),
    digest: (digest, key) =>
      matchers.some(each => each.repository(key) && each.digest(digest, key)),
  })
}

/** By name: those of each repository that have no tag come after those that have. */
async function* namesOf(deps: LookDeps, matches: Matches): AsyncGenerator<ListedName> {
  for await (const key of allRepositories(deps)) {
    for await (const { tag } of tagsOf(deps, key))
      if (matches.tag(key, tag.tag)) yield { key, tag, digest: tag.digest }
    if (!matches.repository(key)) continue
    for await (const digest of untaggedImages(deps.catalog, parseRepositoryKey(key)))
      if (matches.digest(digest, key)) yield { key, tag: undefined, digest }
  }
}

/** Undefined: by name. @throws RegistryError NAME_INVALID for what is none */
export function listOrderFrom(text: string | undefined): ListOrder | undefined {
  if (text === undefined || Object.hasOwn(ORDERS, text)) return text as ListOrder | undefined
  const message = `images are sorted by ${Object.keys(ORDERS).join(', ')}, or by their names`
  throw new RegistryError('NAME_INVALID', message)
}

/**
 * Repository and tag apart, since `**` crosses slashes but no tag has one. The colon of a port is
 * no tag's: a tag comes after the last slash.
 */
function imageMatcher(pattern: string): Matches {
  const colon = pattern.indexOf(':', pattern.lastIndexOf('/') + 1)
  const at = pattern.indexOf('@')
  const end = at === -1 ? colon : at
  const name = end === -1 ? pattern : pattern.slice(0, end)
  // Alone, one star means everything, as in the configuration.
  const names = compile(name === '*' ? '**' : name, pattern)
  const rest = compile(end === -1 ? '*' : pattern.slice(end + 1), pattern)
  const isOneComponent = !name.includes('/')
  const isOf = (key: string) =>
    // `library/*` is what people type for `docker.io/library/*`, and `*alpine*` for what has it
    // anywhere.
    names.test(key) ||
    names.test(key.slice(key.indexOf('/') + 1)) ||
    (isOneComponent && key.split('/').some(component => names.test(component)))
  const isOfTags = at === -1
  const isOfDigests = !isOfTags || colon === -1 || pattern.slice(colon + 1) === '*'
  return {
    tag: (key, tag) => isOfTags && isOf(key) && rest.test(tag),
    repository: key => isOfDigests && isOf(key),
    digest: digest => rest.test(digest),
  }
}

interface Matches {
  tag(key: RepositoryKey, tag: string): boolean
  /** May there be something without a tag? */
  repository(key: RepositoryKey): boolean
  /** Of a repository that there may be something in. */
  digest(digest: Digest, key: RepositoryKey): boolean
}

const ALL: Matches = { tag: () => true, repository: () => true, digest: () => true }

/** @throws RegistryError NAME_INVALID that names the whole pattern */
function compile(glob: string, pattern: string): RegExp {
  const isBalanced = glob.split('{').length === glob.split('}').length
  if (glob === '' || glob.length > PATTERN_MAX || !isBalanced) throw malformed(pattern)
  try {
    // Also what begins with a dot: no file system hides anything here.
    const compiled = picomatch.makeRe(glob, { strictBrackets: true, dot: true })
    if (compiled.source !== MATCHES_NOTHING) return compiled
  } catch {
    // The compiler's words are about its own options.
  }
  throw malformed(pattern)
}

function malformed(pattern: string): RegistryError {
  return new RegistryError(
    'NAME_INVALID',
    `${JSON.stringify(pattern.slice(0, PATTERN_MAX))} is no glob over repository:tag, such as docker.io/library/*:3.*; look at its brackets`,
  )
}

async function describe(
  deps: CompletenessDeps & Pick<OperatorDeps, 'registry'>,
  { key, tag }: ListedTag,
): Promise<ListedImage> {
  const repository = parseRepositoryKey(key)
  const recorded = await deps.catalog.findManifest(repository, tag.digest)
  return {
    image: `${key}:${tag.tag}`,
    digest: tag.digest,
    mediaType: recorded?.mediaType,
    size: recorded && (await sizeUp(deps, repository, recorded)),
    checkedAtMs: tag.checkedAtMs,
    pulledAtMs: tag.usage?.pulledAtMs,
    pulls: tag.usage?.pulls ?? 0,
    local: tag.local,
    keptOut: leadsNowhere(deps.registry, `${key}:${tag.tag}`),
  }
}

async function describeUntagged(
  deps: ListDeps,
  key: RepositoryKey,
  digest: Digest,
): Promise<ListedImage> {
  const repository = parseRepositoryKey(key)
  const recorded = await deps.catalog.findManifest(repository, digest)
  const { pulls = 0, usedAtMs } = (await deps.catalog.usageOf(repository, digest)) ?? {}
  const image = formatImage(repository, { kind: 'digest', digest })
  return {
    image,
    digest,
    mediaType: recorded?.mediaType,
    size: recorded && (await sizeUp(deps, repository, recorded)),
    checkedAtMs: 0,
    pulledAtMs: pulls === 0 ? undefined : usedAtMs,
    pulls,
    local: true,
    keptOut: leadsNowhere(deps.registry, image),
  }
}

function leadsNowhere(registry: OperatorDeps['registry'], image: string): boolean {
  try {
    registry.route(parseImageText(image).target, undefined)
    return false
  } catch (error) {
    if (error instanceof RegistryError) return true
    throw error
  }
}

interface ListedTag {
  readonly key: RepositoryKey
  readonly tag: UsedTag
}

interface LookDeps {
  readonly catalog: Catalog
  readonly clock: Pick<Clock, 'monotonicMs'>
}

/** All of them, repository by repository; others have their turn in between. */
export async function* allTags(deps: LookDeps): AsyncGenerator<ListedTag> {
  for await (const key of allRepositories(deps)) yield* tagsOf(deps, key)
}

function allRepositories({ catalog, clock }: LookDeps): AsyncGenerator<RepositoryKey> {
  const all = rowsOf<RepositoryKey, RepositoryKey>(
    page => catalog.listRepositories(page),
    each => each,
  )
  return paced(clock, all)
}

function tagsOf({ catalog, clock }: LookDeps, key: RepositoryKey): AsyncGenerator<ListedTag> {
  const repository = parseRepositoryKey(key)
  const all = rowsOf<ListedTag, string>(
    async page => (await listUsedTags(catalog, repository, page)).map(tag => ({ key, tag })),
    ({ tag }) => tag.tag,
  )
  return paced(clock, all)
}
