// Goal: a download by ranges that has filled its window goes on as soon as the disk has taken it
// in, and ends where it never does. Method: RangedDownload alone, over a real directory, with an
// upstream whose bytes are there at once but for one that is held back.
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import { FillProgress } from '../../../../src/registry/fill/fill-progress.ts'
import { Attempts } from '../../../../src/registry/fill/fill-rules.ts'
import {
  type ConnectionClaim,
  ConnectionBudget,
} from '../../../../src/registry/fill/connection-budget.ts'
import { RangedDownload } from '../../../../src/registry/fill/ranged-download.ts'
import { ConcurrencyController } from '../../../../src/registry/fill/concurrency-controller.ts'
import type { FillFile } from '../../../../src/registry/ports/blob-store-fills.ts'
import type { BlobRequest, UpstreamBlob } from '../../../../src/registry/ports/upstream-content.ts'
import { askedTwiceOrNever } from '../../../kit/clients/herd.ts'
import { createManualClock } from '../../../kit/manual-clock.ts'
import { storeDirectory } from '../../../kit/disk/store-directory.ts'

const MiB = 1024 * 1024
const WINDOW_BYTES = 64 * MiB
const FIRST_BYTES = 4 * MiB
const PIECE_BYTES = 64 * 1024
const CONNECTIONS = 8
const BYTES = Buffer.alloc(FIRST_BYTES + WINDOW_BYTES + FIRST_BYTES)
for (let at = 0; at < BYTES.length; at += 4096) BYTES.writeUInt32LE(at, at)
const DIGEST = digestOf(BYTES)
const signal = new AbortController().signal

/**
 * One that has found out already that so many connections pay. Its clock stands still afterwards.
 */
async function widened(): Promise<{
  concurrency: ConcurrencyController
  clock: ReturnType<typeof createManualClock>
}> {
  const clock = createManualClock()
  const concurrency = new ConcurrencyController(clock, CONNECTIONS)
  const leave = concurrency.join(() => {})
  let reading = 0
  while (concurrency.limit < CONNECTIONS) {
    for (; reading < concurrency.limit; reading += 1) concurrency.tryAcquire(reading === 0)
    concurrency.received(100_000 * concurrency.limit)
    await clock.advance(10)
  }
  for (; reading > 0; reading -= 1) concurrency.release()
  leave()
  return { concurrency, clock }
}

/** The first range's last byte comes when `held` resolves. */
async function begin(file: FillFile, held: Promise<void>) {
  const { concurrency, clock } = await widened()
  const connections = new ConnectionBudget(2 * CONNECTIONS)
  const claim: ConnectionClaim = {
    sizeBytes: BYTES.length,
    isSpeculative: () => false,
    wantsMore: () => true,
    wake: () => concurrency.wakeAll(),
  }
  await connections.acquire(claim, signal)
  const asked: [number, number][] = []

  async function* body(first: number, last: number) {
    for (let at = first; at <= last; ) {
      const isHeld = first === 0 && at === last
      if (isHeld) await held
      // Its last byte comes alone.
      const stop = first === 0 && at < last ? last : last + 1
      const end = Math.min(stop, at + PIECE_BYTES)
      yield Uint8Array.from(BYTES.subarray(at, end))
      at = end
    }
  }

  const ask = async ({ offset, lastByte }: BlobRequest): Promise<UpstreamBlob> => {
    const last = lastByte ?? BYTES.length - 1
    asked.push([offset, last])
    const totalBytes = BYTES.length
    return { offset, lastByte: last, totalBytes, validator: undefined, body: body(offset, last) }
  }

  const first = await ask({ offset: 0, lastByte: FIRST_BYTES - 1 })
  const download = new RangedDownload(
    {
      file,
      room: { taking: () => undefined },
      progress: new FillProgress(),
      sizeBytes: BYTES.length,
      connections,
      concurrency,
      claim,
      clock,
      signal,
      attempts: new Attempts(clock),
      validator: undefined,
      ask,
    },
    FIRST_BYTES,
  )
  return { ended: download.run(first), asked }
}

t.test('a window that is full and still being hashed is waited for, and moves on', async t => {
  const store = await storeDirectory(t).open()
  const file = await store.openFill(DIGEST, () => {})
  t.teardown(() => file.discard())
  const held = Promise.withResolvers<void>()
  const { ended, asked } = await begin(file, held.promise)
  const aheadEnd = () => FIRST_BYTES + file.aheadBytes
  while (aheadEnd() < FIRST_BYTES + WINDOW_BYTES || aheadEnd() <= Math.max(...asked.map(last))) {
    await turn()
  }
  t.equal(file.appendedBytes, FIRST_BYTES - 1, 'one byte lacks, before all of the window')
  held.resolve()
  t.equal(await ended, true)
  t.same(askedTwiceOrNever(asked, BYTES.length), { twiceBytes: 0, neverBytes: 0 })
  file.verify(BYTES.length)
  await file.commit('cached')
  t.match(await store.find(DIGEST), { sizeBytes: BYTES.length })
})

t.test('a file that never takes the window in ends the download, with an error', async t => {
  const swallowing: FillFile = {
    digest: DIGEST,
    contiguousBytes: 0,
    appendedBytes: 0,
    aheadBytes: 0,
    expected: undefined,
    expect: async () => {},
    append: async () => {},
    writeAhead: async () => {},
    forgetAhead: async () => {},
    flush: async () => {},
    verify: () => {},
    commit: () => Promise.reject(new Error('there is nothing')),
    park: async () => {},
    discard: async () => {},
    openRead: () => Promise.reject(new Error('there is nothing')),
  }
  const { ended } = await begin(swallowing, Promise.resolve())
  await t.rejects(ended, { message: 'a full window was not taken in' })
})

function last([, end]: [number, number]): number {
  return end
}
