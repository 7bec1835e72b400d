// An upstream that answers ranges of one blob, each connection as fast as a test's clock and its
// limit say. What is asked, and how many bodies are read at once, is written down; a test may put
// another answer in the place of any.
import type { BlobRequest, UpstreamBlob } from '../../../src/registry/ports/upstream-content.ts'
import type { Upstream } from '../../../src/registry/ports/upstream.ts'
import type { Clock } from '../../../src/registry/ports/clock.ts'

/** Bytes of one connection come so often. */
const STEP_MS = 10
/** Longer than any test's clock runs. */
const HOUR_MS = 3_600_000

export interface RangedUpstreamOptions {
  readonly bytes: Buffer
  readonly clock: () => Clock
  /** Of one connection. */
  readonly bytesPerMs: number
  /** Before the head of an answer. Default 0. */
  readonly answerMs?: number
  /** The question of this index is never answered. */
  readonly silentAt?: number
  /** Takes the place of an answer, or of its failure. `index` counts the questions. */
  readonly answer?: (asked: Asked, normal: UpstreamBlob, body: MakeBody) => UpstreamBlob
}

/** The bytes from `first` to `last`, at the speed of a connection. */
export type MakeBody = (first: number, last: number) => AsyncIterable<Uint8Array>

export interface Asked {
  readonly index: number
  readonly request: BlobRequest
  readonly first: number
  readonly last: number
  readonly signal: AbortSignal | undefined
}

export function rangedUpstream(options: RangedUpstreamOptions) {
  const { bytes, bytesPerMs, answerMs = 0, answer = (_, normal) => normal } = options
  const asked: Asked[] = []
  const counts = { reading: 0, readingMost: 0, sentBytes: 0 }

  async function* body(first: number, last: number, signal: AbortSignal | undefined) {
    const clock = options.clock()
    counts.reading += 1
    counts.readingMost = Math.max(counts.readingMost, counts.reading)
    try {
      for (let at = first; at <= last; ) {
        await clock.sleep(STEP_MS, signal)
        const end = Math.min(last + 1, at + bytesPerMs * STEP_MS)
        counts.sentBytes += end - at
        yield Uint8Array.from(bytes.subarray(at, end))
        at = end
      }
    } finally {
      counts.reading -= 1
    }
  }

  const getBlob: Upstream['getBlob'] = async (_name, _digest, request, { signal } = {}) => {
    const { offset, lastByte } = request
    const isPart = offset > 0 || lastByte !== undefined
    const last = Math.min(lastByte ?? bytes.length - 1, bytes.length - 1)
    const question = { index: asked.length, request, first: offset, last, signal }
    asked.push(question)
    if (question.index === options.silentAt) await options.clock().sleep(HOUR_MS, signal)
    if (answerMs > 0) await options.clock().sleep(answerMs, signal)
    const normal = {
      offset,
      ...(isPart ? { lastByte: last } : {}),
      totalBytes: bytes.length,
      validator: '"v1"',
      body: body(offset, last, signal),
    }
    return answer(question, normal, (from, to) => body(from, to, signal))
  }

  return {
    getBlob,
    asked,
    counts,
    /** First and last byte of every question. */
    ranges: (): [number, number][] => asked.map(({ first, last }) => [first, last]),
  }
}
