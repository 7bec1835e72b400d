// An HTTP thread that dies when a test says so, by an error that nobody catches. What it serves until then is the real thing.
import { BroadcastChannel } from 'node:worker_threads'
import '../../src/http-thread.ts'

/** Any message on this channel kills every such thread of the process. */
export const MORTAL_CHANNEL = 'mortal http threads'

const channel = new BroadcastChannel(MORTAL_CHANNEL)
channel.onmessage = () =>
  setImmediate(() => {
    throw new Error('the test wanted this thread to die')
  })
// It is the port to the coordinating thread that keeps this one alive.
channel.unref()
