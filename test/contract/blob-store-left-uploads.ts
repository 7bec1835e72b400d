// The part of the BlobStore contract that is about uploads that nobody has open: parked, left by a
// process or a boot, listed, removed; and about who may have one open.
import type { Test } from 'tap'
import {
  BYTES,
  DIGEST,
  NOTE,
  OTHER,
  UPLOAD_ID,
  createUpload,
  digestBy,
  openRead,
  rejects,
  reopenUpload,
  text,
  textAt,
  type MakeStore,
} from './blob-store-samples.ts'

export function resumingUploads(t: Test, makeStore: MakeStore): void {
  t.test('R99: a parked upload goes on in the same process and in the next ones', async t => {
    const { store, reopen, reboot } = await makeStore(t)
    const first = await createUpload(t, store, 'sha512')
    await first.append(BYTES.subarray(0, 10))
    await first.park()
    const second = await reopenUpload(t, store)
    t.equal(second.sizeBytes, 10)
    t.equal(second.note, NOTE)
    await second.append(BYTES.subarray(10, 20))
    await second.park()
    const third = await reopenUpload(t, await reopen())
    t.equal(third.sizeBytes, 20)
    await third.append(BYTES.subarray(20, 30))
    await third.park()
    const rebooted = await reboot()
    const fourth = await reopenUpload(t, rebooted)
    t.equal(fourth.sizeBytes, 30)
    t.equal(fourth.note, NOTE)
    t.equal(await textAt(await openRead(t, fourth), 0, 100), BYTES.toString().slice(0, 30))
    await fourth.append(BYTES.subarray(30))
    const digest = digestBy('sha512', BYTES)
    await fourth.verify(digest)
    await fourth.commit('kept')
    t.equal(text(await rebooted.readVerified(digest)), BYTES.toString())
  })

  t.test('R99: what was flushed survives the end of the process', async t => {
    const { store, reopen } = await makeStore(t)
    const killed = await createUpload(t, store)
    await killed.append(BYTES.subarray(0, 20))
    await killed.flush()
    const next = await reopen()
    const upload = await reopenUpload(t, next)
    t.equal(upload.sizeBytes, 20)
    await upload.append(BYTES.subarray(20))
    await upload.verify(DIGEST)
    await upload.commit('kept')
    t.equal(text(await next.readVerified(DIGEST)), BYTES.toString())
  })

  t.test('R99: after a power cut an upload has the right beginning, or none', async t => {
    const { store, reboot, reopen } = await makeStore(t)
    const cut = await createUpload(t, store)
    await cut.append(BYTES.subarray(0, 20))
    await cut.flush()
    const upload = await reopenUpload(t, await reboot())
    const { sizeBytes } = upload
    t.ok(sizeBytes <= 20)
    await upload.append(BYTES.subarray(sizeBytes, 30))
    await upload.flush()
    const killed = await reopenUpload(t, await reboot())
    t.equal(killed.sizeBytes, 30, 'what the later boot wrote counts in it')
    await killed.append(BYTES.subarray(30))
    await killed.verify(DIGEST)
    await killed.commit('kept')
    t.equal(text(await (await reopen()).readVerified(DIGEST)), BYTES.toString())
  })

  t.test('R99: an upload without bytes is there after a restart', async t => {
    const { store, reopen } = await makeStore(t)
    await createUpload(t, store)
    const upload = await reopenUpload(t, await reopen())
    t.equal(upload.sizeBytes, 0)
    await upload.park()
    t.equal((await reopenUpload(t, await reopen())).sizeBytes, 0)
  })

  t.test('upload: one at a time may have it open', async t => {
    const { store } = await makeStore(t)
    const upload = await createUpload(t, store)
    await rejects(t, store.createUpload(UPLOAD_ID, NOTE, 'sha256'), 'busy')
    await rejects(t, store.openUpload(UPLOAD_ID), 'busy')
    await rejects(t, store.removeUpload(UPLOAD_ID), 'busy')
    await upload.park()
    await rejects(t, store.createUpload(UPLOAD_ID, NOTE, 'sha256'), 'busy')
    const both = await Promise.allSettled([
      store.openUpload(UPLOAD_ID),
      store.openUpload(UPLOAD_ID),
    ])
    t.same(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    for (const each of both) if (each.status === 'fulfilled') await each.value?.discard()
    const other = await store.createUpload('other', NOTE, 'sha256')
    await other.discard()
  })

  t.test('listUploads: tells of those that are open and those that are not', async t => {
    const { store, reopen } = await makeStore(t)
    t.same(await store.listUploads(), [])
    const upload = await createUpload(t, store)
    await upload.append(BYTES)
    await upload.flush()
    const other = await store.createUpload('other', 'another note', 'sha512')
    await other.park()
    for (const each of [store, await reopen()]) {
      const uploads = await each.listUploads()
      t.match(
        uploads.toSorted((a, b) => b.sizeBytes - a.sizeBytes),
        [
          { id: UPLOAD_ID, note: NOTE, sizeBytes: BYTES.length, changedAtMs: Number },
          { id: 'other', note: 'another note', sizeBytes: 0, changedAtMs: Number },
        ],
      )
      t.equal(uploads.length, 2)
    }
  })

  t.test('R110: removeUpload takes one away, and has no effect when it is not here', async t => {
    const { store } = await makeStore(t)
    const upload = await createUpload(t, store)
    await upload.append(OTHER)
    await upload.park()
    const other = await store.createUpload('other', NOTE, 'sha256')
    await store.removeUpload(UPLOAD_ID)
    await store.removeUpload(UPLOAD_ID)
    t.equal(await store.openUpload(UPLOAD_ID), undefined)
    t.same(
      (await store.listUploads()).map(({ id }) => id),
      ['other'],
    )
    await other.discard()
    t.equal((await createUpload(t, store)).sizeBytes, 0, 'the id is free again')
  })

  t.test('R688: dateUpload says when one last grew, and has no effect elsewhere', async t => {
    const { store, reopen } = await makeStore(t)
    const upload = await createUpload(t, store)
    await upload.append(BYTES)
    await upload.park()
    for (const id of [UPLOAD_ID, 'not-here', '../a']) await store.dateUpload(id, 1_234_000)
    for (const each of [store, await reopen()])
      t.match(await each.listUploads(), [
        { id: UPLOAD_ID, sizeBytes: BYTES.length, changedAtMs: 1_234_000 },
      ])
  })

  t.test('R191: what is no id gets no file, and names none', async t => {
    const { store } = await makeStore(t)
    const wrong = ['', '.', '..', '../a', 'a/b', '/etc/passwd', 'a.json', 'a\0', 'a b', 'é', '%2e']
    for (const id of [...wrong, 'x'.repeat(129)]) {
      await t.rejects(store.createUpload(id, NOTE, 'sha256'), id)
      t.equal(await store.openUpload(id), undefined, id)
      await store.removeUpload(id)
    }
    await t.rejects(store.createUpload('a', 'x'.repeat(1025), 'sha256'), 'a note that is too long')
    t.same(await store.listUploads(), [])
  })
}
