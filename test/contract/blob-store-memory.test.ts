// Goal: the in-memory twin keeps the BlobStore contract, so that tests built on it mean something.
// Method: the suite.
import t from 'tap'
import type { Digest } from '../../src/oci/digest.ts'
import type { KnownContent } from '../../src/registry/ports/blob-store-content.ts'
import { createMemoryDisk, createMemoryStore } from '../kit/memory/store.ts'
import { blobStoreContract } from './blob-store.ts'

blobStoreContract(t, async () => {
  const disk = createMemoryDisk()
  const contents = new Map<Digest, KnownContent>()
  const open = () => createMemoryStore(disk, { known: async digest => contents.get(digest) })
  return {
    store: open(),
    reopen: async () => open(),
    reboot: async () => open(),
    damage: async (digest, bytes) => void disk.blobs.set(digest, bytes),
    know: (digest, known) => void contents.set(digest, known),
    shortPartBytes: lengthBytes => lengthBytes,
  }
})
