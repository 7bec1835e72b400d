// Looks once more at content of which whoever read it says that its bytes were others.
import type { Digest } from '../../oci/digest.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import { StoreError } from '../ports/store-error.ts'

/** Where the disk has it wrong it is moved out of the way, so that it comes anew. */
export async function isRotten(
  store: Pick<BlobStore, 'readVerified'>,
  digest: Digest,
): Promise<boolean> {
  try {
    return (await store.readVerified(digest)) === undefined
  } catch (error) {
    // What is right, and too large to be had whole, is none.
    if (error instanceof StoreError) return false
    throw error
  }
}
