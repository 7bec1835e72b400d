// What is different about a speculative fill, which no client has asked for yet: it runs in a place
// that nobody else needs, and it can be given up.
import type { Slots } from './slots.ts'

/**
 * Up to this a blob comes in about the time that another request takes to begin: cut, it would cost
 * the upstream a second request and bring nobody anything sooner. As many as there are places are
 * some seconds of a slow line.
 */
const SHORT_BYTES = 64 * 1024

export interface Speculation {
  /**
   * The fill ends before its time: it is not to be joined. Whoever comes waits until it is over and
   * begins anew.
   */
  readonly isGivenUp: boolean
  /**
   * Ends the fill, and leaves its part for who asks later. Returns false for a short one, which
   * ends by itself.
   */
  giveUp(reason: Error): boolean
  /** The place is the fill's own from now on. No effect the second time. */
  keep(): void
}

export interface SpeculativeFill {
  /** As in Slots.take. */
  readonly group: string
  readonly sizeBytes: number
  readonly stop: (reason: Error) => void
}

/** With a place among `slots`; undefined when there is none to spare. */
export function speculateIn(
  slots: Slots,
  { group, sizeBytes, stop }: SpeculativeFill,
): Speculation | undefined {
  const isShort = sizeBytes <= SHORT_BYTES
  let isGivenUp = false
  const giveUp = (reason: Error): boolean => {
    if (isShort) return false
    isGivenUp = true
    stop(reason)
    return true
  }
  const giveBack = isShort ? undefined : () => void giveUp(new Error('its place was needed'))
  const loan = slots.borrow(giveBack, group)
  if (loan === undefined) return undefined
  return {
    get isGivenUp() {
      return isGivenUp
    },
    giveUp,
    keep: () => loan.keep(),
  }
}
