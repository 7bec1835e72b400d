// Reading a blob's bytes for one client: from a whole file, behind a growing one, or, where neither
// helps, from the upstream. Each client reads at its own speed by position; nothing is buffered for
// the slow ones.
import type { ByteRange } from '../../oci/range.ts'
import type { Sendable } from '../answers.ts'
import type { FillProgress, Followed } from './fill-progress.ts'
import { passOn } from './pass-on.ts'
import type { Clock } from '../ports/clock.ts'
import { UpstreamError } from '../ports/upstream.ts'
import type { BufferPool, PositionalReader } from './buffer-pool.ts'

/** A reader this far ahead of the fill may be better served by the upstream itself (R61). */
const FAR_AHEAD_BYTES = 1024 * 1024
/** …if the fill would need longer than this to come there. */
const LONGEST_WAIT_FOR_FILL_MS = 1_000
/** Fetched ahead at a time, before looking again whether the fill has come. */
const AHEAD_BYTES = 4 * 1024 * 1024

/** The bytes of `range` of a whole blob, from `from` on. */
export async function* readWhole(
  handle: PositionalReader,
  range: ByteRange,
  {
    buffers,
    from = range.first,
  }: { readonly buffers: BufferPool; readonly from?: number | undefined },
): AsyncGenerator<Uint8Array> {
  let position = from
  while (position <= range.last) {
    const chunk = await readChunk(handle, buffers, {
      position,
      lengthBytes: Math.min(buffers.chunkBytes, range.last + 1 - position),
    })
    position += chunk.length
    yield chunk
  }
}

export interface FollowContext {
  readonly fill: Followed
  /** Undefined when there is no file, because the disk is full or fails. */
  readonly handle: PositionalReader | undefined
  readonly buffers: BufferPool
  readonly clock: Clock
  readonly signal: AbortSignal
  /** The first byte that the client does not have yet. Default: the range's. */
  readonly from?: number | undefined
}

/** How the bytes from a position on come to a reader. */
type Coming =
  /** They are in the file, up to `end`. */
  | { readonly kind: 'file'; readonly end: number }
  /** They are these, which the file has not yet. Others have them, too. */
  | { readonly kind: 'memory'; readonly bytes: Uint8Array }
  /** The fill would need long to come there. */
  | { readonly kind: 'far ahead' }
  /** There will be no file. */
  | { readonly kind: 'uncached' }

/**
 * Waits until it is known how the next bytes come.
 * @throws what the fill failed with; the signal's reason
 */
async function nextBytes(
  position: number,
  range: ByteRange,
  context: Omit<FollowContext, 'buffers'> & { readonly mayAskAhead: boolean },
): Promise<Coming> {
  const { fill, handle, signal, mayAskAhead } = context
  const { progress } = fill
  for (;;) {
    signal.throwIfAborted()
    const seen = progress.changes
    const end = Math.min(progress.readableBytes, range.last + 1)
    if (handle !== undefined && position < end) return { kind: 'file', end }
    if (progress.state === 'failed') throw progress.error
    const bytes = progress.readableBeginning.subarray(position, range.last + 1)
    if (bytes.length > 0) return { kind: 'memory', bytes }
    if (progress.state === 'uncached') return { kind: 'uncached' }
    if (mayAskAhead && (await isFarAhead(position, range, context))) return { kind: 'far ahead' }
    await progress.changed(seen, signal)
  }
}

/** For BlobFile.until. @throws as follow */
export async function sendableUntil(
  position: number,
  last: number,
  context: Omit<FollowContext, 'buffers'>,
): Promise<Sendable> {
  const range = { first: position, last }
  const coming = await nextBytes(position, range, { ...context, mayAskAhead: true })
  if (coming.kind === 'file') return coming.end
  return coming.kind === 'memory' ? coming.bytes : undefined
}

/**
 * The bytes of `range` behind a fill, from `from` on. Throws what the fill failed with; the bytes
 * yielded so far must then not be taken for the blob.
 */
export async function* follow(
  range: ByteRange,
  context: FollowContext,
): AsyncGenerator<Uint8Array> {
  const { handle, buffers, signal } = context
  let position = context.from ?? range.first
  let mayAskAhead = true
  while (position <= range.last) {
    const coming = await nextBytes(position, range, { ...context, mayAskAhead })
    if (coming.kind === 'file' && handle !== undefined) {
      const lengthBytes = Math.min(buffers.chunkBytes, coming.end - position)
      const chunk = await readChunk(handle, buffers, { position, lengthBytes })
      position += chunk.length
      yield chunk
    } else if (coming.kind === 'memory') {
      position += coming.bytes.length
      // What is yielded may be given away with its memory.
      yield new Uint8Array(coming.bytes)
    } else if (coming.kind === 'uncached') {
      yield* passOn({ first: range.first, last: range.last }, { ...context, position })
      return
    } else {
      const last = Math.min(range.last, position + AHEAD_BYTES - 1)
      try {
        for await (const chunk of passOn({ first: position, last }, { ...context, position })) {
          position += chunk.length
          yield chunk
        }
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof UpstreamError)) throw error
        // The fill goes on, and comes here in the end.
        mayAskAhead = false
      }
    }
  }
}

/** Would this reader wait long? Gives a fill that has just begun a moment to show its speed. */
async function isFarAhead(
  position: number,
  range: ByteRange,
  context: Pick<FollowContext, 'fill' | 'clock' | 'signal'>,
): Promise<boolean> {
  const { fill, clock, signal } = context
  // The blob's end waits for the digest, not for the download; and whoever reads from the start
  // follows.
  if (!isAhead(position, fill.progress) || range.first === 0) return false
  if (fill.bytesPerMs === 0) await clock.sleep(LONGEST_WAIT_FOR_FILL_MS / 4, signal)
  if (!isAhead(position, fill.progress)) return false
  const missingBytes = position - fill.progress.contiguousBytes
  return missingBytes > fill.bytesPerMs * LONGEST_WAIT_FOR_FILL_MS
}

function isAhead(position: number, progress: FillProgress): boolean {
  return progress.state === 'running' && position - progress.contiguousBytes > FAR_AHEAD_BYTES
}

/**
 * `lengthBytes` from `position`, whole: the memory is lent, and a part of it would outlive the
 * loan.
 */
async function readChunk(
  handle: PositionalReader,
  buffers: BufferPool,
  { position, lengthBytes }: { position: number; lengthBytes: number },
): Promise<Uint8Array> {
  const chunk = buffers.lend(lengthBytes)
  let filled = buffers.readCached(handle.descriptor, chunk, position)
  while (filled < lengthBytes) {
    const more = await handle.read(chunk.subarray(filled), position + filled)
    if (more === 0) throw new Error('a blob on disk ended before its length')
    filled += more
  }
  return chunk
}
