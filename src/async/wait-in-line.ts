// A wait until whoever takes the entry out of the line lets it in; at an abort it leaves by itself.

/**
 * Puts what `makeEntry` makes at the end of `line`. Resolves once its `enter` is called, by whoever
 * took it out: from then on an abort changes nothing, so that what it was given is not lost.
 * Rejects with the signal's reason when that aborts first. MUST NOT be called with a signal that is
 * aborted.
 */
export function waitInLine<Entry>(
  line: Entry[],
  signal: AbortSignal,
  makeEntry: (enter: () => void) => Entry,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = () => {
      line.splice(line.indexOf(entry), 1)
      reject(signal.reason)
    }
    const entry = makeEntry(() => {
      signal.removeEventListener('abort', leave)
      resolve()
    })
    line.push(entry)
    signal.addEventListener('abort', leave, { once: true })
  })
}
