// Every bound of the data port, beside its reason. Bounds of names, ranges and pages are in oci/,
// where they are parsed. Reaching one has a defined answer, named here. And what counts against the
// bounds of all threads together.

/**
 * A partial pull sends a Range of over 18 KB and 64 KiB must pass (R56, R227); the rest is room for
 * the other headers. Beyond: 431.
 */
export const HEADER_MAX_BYTES = 96 * 1024

/** `artifactType` and `tag` may come many times, everything else once. Beyond: 414. */
export const QUERY_PARAMETERS_MAX = 64

/** Slow request heads are cut with 408 after this and one checking interval. */
export const HEADERS_TIMEOUT_MS = 10_000
export const CONNECTIONS_CHECK_INTERVAL_MS = 5_000

/**
 * Longer than clients keep idle connections (Go: 90 s), so that it is they who close and never meet
 * a reset (R228).
 */
export const KEEP_ALIVE_TIMEOUT_MS = 120_000

/**
 * A client that takes no bytes for so long while some wait for it is cut; CRI gives up a pull
 * without progress after as long.
 */
export const STALLED_READER_MS = 5 * 60_000

/**
 * What a client waits for that has ended its side may stand still for so long: what is here goes
 * out within milliseconds, and nobody can tell such a client from one that has left, for which
 * nothing is to be held (R52).
 */
export const ENDED_WAIT_MS = 1_000

/**
 * A body of which nothing comes for so long is given up with 408 (R193): as long as clients wait
 * for a byte themselves (R150).
 */
export const BODY_IDLE_MS = 60_000

/**
 * A body of which less comes while it is waited for so long is given up with 408 (R710): else a
 * byte a minute would hold its request for ever. At 55 bytes a second a megabyte takes five hours:
 * no push over such a line would ever end, while the slowest lines that push bring ten times as
 * much.
 */
export const BODY_LEAST_BYTES = 16 * 1024
export const BODY_LEAST_MS = 5 * 60_000

/**
 * What must be held whole is given up with 408 unless it comes at this rate, after a while that any
 * line may need to begin: a byte a minute would hold its memory for years. 8 KiB/s is what a modem
 * does.
 */
export const HELD_BODY_GRACE_MS = 30_000
export const HELD_BODY_LEAST_BYTES_PER_SECOND = 8 * 1024

/**
 * Connections at once, divided among the threads: far beyond any real site, and what there are
 * descriptors for. Beyond: taken and closed without a word, because an answer would need what there
 * is too little of.
 */
export const CONNECTIONS_MAX = 16_384

/**
 * Requests of one connection that wait for the one before them; no client of registries pipelines.
 * Beyond: one 503 in its turn, with which the connection ends; what is behind it is not taken.
 */
export const PIPELINED_MAX = 16

/**
 * What a request that waits so holds beside its head, about: node's two objects and ours; and of
 * its body what node reads ahead.
 */
export const WAITING_REQUEST_BYTES = 2 * 1024
export const WAITING_BODY_MAX_BYTES = 64 * 1024

/**
 * What waits so on one connection: sixteen small requests, and room for the largest head and a
 * body. Beyond: the connection ends at once, since nothing can be said before the answer under way.
 */
export const WAITING_MAX_BYTES =
  PIPELINED_MAX * WAITING_REQUEST_BYTES + HEADER_MAX_BYTES + WAITING_BODY_MAX_BYTES

/** On all connections together, divided among the threads. Beyond: as above. */
export const WAITING_TOTAL_MAX_BYTES = 64 * 1024 * 1024

/**
 * So much may wait on each whatever the others hold: who asks again as soon as the last byte is
 * there may be faster than the news that it went out.
 */
export const WAITING_ALWAYS_BYTES = 4 * 1024

/**
 * Requests being answered at once in this process, those that wait for their turn with a blob
 * (waiting-room.ts) among them: half of it is for everything else. Beyond: 503 with Retry-After.
 */
export const REQUESTS_MAX = 8_192

/** When the process is full, the next second may do; clients add their own back-off. */
export const BUSY_RETRY_AFTER_SECONDS = 1

/**
 * An answer whose first bytes are not here yet keeps its head back for so long: until then a
 * failure can still be told as one.
 */
export const HEAD_HELD_BACK_MS = 1_000

/**
 * Of a blob at least so much is sent by the kernel; below, reading and writing it costs less than
 * handing it over.
 */
export const SENDFILE_MIN_BYTES = 256 * 1024

/**
 * A body that nobody wants is read and dropped for so long, that its sender gets to read the answer
 * before the connection ends.
 */
export const LINGER_MS = 1_000

/**
 * For answers in memory when nothing else is configured: some ten thousand manifests and
 * configurations.
 */
export const MEMORY_BYTES = 64 * 1024 * 1024

/**
 * What an answer from memory may hold: configurations, manifests and small layers. Larger ones are
 * sent from their file as cheaply.
 */
export const HOT_BODY_MAX_BYTES = 256 * 1024

/**
 * Requests of which it is remembered that they came once: an answer is kept in memory from the
 * second time on, a blob once its length is known.
 */
export const HOT_MISSES_MAX = 4_096

/**
 * In its grace an answer is revalidated so often at most, on each thread. What the upstream said
 * comes at the next of these times, or at once where it changed anything. Each time holds up the
 * thread, and all clients behind it, for a millisecond: at 50 ms that was one answer in a hundred,
 * and without a pause one client in thirty went the long way itself.
 */
export const HOT_REVALIDATE_EVERY_MS = 250

/**
 * A manifest from memory is told to fetching ahead so often, which then expects a pull for at least
 * as long.
 */
export const HOT_PULL_NOTED_MS = 5_000

/**
 * That a large blob is read which is open already is told to fetching ahead so often: it gives an
 * image up after five.
 */
export const HOT_READ_NOTED_MS = 1_000

/** Names, passwords and a handful of scopes of 255 characters, with room to spare. Beyond: 413. */
export const TOKEN_FORM_MAX_BYTES = 16 * 1024

/** Clients read a bounded part of an error's body (R121). */
export const ERROR_BODY_MAX_BYTES = 64 * 1024

/** A page of tags or repositories: by default, and at most (R66). */
export const LIST_LIMITS = { defaultLimit: 1_000, maxLimit: 10_000 } as const

/**
 * Repositories that are read, and judged, in one step: a few milliseconds with a thousand rules.
 */
export const CATALOG_READ_ROWS = 100
/**
 * Steps of one page beside those that its length takes: ten thousand repositories that are not
 * shown, which is a second of the thread at worst, in steps between which others have their turn.
 */
export const CATALOG_HIDDEN_READS_MAX = 100

/** What clients read of a referrers answer (R76); the rest is on the next page. */
export const REFERRERS_MAX_BYTES = 4 * 1024 * 1024

/**
 * A number that several threads may count together, so that a bound of the process is one bound
 * however many of them serve.
 */
export interface Count {
  /** Adds to this thread's part, and returns the sum of all. Who adds 0 looks. */
  add(by: number): number
}

/** One that no other thread counts. */
export function createCount(): Count {
  let sum = 0
  return {
    add(by) {
      sum += by
      return sum
    },
  }
}

/** The same of each of many clients, by what stands for one. */
export interface KeyedCount {
  /** As for Count. MAY return a little more than there is, never less. */
  add(key: string, by: number): number
}

/** One that no other thread counts. */
export function createKeyedCount(): KeyedCount {
  const sums = new Map<string, number>()
  return {
    add(key, by) {
      const sum = (sums.get(key) ?? 0) + by
      if (sum === 0) sums.delete(key)
      else sums.set(key, sum)
      return sum
    },
  }
}
