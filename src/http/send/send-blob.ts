// Sends a blob, by the kernel where that can be (sendfile-blob.ts), else chunk by chunk as its
// reader gives them: no faster than the client takes it, and never as if it were whole when it is
// not (R231). The client leaving ends the reading at once and the fill never (R52).
import { LATE, within } from '../../async/within.ts'
import { type ByteRange, rangeLength } from '../../oci/range.ts'
import type { BlobAnswer } from '../../registry/answers.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { AnswerBody } from '../answer.ts'
import { createClientFlow, type ClientFlow } from './client-flow.ts'
import { endAnswer } from './end-answer.ts'
import type { Exchange } from '../exchange.ts'
import { HEAD_HELD_BACK_MS, SENDFILE_MIN_BYTES } from '../limits.ts'
import { type Sendfile, SendfileError } from './sendfile.ts'
import type { StalledSendings } from './stalled-sendings.ts'
import { type FileWire, openFileWire } from './sendfile-blob.ts'

export interface BlobSending {
  readonly exchange: Exchange
  readonly body: Extract<AnswerBody, { kind: 'blob' }>
  readonly writeHead: () => void
  readonly clock: Clock
  /** Absent: every byte passes through this process. */
  readonly sendfile: Sendfile | undefined
  readonly stalls: StalledSendings
}

/** Closes the blob exactly once. @throws what the reader threw, if the head has not gone out yet */
export async function sendBlob(sending: BlobSending): Promise<void> {
  const { exchange, body } = sending
  const { response, record } = exchange
  const flow = createClientFlow(response)
  try {
    if (!flow.gone) await writeBody(sending, flow)
  } catch (error) {
    if (flow.gone) return
    if (error instanceof SendfileError && error.failure === 'client') return
    body.blob.spoiled?.()
    if (!response.headersSent) throw error
    record.error = error instanceof Error ? error : new Error(String(error))
    record.cut = true
    response.destroy()
  } finally {
    flow.release()
    await body.blob.close()
  }
}

async function writeBody(sending: BlobSending, flow: ClientFlow): Promise<void> {
  const { exchange, body, writeHead } = sending
  const { response, record } = exchange
  const large = body.segments.some(segment => 'range' in segment && isLarge(segment.range))
  const write = (chunk: Uint8Array) => writeChunk(exchange, flow, { chunk })
  const wire = large ? openFileWire(body.blob, { ...sending, flow, write }) : undefined
  // What the kernel sends node does not count.
  response.strictContentLength = wire === undefined
  try {
    for (const segment of body.segments) {
      if (!('range' in segment)) {
        if (!response.headersSent) writeHead()
        await writeChunk(exchange, flow, { chunk: segment.bytes })
      } else if (wire !== undefined && isLarge(segment.range)) {
        await sendRange(sending, flow, { range: segment.range, wire })
      } else {
        await writeRange(sending, flow, segment)
      }
    }
  } finally {
    wire?.close()
  }
  if (flow.gone) return
  if (!response.headersSent) writeHead()
  if (record.sentBytes !== body.sizeBytes) throw new Error('the answer has not the length it told')
  endAnswer(response)
}

function isLarge(range: ByteRange): boolean {
  return rangeLength(range) >= SENDFILE_MIN_BYTES
}

async function sendRange(
  sending: BlobSending,
  flow: ClientFlow,
  { range, wire }: { range: ByteRange; wire: FileWire },
): Promise<void> {
  const first = wire.ready(range)
  await beginAnswer(sending, flow, first)
  await first
  if (flow.gone) return
  const from = await wire.send(range)
  if (from > range.last) return
  // Nobody knows how long the bytes take.
  sending.exchange.response.flushHeaders()
  await writeRange(sending, flow, { range, from })
}

/**
 * The head goes out, unless it has, and the client is there.
 * @throws what kept `first` from coming, if that was told in time
 */
async function beginAnswer(
  { exchange, body, writeHead, clock }: BlobSending,
  flow: ClientFlow,
  first: Promise<unknown>,
): Promise<void> {
  if (exchange.response.headersSent) return
  const held = await holdHead(first, body.blob, clock)
  if (flow.gone) return
  writeHead()
  // Node would keep the head back for the first bytes.
  if (held === 'no longer') exchange.response.flushHeaders()
}

/**
 * The iterator is driven by hand because the head goes out between the first request for bytes and
 * their coming.
 */
async function writeRange(
  sending: BlobSending,
  flow: ClientFlow,
  { range, from }: { range: ByteRange; from?: number },
): Promise<void> {
  const { exchange, body } = sending
  const chunks = body.blob.read(range, flow.signal, from)[Symbol.asyncIterator]()
  try {
    const first = chunks.next()
    await beginAnswer(sending, flow, first)
    if (flow.gone) return
    for (let step = await first; step.done !== true; step = await chunks.next()) {
      await writeChunk(exchange, flow, { chunk: step.value, blob: body.blob })
    }
  } finally {
    await chunks.return?.()
  }
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

/**
 * Counts a chunk when the client has taken it as far as the connection's buffer, and gives it back
 * once the kernel has it.
 */
async function writeChunk(
  { response, record }: Exchange,
  flow: ClientFlow,
  { chunk, blob }: { chunk: Uint8Array; blob?: BlobAnswer },
): Promise<void> {
  const written = (error?: Error | null) => {
    // After an error the connection may still hold on to it.
    if (error === null || error === undefined) blob?.giveBack?.(chunk)
  }
  if (!response.write(chunk, written)) await flow.drained()
  record.sentBytes += chunk.length
}
