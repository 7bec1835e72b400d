// A blob's bytes out of a file that the disk cannot read to its end: from there on they come from
// elsewhere. Where that is, those say who gave the answer.
import type { ByteRange } from '../../oci/range.ts'
import type { BlobAnswer } from '../answers.ts'
import { StoreError } from '../ports/store-error.ts'

interface GoingOn {
  readonly range: ByteRange
  readonly signal: AbortSignal
  /** The first byte that the client does not have yet. Default: the range's. */
  readonly from?: number | undefined
  /** Asked once, when the disk has failed. */
  readonly instead: () => Promise<Pick<BlobAnswer, 'read' | 'close'>>
}

/**
 * `bytes`, and from the one that the disk cannot give those that are had elsewhere. Where nobody
 * gives them, it is the disk that failed. @throws the signal's reason, if that is why
 */
export async function* goingOn(
  bytes: AsyncIterable<Uint8Array>,
  { range, signal, from = range.first, instead }: GoingOn,
): AsyncGenerator<Uint8Array> {
  let position = from
  let failed: StoreError
  try {
    for await (const chunk of bytes) {
      position += chunk.length
      yield chunk
    }
    return
  } catch (error) {
    if (!(error instanceof StoreError) || error.failure !== 'io') throw error
    failed = error
  }
  const badAt = position
  try {
    const other = await instead()
    try {
      for await (const chunk of other.read(range, signal, position)) {
        position += chunk.length
        yield chunk
      }
    } finally {
      await other.close()
    }
  } catch (error) {
    signal.throwIfAborted()
    throw position > badAt ? error : failed
  }
}
