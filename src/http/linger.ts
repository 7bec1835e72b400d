// A request body that nobody wants: read and dropped for a moment, because closing a connection with unread bytes resets it, and
// the reset may overtake the answer.
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../registry/ports/clock.ts'
import { LINGER_MS } from './limits.ts'

/** Resolves when the body has ended, the connection is gone, or LINGER_MS have passed. Nothing is kept. */
export async function dropBody(request: IncomingMessage, clock: Clock): Promise<void> {
  const { expect, 'transfer-encoding': coding } = request.headers
  // A sender that waits for 100 Continue has sent nothing and now will not; a coding that is not understood has no end.
  if (request.complete || expect !== undefined || (coding ?? 'chunked') !== 'chunked') return
  const limit = new AbortController()
  const ended = new Promise<void>(resolve => {
    request.once('end', resolve)
    request.once('close', resolve)
    request.once('error', () => resolve())
    request.resume()
  })
  await Promise.race([ended, clock.sleep(LINGER_MS, limit.signal).catch(() => {})])
  limit.abort()
}
