// Goal: every implementation of the BlobStore port keeps what the port promises. Method: one suite
// over the port alone, with two things that a test needs beside it: a second store over the same
// content (the next process), and bytes that rot. What only a file system has is in
// test/unit/store.
import { readFileSync } from 'node:fs'
import type { Test } from 'tap'
import {
  BYTES,
  DIGEST,
  OTHER,
  OTHER_DIGEST,
  digestBy,
  flipped,
  listed,
  rejects,
  text,
  textAt,
  type MakeStore,
} from './blob-store-samples.ts'
import { writingAhead } from './blob-store-ahead.ts'
import { endingsOfFills, growingContent, resuming } from './blob-store-fills.ts'
import { resumingUploads } from './blob-store-left-uploads.ts'
import { endingsOfUploads, growingUploads } from './blob-store-uploads.ts'

export function blobStoreContract(t: Test, makeStore: MakeStore): void {
  wholeContent(t, makeStore)
  growingContent(t, makeStore)
  writingAhead(t, makeStore)
  endingsOfFills(t, makeStore)
  resuming(t, makeStore)
  growingUploads(t, makeStore)
  endingsOfUploads(t, makeStore)
  resumingUploads(t, makeStore)
}

function wholeContent(t: Test, makeStore: MakeStore): void {
  t.test('put: content is found, read and listed afterwards', async t => {
    const { store } = await makeStore(t)
    t.equal(await store.find(DIGEST), undefined)
    t.equal(await store.openRead(DIGEST), undefined)
    t.equal(await store.readVerified(DIGEST), undefined)
    t.same(await store.put(DIGEST, BYTES, 'kept'), { digest: DIGEST, sizeBytes: BYTES.length })
    t.same(await store.find(DIGEST), { digest: DIGEST, sizeBytes: BYTES.length })
    t.same(text(await store.readVerified(DIGEST)), BYTES.toString())
    t.same(await listed(store), [DIGEST])
  })

  t.test('put: the same content again changes nothing', async t => {
    const { store } = await makeStore(t)
    await store.put(DIGEST, BYTES, 'cached')
    t.same(await store.put(DIGEST, BYTES, 'kept'), { digest: DIGEST, sizeBytes: BYTES.length })
    t.same(await listed(store), [DIGEST])
  })

  t.test('put: bytes of another digest are refused as corrupt and not stored', async t => {
    const { store } = await makeStore(t)
    await rejects(t, store.put(DIGEST, OTHER, 'cached'), 'corrupt')
    t.equal(await store.find(DIGEST), undefined)
    t.same(await listed(store), [])
  })

  t.test('put: content without bytes and content under sha512 are stored alike', async t => {
    const { store } = await makeStore(t)
    const empty = digestBy('sha256', Buffer.alloc(0))
    const long = digestBy('sha512', BYTES)
    await store.put(empty, Buffer.alloc(0), 'cached')
    await store.put(long, BYTES, 'cached')
    t.same(await store.find(empty), { digest: empty, sizeBytes: 0 })
    t.same(text(await store.readVerified(empty)), '')
    t.same(text(await store.readVerified(long)), BYTES.toString())
    t.same(await listed(store), [empty, long].sort())
  })

  t.test('openRead: reads by position, and fewer bytes only at the end', async t => {
    const { store } = await makeStore(t)
    await store.put(DIGEST, BYTES, 'cached')
    const opened = await store.openRead(DIGEST)
    if (opened === undefined) throw new Error('the blob is there')
    t.same(opened.blob, { digest: DIGEST, sizeBytes: BYTES.length })
    t.equal(await textAt(opened.handle, 4, 5), 'bytes')
    t.equal(await textAt(opened.handle, 0, 3), 'the')
    t.equal(await textAt(opened.handle, BYTES.length - 2, 100), 'es')
    t.equal(await textAt(opened.handle, BYTES.length, 10), '')
    await opened.handle.close()
  })

  t.test('openRead: a descriptor, where there is one, reads the same bytes', async t => {
    const { store } = await makeStore(t)
    await store.put(DIGEST, BYTES, 'cached')
    const opened = await store.openRead(DIGEST)
    if (opened === undefined) throw new Error('the blob is there')
    await store.remove(DIGEST)
    const { descriptor } = opened.handle
    if (descriptor !== undefined) t.equal(readFileSync(descriptor, 'utf8'), BYTES.toString())
    await opened.handle.close()
  })

  t.test('openRead: a reader goes on while the blob is removed and replaced', async t => {
    const { store } = await makeStore(t)
    await store.put(DIGEST, BYTES, 'cached')
    const opened = await store.openRead(DIGEST)
    if (opened === undefined) throw new Error('the blob is there')
    await store.put(DIGEST, BYTES, 'kept')
    await store.remove(DIGEST)
    t.equal(await store.find(DIGEST), undefined)
    t.equal(await textAt(opened.handle, 0, 1000), BYTES.toString())
    await opened.handle.close()
  })

  t.test('R184: content that no longer hashes to its digest is not read, and gone', async t => {
    const { store, damage } = await makeStore(t)
    for (const wrong of [OTHER, Buffer.alloc(0), BYTES.subarray(1), flipped(BYTES)]) {
      await store.put(DIGEST, BYTES, 'cached')
      await damage(DIGEST, wrong)
      t.equal(await store.readVerified(DIGEST), undefined)
      t.equal(await store.find(DIGEST), undefined)
      t.same(await listed(store), [])
    }
  })

  t.test('R860: reread: what is right stays, what is wrong is not here any more', async t => {
    const { store, damage } = await makeStore(t)
    const read: number[] = []
    const between = async (pieceBytes: number) => void read.push(pieceBytes)
    const reader = store.openRereader()
    t.teardown(() => reader.close())
    const reread = (dryRun = false) => reader.reread(DIGEST, { dryRun, between })
    t.same(await reread(), { found: 'none', isMended: false })
    await store.put(DIGEST, BYTES, 'cached')
    t.match(await reread(), { found: 'right', isMended: false })
    t.same(read, [BYTES.length])
    for (const wrong of [OTHER, Buffer.alloc(0), BYTES.subarray(1), flipped(BYTES)]) {
      await store.put(DIGEST, BYTES, 'cached')
      await damage(DIGEST, wrong)
      t.match(await reread(true), { found: 'wrong' })
      t.same(await listed(store), [DIGEST], 'a dry run changes nothing')
      t.match(await reread(), { found: 'wrong' })
      t.same(await listed(store), [])
    }
    await store.put(DIGEST, BYTES, 'cached')
    const cut = new Error('cut off')
    const ending = reader.reread(DIGEST, { dryRun: false, between: () => Promise.reject(cut) })
    await t.rejects(ending, cut)
    t.same(await listed(store), [DIGEST])
  })

  t.test('R271: what has another length than is known is not here, and gone', async t => {
    const { store, damage, know } = await makeStore(t)
    know(DIGEST, { sizeBytes: BYTES.length, contentClass: 'cached' })
    const looks = {
      find: () => store.find(DIGEST),
      openRead: () => store.openRead(DIGEST),
      keep: () => store.keep(DIGEST),
    }
    for (const [name, look] of Object.entries(looks))
      for (const wrong of [Buffer.alloc(0), BYTES.subarray(1), Buffer.concat([BYTES, OTHER])]) {
        await store.put(DIGEST, BYTES, 'cached')
        await damage(DIGEST, wrong)
        t.same(await Promise.all([look(), look()]), [undefined, undefined], name)
        t.same(await listed(store), [], name)
      }
    await store.put(DIGEST, BYTES, 'cached')
    t.same(await store.find(DIGEST), { digest: DIGEST, sizeBytes: BYTES.length })
  })

  t.test('R271: right bytes are here, whatever length is known or declared', async t => {
    const { store, know } = await makeStore(t)
    await store.put(DIGEST, BYTES, 'kept')
    const stored = { digest: DIGEST, sizeBytes: BYTES.length }
    t.same(await store.find(DIGEST, 7), stored)
    know(DIGEST, { sizeBytes: 7, contentClass: 'kept' })
    t.same(await store.find(DIGEST), stored)
    t.same(await store.keep(DIGEST), stored)
    const opened = await store.openRead(DIGEST)
    t.same(opened?.blob, stored)
    await opened?.handle.close()
  })

  t.test('R271: a declared length counts where nothing is known', async t => {
    const { store, damage, know } = await makeStore(t)
    await store.put(DIGEST, BYTES, 'cached')
    await damage(DIGEST, OTHER)
    t.same(await store.find(DIGEST), { digest: DIGEST, sizeBytes: OTHER.length })
    know(DIGEST, { sizeBytes: OTHER.length, contentClass: 'cached' })
    t.ok(await store.find(DIGEST, BYTES.length), 'what is known goes before it')
    await store.put(OTHER_DIGEST, OTHER, 'cached')
    await damage(OTHER_DIGEST, BYTES)
    t.equal(await store.openRead(OTHER_DIGEST, OTHER.length), undefined)
  })

  t.test('R184: the same content put again mends what had rotted', async t => {
    const { store, damage } = await makeStore(t)
    await store.put(DIGEST, BYTES, 'kept')
    await damage(DIGEST, flipped(BYTES))
    await store.put(DIGEST, BYTES, 'kept')
    t.equal(text(await store.readVerified(DIGEST)), BYTES.toString())
  })

  t.test('keep: cached content stays what it is, and what is not here stays away', async t => {
    const { store, reopen } = await makeStore(t)
    t.equal(await store.keep(DIGEST), undefined)
    await store.put(DIGEST, BYTES, 'cached')
    for (const again of [store, store, await reopen()]) {
      t.same(await again.keep(DIGEST), { digest: DIGEST, sizeBytes: BYTES.length })
      t.equal(text(await again.readVerified(DIGEST)), BYTES.toString())
    }
    t.same(await listed(store), [DIGEST])
  })

  t.test('remove: takes the one blob away, and has no effect when it is not here', async t => {
    const { store } = await makeStore(t)
    await store.put(DIGEST, BYTES, 'cached')
    await store.put(OTHER_DIGEST, OTHER, 'cached')
    await store.remove(DIGEST)
    await store.remove(DIGEST)
    t.same(await listed(store), [OTHER_DIGEST])
  })

  t.test('space: what is free is part of what there is', async t => {
    const { store } = await makeStore(t)
    const { freeBytes, totalBytes } = await store.space()
    t.ok(freeBytes > 0)
    t.ok(freeBytes <= totalBytes)
  })
}
