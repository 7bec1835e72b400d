// The inventory of what is here: read from the catalog page by page as it is written, so that it is
// never in memory as a whole. With patterns, of what they match; then the digests alone are.
import type { BundleSigner } from '../../bundle/bundle-key.ts'
import {
  type InventoryContent,
  type InventoryImage,
  writeInventory,
} from '../../bundle/inventory.ts'
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { parseRepositoryKey, type Repository, type RepositoryKey } from '../../oci/reference.ts'
import { INDEX_DEPTH_MAX, isListed } from '../content/edges.ts'
import { type ListedName, namesMatching } from '../operator/list-images.ts'
import type { OperatorDeps } from '../operator/operator-deps.ts'
import { createPacer } from '../pacing/pacer.ts'
import { rowsOf } from '../pacing/pages.ts'
import { type RecordedContent, verified } from '../ports/catalog-content.ts'

export type InventoryDeps = Pick<OperatorDeps, 'catalog' | 'clock' | 'ownNameIn'>

/** Of what patterns match; a digest takes some hundred bytes of memory. */
const MATCHED_MAX = 1_000_000
/** More is no word that it is in no other. */
const REPOSITORIES_MAX = 1_000

/** In pieces, as its bytes. @throws RegistryError for what is no pattern */
export function writeEdgeInventory(
  deps: InventoryDeps,
  patterns: readonly string[],
  signer: BundleSigner,
): AsyncGenerator<Buffer> {
  const matched = patterns.length === 0 ? undefined : new Set<Digest>()
  const images = imagesOf(deps, namesMatching(deps, patterns), matched)
  // Not before the images are over: what they are made of is known then.
  const contents = matched === undefined ? allContents(deps) : contentsOf(deps, matched)
  return writeInventory({ edge: deps.catalog.identity, images, contents }, signer)
}

async function* imagesOf(
  deps: InventoryDeps,
  names: AsyncIterable<ListedName>,
  matched: Set<Digest> | undefined,
): AsyncGenerator<InventoryImage> {
  for await (const { key, tag, digest } of names) {
    if (matched !== undefined) await addNeeded(deps, parseRepositoryKey(key), { digest, matched })
    if (tag === undefined) yield { image: `${key}@${digest}`, digest }
    else {
      const { order, changedAtMs } = tag
      const place = order === undefined ? { changedAtMs } : { order }
      yield { image: `${key}:${tag.tag}`, digest, ...place }
    }
  }
}

/** What it lists, and what is about it. */
async function addNeeded(
  { catalog, clock }: InventoryDeps,
  repository: Repository,
  { digest, matched }: { readonly digest: Digest; readonly matched: Set<Digest> },
): Promise<void> {
  const pause = createPacer(clock)
  let level: readonly Digest[] = [digest]
  for (let depth = 0; depth <= INDEX_DEPTH_MAX && level.length > 0; depth += 1) {
    const below: Digest[] = []
    for (const each of level) {
      await pause()
      if (matched.has(each)) continue
      if (matched.size >= MATCHED_MAX) throw tooMuch()
      matched.add(each)
      const manifest = await catalog.findManifest(repository, each)
      if (manifest === undefined) continue
      for (const edge of manifest.edges.filter(isListed))
        if (edge.kind === 'manifest') below.push(edge.child)
        else matched.add(edge.child)
      below.push(...(await catalog.listReferrers(repository, each)))
    }
    level = below
  }
}

async function* allContents(deps: InventoryDeps): AsyncGenerator<InventoryContent> {
  const { catalog, clock } = deps
  const pause = createPacer(clock)
  for await (const content of rowsOf<RecordedContent, Digest>(
    page => catalog.listContent(page),
    ({ digest }) => digest,
  )) {
    const line = await lineOf(deps, content)
    if (line !== undefined) yield line
    await pause()
  }
}

async function* contentsOf(
  deps: InventoryDeps,
  matched: ReadonlySet<Digest>,
): AsyncGenerator<InventoryContent> {
  const pause = createPacer(deps.clock)
  for (const digest of [...matched].sort()) {
    const line = await lineOf(deps, await deps.catalog.findContent(digest))
    if (line !== undefined) yield line
    await pause()
  }
}

/** Undefined for what is not here, or nobody has verified. */
async function lineOf(
  deps: InventoryDeps,
  content: RecordedContent | undefined,
): Promise<InventoryContent | undefined> {
  if (verified(content) === undefined || content === undefined) return undefined
  const { digest, sizeBytes, contentClass, mediaType } = content
  const line = { content: digest, size: sizeBytes, ...(contentClass === 'kept' && { kept: true }) }
  if (mediaType === undefined) return line as InventoryContent
  const { keys, subject } = await manifestIn(deps, digest)
  const about = subject === undefined ? {} : { subject }
  return { ...line, type: mediaType, in: keys, ...about } as InventoryContent
}

async function manifestIn({ catalog }: InventoryDeps, digest: Digest) {
  const keys: RepositoryKey[] = []
  let subject: Digest | undefined
  for (const key of await catalog.listRepositoriesOf(digest, REPOSITORIES_MAX)) {
    const manifest = await catalog.findManifest(parseRepositoryKey(key), digest)
    if (manifest === undefined) continue
    keys.push(key)
    subject ??= manifest.edges.find(({ kind }) => kind === 'subject')?.child
  }
  return { keys: keys.sort(), subject }
}

function tooMuch(): RegistryError {
  const message = `these patterns match more than ${MATCHED_MAX} manifests and blobs: an inventory without a pattern has no limit`
  return new RegistryError('TOOMANYREQUESTS', message)
}
