// An HTTP thread that dies when a test says so, by an error that nobody catches, hangs, or whose clock leaps. What it serves until then is the
// real thing.
import { BroadcastChannel } from 'node:worker_threads'
import '../../src/http-thread.ts'

/**
 * A number lets the clocks of all such threads of the process leap by as many milliseconds; each says so. Shared numbers let them say
 * so and hang until the first is no 0 any more. Anything else kills them.
 */
export const MORTAL_CHANNEL = 'mortal http threads'

const channel = new BroadcastChannel(MORTAL_CHANNEL)
const now = performance.now.bind(performance)
let leaptMs = 0
performance.now = () => now() + leaptMs
channel.onmessage = (message: unknown) => {
  const { data } = message as { data: unknown }
  if (typeof data === 'number') {
    leaptMs += data
    channel.postMessage('leapt')
    return
  }
  if (data instanceof Int32Array) {
    channel.postMessage('hanging')
    Atomics.wait(data, 0, 0)
    return
  }
  setImmediate(() => {
    throw new Error('the test wanted this thread to die')
  })
}
// It is the port to the coordinating thread that keeps this one alive.
channel.unref()
