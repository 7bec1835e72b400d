// The part of the BlobStore contract that is about uploads while they are open: growing, being read
// meanwhile, verified, ending.
import type { Test } from 'tap'
import type { UploadFile } from '../../src/registry/ports/blob-store-uploads.ts'
import { StoreError } from '../../src/registry/ports/store-error.ts'
import {
  BYTES,
  DIGEST,
  NOTE,
  OTHER,
  UPLOAD_ID,
  createUpload,
  digestBy,
  flipped,
  listed,
  openRead,
  rejects,
  text,
  textAt,
  type MakeStore,
} from './blob-store-samples.ts'

/** Appends what is left of `bytes` in pieces of seven, out of one piece of memory. */
async function appendRest(upload: UploadFile, bytes: Buffer): Promise<void> {
  const chunk = Buffer.alloc(7)
  for (let at = upload.sizeBytes; at < bytes.length; at += chunk.length) {
    await upload.append(chunk.subarray(0, bytes.copy(chunk, 0, at)))
    chunk.fill('x')
  }
}

export function growingUploads(t: Test, makeStore: MakeStore): void {
  t.test('upload: what was appended counts, can be read and becomes a blob', async t => {
    const { store } = await makeStore(t)
    const upload = await createUpload(t, store)
    t.equal(upload.id, UPLOAD_ID)
    t.equal(upload.note, NOTE)
    t.equal(upload.sizeBytes, 0)
    await upload.append(BYTES.subarray(0, 9))
    t.equal(upload.sizeBytes, 9)
    await upload.flush()
    const reader = await openRead(t, upload)
    t.equal(await textAt(reader, 0, 100), 'the bytes')
    await appendRest(upload, BYTES)
    t.equal(upload.sizeBytes, BYTES.length)
    await upload.flush()
    t.equal(await textAt(reader, 10, 100), BYTES.toString().slice(10))
    t.same(await listed(store), [], 'it is no blob before its digest is known')
    t.same(await upload.verify(DIGEST), { digest: DIGEST, sizeBytes: BYTES.length })
    t.same(await upload.commit('kept'), { digest: DIGEST, sizeBytes: BYTES.length })
    t.equal(text(await store.readVerified(DIGEST)), BYTES.toString())
    t.equal(await store.openUpload(UPLOAD_ID), undefined)
    t.same(await store.listUploads(), [])
    t.equal(await textAt(reader, 4, 5), 'bytes', 'readers go on')
  })

  t.test('upload: many chunks of all sizes arrive whole and in order', async t => {
    const { store } = await makeStore(t)
    const blob = Buffer.alloc(4_000_000, 'a blob that fills every buffer more than once ')
    const digest = digestBy('sha256', blob)
    const upload = await createUpload(t, store)
    const sizes = [
      1, 0, 100, 16_384, 65_536, 600_000, 65_536, 65_536, 1_200_000, 524_288, 2_000_000,
    ]
    for (const size of sizes) {
      await upload.append(blob.subarray(upload.sizeBytes, upload.sizeBytes + size))
    }
    t.equal(upload.sizeBytes, blob.length)
    t.same(await upload.verify(digest), { digest, sizeBytes: blob.length })
    await upload.commit('cached')
    t.ok(Buffer.from((await store.readVerified(digest)) ?? []).equals(blob))
  })

  t.test('R105: an upload may end with a digest of the other algorithm', async t => {
    for (const [begun, ended] of [['sha256', 'sha512'] as const, ['sha512', 'sha256'] as const]) {
      const { store } = await makeStore(t)
      const digest = digestBy(ended, BYTES)
      const upload = await createUpload(t, store, begun)
      await appendRest(upload, BYTES)
      await rejects(t, upload.verify(digestBy(ended, OTHER)), 'corrupt')
      t.same(await upload.verify(digestBy(begun, BYTES)), {
        digest: digestBy(begun, BYTES),
        sizeBytes: BYTES.length,
      })
      await upload.verify(digest)
      t.same(await upload.commit('kept'), { digest, sizeBytes: BYTES.length })
      t.same(await listed(store), [digest])
      t.equal(text(await store.readVerified(digest)), BYTES.toString())
    }
  })

  t.test('R104: another digest is corrupt, and the upload can go on', async t => {
    const { store } = await makeStore(t)
    const upload = await createUpload(t, store)
    await upload.append(BYTES.subarray(0, 20))
    await rejects(t, upload.verify(DIGEST), 'corrupt')
    await t.rejects(upload.commit('kept'))
    t.equal(await store.find(DIGEST), undefined)
    await upload.append(BYTES.subarray(20))
    await upload.verify(DIGEST)
    await upload.commit('kept')
    t.equal(text(await store.readVerified(DIGEST)), BYTES.toString())
  })

  t.test('upload: bytes that come after verify have to be verified again', async t => {
    const { store } = await makeStore(t)
    const upload = await createUpload(t, store)
    await t.rejects(upload.commit('kept'))
    await upload.append(BYTES)
    await upload.verify(DIGEST)
    await upload.append(OTHER)
    await t.rejects(upload.commit('kept'))
    t.equal(await store.find(DIGEST), undefined)
    await rejects(t, upload.verify(DIGEST), 'corrupt')
  })
}

export function endingsOfUploads(t: Test, makeStore: MakeStore): void {
  t.test('upload: commit replaces what is there already, right or rotten', async t => {
    const { store, damage } = await makeStore(t)
    const upload = await createUpload(t, store)
    await appendRest(upload, BYTES)
    await store.put(DIGEST, BYTES, 'kept')
    await damage(DIGEST, flipped(BYTES))
    await upload.verify(DIGEST)
    await upload.commit('kept')
    t.equal(text(await store.readVerified(DIGEST)), BYTES.toString())
  })

  t.test('upload: two of the same content both end well', async t => {
    const { store } = await makeStore(t)
    const first = await createUpload(t, store)
    const second = await store.createUpload('another', NOTE, 'sha256')
    for (const upload of [first, second]) {
      await appendRest(upload, BYTES)
      await upload.verify(DIGEST)
    }
    await Promise.all([first.commit('kept'), second.commit('cached')])
    t.equal(text(await store.readVerified(DIGEST)), BYTES.toString())
    t.same(await store.listUploads(), [])
  })

  t.test('upload: no bytes at all are a blob, too', async t => {
    const { store } = await makeStore(t)
    for (const algorithm of ['sha256', 'sha512'] as const) {
      const digest = digestBy(algorithm, Buffer.alloc(0))
      const upload = await store.createUpload('empty', NOTE, 'sha256')
      await upload.verify(digest)
      t.same(await upload.commit('kept'), { digest, sizeBytes: 0 })
      t.ok(await store.find(digest))
    }
  })

  t.test('R107: discard leaves nothing, readers go on, and again it has no effect', async t => {
    const { store } = await makeStore(t)
    const upload = await createUpload(t, store)
    await upload.append(BYTES)
    await upload.flush()
    const reader = await openRead(t, upload)
    await upload.discard()
    t.same(await store.listUploads(), [])
    t.equal(await store.openUpload(UPLOAD_ID), undefined)
    t.equal(await textAt(reader, 4, 5), 'bytes')
    const next = await createUpload(t, store)
    await upload.discard()
    await upload.park()
    t.equal(next.sizeBytes, 0)
    await rejects(t, store.openUpload(UPLOAD_ID), 'busy')
  })

  t.test('upload: after its end the writer can do nothing more', async t => {
    for (const end of ['commit', 'discard', 'park'] as const) {
      const { store } = await makeStore(t)
      const upload = await createUpload(t, store)
      await upload.append(BYTES)
      await upload.verify(DIGEST)
      await (end === 'commit' ? upload.commit('cached') : upload[end]())
      await t.rejects(upload.append(BYTES), end)
      await t.rejects(upload.flush(), end)
      await t.rejects(upload.verify(DIGEST), end)
      await t.rejects(upload.commit('cached'), end)
      await t.rejects(upload.openRead(), end)
      await store.removeUpload(UPLOAD_ID)
    }
  })

  t.test('upload: a reader that came just before the end is not lost', async t => {
    for (const end of ['commit', 'discard', 'park'] as const) {
      const { store } = await makeStore(t)
      const upload = await createUpload(t, store)
      await upload.append(BYTES)
      await upload.verify(DIGEST)
      const opening = upload.openRead()
      await (end === 'commit' ? upload.commit('cached') : upload[end]())
      const reader = await opening
      t.equal(await textAt(reader, 4, 5), 'bytes', end)
      await reader.close()
      await store.removeUpload(UPLOAD_ID)
    }
  })

  t.test('R195: no message tells the id of an upload', async t => {
    const { store } = await makeStore(t)
    const upload = await createUpload(t, store)
    await upload.append(OTHER)
    const failures = [
      store.createUpload(UPLOAD_ID, NOTE, 'sha256'),
      store.openUpload(UPLOAD_ID),
      store.removeUpload(UPLOAD_ID),
      upload.verify(DIGEST),
      upload.discard().then(() => upload.append(OTHER)),
    ]
    for (const failure of failures) {
      const error: unknown = await failure.then(
        () => undefined,
        (reason: unknown) => reason,
      )
      if (!(error instanceof Error)) throw new Error('it was to fail')
      const told = error instanceof StoreError ? `${error.message} ${error.hint}` : error.message
      t.notMatch(told, UPLOAD_ID)
    }
  })
}
