// The parts of a store that no fill has open, by digest.
import type { Digest } from '../../../src/oci/digest.ts'
import type { BlobStore } from '../../../src/registry/ports/blob-store.ts'

export async function partsLeft(store: BlobStore): Promise<readonly Digest[]> {
  return (await store.describeParts()).map(({ digest }) => digest)
}
