// What a stub registry was asked, in order, and sums over it. Counting is the point of the stub:
// "each byte was asked for once" is a statement about this list.
import type { IncomingHttpHeaders } from 'node:http'

export type RequestKind =
  | 'ping'
  | 'token'
  | 'manifest'
  | 'blob'
  | 'upload'
  | 'tags'
  | 'referrers'
  | 'catalog'
  | 'other'

/** `storage` is the second host, to which blobs are redirected. */
export type StubHost = 'registry' | 'storage'

export interface StubRequest {
  readonly host: StubHost
  readonly kind: RequestKind
  readonly method: string
  /** As received, without the query. */
  readonly path: string
  /** Without the question mark. */
  readonly query: string
  /** Empty for requests that name no repository. */
  readonly repository: string
  /** Tag or digest; for blobs and referrers the digest; for uploads their id; else empty. */
  readonly reference: string
  readonly headers: IncomingHttpHeaders
  /** Name, value, name, value. */
  readonly rawHeaders: readonly string[]
  /** 0 until an answer was begun. */
  status: number
  /** Bytes of the body that the kernel has taken so far. */
  bytesSent: number
  /** Bytes of the request's body that were read; only of what writes. */
  bytesReceived: number
  /**
   * First and last byte of the content that the answer was to carry; undefined for all but blobs
   * that were found.
   */
  range: readonly [first: number, last: number] | undefined
  /** Whether everything that was to be sent has been sent. */
  finished: boolean
  /** Whether its answer has ended one way or the other; until then it has a connection. */
  closed: boolean
}

/** Which requests; a member that is left out matches all. */
export interface RequestMatch {
  readonly host?: StubHost
  readonly kind?: RequestKind
  readonly method?: string
  readonly repository?: string
  /** Tag or digest as it stands in the path. */
  readonly reference?: string
  /** The same as `reference`, for reading. */
  readonly digest?: string
  readonly status?: number
}

export function matches(request: StubRequest, match: RequestMatch): boolean {
  const { digest, reference = digest, ...rest } = match
  const wanted = { ...rest, ...(reference === undefined ? {} : { reference }) }
  return Object.entries(wanted).every(
    ([name, value]) => value === undefined || request[name as keyof StubRequest] === value,
  )
}

export function createRequestLog() {
  const requests: StubRequest[] = []
  const waiting = new Set<() => void>()

  const select = (match: RequestMatch) => requests.filter(request => matches(request, match))

  return {
    requests,
    add: (request: StubRequest): void => {
      requests.push(request)
      for (const look of waiting) look()
    },
    count: (match: RequestMatch = {}): number => select(match).length,
    select,
    /**
     * Bytes of contents sent, errors not counted: of one digest, or of all blobs; from both hosts.
     */
    bytesSent: (digest?: string): number =>
      select(digest === undefined ? { kind: 'blob' } : { digest })
        .filter(({ kind, range }) => kind !== 'blob' || range !== undefined)
        .reduce((sum, { bytesSent }) => sum + bytesSent, 0),
    /**
     * For each GET of the blob that was answered with bytes: first and last byte that were asked
     * for.
     */
    rangesAsked: (digest: string): (readonly [number, number])[] =>
      select({ kind: 'blob', method: 'GET', digest }).flatMap(({ range }) =>
        range === undefined ? [] : [range],
      ),
    /** Resolves when `count` requests that match have come. */
    untilCount: (match: RequestMatch, count: number): Promise<void> =>
      new Promise(resolve => {
        const look = () => {
          if (select(match).length < count) return
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        look()
      }),
    /** Forgets what was asked; faults and content stay. */
    clear: (): void => {
      requests.length = 0
    },
  }
}
