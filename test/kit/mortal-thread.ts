// An HTTP thread that dies when a test says so, by an error that nobody catches, or whose clock leaps. What it serves until then is the
// real thing.
import { BroadcastChannel } from 'node:worker_threads'
import '../../src/http-thread.ts'

/** A number lets the clocks of all such threads of the process leap by as many milliseconds; each says so. Anything else kills them. */
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
  setImmediate(() => {
    throw new Error('the test wanted this thread to die')
  })
}
// It is the port to the coordinating thread that keeps this one alive.
channel.unref()
