// end-4: an upload begins (R99), when the operator's rules let it and there is room for more than
// nothing.
import type { DigestAlgorithm } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { UploadState } from '../answers.ts'
import type { AppendDeps } from './append-upload.ts'
import { requirePush } from '../refusals/push-refusal.ts'
import { BLOCK_BYTES } from '../ports/blob-store.ts'
import { StoreError } from '../ports/store-error.ts'
import { NOTHING_MORE } from '../space/claim.ts'
import { withFullDiskErrors } from './upload-refusal.ts'

/** Of an upload before its first byte: its file and its sidecar. */
const FILES_BYTES = 2 * BLOCK_BYTES

/** @throws RegistryError DENIED, TOOMANYREQUESTS, UNAVAILABLE */
export async function startUpload(
  deps: AppendDeps,
  repository: Repository,
  options: { algorithm: DigestAlgorithm; client?: string | undefined },
): Promise<UploadState> {
  requirePush(deps, repository)
  return withFullDiskErrors(deps.note, async () => {
    // Or clients that try again and again would fill a full disk with uploads that bring nothing.
    await deps.space.admit(NOTHING_MORE, () => {})
    try {
      return await deps.uploads.begin(repository, options)
    } catch (error) {
      if (!(error instanceof StoreError) || error.failure !== 'full') throw error
    }
    // Not even for that is there room: others have filled the disk, and what may leave does it now.
    await deps.space.make({ from: 'client', of: repository, bytes: FILES_BYTES }, () => {})
    return deps.uploads.begin(repository, options)
  })
}
