// Readers that take next to nothing while others wait for a place: after a while theirs is given
// away, and their connection ends. Clients go on where they were with a range. While nobody waits,
// nobody is cut for this: memory for all places is there.

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

export interface Reader {
  /** Bytes of the body that the client has taken, or undefined while none wait for it. */
  taken(): number | undefined
  /** Ends the connection. Called once at most. */
  cut(): void
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
}

export interface StalledOptions {
  readonly monotonicMs: () => number
  readonly noteCut: () => void
}

export function createStalledReaders({ monotonicMs, noteCut }: StalledOptions): StalledReaders {
  const readers = new Map<Reader, Seen>()
  let lookedAtMs = 0

  function look(nowMs: number): (readonly [Reader, Seen])[] {
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
      readers.set(reader, { bytes: undefined, sinceMs: monotonicMs() })
      return () => readers.delete(reader)
    },
    othersWait(waiting) {
      const stalled = look(monotonicMs())
      stalled.sort(([, a], [, b]) => a.sinceMs - b.sinceMs)
      for (const [reader] of stalled.slice(0, waiting)) {
        readers.delete(reader)
        reader.cut()
        noteCut()
      }
    },
  }
}

/** Less than before: it is another answer's count. */
function isMoving(bytes: number | undefined, before: number | undefined): boolean {
  if (bytes === undefined || before === undefined || bytes < before) return true
  return bytes - before >= LEAST_WHILE_OTHERS_WAIT_BYTES
}
