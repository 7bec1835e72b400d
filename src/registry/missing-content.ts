// Content whose file is gone. Of what is kept nobody else has a copy, so the operator is told,
// whoever finds out. Its row stays, and with it what the bytes were: they are served again once
// they are back, from a backup or a push.
import type { Digest } from '../oci/digest.ts'
import { bestEffort } from './best-effort.ts'
import type { BlobStore } from './ports/blob-store.ts'
import type { ContentClass } from './ports/blob-store-content.ts'
import type { Catalog } from './ports/catalog.ts'
import type { NoteEvent } from './ports/events.ts'

interface MissedDeps {
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly note: NoteEvent
}

/**
 * The catalog says that the bytes are here, and the disk says no: the disk is right. Tells of what
 * was pushed; what can be fetched again is forgotten. Returns whether it was kept.
 * @throws StoreError
 */
export async function noteMissing(
  { catalog, note }: { readonly catalog: Catalog; readonly note: NoteEvent },
  digest: Digest,
): Promise<boolean> {
  await catalog.forgetContent(digest)
  // Nothing that some repository holds is left of a row, unless it is kept.
  if ((await catalog.findContent(digest))?.contentClass !== 'kept') return false
  note({
    kind: 'storage failed',
    failure: 'corrupt',
    reason: `${digest} was pushed here, and its file is gone`,
    hint: 'bring the file back from a backup, or push it again; then check the disk',
  })
  return true
}

/**
 * The same for who has somebody to answer and found no file. Throws nothing that the disk or the
 * catalog brought about.
 */
export async function noteMissingUnlessBack(deps: MissedDeps, digest: Digest): Promise<void> {
  const { store, catalog, note } = deps
  await bestEffort(note, async () => {
    if ((await catalog.findContent(digest)) === undefined) return
    // It may have come since.
    if ((await store.find(digest)) === undefined) await noteMissing(deps, digest)
  })
}

/**
 * How content that an upstream has, too, is to be written: what was pushed stays durable, also when
 * its file was gone. Where the catalog cannot be asked it will not record anything either.
 */
export async function classOf(catalog: Catalog, digest: Digest): Promise<ContentClass> {
  const content = await catalog.findContent(digest).catch(() => undefined)
  return content?.contentClass ?? 'cached'
}
