// Bytes straight from the upstream to one client, nothing kept: when the disk is full or fails,
// when a reader is far ahead of the fill, or when the blob is on its way for somebody who does not
// share it. A whole blob is still hashed and its end held back; a part of a blob can be checked by
// its length alone.
import { type Digest, digestAlgorithm, finishDigest, startDigest } from '../../oci/digest.ts'
import type { ByteRange } from '../../oci/range.ts'
import { askBlob, distrust, type FillTask } from './fill-task.ts'
import { deadlineMs } from './fill-watch.ts'
import { FillProgress, type Followed, HOLD_BACK_BYTES } from './fill-progress.ts'
import { Attempts } from './fill-rules.ts'
import type { PositionalReader } from './buffer-pool.ts'
import type { Clock } from '../ports/clock.ts'
import { StoreError } from '../ports/store-error.ts'
import { UpstreamError } from '../ports/upstream.ts'

/** One read when the beginning, which the client has already, is hashed once more. */
const REHASH_CHUNK_BYTES = 256 * 1024

export interface PassOnContext {
  readonly fill: Followed
  readonly handle: PositionalReader | undefined
  /** The first byte that the client does not have yet; inside the range. */
  readonly position: number
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** The bytes from `context.position` to the end of `range`. @throws UpstreamError */
export async function* passOn(
  range: ByteRange,
  context: PassOnContext,
): AsyncGenerator<Uint8Array> {
  const { digest } = context.fill.task
  const isWhole = range.first === 0 && range.last + 1 === context.fill.progress.sizeBytes
  if (!isWhole) yield* fetchRange(range, context)
  else {
    const check = await startedHash(digest, context).catch(unlessOfDisk)
    // Where the beginning is not had again, all of it comes again, to be hashed.
    const position = check === undefined ? 0 : context.position
    const whole = fetchWhole(range, { ...context, position })
    const onWrong = () => distrust(context.fill.task, 'other bytes')
    const bytes = verified(whole, check ?? hashOf(digest), onWrong)
    yield* withoutFirst(bytes, context.position - position)
  }
}

function unlessOfDisk(error: unknown): void {
  if (!(error instanceof StoreError)) throw error
}

async function* withoutFirst(
  chunks: AsyncIterable<Uint8Array>,
  bytes: number,
): AsyncGenerator<Uint8Array> {
  let left = bytes
  for await (const chunk of chunks) {
    if (chunk.length > left) yield chunk.subarray(left)
    left = Math.max(0, left - chunk.length)
  }
}

/**
 * Goes on where the upstream cut it, by the rules of a fill: whatever the responses were that its
 * pieces came from, the digest is taken over all of them. Of a part nothing could be checked that
 * way.
 */
async function* fetchWhole(range: ByteRange, context: PassOnContext): AsyncGenerator<Uint8Array> {
  const { clock, signal } = context
  const attempts = new Attempts(clock)
  const endsAtMs = clock.monotonicMs() + deadlineMs(range.last + 1)
  let { position } = context
  let received = false
  for (;;) {
    const before = position
    const responded = () => (received = true)
    try {
      for await (const chunk of fetchRange(range, { ...context, position }, responded)) {
        position += chunk.length
        yield chunk
      }
      return
    } catch (error) {
      // The upstream client has retried already; before a first byte its word is final.
      if (!received || clock.monotonicMs() > endsAtMs) throw error
      await attempts.pauseAfter(error, position - before, signal)
    }
  }
}

async function* fetchRange(
  range: ByteRange,
  context: PassOnContext,
  responded: () => void = () => {},
): AsyncGenerator<Uint8Array> {
  const { task, progress } = context.fill
  const { position, signal } = context
  const expectedBytes = progress.sizeBytes
  const isToEnd = range.last + 1 === expectedBytes
  const request = { offset: position, ...(isToEnd ? {} : { lastByte: range.last }) }
  const left = isToEnd ? context.fill.leftover?.take(position) : undefined
  const response = left ?? (await askBlob(task, { request, expectedBytes }, signal))
  responded()
  let at = response.offset
  for await (const chunk of response.body) {
    // An upstream without ranges sends all of it; what comes before is skipped.
    const skip = Math.min(chunk.length, Math.max(0, position - at))
    const take = Math.min(chunk.length, range.last + 1 - at)
    at += chunk.length
    if (take > skip) yield chunk.subarray(skip, take)
    if (at > range.last) return
  }
  throw new UpstreamError('unavailable', 'the upstream ended the blob early')
}

/**
 * The hash of what the client has already, read again from the part that is still open. Undefined
 * where there is no such part.
 * @throws StoreError
 */
async function startedHash(digest: Digest, context: PassOnContext): Promise<Check | undefined> {
  const hash = hashOf(digest)
  const buffer = new Uint8Array(REHASH_CHUNK_BYTES)
  for (let at = 0; at < context.position; ) {
    const wanted = Math.min(buffer.length, context.position - at)
    const into = buffer.subarray(0, wanted)
    // Memory first: where the file lacks the beginning, it may have a hole there, with what came
    // ahead behind it.
    const early = takeFrom(context.fill.progress.beginning, into, at)
    const count = early > 0 ? early : ((await context.handle?.read(into, at)) ?? 0)
    if (count === 0) return undefined
    hash.update(buffer.subarray(0, count))
    at += count
  }
  return hash
}

function hashOf(digest: Digest): Check {
  const algorithm = digestAlgorithm(digest)
  const hash = startDigest(algorithm)
  return {
    update: chunk => hash.update(chunk),
    isRight: () => finishDigest(hash, algorithm) === digest,
  }
}

/**
 * The beginning that the file never got; returns how many bytes of it, from `at` on, are in the
 * buffer now.
 */
function takeFrom(bytes: Uint8Array | undefined, buffer: Uint8Array, at: number): number {
  const rest = bytes?.subarray(at, at + buffer.length)
  if (rest !== undefined) buffer.set(rest)
  return rest?.length ?? 0
}

interface Check {
  update(chunk: Uint8Array): void
  isRight(): boolean
}

/**
 * Passes chunks through, always holding back the last HOLD_BACK_BYTES until the digest was right
 * (R85).
 */
async function* verified(
  chunks: AsyncIterable<Uint8Array>,
  check: Check,
  onWrong: () => void,
): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = []
  let heldBytes = 0
  for await (const chunk of chunks) {
    check.update(chunk)
    held.push(chunk)
    heldBytes += chunk.length
    while (held[0] !== undefined && heldBytes - held[0].length >= HOLD_BACK_BYTES) {
      const first = held.shift() as Uint8Array
      heldBytes -= first.length
      yield first
    }
  }
  if (!check.isRight()) {
    onWrong()
    throw new UpstreamError('invalid', 'the blob does not hash to its digest')
  }
  for (const chunk of held) yield chunk
  held = []
}

/**
 * In place of a fill that this repository may not join, and that has the blob's one file: its
 * reader goes to the upstream by itself.
 */
export function withoutFile(task: FillTask, sizeBytes: number): Followed {
  const progress = new FillProgress()
  progress.sized(sizeBytes)
  progress.end('uncached')
  return { task, progress, bytesPerMs: 0 }
}
