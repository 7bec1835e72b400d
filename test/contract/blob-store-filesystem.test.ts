// Goal: the file-system store keeps the BlobStore contract. Method: the suite, over a directory
// that tap removes.
import t from 'tap'
import { sharedStoreDirectory } from '../kit/disk/store-directory.ts'
import { blobStoreContract } from './blob-store.ts'

const emptyDirectory = sharedStoreDirectory(t)

blobStoreContract(t, async () => {
  const directory = await emptyDirectory()
  return {
    store: await directory.open(),
    reopen: () => directory.open(),
    reboot: () => directory.open('another boot'),
    damage: (digest, bytes) => directory.lay(directory.blobPath(digest), bytes),
    know: (digest, known) => void directory.known.set(digest, known),
    // A block for its bytes, and one for its sidecar.
    shortPartBytes: () => 2 * 4096,
  }
})
