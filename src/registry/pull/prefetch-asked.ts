// A client that reads a blob of an image that may be fetched ahead: while it reads, the rest of the
// image is wanted.
import type { BlobAnswer } from '../answers.ts'

export interface Asked {
  /** The blob was fetched ahead, and this is the client that it was fetched for. */
  readonly isFirst: boolean
  /** The client has read, or left. No effect the second time. */
  left(): void
}

/**
 * What `pull` brings, and `asked` told of the end of its reading.
 * @throws what `pull` rejects with
 */
export async function whileReading(
  asked: Asked | undefined,
  pull: () => Promise<BlobAnswer>,
): Promise<BlobAnswer> {
  if (asked === undefined) return pull()
  try {
    const answer = await pull()
    // What was fetched for this very client was not saved by being here.
    const source = asked.isFirst && answer.source === 'hit' ? 'miss' : answer.source
    const close = async () => {
      asked.left()
      await answer.close()
    }
    const repeatable = source === answer.source ? answer.repeatable : undefined
    return { ...answer, source, repeatable, close, isShareable: false }
  } catch (error) {
    asked.left()
    throw error
  }
}
