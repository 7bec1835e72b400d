// How a test speaks to its mortal and late HTTP threads (mortal-thread.ts, late-thread.ts), which
// no test can import: that would begin to serve.
import { BroadcastChannel } from 'node:worker_threads'

/**
 * A number lets the clocks of all such threads of the process leap by as many milliseconds; each
 * says `leapt`. Shared numbers let them say `hanging` and hang until the first is no 0 any more.
 * `die` kills them. After `withhold`, when they are `late`, they take no settings over, and say
 * `withheld` of those that came, until they shall `catch up`. They hear each other, and pass over
 * anything else.
 */
export type MortalWord =
  | number
  | Int32Array
  | 'die'
  | 'leapt'
  | 'hanging'
  | 'withhold'
  | 'late'
  | 'withheld'
  | 'catch up'

export interface MortalChannel {
  readonly channel: BroadcastChannel
  say(word: MortalWord): void
}

export function openMortalChannel(): MortalChannel {
  const channel = new BroadcastChannel('mortal http threads')
  return { channel, say: word => channel.postMessage(word) }
}
