// The part of the BlobStore contract that is about fills: growing, being read meanwhile, ending,
// being resumed.
import type { Test } from 'tap'
import {
  BYTES,
  DIGEST,
  EXPECTATION,
  OTHER,
  OTHER_DIGEST,
  becomesBlob,
  corrupt,
  finishResumed,
  digestBy,
  flipped,
  listed,
  openFill,
  openRead,
  rejects,
  text,
  textAt,
  type MakeStore,
} from './blob-store-samples.ts'
import { partsLeft } from '../kit/disk/parts-left.ts'

const DAY_MS = 24 * 60 * 60_000

export function growingContent(t: Test, makeStore: MakeStore): void {
  t.test('fill: readers see what was appended, while the blob is not here yet', async t => {
    const { store } = await makeStore(t)
    const fill = await openFill(t, store)
    t.equal(fill.contiguousBytes, 0)
    t.equal(fill.expected, undefined)
    await fill.append(BYTES.subarray(0, 9))
    t.equal(fill.contiguousBytes, 9)
    const reader = await openRead(t, fill)
    t.equal(await textAt(reader, 0, 100), 'the bytes')
    await fill.append(BYTES.subarray(9, 19))
    t.equal(fill.contiguousBytes, 19)
    t.equal(await textAt(reader, 10, 100), 'of a blob')
    t.equal(await store.find(DIGEST), undefined)
    t.equal(await store.openRead(DIGEST), undefined)
    t.same(await listed(store), [])
  })

  t.test('fill: a chunk may be used again as soon as it was appended', async t => {
    for (const grown of [undefined, () => {}]) {
      const { store } = await makeStore(t)
      const fill = await openFill(t, store, grown)
      const chunk = Buffer.alloc(7)
      for (let at = 0; at < BYTES.length; at += chunk.length) {
        const piece = chunk.subarray(0, BYTES.copy(chunk, 0, at))
        await fill.append(piece)
        t.same(piece, BYTES.subarray(at, at + piece.length), 'the chunk is not changed')
        chunk.fill('x')
      }
      await fill.flush()
      t.equal(await textAt(await openRead(t, fill), 0, 100), BYTES.toString())
      await becomesBlob(t, store, fill)
    }
  })

  t.test('fill: grown is called for every rise of contiguousBytes, up to all of it', async t => {
    const { store } = await makeStore(t)
    const blob = Buffer.alloc(3_000_000, 'a blob that fills every buffer more than once ')
    const seen: number[] = []
    const fill = await store.openFill(digestBy('sha256', blob), () => {
      seen.push(fill.contiguousBytes)
    })
    t.teardown(() => fill.discard())
    let at = 0
    for (const size of [1, 100, 16_384, 65_536, 300_000, 1_000_000, 16_384, 2_000_000]) {
      await fill.append(blob.subarray(at, at + size))
      at += size
    }
    await fill.flush()
    t.equal(fill.contiguousBytes, blob.length)
    t.equal(seen.at(-1), blob.length)
    t.same(
      seen,
      [...new Set(seen)].sort((a, b) => a - b),
    )
    fill.verify(blob.length)
    t.same(await fill.commit('kept'), { digest: fill.digest, sizeBytes: blob.length })
    t.ok(Buffer.from((await store.readVerified(fill.digest)) ?? []).equals(blob))
  })

  t.test('fill: what was appended is seen without another call', async t => {
    const { store } = await makeStore(t)
    const { promise, resolve } = Promise.withResolvers<void>()
    const fill = await openFill(t, store, resolve)
    await fill.append(BYTES)
    await promise
    t.equal(fill.contiguousBytes, BYTES.length)
  })

  t.test(
    'openFill: a second fill of the digest is refused as busy until the first ends',
    async t => {
      const { store } = await makeStore(t)
      const first = await openFill(t, store)
      await rejects(t, store.openFill(DIGEST), 'busy')
      const other = await store.openFill(OTHER_DIGEST)
      await other.discard()
      await first.append(BYTES)
      await first.park()
      const second = await store.openFill(DIGEST)
      await second.discard()
      const third = await store.openFill(DIGEST)
      await third.append(BYTES)
      third.verify(BYTES.length)
      await third.commit('cached')
      const fourth = await store.openFill(DIGEST)
      await fourth.discard()
      t.ok(await store.find(DIGEST), 'the whole blob is another file')
    },
  )
}

export function endingsOfFills(t: Test, makeStore: MakeStore): void {
  t.test('commit: the verified blob is here, the part is not, readers go on', async t => {
    for (const contentClass of ['cached', 'kept'] as const) {
      const { store } = await makeStore(t)
      const fill = await openFill(t, store)
      await fill.expect(EXPECTATION)
      await fill.append(BYTES)
      const reader = await openRead(t, fill)
      fill.verify(BYTES.length)
      t.same(await fill.commit(contentClass), { digest: DIGEST, sizeBytes: BYTES.length })
      t.same(await store.find(DIGEST), { digest: DIGEST, sizeBytes: BYTES.length })
      t.equal(text(await store.readVerified(DIGEST)), BYTES.toString())
      t.same(await partsLeft(store), [])
      t.equal(await textAt(reader, 4, 5), 'bytes')
      await store.remove(DIGEST)
      t.equal(await textAt(reader, 4, 5), 'bytes')
    }
  })

  t.test('commit: replaces what is there already, right or rotten', async t => {
    const { store, damage } = await makeStore(t)
    const fill = await openFill(t, store)
    await fill.append(BYTES)
    await store.put(DIGEST, BYTES, 'kept')
    await damage(DIGEST, flipped(BYTES))
    fill.verify(BYTES.length)
    await fill.commit('kept')
    t.equal(text(await store.readVerified(DIGEST)), BYTES.toString())
  })

  t.test(
    'verify: a wrong length and wrong bytes are corrupt, and nothing is published',
    async t => {
      const { store } = await makeStore(t)
      const wrong = await openFill(t, store)
      await wrong.append(flipped(BYTES))
      corrupt(t, wrong, BYTES.length)
      corrupt(t, wrong, BYTES.length + 1)
      await t.rejects(wrong.commit('cached'))
      t.equal(await store.find(DIGEST), undefined)
      await wrong.discard()
      const fill = await openFill(t, store)
      t.equal(fill.contiguousBytes, 0)
      await fill.append(BYTES)
      corrupt(t, fill, BYTES.length - 1)
      await becomesBlob(t, store, fill)
    },
  )

  t.test('verify: bytes that come after it have to be verified again', async t => {
    const { store } = await makeStore(t)
    const fill = await openFill(t, store)
    await fill.append(BYTES)
    fill.verify(BYTES.length)
    await fill.append(OTHER)
    await t.rejects(fill.commit('cached'))
    t.equal(await store.find(DIGEST), undefined)
  })

  t.test('commit: a blob without bytes is a blob', async t => {
    const { store } = await makeStore(t)
    const fill = await store.openFill(digestBy('sha256', Buffer.alloc(0)))
    fill.verify(0)
    t.same(await fill.commit('kept'), { digest: fill.digest, sizeBytes: 0 })
    t.same(await listed(store), [fill.digest])
  })

  t.test('discard: nothing is left, readers go on, and again it has no effect', async t => {
    const { store } = await makeStore(t)
    const fill = await openFill(t, store)
    await fill.expect(EXPECTATION)
    await fill.append(BYTES)
    const reader = await openRead(t, fill)
    await fill.discard()
    t.same(await partsLeft(store), [])
    t.notOk(store.mayResume(DIGEST))
    t.equal(await textAt(reader, 4, 5), 'bytes')
    const next = await openFill(t, store)
    await fill.discard()
    await fill.park()
    t.equal(next.contiguousBytes, 0)
    await rejects(t, store.openFill(DIGEST), 'busy')
  })

  t.test('fill: after its end the writer can do nothing more', async t => {
    const { store } = await makeStore(t)
    const fill = await openFill(t, store)
    await fill.append(BYTES)
    fill.verify(BYTES.length)
    await fill.commit('cached')
    await t.rejects(fill.append(BYTES))
    await t.rejects(fill.flush())
    await t.rejects(fill.openRead())
    await t.rejects(fill.commit('cached'))
    t.ok(await store.find(DIGEST))
  })

  t.test('openRead: a reader that came just before the end is not lost', async t => {
    for (const end of ['commit', 'discard', 'park'] as const) {
      const { store } = await makeStore(t)
      const fill = await openFill(t, store)
      await fill.append(BYTES)
      fill.verify(BYTES.length)
      const opening = fill.openRead()
      await (end === 'commit' ? fill.commit('cached') : fill[end]())
      const reader = await opening
      t.equal(await textAt(reader, 4, 5), 'bytes', end)
      await reader.close()
    }
  })
}

export function resuming(t: Test, makeStore: MakeStore): void {
  t.test('R86: a parked part is resumed by the next process, hashed again', async t => {
    const { store, reopen } = await makeStore(t)
    const fill = await openFill(t, store)
    await fill.expect(EXPECTATION)
    await fill.append(BYTES.subarray(0, 20))
    await fill.park()
    t.same(await partsLeft(store), [DIGEST])
    t.ok(store.mayResume(DIGEST))
    t.notOk(store.mayResume(OTHER_DIGEST))
    const next = await reopen()
    t.ok(next.mayResume(DIGEST))
    await finishResumed(t, next, 20)
    t.notOk(next.mayResume(DIGEST), 'the blob is whole')
  })

  t.test('R86: a part of a killed process is resumed by the next one', async t => {
    const { store, reopen } = await makeStore(t)
    const fill = await openFill(t, store)
    await fill.expect(EXPECTATION)
    await fill.append(BYTES.subarray(0, 20))
    await finishResumed(t, await reopen(), 20)
  })

  t.test('R86: a part that is parked is resumed by the same process, too', async t => {
    const { store } = await makeStore(t)
    const fill = await openFill(t, store, () => {})
    await fill.expect(EXPECTATION)
    await fill.append(BYTES.subarray(0, 20))
    await fill.park()
    await finishResumed(t, store, 20)
  })

  t.test('R86: a part whose bytes were wrong is found out, and starts over', async t => {
    const { store, reopen } = await makeStore(t)
    const fill = await openFill(t, store)
    await fill.expect(EXPECTATION)
    await fill.append(flipped(BYTES).subarray(0, 20))
    await fill.park()
    const second = await reopen()
    const resumed = await openFill(t, second)
    await resumed.append(BYTES.subarray(20))
    corrupt(t, resumed, BYTES.length)
    await resumed.discard()
    const again = await openFill(t, second)
    t.equal(again.expected, undefined)
    await again.append(BYTES)
    await becomesBlob(t, second, again)
  })

  t.test(
    'R276: removeParts: takes what is left of fills and no open one, and what it took is free',
    async t => {
      const { store, reopen, shortPartBytes } = await makeStore(t)
      const takenBytes = shortPartBytes(9)
      const open = await store.openFill(OTHER_DIGEST)
      t.teardown(() => open.discard())
      const fill = await store.openFill(DIGEST)
      await fill.append(BYTES.subarray(0, 9))
      t.equal(store.partsBytes, 0, 'open fills are counted by who runs them')
      await fill.park()
      t.equal(store.partsBytes, takenBytes)
      const opening = store.openFill(DIGEST)
      t.equal(store.partsBytes, takenBytes, 'until whoever runs it can count it')
      t.same(await partsLeft(store), [], 'but nobody may take it away')
      await (await opening).park()
      t.equal(store.partsBytes, takenBytes)
      await store.removeParts(DAY_MS)
      t.equal(store.partsBytes, takenBytes, 'no part that has grown since')
      await store.removeParts(0)
      t.equal(store.partsBytes, 0)
      t.same(await partsLeft(store), [])
      t.notOk(store.mayResume(DIGEST))
      const again = await store.openFill(DIGEST)
      t.equal(again.contiguousBytes, 0)
      await again.discard()
      await open.append(OTHER)
      open.verify(OTHER.length)
      await open.commit('cached')
      t.ok(await store.find(OTHER_DIGEST))
      const left = await store.openFill(DIGEST)
      await left.append(BYTES.subarray(0, 9))
      await left.park()
      t.equal((await reopen()).partsBytes, takenBytes, 'also of an earlier process')
    },
  )

  t.test('R276: removePart: takes the one that is named, and none that is open', async t => {
    const { store, shortPartBytes } = await makeStore(t)
    const open = await store.openFill(OTHER_DIGEST)
    t.teardown(() => open.discard())
    await open.append(OTHER)
    const fill = await store.openFill(DIGEST)
    await fill.expect({ ...EXPECTATION, source: 'registry.example' })
    await fill.append(BYTES.subarray(0, 9))
    await fill.park()
    t.match(await store.describeParts(), [
      { digest: DIGEST, takenBytes: shortPartBytes(9), source: 'registry.example' },
    ])
    t.equal(await store.removePart(OTHER_DIGEST), false)
    t.equal(await store.removePart(DIGEST), true)
    t.equal(await store.removePart(DIGEST), false)
    t.equal(store.partsBytes, 0)
    t.same(await store.describeParts(), [])
    t.notOk(store.mayResume(DIGEST))
    open.verify(OTHER.length)
    await open.commit('cached')
    t.ok(await store.find(OTHER_DIGEST))
  })

  t.test(
    'describeParts: names what may be resumed, and neither open fills nor empty parts',
    async t => {
      const { store } = await makeStore(t)
      t.same(await partsLeft(store), [])
      const fill = await openFill(t, store)
      await fill.append(BYTES.subarray(0, 20))
      const empty = await store.openFill(OTHER_DIGEST)
      await empty.expect(EXPECTATION)
      t.same(await partsLeft(store), [])
      await fill.park()
      await empty.park()
      t.same(await partsLeft(store), [DIGEST])
    },
  )
}
