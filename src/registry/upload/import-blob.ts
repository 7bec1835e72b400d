// A blob, or the bytes of a manifest, that an operator imports: as one that a client uploads, with
// the same room, and kept for the manifest that is to list it. No rule of pushes is asked: who
// imports is the operator.
import type { Digest, DigestAlgorithm } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import { appendChunk } from './append-upload.ts'
import { type FinishDeps, publishHere } from './finish-upload.ts'
import { withFullDiskErrors } from './upload-refusal.ts'

export interface ImportedBlob {
  readonly algorithm: DigestAlgorithm
  /** Asked once all of the body has come: what it is may be known by then alone. */
  readonly digest: () => Digest
  readonly sizeBytes: number
  /** As of UploadChunk. */
  readonly body: AsyncIterable<Uint8Array>
}

/**
 * Verified and durable when it resolves, and pending in the repository; what came of one that
 * failed is gone.
 * @throws RegistryError DIGEST_INVALID, SIZE_INVALID, UNAVAILABLE; StoreError; what the body throws
 */
export async function importBlob(
  deps: FinishDeps,
  repository: Repository,
  { algorithm, digest, sizeBytes: lengthBytes, body }: ImportedBlob,
): Promise<void> {
  const { uploads, note } = deps
  await withFullDiskErrors(note, async () => {
    const { id } = await uploads.begin(repository, { algorithm })
    await uploads.write(repository, id, async open => {
      try {
        await appendChunk(deps, open, { body, lengthBytes, range: undefined })
        await publishHere(deps, repository, { open, digest: digest() })
        await uploads.end(open.upload)
      } catch (error) {
        await uploads.end(open.upload, error)
        throw error
      }
    })
  })
}
