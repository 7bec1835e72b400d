// The order in which a blob's answer goes out: its head, once something of the body is here or was
// waited for long enough; the parts of the body; the end. Never as if it were whole when it is not
// (R231). The client leaving ends the reading at once and the fill never (R52).
import { LATE, within } from '../../async/within.ts'
import type { BlobAnswer } from '../../registry/answers.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import { HEAD_HELD_BACK_MS } from '../limits.ts'
import type { BlobSender } from './blob-sender.ts'
import { endAnswer } from '../end-answer.ts'
import { SendfileError } from './sendfile.ts'

export interface BlobHeadDeps {
  /** Not called where the head was written before. */
  readonly writeHead: () => void
  readonly clock: Clock
}

/**
 * Closes `sender`, and with it the blob.
 * @throws what kept the bytes from coming, if the head has not gone out yet
 */
export async function sendBlob(sender: BlobSender, deps: BlobHeadDeps): Promise<void> {
  const { body, response } = sender
  try {
    sender.begin()
    if (!sender.isLeft) await sendSegments(sender, deps)
  } catch (error) {
    if (sender.isLeft) return
    // Node may hear of it later, or never.
    if (error instanceof SendfileError && error.failure === 'client') return void response.destroy()
    body.blob.spoiled?.()
    if (!response.headersSent) throw error
    sender.cut(error instanceof Error ? error : new Error(String(error)))
  } finally {
    await sender.close()
  }
}

async function sendSegments(sender: BlobSender, deps: BlobHeadDeps): Promise<void> {
  const { body, response } = sender
  for (const segment of body.segments) {
    if ('range' in segment) {
      if (!response.headersSent) await beginAnswer(sender, sender.ready(segment.range), deps)
      if (sender.isLeft) return
      await sender.send(segment.range)
    } else {
      if (!response.headersSent) deps.writeHead()
      await sender.write(segment.bytes)
    }
  }
  if (sender.isLeft) return
  if (!response.headersSent) deps.writeHead()
  if (sender.sentBytes !== body.sizeBytes) throw new Error('the answer has not the length it told')
  endAnswer(response)
}

/** The head goes out, if the client is there. @throws what kept `first` from coming */
async function beginAnswer(
  sender: BlobSender,
  first: Promise<void>,
  { writeHead, clock }: BlobHeadDeps,
): Promise<void> {
  const { body, response } = sender
  const held = await holdHead(first, body.blob, clock)
  if (sender.isLeft) return
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
