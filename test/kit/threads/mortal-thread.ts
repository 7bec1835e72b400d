// An HTTP thread that dies when a test says so, by an error that nobody catches, hangs, or whose
// clock leaps. What it serves until then is the real thing.
import '../../../src/server/http-thread.ts'
import { type MortalWord, openMortalChannel } from './mortal-channel.ts'

const { channel, say } = openMortalChannel()
const now = performance.now.bind(performance)
let leaptMs = 0
performance.now = () => now() + leaptMs
channel.onmessage = (message: unknown) => {
  const { data } = message as { data: MortalWord }
  if (typeof data === 'number') {
    leaptMs += data
    say('leapt')
  } else if (data instanceof Int32Array) {
    say('hanging')
    Atomics.wait(data, 0, 0)
  } else if (data === 'die') {
    setImmediate(() => {
      throw new Error('the test wanted this thread to die')
    })
  }
}
// It is the port to the coordinating thread that keeps this one alive.
channel.unref()
