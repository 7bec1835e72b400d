// A blob that lies here whole, opened; and what is written down about its use.
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { BlobAnswer, Source } from '../answers.ts'
import { goingOn } from '../reading/going-on.ts'
import { OpenFile, WholeBlob } from '../reading/open-file.ts'
import { bestEffort } from '../best-effort.ts'
import type { BlobsInUse } from '../reading/blobs-in-use.ts'
import type { StoredContent } from '../content/content.ts'
import { readWhole } from '../fill/follow.ts'
import type { BufferPool } from '../fill/buffer-pool.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { StoredBlob } from '../ports/blob-store-content.ts'
import { type RecordedContent, verified } from '../ports/catalog-content.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { NoteEvent } from '../ports/events.ts'
import { noteMissingUnlessBack } from '../content/missing-content.ts'
import type { Uses } from '../reading/uses.ts'

export interface OpenBlobDeps {
  readonly content: StoredContent
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly clock: Clock
  readonly buffers: BufferPool
  readonly inUse: BlobsInUse
  readonly note: NoteEvent
  readonly uses: Pick<Uses, 'note'>
}

export interface WantedFile {
  readonly digest: Digest
  readonly source: Source
  /**
   * Where else its bytes are to be had, once the disk cannot give them. Default: whoever reads it
   * meets the StoreError.
   */
  readonly instead?: (() => Promise<BlobAnswer>) | undefined
}

/** Undefined when the disk has it not. @throws StoreError */
export async function openBlob(
  deps: OpenBlobDeps,
  repository: Repository,
  { digest, source, instead }: WantedFile,
): Promise<WholeBlob | undefined> {
  const known = verified(await deps.catalog.findContent(digest))
  // Of what lost its row with a damaged catalog a manifest may say how long it is.
  const declaredBytes = known ? undefined : await deps.catalog.sizeOf(repository, digest)
  const opened = await deps.store.openRead(digest, declaredBytes)
  if (opened === undefined) {
    await noteMissingUnlessBack(deps, digest)
    return undefined
  }
  const { blob, handle } = opened
  try {
    await noteUse(deps, repository, { blob, known })
  } catch (error) {
    await handle.close()
    throw error
  }
  const { buffers, inUse } = deps
  return new WholeBlob({
    head: { digest, sizeBytes: blob.sizeBytes, source },
    open: new OpenFile(handle),
    reading: {
      read: (range, signal, from) => {
        const bytes = readWhole(handle, range, { buffers, from })
        return instead ? goingOn(bytes, { range, signal, from, instead }) : bytes
      },
      giveBack: chunk => buffers.giveBack(chunk),
    },
    counted: () => inUse.read(digest),
  })
}

/**
 * Content that lost its row with a damaged catalog gets one again, so that it is counted and can be
 * evicted; a wrong one is mended.
 */
export async function noteUse(
  deps: OpenBlobDeps,
  repository: Repository,
  { blob, known }: { blob: StoredBlob; known: RecordedContent | undefined },
): Promise<void> {
  const { content, clock, uses } = deps
  const { digest, sizeBytes } = blob
  const atMs = clock.nowMs()
  if (known?.sizeBytes !== sizeBytes) {
    const of = { repository, digest, atMs, hold: 'nothing' } as const
    const declaredBytes = known === undefined ? sizeBytes : undefined
    await bestEffort(deps.note, () => content.recordHere(of, declaredBytes))
  }
  uses.note({ repository, digest }, atMs)
}
