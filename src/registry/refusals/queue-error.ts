// That a download did not get a place in time: a client is told to come back.
const RETRY_AFTER_MS = 5_000

/**
 * Downloads wait for each other at this edge; the upstream is not to blame. Not safe to show to
 * clients.
 */
export class QueueError extends Error {
  readonly retryAfterMs = RETRY_AFTER_MS
  /** For the log. */
  readonly hint =
    'raise upstreams.<host>.fills if the link has room for more downloads at once, and list the registry there if only "*" allows it'

  constructor() {
    super('too many downloads are waiting for this upstream')
    this.name = 'QueueError'
  }
}
