// Goal: what may wait unsent for a crowd of connections is bounded, whatever their number, and a
// few have as much as one wake-up takes. Method: the shares by number, and the sum of those that
// came one after the other. What the kernel makes of it is looked at in
// test/fault/heavy-stalled-readers.test.ts.
import t from 'tap'
import { unsentBytes } from '../../../src/http/send/unsent-limit.ts'

const MiB = 1024 * 1024

t.test('few have a mebibyte each, a crowd the least', async t => {
  t.same([1, 32, 64].map(unsentBytes), [MiB, MiB, MiB])
  t.equal(unsentBytes(128), MiB / 2)
  t.same([512, 16_384].map(unsentBytes), [MiB / 8, MiB / 8])
})

t.test('a thousand that came one after the other have 260 MiB', async t => {
  const sum = Array.from({ length: 1_000 }, (_, at) => unsentBytes(at + 1)).reduce((a, b) => a + b)
  t.ok(sum < 260 * MiB, String(sum))
})
