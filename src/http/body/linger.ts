// A request body that nobody wants: read and dropped for a moment, because closing a connection
// with unread bytes resets it, and the reset may overtake the answer.
import { within } from '../../async/within.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { Exchange } from '../exchange.ts'
import { LINGER_MS } from '../limits.ts'
import { awaitsContinue } from './request-body.ts'

/**
 * Resolves when the body has ended or broken off, the connection is gone, or LINGER_MS have passed.
 * Nothing is kept.
 */
export async function dropBody({ request, body }: Exchange, clock: Clock): Promise<void> {
  const coding = request.headers['transfer-encoding'] ?? 'chunked'
  // A sender that waits for 100 Continue has sent nothing and now will not; a coding that is not
  // understood, and a body that broke, have no end.
  const waits = awaitsContinue(request) && body.read === 'nothing'
  if (request.complete || waits || coding !== 'chunked' || body.failure !== undefined) return
  const ended = new Promise<void>(resolve => {
    // What breaks it off, such as a client that closes its side, is told to whoever waits for more
    // of it.
    body.wake = resolve
    request.once('end', resolve)
    request.once('close', resolve)
    request.once('error', () => resolve())
    request.resume()
  })
  await within(clock, LINGER_MS, ended)
  body.wake = undefined
}
