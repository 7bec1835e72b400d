// A wait that an abort ends. One listener per wait, taken away afterwards: a signal that outlives
// many waits keeps none of them.

/**
 * Reason for ending what nobody waits for any more. One for all: the error that an abort makes by
 * itself, with its stack, costs more.
 */
export const NOT_NEEDED = new Error('it is not needed any more')

/**
 * The same promise; rejects with the signal's reason as soon as that aborts. Whatever the promise
 * does then is nobody's: it goes on, and its failure is not told.
 */
export function unlessAborted<Value>(
  promise: Promise<Value>,
  signal: AbortSignal | undefined,
): Promise<Value> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason)
    if (signal.aborted) {
      promise.catch(() => {})
      return abort()
    }
    signal.addEventListener('abort', abort, { once: true })
    const settled = () => signal.removeEventListener('abort', abort)
    promise.finally(settled).then(resolve, reject)
  })
}

/**
 * The pieces of `pieces` until the signal aborts, whose reason is thrown then, also while a piece
 * is waited for that may never come. What is left of `pieces` is told that nobody reads on, and not
 * waited for.
 */
export async function* untilAborted<Piece>(
  pieces: AsyncIterable<Piece>,
  signal: AbortSignal,
): AsyncGenerator<Piece> {
  const iterator = pieces[Symbol.asyncIterator]()
  let isOver = false
  try {
    for (;;) {
      const next = await unlessAborted(iterator.next(), signal)
      if (next.done) {
        isOver = true
        return
      }
      yield next.value
    }
  } finally {
    // A source that waits for its client answers this only when that comes back.
    if (!isOver) iterator.return?.().catch(() => {})
  }
}
