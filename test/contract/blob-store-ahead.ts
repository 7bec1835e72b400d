// The part of the BlobStore contract that is about bytes which come before those in front of them:
// written ahead, taken in when the gap is closed, never believed before.
import type { Test } from 'tap'
import {
  becomesBlob,
  BYTES,
  corrupt,
  DIGEST,
  digestBy,
  EXPECTATION,
  finishResumed,
  flipped,
  type MakeStore,
  openFill,
  openRead,
  textAt,
} from './blob-store-samples.ts'
import { partsLeft } from '../kit/disk/parts-left.ts'

export function writingAhead(t: Test, makeStore: MakeStore): void {
  t.test('writeAhead: what lies behind a gap is not contiguous, and counts apart', async t => {
    const { store } = await makeStore(t)
    const fill = await openFill(t, store, () => {})
    await fill.append(BYTES.subarray(0, 5))
    await fill.writeAhead(20, [BYTES.subarray(20, 25), BYTES.subarray(25, 30)])
    await fill.writeAhead(40, [BYTES.subarray(40)])
    await fill.flush()
    t.equal(fill.contiguousBytes, 5)
    t.equal(fill.appendedBytes, 5)
    t.equal(fill.aheadBytes, 10 + BYTES.length - 40)
    corrupt(t, fill, BYTES.length)
  })

  t.test('writeAhead: pieces in any order make the blob, whoever closes the gaps', async t => {
    const orders = [
      [0, 1, 2, 3],
      [3, 2, 1, 0],
      [1, 3, 0, 2],
      [2, 0, 3, 1],
    ]
    const pieces = [0, 13, 26, 39].map(at => ({ at, bytes: BYTES.subarray(at, at + 13) }))
    pieces[3] = { at: 39, bytes: BYTES.subarray(39) }
    for (const order of orders) {
      const { store } = await makeStore(t)
      const seen: number[] = []
      const fill = await openFill(t, store, () => seen.push(fill.contiguousBytes))
      for (const index of order) {
        const { at, bytes } = pieces[index] ?? { at: 0, bytes: BYTES }
        await (at === fill.appendedBytes ? fill.append(bytes) : fill.writeAhead(at, [bytes]))
      }
      await fill.flush()
      t.equal(fill.contiguousBytes, BYTES.length)
      t.equal(fill.aheadBytes, 0)
      t.equal(seen.at(-1), BYTES.length, 'readers are told of what was taken in')
      t.same(
        seen,
        [...new Set(seen)].sort((a, b) => a - b),
      )
      t.equal(await textAt(await openRead(t, fill), 0, 100), BYTES.toString())
      await becomesBlob(t, store, fill)
    }
  })

  t.test('writeAhead: many at once beside appends, larger than any buffer', async t => {
    const { store } = await makeStore(t)
    const blob = Buffer.alloc(9_000_000, 'bytes that do not repeat where a buffer ends')
    const fill = await store.openFill(digestBy('sha256', blob), () => {})
    t.teardown(() => fill.discard())
    const step = 1_000_000
    const write = async (first: number) => {
      for (let at = first; at < first + step; ) {
        const bytes = blob.subarray(at, Math.min(at + 70_000, first + step))
        if (at === fill.appendedBytes) await fill.append(bytes)
        else await fill.writeAhead(at, [bytes.subarray(0, 10), bytes.subarray(10)])
        at += bytes.length
      }
    }
    await Promise.all(Array.from({ length: 9 }, (_, index) => write(index * step)))
    await fill.flush()
    t.equal(fill.contiguousBytes, blob.length)
    fill.verify(blob.length)
    await fill.commit('kept')
    t.ok(Buffer.from((await store.readVerified(fill.digest)) ?? []).equals(blob))
  })

  t.test('writeAhead: closes a gap while the append before it still runs', async t => {
    const blob = Buffer.alloc(2_000_000, 'bytes that do not repeat where a chunk ends')
    const appends = [
      // Larger than any buffer, and any at all where nobody reads along.
      { grown: () => {}, bytes: 300_000 },
      { grown: undefined, bytes: 60_000 },
    ]
    for (const { grown, bytes } of appends) {
      const { store } = await makeStore(t)
      const fill = await store.openFill(digestBy('sha256', blob), grown)
      t.teardown(() => fill.discard())
      const next = bytes + 1_000
      await fill.writeAhead(next, [blob.subarray(next)])
      await Promise.all([
        fill.append(blob.subarray(0, bytes)),
        fill.writeAhead(bytes, [blob.subarray(bytes, next)]),
      ])
      await fill.flush()
      fill.verify(blob.length)
      await fill.commit('cached')
      t.ok(Buffer.from((await store.readVerified(fill.digest)) ?? []).equals(blob))
    }
  })

  t.test('writeAhead: one wrong bit in what came ahead is corrupt, and not published', async t => {
    const { store } = await makeStore(t)
    const first = await openFill(t, store, () => {})
    await first.writeAhead(20, [BYTES.subarray(20)])
    await first.append(flipped(BYTES).subarray(0, 20))
    await first.flush()
    corrupt(t, first, BYTES.length)
    await first.discard()
    const fill = await openFill(t, store, () => {})
    t.equal(fill.aheadBytes, 0)
    await fill.writeAhead(3, [flipped(BYTES).subarray(3)])
    await fill.append(BYTES.subarray(0, 3))
    await fill.flush()
    corrupt(t, fill, BYTES.length)
    await fill.discard()
    t.equal(await store.find(DIGEST), undefined)
    t.same(await partsLeft(store), [])
  })

  t.test('R86: a park right after a gap was closed leaves what lay behind it', async t => {
    for (const grown of [undefined, () => {}]) {
      const { store, reopen } = await makeStore(t)
      const fill = await openFill(t, store, grown)
      await fill.expect(EXPECTATION)
      await fill.writeAhead(5, [BYTES.subarray(5, 20)])
      await fill.append(BYTES.subarray(0, 5))
      await fill.park()
      await finishResumed(t, await reopen(), 20)
    }
  })

  t.test('forgetAhead: the same bytes may come again, by append', async t => {
    const { store } = await makeStore(t)
    const fill = await openFill(t, store, () => {})
    await fill.append(BYTES.subarray(0, 5))
    await fill.writeAhead(20, [flipped(BYTES).subarray(20)])
    await fill.forgetAhead()
    t.equal(fill.aheadBytes, 0)
    t.equal(fill.contiguousBytes, 5)
    await fill.append(BYTES.subarray(5))
    await fill.flush()
    await becomesBlob(t, store, fill)
  })

  t.test('R86: a part with a hole is resumed before the hole, parked or killed', async t => {
    for (const end of ['park', 'kill'] as const) {
      const { store, reopen } = await makeStore(t)
      const fill = await openFill(t, store, () => {})
      await fill.expect(EXPECTATION)
      await fill.append(BYTES.subarray(0, 20))
      await fill.flush()
      await fill.writeAhead(30, [BYTES.subarray(30)])
      if (end === 'park') await fill.park()
      await finishResumed(t, await reopen(), 20)
    }
  })

  t.test('R86: a part that has only what is ahead is nothing', async t => {
    for (const end of ['park', 'kill'] as const) {
      const { store, reopen } = await makeStore(t)
      const fill = await openFill(t, store, () => {})
      await fill.expect(EXPECTATION)
      await fill.writeAhead(30, [BYTES.subarray(30)])
      if (end === 'park') await fill.park()
      const resumed = await openFill(t, await reopen())
      t.equal(resumed.contiguousBytes, 0)
      t.equal(resumed.aheadBytes, 0)
    }
  })
}
