// `ls`: the tags that are here, with what they point to.
import picomatch from 'picomatch'
import { RegistryError } from '../../oci/errors.ts'
import { parseImageText } from '../../oci/image-text.ts'
import { parseRepositoryKey } from '../../oci/reference.ts'
import type { CompletenessDeps } from '../completeness.ts'
import type { RecordedTag } from '../ports/catalog-tags.ts'
import type { Catalog } from '../ports/catalog.ts'
import { withoutEdge } from './find-image.ts'
import type { OperatorDeps } from './operator-deps.ts'
import { type ImageSize, sizeUp } from './size-up.ts'

/** More rows than a person reads; a pattern narrows them. */
export const LISTED_MAX = 10_000
const PAGE = 500
/** Longer than any repository and tag together. */
const PATTERN_MAX = 512
/** What the compiler gives for ranges that run backwards. */
const MATCHES_NOTHING = '$^'

export interface ListedImage {
  /** `docker.io/library/alpine:3.20` */
  readonly image: string
  readonly digest: string
  /** Undefined while only a HEAD has told of it. */
  readonly mediaType: string | undefined
  /** Undefined while only a HEAD has told of it. */
  readonly size: ImageSize | undefined
  /** With the upstream. */
  readonly checkedAtMs: number
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
  /** There are more than LISTED_MAX. */
  readonly truncated: boolean
  /** The server's clock, for ages. */
  readonly nowMs: number
}

/** @throws RegistryError NAME_INVALID for a pattern that is no glob */
export async function listImages(
  deps: OperatorDeps,
  pattern: string | undefined,
): Promise<ListedImages> {
  const matches = pattern === undefined ? () => true : imageMatcher(withoutEdge(deps, pattern))
  const images: ListedImage[] = []
  const nowMs = deps.clock.nowMs()
  for await (const { key, tag } of allTags(deps.catalog)) {
    if (!matches(key, tag.tag)) continue
    if (images.length === LISTED_MAX) return { images, truncated: true, nowMs }
    images.push(await describe(deps, { key, tag }))
  }
  return { images, truncated: false, nowMs }
}

/**
 * Repository and tag apart, since `**` crosses slashes but no tag has one. The colon of a port is
 * no tag's: a tag comes after the last slash.
 */
function imageMatcher(pattern: string): (key: string, tag: string) => boolean {
  const colon = pattern.indexOf(':', pattern.lastIndexOf('/') + 1)
  const name = colon === -1 ? pattern : pattern.slice(0, colon)
  // Alone, one star means everything, as in the configuration.
  const names = compile(name === '*' ? '**' : name, pattern)
  const tags = compile(colon === -1 ? '*' : pattern.slice(colon + 1), pattern)
  const isOneComponent = !name.includes('/')
  return (key, tag) =>
    // `library/*` is what people type for `docker.io/library/*`, and `*alpine*` for what has it
    // anywhere.
    (names.test(key) ||
      names.test(key.slice(key.indexOf('/') + 1)) ||
      (isOneComponent && key.split('/').some(component => names.test(component)))) &&
    tags.test(tag)
}

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
  { key, tag }: { key: string; tag: RecordedTag },
): Promise<ListedImage> {
  const repository = parseRepositoryKey(key)
  const recorded = await deps.catalog.findManifest(repository, tag.digest)
  return {
    image: `${key}:${tag.tag}`,
    digest: tag.digest,
    mediaType: recorded?.mediaType,
    size: recorded && (await sizeUp(deps, repository, recorded)),
    checkedAtMs: tag.checkedAtMs,
    local: tag.local,
    keptOut: leadsNowhere(deps.registry, `${key}:${tag.tag}`),
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

async function* allTags(catalog: Catalog): AsyncGenerator<{ key: string; tag: RecordedTag }> {
  for await (const key of pages(
    page => catalog.listRepositories(page),
    each => each,
  )) {
    const repository = parseRepositoryKey(key)
    for await (const tag of pages(
      page => catalog.listTags(repository, page),
      each => each.tag,
    )) {
      yield { key, tag }
    }
  }
}

async function* pages<Row>(
  read: (page: { limit: number; after?: string }) => Promise<readonly Row[]>,
  keyOf: (row: Row) => string,
): AsyncGenerator<Row> {
  let after: string | undefined
  for (;;) {
    const rows = await read({ limit: PAGE, ...(after === undefined ? {} : { after }) })
    yield* rows
    const last = rows.at(-1)
    if (last === undefined || rows.length < PAGE) return
    after = keyOf(last)
  }
}
