// One response of the upstream into a fill's file: agrees on the length, skips what is on disk
// already after comparing it, and never lets the file grow past the length. The digest is checked
// by the caller when all is there.
import type { FillProgress } from './fill-progress.ts'
import type { FillRoom } from './fill-room.ts'
import type { FillTask } from './fill-task.ts'
import { freeChunk } from '../ports/chunk-memory.ts'
import type { FillFile } from '../ports/blob-store-fills.ts'
import { StoreError } from '../ports/store-error.ts'
import type { UpstreamBlob } from '../ports/upstream-content.ts'
import { UpstreamError } from '../ports/upstream.ts'
import { LeavableBody, type Leftover } from './leftover.ts'
import type { OpenFile } from '../reading/open-file.ts'

export interface ReceiveContext {
  readonly task: FillTask
  readonly progress: FillProgress
  readonly room: Pick<FillRoom, 'reserve' | 'taking' | 'isDue'>
  readonly handle: () => OpenFile | undefined
  readonly signal: AbortSignal
  /** Is given what is left of a response that found no room. */
  readonly leftover: Pick<Leftover, 'leave'>
}

/**
 * Agrees on the blob's length with a response, tells the readers, and makes sure of room.
 * Undefined: nobody has said it.
 * @throws UpstreamError invalid when the response contradicts the manifest, an earlier response or
 * what was asked; StoreError full, io
 */
export async function agree(
  file: FillFile,
  response: Omit<UpstreamBlob, 'body'>,
  context: ReceiveContext,
): Promise<number | undefined> {
  const { progress } = context
  const sizeBytes = agreedSize(file, response, context)
  if (response.offset !== 0 && response.offset !== file.contiguousBytes) {
    throw new UpstreamError(
      'invalid',
      `the upstream resumed at ${response.offset}, not at ${file.contiguousBytes}`,
    )
  }
  if (sizeBytes !== undefined) {
    progress.sized(sizeBytes)
  }
  await context.room.reserve(sizeBytes)
  return sizeBytes
}

/**
 * Appends the response's body, after agree. Returns the blob's length when all of it is on disk.
 * @throws UpstreamError unavailable when the body ended early, invalid when it contradicts the
 * manifest or is not of this blob;
 *   StoreError corrupt when a whole response differs from what is on disk; full, io
 */
export async function receive(
  file: FillFile,
  response: UpstreamBlob,
  context: ReceiveContext & { readonly expectedBytes: number | undefined },
): Promise<number> {
  const { progress, expectedBytes } = context
  try {
    await append(file, response, {
      ...context,
      limitBytes: expectedBytes ?? Number.POSITIVE_INFINITY,
    })
  } finally {
    // What came before a connection broke counts: it is not asked for again.
    await file.flush()
  }
  const sizeBytes = expectedBytes ?? file.contiguousBytes
  if (file.contiguousBytes < sizeBytes) {
    throw new UpstreamError(
      'unavailable',
      `the upstream ended the blob at ${file.contiguousBytes} of ${sizeBytes} bytes`,
    )
  }
  progress.sized(sizeBytes)
  return sizeBytes
}

/**
 * What the upstream says; a manifest's word only where it says nothing, since its digest proves the
 * one and not the other (R253). A part longer than that belongs to some other story.
 */
function agreedSize(
  file: FillFile,
  response: Omit<UpstreamBlob, 'body'>,
  context: ReceiveContext,
): number | undefined {
  const { declaredBytes } = context.task
  const { totalBytes } = response
  // Clients have been promised the first length; one that changes is wrong the one time or the
  // other.
  const promisedBytes = context.progress.sizeBytes ?? saidBefore(file, declaredBytes)
  const sizeBytes = totalBytes ?? promisedBytes ?? declaredBytes
  if (promisedBytes !== undefined && sizeBytes !== undefined && promisedBytes !== sizeBytes) {
    throw new UpstreamError(
      'invalid',
      `the upstream says ${sizeBytes} bytes, and said ${promisedBytes} before`,
    )
  }
  if (sizeBytes !== undefined && file.contiguousBytes > sizeBytes) {
    throw new StoreError(
      'corrupt',
      `a part of ${file.contiguousBytes} bytes is longer than its blob of ${sizeBytes}`,
    )
  }
  return sizeBytes
}

/**
 * What an upstream said of a part's blob in an earlier download, and a manifest says as well, is no
 * less sure than what it says now.
 */
function saidBefore(
  { contiguousBytes, expected }: FillFile,
  declaredBytes: number | undefined,
): number | undefined {
  return contiguousBytes > 0 && expected?.sizeBytes === declaredBytes ? declaredBytes : undefined
}

async function append(
  file: FillFile,
  response: UpstreamBlob,
  context: ReceiveContext & { limitBytes: number },
): Promise<void> {
  const { progress } = context
  // The upstream sent everything although asked for the rest: what is here is compared, not
  // replaced, because readers have had it already and a mixture of two different beginnings must
  // never reach one client.
  let knownBytes = response.offset === 0 ? file.contiguousBytes : 0
  let isLike = true
  let position = response.offset
  const body = new LeavableBody(response.body)
  for await (const chunk of body) {
    context.signal.throwIfAborted()
    progress.received(chunk.length)
    const overlap = Math.min(chunk.length, Math.max(0, knownBytes - position))
    if (overlap > 0 && isLike)
      isLike = await isSame(context.handle(), chunk.subarray(0, overlap), position)
    position += chunk.length
    if (!isLike && context.limitBytes === Number.POSITIVE_INFINITY) break
    if (position > context.limitBytes) {
      throw new UpstreamError(
        'invalid',
        `the upstream sent more than the blob's ${context.limitBytes} bytes`,
      )
    }
    const isUnsaid = isLike && context.limitBytes === Number.POSITIVE_INFINITY
    if (isUnsaid && context.room.isDue(chunk.length)) await context.room.reserve(undefined)
    if (overlap === chunk.length || !isLike) continue
    knownBytes = 0
    if (file.appendedBytes === 0) await progress.begin(chunk)
    const unknown = overlap === 0 ? chunk : chunk.subarray(overlap)
    const made = context.room.taking(unknown.length)
    if (made !== undefined)
      await made.catch((error: unknown) => {
        const rest = { ...response, offset: position - unknown.length, body }
        if (context.leftover.leave(rest, error)) body.leave(unknown)
        throw error
      })
    await file.append(unknown)
    freeChunk(chunk)
  }
  if (!isLike) throw notLike(position, context.limitBytes)
}

async function isSame(
  handle: OpenFile | undefined,
  bytes: Uint8Array,
  position: number,
): Promise<boolean> {
  const here = new Uint8Array(bytes.length)
  const count = handle === undefined ? 0 : await handle.read(here, position)
  return count === bytes.length && Buffer.compare(here, bytes) === 0
}

/**
 * Of two whole responses one is wrong, and nobody knows which. What is shorter than the blob, and
 * longer than that it cannot get, is none of its responses: somebody else stood in the way.
 */
function notLike(lengthBytes: number, limitBytes: number): Error {
  const message = 'the upstream sent other bytes than in its first, broken answer'
  const isWhole = lengthBytes === limitBytes || limitBytes === Number.POSITIVE_INFINITY
  return isWhole ? new StoreError('corrupt', message) : new UpstreamError('invalid', message)
}
