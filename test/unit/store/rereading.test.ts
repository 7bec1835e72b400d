// Goal: only what lies wrongly on the disk goes to the quarantine, and not what the disk gives
// wrongly now. Method: the store over a directory; its files change between two pieces of a
// reading.
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises'
import t from 'tap'
import { digestBy, sharedStoreDirectory } from '../../kit/disk/store-directory.ts'

const BYTES = Buffer.from('the bytes of a blob')
const DIGEST = digestBy('sha256', BYTES)
const emptyDirectory = sharedStoreDirectory(t)

t.test('R871: bytes that are others each time are not what lies there, and stay', async t => {
  const directory = await emptyDirectory()
  const store = await directory.open()
  await store.put(DIGEST, BYTES, 'cached')
  const path = directory.blobPath(DIGEST)
  await chmod(path, 0o600)
  const reader = store.openRereader()
  t.teardown(() => reader.close())
  let pieces = 0
  const change = async () => {
    pieces += 1
    const bytes = await readFile(path)
    bytes[pieces] = 0
    await writeFile(path, bytes)
  }
  const unsteady = { dryRun: false, between: change }
  await change()
  t.match(await reader.reread(DIGEST, unsteady), { found: 'unreadable' })
  t.equal(pieces, 3, 'read twice')
  t.equal(await store.find(DIGEST), undefined, 'but is not here for who pushes it')
  t.match(directory.events, [{ failure: 'io', reason: /gives other bytes each time/ }])
  t.same(await readdir(directory.path('quarantine')), [])
  const steady = { dryRun: false, between: async () => {} }
  t.match(await reader.reread(DIGEST, steady), { found: 'wrong' })
  t.equal((await readdir(directory.path('quarantine'))).length, 1)
  await store.put(DIGEST, BYTES, 'cached')
  t.match(await reader.reread(DIGEST, steady), { found: 'right' })
  t.match(await store.find(DIGEST), { digest: DIGEST })
  directory.known.set(DIGEST, { sizeBytes: BYTES.length, contentClass: 'cached' })
  await chmod(path, 0o600)
  await change()
  await directory.clock.advance(1)
  t.match(await reader.reread(DIGEST, unsteady), { found: 'unreadable' })
  t.equal((await readdir(directory.path('quarantine'))).length, 2, 'what can be fetched goes')
})
