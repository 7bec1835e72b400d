// Goal: what becomes of a range that its download gives up, and what that says about the upstream.
// Method: RangeRequest alone, over a stub registry that falls silent, with the real client between
// them.
import t from 'tap'
import { RangeRequest } from '../../../../src/registry/fill/range-request.ts'
import { FillProgress } from '../../../../src/registry/fill/fill-progress.ts'
import { ConcurrencyController } from '../../../../src/registry/fill/concurrency-controller.ts'
import { createMemoryDisk, createMemoryStore } from '../../../kit/memory/store.ts'
import { patternBlob } from '../../../kit/content.ts'
import { NAME, openUpstream } from '../../../kit/open-upstream.ts'
import { startStub } from '../../../kit/stubs/stub-registry.ts'

const BLOB = patternBlob('a range given up', 1024 * 1024)
const RANGE_BYTES = 100_000
/** More than open a breaker. */
const RANGES = 6

t.test('R93: ranges that are given up as too slow say nothing about the upstream', async t => {
  const stub = await startStub(t)
  stub.addBlob(NAME, BLOB)
  stub.fault({ kind: 'blob' }, { stallAt: 1_000 })
  const { upstream, clock } = openUpstream(t, stub.url)
  const file = await createMemoryStore(createMemoryDisk()).openFill(BLOB.digest)
  for (let index = 0; index < RANGES; index += 1) {
    const answered = Promise.withResolvers<void>()
    const first = index * RANGE_BYTES
    const request = new RangeRequest(
      { first, last: first + RANGE_BYTES - 1 },
      {
        file,
        room: { taking: () => undefined },
        progress: new FillProgress(),
        concurrency: new ConcurrencyController(clock, RANGES),
        clock,
        sizeBytes: BLOB.sizeBytes,
        signal: new AbortController().signal,
        ask: (range, signal) => upstream.getBlob(NAME, BLOB.digest, range, { signal }),
        validator: undefined,
        mayRead: async () => answered.resolve(),
        nearEnd: () => {},
      },
    )
    const ended = t.rejects(request.run(), { message: 'the range came too slowly' })
    await answered.promise
    request.abandon()
    await ended
  }
  t.match(upstream.health(), { breaker: 'closed', lastFailure: undefined })
})
