// What is different about a fill that nobody has asked for yet: it runs in a place that nobody else needs, and it can be given up.
import type { Slots } from './slots.ts'

export interface Unasked {
  /** The fill ends before its time: it is not to be joined. Whoever comes waits until it is over and begins anew. */
  readonly isGivenUp: boolean
  /** Ends the fill, and leaves its part for who asks later. */
  giveUp(reason: Error): void
  /** The place is the fill's own from now on. No effect the second time. */
  keep(): void
}

/** With a place among `slots`; undefined when there is none to spare. `group` is that of Slots.take, `stop` ends the fill. */
export function unaskedIn(
  slots: Slots,
  group: string,
  stop: (reason: Error) => void,
): Unasked | undefined {
  let isGivenUp = false
  const giveUp = (reason: Error): void => {
    isGivenUp = true
    stop(reason)
  }
  const loan = slots.borrow(() => giveUp(new Error('its place was needed')), group)
  if (loan === undefined) return undefined
  return {
    get isGivenUp() {
      return isGivenUp
    },
    giveUp,
    keep: () => loan.keep(),
  }
}
