// end-4: an upload begins (R99), when the operator's rules let it and there is room for more than
// nothing.
import type { DigestAlgorithm } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { UploadState } from '../answers.ts'
import type { AppendDeps } from './append-upload.ts'
import { requirePush } from '../push-refusal.ts'
import { NOTHING_MORE } from '../space.ts'
import { withFullDiskErrors } from './upload-refusal.ts'

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
    return deps.uploads.begin(repository, options)
  })
}
