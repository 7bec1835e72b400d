// The id of a request, in its answer and its log line. Ours, unless the client or a proxy in front
// sent one that is plainly an id: what it sends goes into the log and back into a header.
const CLIENT_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{7,63}$/

/** `sent`: the value of X-Request-Id. */
export type RequestIdOf = (sent: unknown) => string

/** `prefix` tells processes apart, such as 8 random characters; a counter follows it. */
export function createRequestIds(prefix: string): RequestIdOf {
  let count = 0
  return sent => {
    if (typeof sent === 'string' && CLIENT_ID.test(sent)) return sent
    count += 1
    return `${prefix}-${count.toString(36)}`
  }
}
