// Clients that stand still while they are sent a blob: one look at all of them, for two rules. Who
// takes next to nothing while others wait for a place gives theirs up, and goes on with a range;
// while nobody waits, nobody is cut for this: memory for all places is there. And who takes nothing
// of what the kernel sends is cut after minutes, whoever waits; of what node writes its own timer
// sees that (client-flow.ts), to the byte.
import type { Clock } from '../../registry/ports/clock.ts'
import { STALLED_READER_MS } from '../limits.ts'
import type { FileSending } from './sendfile.ts'

/**
 * So much a reader must take in the time below, while others wait: whoever takes less holds a
 * place, and a slow modem takes more.
 */
export const LEAST_WHILE_OTHERS_WAIT_BYTES = 64 * 1024
/**
 * How long a reader may take less than that while others wait. A client that writes to a slow disk
 * pauses for less; and half of the time that others wait at most, so that they still get the place.
 */
export const STALLED_WHILE_OTHERS_WAIT_MS = 10_000
/** Within this share of STALLED_READER_MS it is noticed that nothing moves. */
const STILL_LOOKS = 5

export interface Reader {
  /** Bytes of the body that the client has taken, or undefined while none wait for it. */
  taken(): number | undefined
  /** Where its bytes are sent by the kernel, which node's timer knows nothing of. */
  readonly kernel?: Pick<FileSending, 'isBusy' | 'sentBytes'> | undefined
  /** Ends the connection; `why`, where it is to be told as a failure. Called once at most. */
  cut(why?: Error): void
}

export interface StalledReaders {
  /** @returns ends the watching; to be called when the body is over */
  watch(reader: Reader): () => void
  /** Others wait, so many. Cuts no more than that, the longest stalled first. */
  othersWait(waiting: number): void
}

interface Seen {
  bytes: number | undefined
  /** Since when it has taken no more than that and a little. */
  sinceMs: number
  /** What the kernel had sent at the last look, and at how many looks in a row nothing more. */
  kernelBytes: number
  stillLooks: number
}

export interface StalledOptions {
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>
  /** Somebody was cut for those who wait. */
  readonly noteCut: () => void
}

export function createStalledReaders({ clock, noteCut }: StalledOptions): StalledReaders {
  const readers = new Map<Reader, Seen>()
  let lookedAtMs = 0
  let isLooking = false

  function cut(reader: Reader, why?: Error): void {
    readers.delete(reader)
    reader.cut(why)
  }

  /** Now and then, and not while the kernel sends nothing. */
  async function lookOnAndOn(): Promise<void> {
    isLooking = true
    while ([...readers.keys()].some(({ kernel }) => kernel !== undefined)) {
      await clock.sleep(STALLED_READER_MS / STILL_LOOKS)
      for (const [reader, seen] of readers) if (isStill(reader, seen)) cut(reader)
    }
    isLooking = false
  }

  function findStalled(nowMs: number): (readonly [Reader, Seen])[] {
    const stalled: (readonly [Reader, Seen])[] = []
    // Nobody waited meanwhile: how fast it took what it took is not known.
    const isAnew = nowMs - lookedAtMs >= STALLED_WHILE_OTHERS_WAIT_MS
    lookedAtMs = nowMs
    for (const [reader, seen] of readers) {
      const bytes = reader.taken()
      if (isMoving(bytes, seen.bytes) || (isAnew && bytes !== seen.bytes)) {
        seen.bytes = bytes
        seen.sinceMs = nowMs
      } else if (nowMs - seen.sinceMs >= STALLED_WHILE_OTHERS_WAIT_MS) {
        stalled.push([reader, seen])
      }
    }
    return stalled
  }

  return {
    watch(reader) {
      const sinceMs = clock.monotonicMs()
      readers.set(reader, { bytes: undefined, sinceMs, kernelBytes: -1, stillLooks: 0 })
      if (reader.kernel !== undefined && !isLooking) void lookOnAndOn()
      return () => readers.delete(reader)
    },
    othersWait(waiting) {
      const stalled = findStalled(clock.monotonicMs())
      stalled.sort(([, a], [, b]) => a.sinceMs - b.sinceMs)
      for (const [reader] of stalled.slice(0, waiting)) {
        cut(reader, new Error(TOOK_NOTHING))
        noteCut()
      }
    },
  }
}

const TOOK_NOTHING = 'the client took nothing for a while, and others waited for its place'

/** Less than before: it is another answer's count. */
function isMoving(bytes: number | undefined, before: number | undefined): boolean {
  if (bytes === undefined || before === undefined || bytes < before) return true
  return bytes - before >= LEAST_WHILE_OTHERS_WAIT_BYTES
}

/** Has the client taken nothing of what the kernel sends for STALLED_READER_MS? */
function isStill({ kernel }: Reader, seen: Seen): boolean {
  if (kernel === undefined) return false
  const { isBusy, sentBytes } = kernel
  seen.stillLooks = isBusy && sentBytes === seen.kernelBytes ? seen.stillLooks + 1 : 0
  seen.kernelBytes = sentBytes
  return seen.stillLooks >= STILL_LOOKS
}
