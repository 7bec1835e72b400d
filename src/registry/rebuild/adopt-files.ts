// Files that no row tells of: what a lost catalog knew, or what a process wrote that was killed
// before the row. Each counts from now on as cached content that is nobody's: it leaves as any
// other when there is no room, and whoever pulls what names it before finds it here. It gives
// nobody a right (docs/adr/0004-membership.md): which repository the bytes came from nobody knows.
import type { Digest } from '../../oci/digest.ts'
import type { StoredContent } from '../content/content.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { Catalog } from '../ports/catalog.ts'

export interface AdoptParts {
  readonly content: StoredContent
  readonly store: BlobStore
  readonly catalog: Catalog
}

export interface Adopting {
  readonly atMs: number
  /**
   * The catalog knows what facts tell of. Else one of the files may be of a manifest that is lost,
   * and none leaves until that is found.
   */
  readonly isAllFound: boolean
  readonly signal: AbortSignal
}

export interface AdoptedFiles {
  readonly files: number
  readonly bytes: number
  /**
   * The disk could not look at so many files without a row, or directories: no row tells of them
   * yet. At most one page of them is counted, and one more for the rest.
   */
  readonly passedOver: number
}

/**
 * Written together: one commit takes many rows, and clients wait for commits. So are those that the
 * disk cannot look at, which it does not do for more of them, as a rule.
 */
const PAGE_FILES = 256

/**
 * Looks at every file beside the traffic, in constant memory. Not to be run before the facts were
 * compared with the catalog: what one of them needs would else count as nobody's until then.
 * @throws StoreError; the signal's reason
 */
export async function adoptFiles(
  { content, store, catalog }: AdoptParts,
  { atMs, isAllFound, signal }: Adopting,
): Promise<AdoptedFiles> {
  const found = { files: 0, bytes: 0, passedOver: 0 }
  const without: Digest[] = []
  let page: Digest[] = []
  const adopt = async () => {
    const { adopted, unknown } = await content.adopt(page, { atMs, isUnclear: !isAllFound })
    page = []
    found.files += adopted.length
    found.passedOver += unknown.length
    without.push(...unknown.slice(0, PAGE_FILES - without.length))
    for (const { sizeBytes } of adopted) found.bytes += sizeBytes
  }
  const passed: Digest[] = []
  let isMore = false
  const passedOver = (digest: Digest | undefined) => {
    if (digest !== undefined && passed.length < PAGE_FILES) passed.push(digest)
    else isMore = true
  }
  for await (const { digest } of store.list(passedOver)) {
    signal.throwIfAborted()
    if ((await catalog.findContent(digest)) === undefined) page.push(digest)
    if (page.length === PAGE_FILES) await adopt()
  }
  await adopt()
  // What has a row needs none, whatever the disk says of it.
  page = passed
  await adopt()
  if (isMore) found.passedOver += 1
  // What was passed over may be of what is lost, whoever else brings it meanwhile. Of what nobody
  // knows the name of, anything that comes may be.
  const isNamed = found.passedOver === without.length
  if (isAllFound || isNamed)
    while (await catalog.noteStock(isAllFound, isAllFound ? [] : without)) signal.throwIfAborted()
  return found
}
