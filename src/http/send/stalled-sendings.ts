// Clients that take nothing of what the kernel sends: node's own timer does not see that. One look
// now and then at all of them, and none while nothing is sent.
import type { Clock } from '../../registry/ports/clock.ts'
import { STALLED_READER_MS } from '../limits.ts'
import type { FileSending } from './sendfile.ts'

/** Within this share of its limit a stalled reader is noticed. */
const STALL_LOOKS = 5

export interface StalledSendings {
  /**
   * `cut` is called once, when the client took nothing for STALLED_READER_MS.
   * @returns ends the watching
   */
  watch(sending: FileSending, cut: () => void): () => void
}

interface Seen {
  bytes: number
  looks: number
  readonly cut: () => void
}

export function createStalledSendings(clock: Pick<Clock, 'sleep'>): StalledSendings {
  const watched = new Map<FileSending, Seen>()
  let isLooking = false

  async function look(): Promise<void> {
    isLooking = true
    while (watched.size > 0) {
      await clock.sleep(STALLED_READER_MS / STALL_LOOKS)
      for (const [sending, seen] of watched) lookAt(sending, seen)
    }
    isLooking = false
  }

  function lookAt(sending: FileSending, seen: Seen): void {
    const { sentBytes } = sending
    seen.looks = sending.isBusy && sentBytes === seen.bytes ? seen.looks + 1 : 0
    seen.bytes = sentBytes
    if (seen.looks < STALL_LOOKS) return
    watched.delete(sending)
    seen.cut()
  }

  return {
    watch(sending, cut) {
      watched.set(sending, { bytes: -1, looks: 0, cut })
      if (!isLooking) void look()
      return () => watched.delete(sending)
    },
  }
}
