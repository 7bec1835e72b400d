// Goal: the file-system store keeps the BlobStore contract. Method: the suite, over a directory that tap removes.
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { digestAlgorithm, digestHex } from '../../src/oci/digest.ts'
import { openFilesystemStore } from '../../src/store/filesystem/store.ts'
import { createManualClock } from '../kit/manual-clock.ts'
import { blobStoreContract } from './blob-store.ts'

blobStoreContract(t, async t => {
  const directory = t.testdir()
  const reopen = () =>
    openFilesystemStore({ directory, note: () => {}, bootId: 'boot', clock: createManualClock() })
  return {
    store: await reopen(),
    reopen,
    damage: async (digest, bytes) => {
      const hex = digestHex(digest)
      const path = join(directory, 'blobs', digestAlgorithm(digest), hex.slice(0, 2), hex)
      await chmod(path, 0o600)
      await writeFile(path, bytes)
    },
  }
})
