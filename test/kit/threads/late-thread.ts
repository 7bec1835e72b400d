// An HTTP thread that takes no new settings over before a test says so, as one does that hangs or
// has much to do; whatever else it is asked and serves is the real thing.
import { parentPort } from 'node:worker_threads'
import type { Message } from '../../../src/threads/messages.ts'
import { type MortalWord, openMortalChannel } from './mortal-channel.ts'

const { channel, say } = openMortalChannel()
const withheld: (() => void)[] = []
let isLate = false

const port = parentPort
if (port === null) throw new Error('this is a thread')
const on = port.on.bind(port)
Object.assign(port, {
  on: (event: 'message', listen: (messages: readonly Message[]) => void) =>
    on(event, (messages: readonly Message[]) => {
      const isNew = messages.some(
        message => message.kind === 'call' && message.method === 'replace',
      )
      // In order, whatever comes behind it.
      if (withheld.length > 0 || (isLate && isNew)) withheld.push(() => listen(messages))
      else listen(messages)
      if (isLate && isNew) say('withheld')
    }),
})
channel.onmessage = (message: unknown) => {
  const { data } = message as { data: MortalWord }
  if (data === 'withhold') {
    isLate = true
    say('late')
  } else if (data === 'catch up') {
    isLate = false
    for (const take of withheld.splice(0)) take()
  }
}
// It is the port to the coordinating thread that keeps this one alive.
channel.unref()
await import('../../../src/server/http-thread.ts')
