// Goal: pieces that are written ahead of a blob's beginning end where the kernel can keep them
// large, and no byte is lost or moved by it. Method: chunks of an odd size into a file that is an
// array.
import t from 'tap'
import { RangeSink } from '../../../../src/registry/fill/range-sink.ts'
import type { FillFile } from '../../../../src/registry/ports/blob-store-fills.ts'

const MULTIPLE = 256 * 1024

t.test('what goes ahead ends at multiples of 256 KiB in the blob, whole and in order', async t => {
  for (const first of [MULTIPLE, 63_001, 5 * MULTIPLE - 1]) {
    const blob = Buffer.alloc(first + 2_000_000)
    for (let at = 0; at < blob.length; at += 1) blob[at] = at % 251
    const written = Buffer.alloc(blob.length)
    const ends: number[] = []
    const file = {
      appendedBytes: 0,
      async writeAhead(position: number, chunks: readonly Uint8Array[]) {
        let at = position
        for (const chunk of chunks) {
          written.set(chunk, at)
          at += chunk.length
        }
        ends.push(at)
      },
    } as unknown as FillFile
    const sink = new RangeSink(file, { begin: async () => {} }, first)
    for (let at = first; at < blob.length; at += 65_000) {
      // As the network brings them: each is memory of its own.
      await sink.put(new Uint8Array(blob.subarray(at, Math.min(at + 65_000, blob.length))))
    }
    await sink.end()
    t.ok(written.subarray(first).equals(blob.subarray(first)))
    t.equal(ends.at(-1), blob.length)
    t.ok(ends.length > 5)
    t.same(
      ends.slice(0, -1).filter(end => end % MULTIPLE !== 0),
      [],
    )
  }
})
