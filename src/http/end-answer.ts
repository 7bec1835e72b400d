// The end of every answer: from here on nobody waits for the client but node. While bytes of it
// wait, the answer counts among those that are under way, so whoever takes none of them must not
// hold it for ever.
import type { ServerResponse } from 'node:http'
import { STALLED_READER_MS } from './limits.ts'

/**
 * Ends it with `bytes`, or with what was written. A client that then takes nothing for
 * STALLED_READER_MS is cut. Costs a comparison where the kernel takes everything at once; over TLS
 * it never does, and the timer is one that node replaces when the last byte is out.
 */
export function endAnswer(response: ServerResponse, bytes?: Uint8Array): void {
  response.end(bytes)
  if ((response.socket?.writableLength ?? 0) === 0) return
  // Node's timer goes by what the kernel takes.
  response.setTimeout(STALLED_READER_MS, () => response.destroy())
}

/** Do bytes of it wait in node for the client? */
export function isWaitedFor(response: ServerResponse): boolean {
  if (response.writableEnded) return !response.writableFinished
  return response.writableNeedDrain || (response.socket?.writableLength ?? 0) > 0
}

/**
 * At `finish` or `close`: did the kernel take all of it? Node 24 calls an answer finished whose
 * connection was cut in the middle.
 */
export function isDelivered({ writableFinished, req }: ServerResponse): boolean {
  return writableFinished && !req.socket.destroyed
}
