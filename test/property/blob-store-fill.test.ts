// Goal: whatever a writer does and wherever its process dies, a fill's file holds exactly the bytes
// that were appended, and a blob only ever appears whole and right. Method: random steps against
// the store and, beside it, a model that is one number.
import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import t from 'tap'
import { seeding } from '../kit/arbitraries.ts'
import type { FillFile } from '../../src/registry/ports/blob-store-fills.ts'
import { digestBy, sharedStoreDirectory } from '../kit/disk/store-directory.ts'

const BLOB = Buffer.from(Array.from({ length: 900_000 }, (_, index) => (index * 7919) >> 5))
const DIGEST = digestBy('sha256', BLOB)
const RUNS = 60
const STEPS = 14

type Step =
  | { readonly kind: 'append'; readonly bytes: number }
  | { readonly kind: 'ahead'; readonly gap: number; readonly bytes: number }
  | { readonly kind: 'flush' | 'expect' | 'park' | 'discard' | 'kill' | 'reboot' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('append' as const), bytes: fc.nat(400_000) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('ahead' as const),
      gap: fc.nat(100_000),
      bytes: fc.nat(400_000),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'flush' as const,
        'expect' as const,
        'park' as const,
        'discard' as const,
        'kill' as const,
        'reboot' as const,
      ),
    }),
  },
)

t.test('R86: a fill resumes right bytes after any history, and ends in the right blob', async t => {
  const emptyDirectory = sharedStoreDirectory(t)

  async function history(steps: readonly Step[], buffered: boolean): Promise<void> {
    const opened: FillFile[] = []
    try {
      await live(steps, buffered, opened)
    } finally {
      // Descriptors of the fills that were "killed"; their files are gone.
      for (const killed of opened) await killed.discard()
    }
  }

  async function live(steps: readonly Step[], buffered: boolean, opened: FillFile[]) {
    const directory = await emptyDirectory()
    let boot = 0
    let fill = await open()

    async function open(): Promise<FillFile> {
      const store = await directory.open(`boot ${boot}`)
      const next = await store.openFill(DIGEST, buffered ? () => {} : undefined)
      opened.push(next)
      return next
    }

    /** What the model says: bytes are a prefix of the blob, as many as were flushed at least. */
    async function checkPrefix(atLeastBytes: number, atMostBytes: number): Promise<void> {
      const { contiguousBytes } = fill
      if (contiguousBytes < atLeastBytes || contiguousBytes > atMostBytes) {
        throw new Error(`${contiguousBytes} bytes, not ${atLeastBytes} to ${atMostBytes}`)
      }
      const file = await readFile(directory.partPath(DIGEST))
      const onDisk = ahead.length === 0 ? file : file.subarray(0, contiguousBytes)
      if (!onDisk.equals(BLOB.subarray(0, contiguousBytes))) throw new Error('other bytes')
    }

    let appended = 0
    /** First and end of what lies behind a gap. */
    let ahead: { readonly first: number; readonly end: number }[] = []
    /** What the sidecar says of a part with holes, at least; undefined while there are none. */
    let sparse: number | undefined
    let recorded = false
    let durable = 0

    function closeGap(at: number): void {
      appended = at
      const next = ahead.find(({ first }) => first === appended)
      if (next === undefined) return
      ahead = ahead.filter(each => each !== next)
      closeGap(next.end)
    }

    function forgotten(bytes: number): void {
      appended = bytes
      ahead = []
      sparse = undefined
    }

    for (const next of steps) {
      switch (next.kind) {
        case 'append': {
          const gapEnd = Math.min(BLOB.length, ...ahead.map(({ first }) => first))
          const end = Math.min(gapEnd, appended + next.bytes)
          const chunk = Buffer.from(BLOB.subarray(appended, end))
          if (fill.appendedBytes !== appended) await fill.flush()
          await fill.append(chunk)
          chunk.fill(0)
          closeGap(end)
          break
        }
        case 'ahead': {
          await fill.flush()
          const first = Math.max(appended, ...ahead.map(({ end }) => end)) + next.gap
          const end = Math.min(BLOB.length, first + next.bytes)
          if (end <= first) break
          const chunk = Buffer.from(BLOB.subarray(first, end))
          await fill.writeAhead(first, [chunk.subarray(0, 7), chunk.subarray(7)])
          chunk.fill(0)
          sparse ??= appended
          recorded = true
          ahead.push({ first, end })
          closeGap(appended)
          break
        }
        case 'flush':
          await fill.flush()
          await checkPrefix(appended, appended)
          break
        case 'expect':
          await fill.expect({ sizeBytes: BLOB.length, validator: undefined })
          recorded = true
          break
        case 'park':
          await fill.park()
          fill = await open()
          forgotten(appended)
          await checkPrefix(appended, appended)
          recorded = recorded || appended > 0
          durable = appended
          break
        case 'discard':
          await fill.discard()
          fill = await open()
          forgotten(0)
          await checkPrefix(0, 0)
          recorded = false
          durable = 0
          break
        case 'kill': {
          await fill.flush()
          fill = await open()
          const atLeast = sparse ?? appended
          const atMost = appended
          forgotten(appended)
          await checkPrefix(recorded ? atLeast : 0, recorded ? atMost : 0)
          appended = fill.contiguousBytes
          recorded = appended > 0
          durable = Math.min(durable, appended)
          break
        }
        case 'reboot':
          await fill.flush()
          boot += 1
          fill = await open()
          forgotten(appended)
          await checkPrefix(durable, durable)
          appended = fill.contiguousBytes
          // The sidecar is of the boot before until it is written again.
          recorded = false
          durable = appended
          break
      }
      if (next.kind === 'kill' || next.kind === 'reboot') {
        await fill.expect({ sizeBytes: BLOB.length, validator: undefined })
        recorded = true
      }
    }
    await fill.flush()
    for (const { first } of [...ahead].sort((a, b) => a.first - b.first)) {
      await fill.append(BLOB.subarray(appended, first))
      await fill.flush()
      closeGap(first)
    }
    await fill.append(BLOB.subarray(appended))
    await fill.flush()
    fill.verify(BLOB.length)
    await fill.commit('cached')
    const files = await directory.files()
    if (files.length !== 1) throw new Error(`left over: ${files.join(', ')}`)
    if (!(await readFile(directory.blobPath(DIGEST))).equals(BLOB)) throw new Error('a wrong blob')
  }

  const histories = fc.array(step, { maxLength: STEPS })
  const holds = fc.asyncProperty(histories, fc.boolean(), history)
  // The message of fast-check has the seed and the shortest history that fails. No time limit: it
  // would leave a history running.
  await fc.assert(holds, { ...seeding(), numRuns: RUNS })
  t.pass(`${RUNS} histories`)
})
