// Goal: what lies on disk is what docs/storage-format.md says: names, modes, nothing left over,
// nothing followed out of the data directory. Method: the store over a directory, its files looked
// at and replaced by hand.
import { existsSync, renameSync, rmSync } from 'node:fs'
import { lstat, mkdir, readdir, rename, rmdir, symlink, truncate, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import t from 'tap'
import { layoutUnder } from '../../../src/store/filesystem/layout.ts'
import { Quarantine, QUARANTINE_BYTES } from '../../../src/store/filesystem/quarantine.ts'
import { Prefixes } from '../../../src/store/filesystem/prefixes.ts'
import { SyncTurns } from '../../../src/store/filesystem/sync-turns.ts'
import { Unreadable } from '../../../src/store/filesystem/unreadable.ts'
import { Turns } from '../../../src/async/turns.ts'
import {
  digestBy,
  type StoreDirectory,
  storeDirectory,
  sharedStoreDirectory,
} from '../../kit/disk/store-directory.ts'

const BYTES = Buffer.from('the bytes of a blob')
const DIGEST = digestBy('sha256', BYTES)
const emptyDirectory = sharedStoreDirectory(t)

t.test('a blob has one file, named by its digest, that nobody can write to', async t => {
  const directory = await emptyDirectory()
  const store = await directory.open()
  const hex = DIGEST.slice('sha256:'.length)
  for (const contentClass of ['cached', 'kept'] as const) {
    await store.put(DIGEST, BYTES, contentClass)
    t.same(await directory.files(), [`blobs/sha256/${hex.slice(0, 2)}/${hex}`])
    t.equal(await directory.mode(directory.blobPath(DIGEST)), 0o440)
  }
})

t.test('a fill has a part and a sidecar for its owner alone, and leaves a blob only', async t => {
  const directory = await emptyDirectory()
  const store = await directory.open()
  const fill = await store.openFill(DIGEST)
  await fill.expect({ sizeBytes: BYTES.length, validator: '"v1"' })
  await fill.append(BYTES.subarray(0, 4))
  t.equal(await directory.mode(directory.partPath(DIGEST)), 0o600)
  t.equal(await directory.mode(directory.partPath(DIGEST, '.json')), 0o600)
  t.equal((await directory.files()).length, 2)
  await fill.append(BYTES.subarray(4))
  fill.verify(BYTES.length)
  await fill.commit('cached')
  t.equal(await directory.mode(directory.blobPath(DIGEST)), 0o440)
  t.equal((await directory.files()).length, 1)
})

t.test('a parked fill says how much of it survives a power cut', async t => {
  const directory = await emptyDirectory()
  const store = await directory.open()
  const fill = await store.openFill(DIGEST, () => {})
  await fill.append(BYTES.subarray(0, 4))
  await fill.expect({ sizeBytes: undefined, validator: 'W/"x"' })
  await fill.append(BYTES.subarray(4, 9))
  await fill.park()
  t.same(JSON.parse(await directory.read(directory.partPath(DIGEST, '.json'))), {
    version: 1,
    sizeBytes: null,
    validator: 'W/"x"',
    bootId: 'this boot',
    syncedBytes: 9,
  })
  const next = await directory.open('another boot')
  const resumed = await next.openFill(DIGEST)
  t.equal(resumed.contiguousBytes, 9)
  await resumed.discard()
})

t.test('bytes that came after a resume in another boot count for that boot', async t => {
  const directory = await emptyDirectory()
  const first = await (await directory.open('boot 1')).openFill(DIGEST)
  await first.append(BYTES.subarray(0, 4))
  await first.park()
  const second = await (await directory.open('boot 2')).openFill(DIGEST)
  await second.append(BYTES.subarray(4, 9))
  await second.expect({ sizeBytes: BYTES.length, validator: undefined })
  const killed = await (await directory.open('boot 2')).openFill(DIGEST)
  t.equal(killed.contiguousBytes, 9, 'killed in boot 2')
  await killed.expect({ sizeBytes: BYTES.length, validator: undefined })
  const cut = await (await directory.open('boot 3')).openFill(DIGEST)
  t.equal(cut.contiguousBytes, 4, 'power cut in boot 2')
  for (const fill of [cut, killed, second]) await fill.discard()
})

t.test('a long fill is synced on the way, so that a power cut costs little of it', async t => {
  const directory = await emptyDirectory()
  const store = await directory.open()
  const megabyte = Buffer.alloc(1024 * 1024, 'x')
  const fill = await store.openFill(DIGEST, () => {})
  t.teardown(() => fill.discard())
  await fill.expect({ sizeBytes: 1024 ** 3, validator: undefined })
  for (let count = 0; count < 65; count += 1) await fill.append(megabyte)
  // Waits for what runs beside it: a sidecar is written after the one before it.
  await fill.expect({ sizeBytes: 1024 ** 3, validator: '"later"' })
  const { syncedBytes } = JSON.parse(await directory.read(directory.partPath(DIGEST, '.json')))
  t.ok(syncedBytes === 0 || syncedBytes >= 64 * 1024 * 1024)
  await fill.park()
  const next = await (await directory.open('another boot')).openFill(DIGEST)
  t.equal(next.contiguousBytes, 65 * 1024 * 1024)
  await next.discard()
})

t.test('R191: a link in place of a blob is no blob, and is replaced by one', async t => {
  const outside = t.testdir({ secret: 'secret' })
  const directory = storeDirectory(t, `${outside}/data`)
  const store = await directory.open()
  await symlink(`${outside}/secret`, directory.blobPath(DIGEST))
  t.equal(await store.find(DIGEST), undefined)
  t.equal(await store.openRead(DIGEST), undefined)
  t.equal(await store.readVerified(DIGEST), undefined)
  for await (const blob of store.list()) t.fail(`listed ${blob.digest}`)
  await store.put(DIGEST, BYTES, 'kept')
  t.ok((await lstat(directory.blobPath(DIGEST))).isFile())
  t.equal(await directory.read(`${outside}/secret`), 'secret')
})

t.test('R191: links in place of a part and its sidecar are not followed', async t => {
  const outside = t.testdir({ secret: 'secret', beside: '{}' })
  const directory = storeDirectory(t, `${outside}/data`)
  const store = await directory.open()
  await symlink(`${outside}/secret`, directory.partPath(DIGEST))
  await symlink(`${outside}/beside`, directory.partPath(DIGEST, '.json'))
  const fill = await store.openFill(DIGEST)
  await fill.expect({ sizeBytes: BYTES.length, validator: undefined })
  await fill.append(BYTES)
  fill.verify(BYTES.length)
  await fill.commit('kept')
  t.equal(await directory.read(`${outside}/secret`), 'secret')
  t.equal(await directory.read(`${outside}/beside`), '{}')
  t.equal((await directory.files()).length, 1)
})

t.test('R191: names that are not digests are not listed', async t => {
  const directory = await emptyDirectory()
  const store = await directory.open()
  await store.put(DIGEST, BYTES, 'cached')
  const hex = DIGEST.slice('sha256:'.length)
  const prefix = directory.path('blobs', 'sha256', hex.slice(0, 2))
  await directory.lay(`${prefix}/readme`, 'x')
  await directory.lay(`${prefix}/${'0'.repeat(64)}`, 'of another prefix')
  const found = []
  for await (const blob of store.list()) found.push(blob)
  t.same(found, [{ digest: DIGEST, sizeBytes: BYTES.length }])
})

t.test(
  'a directory in place of a blob is an io failure for the writer, absent for the reader',
  async t => {
    const directory = await emptyDirectory()
    const store = await directory.open()
    await mkdir(directory.blobPath(DIGEST))
    t.teardown(() => rmdir(directory.blobPath(DIGEST)))
    t.equal(await store.find(DIGEST), undefined)
    t.equal(await store.openRead(DIGEST), undefined)
    await t.rejects(store.put(DIGEST, BYTES, 'cached'), { name: 'StoreError', failure: 'io' })
    t.same(await directory.files(), [], 'the temporary file is gone')
  },
)

t.test('a part that was replaced behind the back of its fill is not published', async t => {
  const directory = await emptyDirectory()
  const store = await directory.open()
  const fill = await store.openFill(DIGEST)
  await fill.append(BYTES)
  fill.verify(BYTES.length)
  await unlink(directory.partPath(DIGEST))
  await t.rejects(fill.commit('cached'), { name: 'StoreError', failure: 'io' })
  t.same(await directory.files(), [])
  await (await store.openFill(DIGEST)).discard()
})

t.test(
  'R184: a rotten blob is moved to the quarantine, once, and the operator is told',
  async t => {
    const directory = await emptyDirectory()
    const store = await directory.open()
    await store.put(DIGEST, BYTES, 'kept')
    await directory.lay(directory.blobPath(DIGEST), 'rotten')
    const answers = [store.readVerified(DIGEST), store.readVerified(DIGEST)]
    t.same(await Promise.all(answers), [undefined, undefined])
    const names = await readdir(directory.path('quarantine'))
    t.equal(names.length, 1)
    t.match(names[0], /^\d{8}T\d{6}\.\d{3}Z-sha256-[0-9a-f]{64}$/)
    t.equal(await directory.read(directory.path('quarantine', names[0] ?? '')), 'rotten')
    t.match(directory.events, [
      { kind: 'storage failed', failure: 'corrupt', hint: /check the disk/ },
    ])
    t.equal(directory.events.length, 1)
  },
)

t.test('R184: good content that took the place of a rotten blob is left alone', async t => {
  const directory = await emptyDirectory()
  const store = await directory.open()
  await directory.lay(directory.blobPath(DIGEST), 'rotten')
  const identity = await lstat(directory.blobPath(DIGEST))
  await store.put(DIGEST, BYTES, 'kept')
  const { clock, root } = directory
  const note = () => t.fail('noted')
  const layout = layoutUnder(root)
  const prefixes = new Prefixes(layout)
  const disk = {
    layout,
    prefixes,
    bootId: '',
    clock,
    note,
    syncTurns: new SyncTurns(),
    unreadable: new Unreadable({ note, layout }),
  }
  const quarantine = new Quarantine(disk, new Turns(), {
    known: async () => undefined,
    isForgone: async () => false,
    isKnowing: () => true,
    isAllFound: () => true,
  })
  await quarantine.take(DIGEST, identity)
  t.same(await store.readVerified(DIGEST), BYTES)
  await store.remove(DIGEST)
  await quarantine.take(DIGEST, identity)
  t.same(await directory.files(), [])
})

for (const declared of [undefined, BYTES.length])
  t.test(
    `R302: what is mended while its file is in doubt is given as it is now: declared ${declared}`,
    async t => {
      const directory = await emptyDirectory()
      const store = await directory.open()
      const good = directory.path('tmp', 'good')
      const lay = async () => {
        await directory.lay(directory.blobPath(DIGEST), BYTES.subarray(1))
        await directory.lay(good, BYTES)
      }
      // The bad file was found or opened by then; a pull or a push puts another one in its place.
      Object.assign(directory.known, {
        get: () => {
          if (existsSync(good)) renameSync(good, directory.blobPath(DIGEST))
          return declared === undefined ? { sizeBytes: BYTES.length } : undefined
        },
      })
      await lay()
      t.same(await store.find(DIGEST, declared), { digest: DIGEST, sizeBytes: BYTES.length })
      await lay()
      const opened = await store.openRead(DIGEST, declared)
      t.same(opened?.blob, { digest: DIGEST, sizeBytes: BYTES.length })
      const read = Buffer.alloc(2 * BYTES.length)
      const count = await opened?.handle.read(read, 0)
      await opened?.handle.close()
      t.same(read.subarray(0, count), BYTES)
    },
  )

t.test('content that could not be kept is, once its directory can be opened again', async t => {
  const directory = await emptyDirectory()
  const store = await directory.open()
  await store.put(DIGEST, BYTES, 'cached')
  const prefix = dirname(directory.blobPath(DIGEST))
  // A link is not opened as a directory: as with too many open files, nothing was synced in vain.
  await rename(prefix, `${prefix}.moved`)
  await symlink(`${prefix}.moved`, prefix)
  await t.rejects(store.keep(DIGEST), { name: 'StoreError' })
  await unlink(prefix)
  await rename(`${prefix}.moved`, prefix)
  t.same(await store.keep(DIGEST), { digest: DIGEST, sizeBytes: BYTES.length })
})

t.test('the quarantine keeps the newest hundred', async t => {
  const directory = await emptyDirectory()
  const store = await directory.open()
  for (let count = 0; count < 100; count += 1) {
    await directory.lay(directory.path('quarantine', `2020${String(count).padStart(4, '0')}`), '')
  }
  await directory.lay(directory.blobPath(DIGEST), 'rotten')
  t.equal(await store.readVerified(DIGEST), undefined)
  const names = (await readdir(directory.path('quarantine'))).sort()
  t.equal(names.length, 100)
  t.equal(names[0], '20200001')
  t.match(names.at(-1), /sha256/)
})

/** As long as `bytes`, with nothing on the disk. */
async function laySparse(directory: StoreDirectory, path: string, bytes: number): Promise<void> {
  await directory.lay(path, '')
  await truncate(path, bytes)
}

t.test('R271: the quarantine is bounded in bytes, and the oldest of it goes first', async t => {
  const directory = await emptyDirectory()
  const store = await directory.open()
  const half = QUARANTINE_BYTES / 2
  for (const name of ['20200001', '20200002'])
    await laySparse(directory, directory.path('quarantine', name), half)
  await directory.lay(directory.blobPath(DIGEST), 'rotten')
  t.equal(await store.readVerified(DIGEST), undefined)
  const names = (await readdir(directory.path('quarantine'))).sort()
  t.match(names, ['20200002', /sha256/])
  await store.put(DIGEST, BYTES, 'cached')
  directory.known.set(DIGEST, { sizeBytes: BYTES.length, contentClass: 'cached' })
  await laySparse(directory, directory.blobPath(DIGEST), QUARANTINE_BYTES + 1)
  t.equal(await store.find(DIGEST), undefined)
  const left = (await readdir(directory.path('quarantine'))).sort()
  t.same(left, ['20200002'], 'no more than it may hold, and nothing else goes for it')
  const reasons = directory.events.map(event => ('reason' in event ? event.reason : ''))
  t.match(reasons, [/; moved to .*quarantine$/, /; removed: longer than .*quarantine may hold$/])
})

t.test(
  'what comes to the quarantine stays before what is there, whatever the clock says',
  async t => {
    const directory = await emptyDirectory()
    const store = await directory.open()
    await laySparse(directory, directory.path('quarantine', '2999'), QUARANTINE_BYTES)
    await directory.lay(directory.blobPath(DIGEST), 'rotten')
    t.equal(await store.readVerified(DIGEST), undefined)
    t.match(await readdir(directory.path('quarantine')), [/sha256/])
  },
)

t.test('R271: a last copy stays that is longer than the quarantine may hold', async t => {
  const directory = await emptyDirectory()
  const store = await directory.open()
  directory.known.set(DIGEST, { sizeBytes: BYTES.length, contentClass: 'kept' })
  await laySparse(directory, directory.blobPath(DIGEST), QUARANTINE_BYTES + 1)
  t.equal(await store.find(DIGEST), undefined)
  t.match(await readdir(directory.path('quarantine')), [/sha256.*-kept$/])
})

t.test('R271: what nobody can tell of is taken for a last copy', async t => {
  const cannotTell = {
    'a catalog that fails': {
      known: () => Promise.reject(new Error('busy')),
      isKnowing: () => true,
    },
    'one that is being built': { known: async () => undefined, isKnowing: () => false },
  }
  for (const [what, knowing] of Object.entries(cannotTell)) {
    const directory = await emptyDirectory()
    await directory.open()
    await directory.lay(directory.blobPath(DIGEST), 'rotten')
    const { clock, root } = directory
    const layout = layoutUnder(root)
    const disk = {
      layout,
      prefixes: new Prefixes(layout),
      bootId: '',
      clock,
      note: () => {},
      syncTurns: new SyncTurns(),
      unreadable: new Unreadable({ note: () => {}, layout }),
    }
    const quarantine = new Quarantine(disk, new Turns(), {
      ...knowing,
      isForgone: async () => true,
      isAllFound: () => true,
    })
    await quarantine.take(DIGEST, await lstat(directory.blobPath(DIGEST)))
    t.match(await readdir(directory.path('quarantine')), [/-kept$/], what)
  }
})

t.test('R301: a last copy is bounded as any other once nobody has it any more', async t => {
  const directory = await emptyDirectory()
  const store = await directory.open()
  const half = QUARANTINE_BYTES / 2
  const lost = ['first', 'second', 'third'].map(text => digestBy('sha256', text))
  const laid = lost.map((digest, at) => `2020010${at}T000000.000Z-${digest.replace(':', '-')}-kept`)
  const names = async () => (await readdir(directory.path('quarantine'))).sort()
  for (const digest of lost) directory.known.set(digest, { sizeBytes: 5, contentClass: 'kept' })
  for (const name of laid) await laySparse(directory, directory.path('quarantine', name), half)
  await store.clearQuarantine()
  t.equal(store.quarantineBytes, 3 * half, 'all of it counts')
  t.same(await names(), laid)
  for (const digest of lost) directory.forgone.add(digest)
  await store.clearQuarantine()
  t.same(await names(), laid.slice(1), 'the oldest went')
  t.equal(store.quarantineBytes, 2 * half)
  t.equal((await directory.open()).quarantineBytes, 2 * half, 'a start counts it as well')
})

t.test('R271: what the operator takes out of the quarantine ends no start', async t => {
  const directory = await emptyDirectory()
  const store = await directory.open()
  const digests = ['first', 'second'].map(text => digestBy('sha256', text))
  const laid = digests.map((digest, at) => `2020010${at}T000000.000Z-${digest.replace(':', '-')}`)
  for (const name of laid) await laySparse(directory, directory.path('quarantine', name), 5)
  const [oldest = ''] = laid
  // The newest is looked at first.
  directory.known.get = () => {
    rmSync(directory.path('quarantine', oldest), { force: true })
    return undefined
  }
  await store.clearQuarantine()
  t.same(await readdir(directory.path('quarantine')), laid.slice(1))
  t.equal(store.quarantineBytes, 5)
})

t.test('R271: the last copy of what was pushed is never thrown away', async t => {
  const directory = await emptyDirectory()
  const store = await directory.open()
  const lost = Array.from({ length: 102 }, (_, count) => Buffer.from(`pushed ${count}`))
  for (const bytes of lost) {
    const digest = digestBy('sha256', bytes)
    directory.known.set(digest, { sizeBytes: bytes.length, contentClass: 'kept' })
    await directory.lay(directory.blobPath(digest), bytes.subarray(1))
    t.equal(await store.find(digest), undefined)
  }
  t.equal((await readdir(directory.path('quarantine'))).length, lost.length)
  t.match(directory.events[0], { hint: /push the content again/ })
  // Once they are here again, it is evidence as any other.
  for (const bytes of lost) await store.put(digestBy('sha256', bytes), bytes, 'kept')
  await directory.lay(directory.blobPath(DIGEST), 'rotten')
  t.equal(await store.readVerified(DIGEST), undefined)
  t.equal((await readdir(directory.path('quarantine'))).length, 100)
})
