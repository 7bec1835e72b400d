// A program of its own, to be run under strace: one store, one piece of content, one ending. Prints how it went as JSON.
// Arguments: root directory, what to do, bytes, bytes per chunk.
import { FILE_SYSTEM_CLOCK } from './store-traced.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { type BlobStore, StoreError } from '../../src/registry/ports/blob-store.ts'
import { openFilesystemStore } from '../../src/store/filesystem/store.ts'

const [, , directory = '', task = '', sizeText = '0', chunkText = '0'] = process.argv
const bytes = Buffer.alloc(Number(sizeText), 'bytes that repeat ')
const digest = digestOf(bytes)

async function work(store: BlobStore): Promise<void> {
  if (task === 'put cached') return void (await store.put(digest, bytes, 'cached'))
  if (task === 'put kept') return void (await store.put(digest, bytes, 'kept'))
  const fill = await store.openFill(digest, () => {})
  const chunkBytes = Number(chunkText)
  try {
    for (let at = 0; at < bytes.length; at += chunkBytes) {
      await fill.append(bytes.subarray(at, at + chunkBytes))
    }
    fill.verify(bytes.length)
  } catch (error) {
    // As the engine does: what may be of use later is left.
    await fill.park()
    throw error
  }
  if (task === 'park') return await fill.park()
  await fill.commit(task === 'commit kept' ? 'kept' : 'cached')
}

try {
  const clock = FILE_SYSTEM_CLOCK
  const { blobs } = await openFilesystemStore({ directory, note: () => {}, bootId: 'boot', clock })
  await work(blobs)
  process.stdout.write(JSON.stringify({ kind: 'done' }))
} catch (error) {
  if (!(error instanceof StoreError)) throw error
  const { failure, message, hint } = error
  process.stdout.write(JSON.stringify({ kind: 'failed', failure, message, hint }))
}
