// Goal: the in-memory twin keeps the BlobStore contract, so that tests built on it mean something. Method: the suite.
import t from 'tap'
import { createMemoryDisk, createMemoryStore } from '../../src/store/memory.ts'
import { blobStoreContract } from './blob-store.ts'

blobStoreContract(t, async () => {
  const disk = createMemoryDisk()
  return {
    store: createMemoryStore(disk),
    reopen: async () => createMemoryStore(disk),
    reboot: async () => createMemoryStore(disk),
    damage: async (digest, bytes) => void disk.blobs.set(digest, bytes),
  }
})
