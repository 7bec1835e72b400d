// A client's wait for a fill that has no place yet. Where a verified manifest told the length, the
// answer's head goes out and the body follows in its turn: clients give up on a head after half a
// minute and on a quiet body much later. Where nobody knows the length there is no head to send,
// and the client is told to come back.
import { LATE, within } from '../../async/within.ts'
import type { Repository } from '../../oci/reference.ts'
import type { BlobAnswer, BlobHead } from '../answers.ts'
import { noteStorage } from '../best-effort.ts'
import type { Fill } from './fill.ts'
import type { Clock } from '../ports/clock.ts'
import type { NoteEvent } from '../ports/events.ts'
import { UpstreamError } from '../ports/upstream.ts'
import type { BufferPool } from './buffer-pool.ts'
import { QueueError } from '../refusals/queue-error.ts'
import { unlessAborted } from '../../async/aborting.ts'
import { eachWithClientErrors } from '../refusals/upstream-failure.ts'

/**
 * Clients give up on an answer's head after 30 s; before that they are told to come back. The fill
 * keeps its place meanwhile.
 */
const LONGEST_WAIT_FOR_HEAD_MS = 25_000

/**
 * The blob's length, or undefined when the fill failed before anybody knew it.
 * @throws QueueError when its turn did not come in time
 */
export async function sizeInTime(fill: Fill, clock: Clock): Promise<number | undefined> {
  const sized = fill.progress.whenSized.catch(() => undefined)
  if (!fill.isQueued) return sized
  const sizeBytes = await within(clock, LONGEST_WAIT_FOR_HEAD_MS, sized)
  if (sizeBytes === LATE) throw new QueueError()
  return sizeBytes
}

export interface QueuedAnswer {
  readonly repository: Repository
  /** The length is what a verified manifest of this repository says. */
  readonly head: BlobHead
  /** The answer that comes once the fill has its place. Closed in here. */
  readonly coming: Promise<BlobAnswer>
  readonly buffers: BufferPool
  readonly note: NoteEvent
}

/**
 * The answer whose head is known before its body may be asked for. Reading it throws what `coming`
 * rejects with.
 */
export function queuedAnswer({
  repository,
  head,
  coming,
  buffers,
  note,
}: QueuedAnswer): BlobAnswer {
  let answer: BlobAnswer | undefined
  let isClosed = false
  coming.then(
    there => {
      answer = there
      // Its client has left.
      if (isClosed) there.close().catch((error: unknown) => noteStorage(note, error))
    },
    // Told to whoever reads.
    () => {},
  )
  return {
    ...head,
    file: undefined,
    read: (range, signal, from) =>
      eachWithClientErrors(
        repository,
        'BLOB_UNKNOWN',
        (async function* () {
          const there = await unlessAborted(coming, signal)
          if (there.sizeBytes !== head.sizeBytes) throw otherLength(there, head)
          yield* there.read(range, signal, from)
        })(),
      ),
    giveBack: chunk => buffers.giveBack(chunk),
    close: async () => {
      isClosed = true
      await answer?.close()
    },
  }
}

function otherLength(there: BlobHead, head: BlobHead): UpstreamError {
  return new UpstreamError(
    'invalid',
    `the blob has ${there.sizeBytes} bytes, the manifest says ${head.sizeBytes}`,
  )
}
