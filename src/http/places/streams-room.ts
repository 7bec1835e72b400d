// How many bodies are sent at once, as a number that all threads count together: who finds a free
// place takes it, and asks nobody. Who finds none goes to the waiting room (streams.ts), which is
// in one thread.
import { type Count, createCount } from '../count.ts'

export interface StreamsRoom {
  /** Places that are taken, on all threads. */
  readonly taken: number
  /** Somebody waits for a place: who comes now goes behind. */
  readonly isWaitedFor: boolean
  /**
   * False where none is free. It may say so for a moment too many while another thread is told the
   * same: ask the waiting room then.
   */
  take(): boolean
  /** MUST be followed by a word to the waiting room where it is waited for. */
  give(): void
  /** For the waiting room. MUST be set before it looks for a place the last time. */
  setWaitedFor(isWaitedFor: boolean): void
}

export interface StreamsRoomOptions {
  /** Places, at least 1. */
  readonly limit: number
  /** What other threads count too. Default: this thread is the only one. */
  readonly streams?: Count
  readonly streamsWaiting?: Count
}

export function createStreamsRoom({
  limit,
  streams = createCount(),
  streamsWaiting = createCount(),
}: StreamsRoomOptions): StreamsRoom {
  return {
    get taken() {
      return streams.add(0)
    },
    get isWaitedFor() {
      return streamsWaiting.add(0) > 0
    },
    take() {
      if (streams.add(1) <= limit) return true
      streams.add(-1)
      return false
    },
    give() {
      streams.add(-1)
    },
    setWaitedFor(isWaitedFor) {
      const is = streamsWaiting.add(0)
      streamsWaiting.add((isWaitedFor ? 1 : 0) - is)
    },
  }
}
