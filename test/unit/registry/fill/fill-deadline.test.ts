// Goal: a fill has the time that the blob's believed length takes, whatever the first answer said
// of that. Method: the engine over in-memory twins, a manual clock, and an upstream that sends a
// piece when the test says so.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import { UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { blobAnswer, createEngine, readAll, repositoryOf } from '../../../kit/engine.ts'

const MIB = 1024 * 1024
const MINUTE_MS = 60_000
/** At the slowest speed that is waited for this takes 34 minutes, and 15 more are given. */
const COUNT = 32
const bytes = Buffer.alloc(COUNT * MIB, 'a blob that takes its time ')
const digest = digestOf(bytes)
const repository = repositoryOf('library/app')
const pieces = (offset = 0) =>
  Array.from({ length: COUNT - offset / MIB }, (_, n) => {
    return bytes.subarray(offset + n * MIB, offset + (n + 1) * MIB)
  })

async function* broken(piece: Uint8Array) {
  yield Uint8Array.from(piece)
  throw new UpstreamError('unavailable', 'the connection was reset')
}

t.test('a fill whose length is said late has the time that it takes', async t => {
  let next = Promise.withResolvers<void>()
  let asked = 0
  const { registry, clock, events } = createEngine({
    upstream: {
      getBlob: async (_name, _digest, { offset }) => {
        asked += 1
        if (asked > 1)
          return blobAnswer(
            pieces(offset),
            { offset, totalBytes: bytes.length },
            () => next.promise,
          )
        return { ...blobAnswer([]), totalBytes: undefined, body: broken(bytes.subarray(0, MIB)) }
      },
    },
  })
  const read = registry.pullBlob(repository, digest).then(readAll)
  for (let minute = 0; minute < COUNT; minute += 1) {
    await clock.advance(MINUTE_MS)
    next.resolve()
    next = Promise.withResolvers()
  }
  t.ok((await read).equals(bytes))
  await registry.settled(digest)
  t.match(
    events.filter(({ kind }) => kind === 'fill ended'),
    [{ outcome: 'stored' }],
  )
})

t.test('a length that was not believed gives a silent fill no time', async t => {
  let asked = 0
  const { registry, clock, events } = createEngine({
    upstream: {
      getBlob: async (_name, _digest, { offset }, { signal } = {}) => {
        asked += 1
        if (asked === 1)
          return {
            ...blobAnswer([]),
            totalBytes: bytes.length,
            body: broken(bytes.subarray(0, MIB)),
          }
        if (asked <= 7) throw new UpstreamError('unavailable', 'nobody is there')
        // Another part than was asked for, of something that is larger than any disk.
        if (asked === 8)
          return blobAnswer([bytes], { offset: 1, totalBytes: Number.MAX_SAFE_INTEGER })
        const silent = () =>
          new Promise<void>((_, reject) =>
            signal?.addEventListener('abort', () => reject(signal.reason)),
          )
        return blobAnswer(pieces(offset), { offset, totalBytes: bytes.length }, silent)
      },
    },
  })
  const ends = () => events.flatMap(each => (each.kind === 'fill ended' ? [each] : []))
  for (const times of [1, 2]) {
    const read = registry.pullBlob(repository, digest).then(readAll)
    read.catch(() => {})
    for (let minute = 0; minute < 60 && ends().length < times; minute += 1)
      await clock.advance(MINUTE_MS)
    t.equal(ends().length, times)
  }
  t.equal(asked, 9)
  t.match(ends()[1], { outcome: 'abandoned', reason: /deadline/, hint: String })
})
