// Rows against files, both in the order of digests, so that neither is in memory as a whole; and of
// what is asked for each byte.
import type { Digest } from '../../oci/digest.ts'
import { rowsOf } from '../pacing/pages.ts'
import type { Rereader } from '../ports/blob-store-content.ts'
import type { RecordedContent } from '../ports/catalog-content.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { InspectedBlob } from '../ports/inspected-files.ts'
import { brokenImages } from '../scrub/broken-images.ts'
import { isIn, type ReadPart } from './read-part.ts'
import type { FsckSteps } from './steps.ts'

/** Looked at again at the end; of more, at once. */
const LATER_MAX = 10_000
interface Pair {
  readonly row: RecordedContent | undefined
  readonly blob: InspectedBlob | undefined
}

/** @throws StoreError */
export async function compareRowsAndFiles(
  steps: FsckSteps,
  read: ReadPart | undefined,
): Promise<void> {
  const { files, report } = steps
  const later: Digest[] = []
  const reader = read === undefined ? undefined : files.openRereader()
  try {
    for await (const pair of pairsOf(steps)) {
      await steps.step('files')
      const { row, blob } = pair
      if (row !== undefined) report.looked.rows += 1
      if (blob !== undefined) report.looked.files += 1
      const digest = row?.digest ?? blob?.digest
      if (digest === undefined) continue
      if (isWrong(pair, steps)) {
        if (later.length < LATER_MAX) later.push(digest)
        else await tellWrong(steps, digest)
      } else if (
        read !== undefined &&
        reader !== undefined &&
        blob?.is === 'file' &&
        isIn(read, digest)
      )
        await reread({ ...steps, reader }, digest)
    }
  } finally {
    await reader?.close()
  }
  for (const digest of later) {
    await steps.step('files')
    await tellWrong(steps, digest)
  }
}

function isWrong({ row, blob }: Pair, { catalog }: FsckSteps): boolean {
  // Told already.
  if (blob !== undefined && blob.is !== 'file') return false
  return catalog !== undefined && row?.sizeBytes !== blob?.sizeBytes
}

/** Both, merged by their digests. */
async function* pairsOf({ catalog, files, report }: FsckSteps): AsyncGenerator<Pair> {
  const blobs = files.blobs(({ kind, path, detail, digest }) =>
    report.add({ kind, what: digest ?? path, detail }),
  )
  const all = blobs[Symbol.asyncIterator]()
  const next = async () => {
    const { done, value } = await all.next()
    return done === true ? undefined : value
  }
  let blob = await next()
  for await (const row of catalog === undefined ? [] : contentOf(catalog)) {
    for (; blob !== undefined && blob.digest < row.digest; blob = await next())
      yield { row: undefined, blob }
    const isSame = blob?.digest === row.digest
    yield { row, blob: isSame ? blob : undefined }
    if (isSame) blob = await next()
  }
  for (; blob !== undefined; blob = await next()) yield { row: undefined, blob }
}

function contentOf(catalog: Catalog): AsyncGenerator<RecordedContent> {
  return rowsOf<RecordedContent, Digest>(
    page => catalog.listContent(page),
    ({ digest }) => digest,
  )
}

/** As both are now. */
async function tellWrong({ catalog, files, report }: FsckSteps, digest: Digest): Promise<void> {
  if (catalog === undefined) return
  const row = await catalog.findContent(digest)
  const blob = await files.look(digest)
  if (row?.sizeBytes === blob?.sizeBytes) return
  if (row === undefined) {
    // On its way out: the server removes it.
    if ((await catalog.findLeaving(digest)) !== undefined) return
    return report.add({
      kind: 'file without row',
      what: digest,
      detail: `${blob?.sizeBytes ?? 0} bytes`,
    })
  }
  const images = await brokenImages(catalog, digest)
  if (blob === undefined) {
    const kind = row.contentClass === 'kept' ? 'kept missing' : 'cached missing'
    return report.add({ kind, what: digest, detail: `of ${images}` })
  }
  const detail = `${blob.sizeBytes} bytes, and ${row.sizeBytes} by the catalog; of ${images}`
  report.add({ kind: 'wrong size', what: digest, detail })
}

async function reread(
  { catalog, report, reader, step }: FsckSteps & { readonly reader: Rereader },
  digest: Digest,
): Promise<void> {
  const between = async (pieceBytes: number) => {
    report.looked.readBytes += pieceBytes
    await step('files')
  }
  const { found } = await reader.reread(digest, { dryRun: true, between })
  report.looked.readBlobs += 1
  if (found === 'right' || found === 'none') return
  const of = catalog === undefined ? '' : `of ${await brokenImages(catalog, digest)}`
  const kind = found === 'wrong' ? 'wrong bytes' : 'unreadable'
  report.add({ kind, what: digest, detail: of })
}
