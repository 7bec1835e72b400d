// The fault switches of a stub registry: what may go wrong with one answer, for which requests, and
// how often. Plain data; what each member does is in stub-sending.ts (how bytes go out) and
// stub-registry.ts (what the answer is).
import { matches, type RequestMatch, type StubRequest } from './stub-requests.ts'

/**
 * Members combine. Offsets count bytes of this answer's body, except `flipAt` and `barrier`, which
 * count bytes of the content.
 */
export interface Fault {
  // When bytes go out.
  /** Before the head of the answer. */
  readonly latencyMs?: number
  /** For each connection. */
  readonly bytesPerSecond?: number
  /** The head never comes. */
  readonly stallHeaders?: true
  /** After so many bytes nothing more comes; the connection stays open. */
  readonly stallAt?: number
  /** From this byte of the content on every answer waits for `barrier.release()`. */
  readonly barrier?: Barrier
  // Which bytes go out.
  /** Ends the connection after so many bytes; the head promised all. */
  readonly truncateAt?: number
  /** The same with a TCP reset. */
  readonly resetAt?: number
  /** Closes the connection without a word. */
  readonly dropConnection?: true
  /** Inverts one bit of this byte of the content. */
  readonly flipAt?: number
  /** Added to Content-Length: the head promises more, or less, than is sent. */
  readonly lengthDelta?: number
  /** So many bytes of rubbish follow the body, and are counted in Content-Length. */
  readonly extraBytes?: number
  /** So many bytes are left off the end, and the head says so: a short but complete answer. */
  readonly missingBytes?: number
  /** No Content-Length; chunked coding. */
  readonly chunked?: true
  /** No Content-Length, no chunked coding: the end of the connection ends the body. */
  readonly untilClose?: true
  /** The body goes on until the client leaves. */
  readonly endless?: true
  /** `content-encoding: gzip`, whatever the client accepts. */
  readonly gzip?: true
  /** Takes the place of the body; Content-Length is right for it. */
  readonly body?: Buffer | string
  // What the head says.
  /** Set, or with null removed. Lower-case names. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | null>>
  /** `Docker-Content-Digest`; null removes it. */
  readonly digestHeader?: string | null
  /** `Content-Type`; null removes it. */
  readonly mediaType?: string | null
  /** Answers the whole content with 200 when a range was asked for. */
  readonly ignoreRange?: true
  /** `Content-Range` starts so many bytes later than the bytes that follow. */
  readonly rangeDelta?: number
  /** This answer instead; body empty unless `body` is given. */
  readonly status?: number
  /** To a URL, or to `storage`: a signed URL on the second host. */
  readonly redirect?: string | Redirect
  // What becomes of a push. Offsets count bytes of the request's body. With `status` it has no
  // effect; with `dropConnection` and `stallHeaders` it has, but the client is not told.
  /** With `status`: answers after so many bytes, and reads no more. Default: after all. */
  readonly answerAt?: number
  /** Ends the connection after so many bytes. */
  readonly takeCutAt?: number
  /** Reads no more after so many bytes; the connection stays open. */
  readonly takeStallAt?: number
  /**
   * Takes effect only when released, even if the client has left by then. `atBytes` does not
   * matter.
   */
  readonly hold?: Barrier
  /** The upload is gone: 404 BLOB_UPLOAD_UNKNOWN. */
  readonly expireUpload?: true
}

export interface Redirect {
  /**
   * Default storage. `self`: the same host by another path; `loop`: the same URL again; a number:
   * so many hops, then storage.
   */
  readonly to?: 'storage' | 'self' | 'loop' | number
  /** Default 307. */
  readonly status?: number
  /** The signed URL has expired when it is used. */
  readonly expired?: true
}

/** Stops answers at a byte until it is released, and tells when one has got there. */
export interface Barrier {
  readonly atBytes: number
  /** Resolves when the first answer has sent so many bytes and waits. */
  readonly reached: Promise<void>
  release(): void
  /** For the sender of an answer: resolves when released. */
  wait(): Promise<void>
}

export function createBarrier(atBytes: number): Barrier {
  const reached = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  return {
    atBytes,
    reached: reached.promise,
    release: () => released.resolve(),
    wait: () => {
      reached.resolve()
      return released.promise
    },
  }
}

/** The forms that registries give to 429 (R154). */
export function tooManyRequests(
  form: 'errors' | 'message' | 'text',
  retryAfter?: string | number,
): Fault {
  const bodies = {
    errors:
      '{"errors":[{"code":"TOOMANYREQUESTS","message":"you have reached your pull rate limit"}]}',
    message: '{"message":"toomanyrequests: you have reached your pull rate limit"}',
    text: 'You have reached your pull rate limit.\n',
  }
  return {
    status: 429,
    body: bodies[form],
    mediaType: form === 'text' ? 'text/plain' : 'application/json',
    headers: retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) },
  }
}

/**
 * 401 whatever the client sends; `challenge` is the `WWW-Authenticate` value, and null means that
 * there is none.
 */
export function unauthorized(challenge: string | null): Fault {
  return {
    status: 401,
    headers: { 'www-authenticate': challenge },
    ...errorBody('UNAUTHORIZED', 'authentication required'),
  }
}

/** An answer with the error envelope of the specification. */
export function failure(status: number, code = 'UNKNOWN', message = 'stub failure'): Fault {
  return { status, ...errorBody(code, message) }
}

function errorBody(code: string, message: string): Fault {
  return { body: JSON.stringify({ errors: [{ code, message }] }), mediaType: 'application/json' }
}

export interface FaultHandle {
  /** How many answers it has touched. */
  readonly hits: number
  remove(): void
}

export interface FaultOptions {
  /** How often; default always. */
  readonly times?: number
  /** Spares so many matching requests first. */
  readonly after?: number
}

const BODY_ONLY = new Set<string>([
  'bytesPerSecond',
  'stallAt',
  'barrier',
  'truncateAt',
  'resetAt',
  'flipAt',
  'chunked',
  'endless',
])

/**
 * The first fault that matches and has times left is the one; HEAD does not use up a fault that
 * only a body can show.
 */
export function createFaultList() {
  const active: Scripted[] = []

  function add(match: RequestMatch, fault: Fault, options: FaultOptions = {}): FaultHandle {
    const scripted: Scripted = {
      match,
      fault,
      hits: 0,
      spare: options.after ?? 0,
      left: options.times ?? Infinity,
    }
    active.push(scripted)
    return {
      get hits() {
        return scripted.hits
      },
      remove: () => {
        scripted.left = 0
      },
    }
  }

  function take(request: StubRequest): Fault {
    const bodyless = request.method === 'HEAD'
    for (const scripted of active) {
      if (scripted.left === 0 || !matches(request, scripted.match)) continue
      if (bodyless && Object.keys(scripted.fault).every(name => BODY_ONLY.has(name))) continue
      if (scripted.spare > 0) {
        scripted.spare -= 1
        continue
      }
      scripted.left -= 1
      scripted.hits += 1
      return scripted.fault
    }
    return {}
  }

  return {
    add,
    take,
    clear: (): void => {
      active.length = 0
    },
  }
}

interface Scripted {
  readonly match: RequestMatch
  readonly fault: Fault
  hits: number
  spare: number
  left: number
}
