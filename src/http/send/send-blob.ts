// The order in which a blob's answer goes out: its head, once something of the body is here or was
// waited for long enough; the parts of the body; the end. Never as if it were whole when it is not
// (R231). The client leaving ends the reading at once and the fill never (R52).
import { LATE, within } from '../../async/within.ts'
import type { BlobAnswer } from '../../registry/answers.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import { HEAD_HELD_BACK_MS } from '../limits.ts'
import type { BlobSending } from './blob-sending.ts'
import { endAnswer } from './end-answer.ts'
import { SendfileError } from './sendfile.ts'

export interface BlobHeadDeps {
  /** Not called where the head was written before. */
  readonly writeHead: () => void
  readonly clock: Clock
}

/**
 * Closes `sending`, and with it the blob.
 * @throws what kept the bytes from coming, if the head has not gone out yet
 */
export async function sendBlob(sending: BlobSending, deps: BlobHeadDeps): Promise<void> {
  const { body, response } = sending
  try {
    if (!sending.isLeft) await sendSegments(sending, deps)
  } catch (error) {
    if (sending.isLeft) return
    // Node may hear of it later, or never.
    if (error instanceof SendfileError && error.failure === 'client') return void response.destroy()
    body.blob.spoiled?.()
    if (!response.headersSent) throw error
    sending.cut(error instanceof Error ? error : new Error(String(error)))
  } finally {
    await sending.close()
  }
}

async function sendSegments(sending: BlobSending, deps: BlobHeadDeps): Promise<void> {
  const { body, response } = sending
  for (const segment of body.segments) {
    if ('range' in segment) {
      if (!response.headersSent) await beginAnswer(sending, sending.ready(segment.range), deps)
      if (sending.isLeft) return
      await sending.send(segment.range)
    } else {
      if (!response.headersSent) deps.writeHead()
      await sending.write(segment.bytes)
    }
  }
  if (sending.isLeft) return
  if (!response.headersSent) deps.writeHead()
  if (sending.sentBytes !== body.sizeBytes) throw new Error('the answer has not the length it told')
  endAnswer(response)
}

/** The head goes out, if the client is there. @throws what kept `first` from coming */
async function beginAnswer(
  sending: BlobSending,
  first: Promise<void>,
  { writeHead, clock }: BlobHeadDeps,
): Promise<void> {
  const { body, response } = sending
  const held = await holdHead(first, body.blob, clock)
  if (sending.isLeft) return
  writeHead()
  // Node would keep the head back for the first bytes.
  if (held === 'no longer') response.flushHeaders()
  await first
}

/**
 * Waits for the first bytes, though not for long: a client has its own limit for the head. A
 * failure that comes in time is thrown, and becomes an error answer instead of a cut connection.
 */
async function holdHead(
  first: Promise<unknown>,
  { source }: BlobAnswer,
  clock: Clock,
): Promise<'until the bytes' | 'no longer'> {
  if (source !== 'miss' && source !== 'joined') {
    await first
    return 'until the bytes'
  }
  const isLate = (await within(clock, HEAD_HELD_BACK_MS, first)) === LATE
  return isLate ? 'no longer' : 'until the bytes'
}
