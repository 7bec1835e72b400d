// What every catalog must know of uses (src/registry/ports/catalog-uses.ts). Method: only the port
// is used; each test gets an empty catalog; times are made up.
import type { Test } from 'tap'
import { alpine, blobOf, digestNamed, type MakeCatalog } from './catalog-samples.ts'

export function usesContract(t: Test, makeCatalog: MakeCatalog): void {
  t.test('a use of a blob moves its last use forward only', async t => {
    const catalog = await makeCatalog(t)
    const digest = digestNamed('b')
    const used = { repository: alpine, digest, count: 1 }
    const unknown = { ...used, digest: digestNamed('unknown') }
    await catalog.recordBlob(blobOf('b', { atMs: 50 }))
    await catalog.noteUses([
      { ...used, atMs: 90 },
      { ...unknown, atMs: 99 },
    ])
    t.equal((await catalog.findContent(digest))?.lastUsedAtMs, 90)
    await catalog.noteUses([{ ...used, atMs: 40 }])
    t.equal((await catalog.findContent(digest))?.lastUsedAtMs, 90)
    t.equal(await catalog.isRecorded(unknown.digest), false)
  })
}
