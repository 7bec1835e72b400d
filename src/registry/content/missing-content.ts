// Content whose file is gone. Of what is kept nobody else has a copy, so the operator is told,
// whoever finds out. Its row stays, and with it what the bytes were: they are served again once
// they are back, from a backup or a push. So does that of a cached manifest whose layers are here,
// which would else be needed by nothing: it is fetched again, or leaves with them.
import type { Digest } from '../../oci/digest.ts'
import { bestEffort } from '../best-effort.ts'
import type { StoredContent } from './content.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { NoteEvent } from '../ports/events.ts'

interface MissedDeps {
  readonly content: StoredContent
  readonly catalog: Catalog
  readonly note: NoteEvent
}

/**
 * The catalog says that the bytes are here, and the disk says no: the disk is right, unless they
 * have come since. Tells of what was pushed, which is `lost`; what can be fetched again is `gone`,
 * and mostly its row with it. Of what the disk cannot say anything of (`unknown`), nothing is
 * forgotten.
 * @throws StoreError
 */
export async function noteMissing(
  { content, catalog, note }: MissedDeps,
  digest: Digest,
): Promise<'here' | 'unknown' | 'gone' | 'lost'> {
  const missing = await content.forgetMissing(digest)
  if (missing === 'no') return 'here'
  const isKept = (await catalog.findContent(digest))?.contentClass === 'kept'
  if (!isKept) return missing
  note({
    kind: 'storage failed',
    failure: 'corrupt',
    reason: `${digest} was pushed here, and its file is gone or cannot be read`,
    hint: 'bring the file back from a backup, push it again, or import its bundle again; then check the disk',
  })
  return missing === 'gone' ? 'lost' : 'unknown'
}

/**
 * The same for who has somebody to answer and found no file. Throws nothing that the disk or the
 * catalog brought about.
 */
export async function noteMissingUnlessBack(deps: MissedDeps, digest: Digest): Promise<void> {
  await bestEffort(deps.note, () => noteMissing(deps, digest))
}
