// Reads the body of a request that came to a stub, with its fault: how much is taken, and how the
// connection ends.
import type { IncomingMessage } from 'node:http'
import type { Fault } from './stub-faults.ts'
import type { StubRequest } from './stub-requests.ts'

/**
 * `whole`: all of it came; `partly`: an answer is due although more may follow; `gone`: there is
 * nobody to answer.
 */
export type Taken = 'whole' | 'partly' | 'gone'

/** `keep` gets every piece that is taken, also when the rest never comes. */
export function takeBody(
  message: IncomingMessage,
  request: StubRequest,
  { fault, keep }: { fault: Fault; keep: (piece: Buffer) => void },
): Promise<Taken> {
  const stopAt = Math.min(
    fault.answerAt ?? Infinity,
    fault.takeCutAt ?? Infinity,
    fault.takeStallAt ?? Infinity,
  )
  return new Promise(resolve => {
    const stop = (): void => {
      message.removeListener('data', onData)
      message.pause()
      // Counts as read for node, which would throw the rest away instead of leaving it where it is.
      message.read(0)
      if (fault.takeCutAt === stopAt) message.socket.destroy()
      else if (fault.answerAt === stopAt) resolve('partly')
    }
    const onData = (piece: Buffer): void => {
      const taken = piece.subarray(0, Math.max(0, stopAt - request.bytesReceived))
      request.bytesReceived += taken.length
      keep(taken)
      if (request.bytesReceived >= stopAt) stop()
    }
    message.once('end', () => resolve('whole'))
    message.once('close', () => resolve(message.complete ? 'whole' : 'gone'))
    message.once('error', () => resolve('gone'))
    if (stopAt === 0) stop()
    else message.on('data', onData)
  })
}
