// `ls`: the tags that are here, with what they point to.
import picomatch from 'picomatch'
import { parseRepositoryKey } from '../../oci/reference.ts'
import type { Catalog, TagFact } from '../ports/catalog.ts'
import type { OperatorDeps } from './operator.ts'

/** More rows than a person reads; a pattern narrows them. */
export const LISTED_MAX = 10_000
const PAGE = 500

export interface ListedImage {
  /** `docker.io/library/alpine:3.20` */
  readonly image: string
  readonly digest: string
  /** Undefined while only a HEAD has told of it. */
  readonly mediaType: string | undefined
  /** Of everything that the manifest names directly, as it says itself. */
  readonly sizeBytes: number | undefined
  readonly checkedAtMs: number
}

export interface ListedImages {
  readonly images: readonly ListedImage[]
  /** There are more than LISTED_MAX. */
  readonly truncated: boolean
  /** The server's clock, for ages. */
  readonly nowMs: number
}

export async function listImages(
  deps: OperatorDeps,
  pattern: string | undefined,
): Promise<ListedImages> {
  const matches =
    pattern === undefined ? () => true : picomatch(pattern.includes(':') ? pattern : `${pattern}:*`)
  const images: ListedImage[] = []
  const nowMs = deps.clock.nowMs()
  for await (const { key, tag } of allTags(deps.catalog)) {
    const image = `${key}:${tag.tag}`
    // `library/*` is what people type for `docker.io/library/*`.
    if (!matches(image) && !matches(image.slice(image.indexOf('/') + 1))) continue
    if (images.length === LISTED_MAX) return { images, truncated: true, nowMs }
    images.push(await describe(deps.catalog, { key, tag }))
  }
  return { images, truncated: false, nowMs }
}

async function describe(
  catalog: Catalog,
  { key, tag }: { key: string; tag: TagFact },
): Promise<ListedImage> {
  const fact = await catalog.findManifest(parseRepositoryKey(key), tag.digest)
  return {
    image: `${key}:${tag.tag}`,
    digest: tag.digest,
    mediaType: fact?.mediaType,
    sizeBytes: fact?.edges.reduce(
      (sum, edge) => sum + (edge.kind === 'subject' ? 0 : edge.sizeBytes),
      fact.sizeBytes,
    ),
    checkedAtMs: tag.checkedAtMs,
  }
}

async function* allTags(catalog: Catalog): AsyncGenerator<{ key: string; tag: TagFact }> {
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
