// The error codes of the distribution specification ("Error Codes") and the two that every registry
// adds. One table: HTTP status, standard message. Everything a client may be told is a
// RegistryError; failures of upstreams and of the disk are other classes and are mapped before they
// reach a client.

/** Status and standard message per code (R122). The keys are what stands in `errors[].code`. */
export const ERROR_CODES = {
  BLOB_UNKNOWN: { status: 404, message: 'blob unknown to registry' },
  BLOB_UPLOAD_INVALID: { status: 404, message: 'blob upload invalid' },
  BLOB_UPLOAD_UNKNOWN: { status: 404, message: 'blob upload unknown to registry' },
  DIGEST_INVALID: { status: 400, message: 'provided digest did not match uploaded content' },
  MANIFEST_BLOB_UNKNOWN: {
    status: 400,
    message: 'manifest references a manifest or blob unknown to registry',
  },
  MANIFEST_INVALID: { status: 400, message: 'manifest invalid' },
  MANIFEST_UNKNOWN: { status: 404, message: 'manifest unknown to registry' },
  NAME_INVALID: { status: 400, message: 'invalid repository name' },
  NAME_UNKNOWN: { status: 404, message: 'repository name not known to registry' },
  SIZE_INVALID: { status: 400, message: 'provided length did not match content length' },
  TAG_INVALID: { status: 400, message: 'invalid tag' },
  UNAUTHORIZED: { status: 401, message: 'authentication required' },
  DENIED: { status: 403, message: 'requested access to the resource is denied' },
  UNSUPPORTED: { status: 405, message: 'the operation is unsupported' },
  TOOMANYREQUESTS: { status: 429, message: 'too many requests' },
  RANGE_INVALID: { status: 416, message: 'invalid content range' },
  PAGINATION_NUMBER_INVALID: { status: 400, message: 'invalid number of results requested' },
  UNAVAILABLE: { status: 503, message: 'service unavailable' },
  UNKNOWN: { status: 500, message: 'unknown error' },
} as const satisfies Record<string, { status: number; message: string }>

export type ErrorCode = keyof typeof ERROR_CODES

export interface RegistryErrorOptions {
  /** Shown to the client as `detail`; plain JSON, nothing secret. */
  detail?: unknown
  /**
   * What else is wrong in the same way: entries of the same code that follow this one, each with
   * what it is about.
   */
  further?: readonly FurtherError[]
  /**
   * Overrides the table's status where the specification allows several (413 for a manifest too
   * large).
   */
  status?: number
  /** Becomes `Retry-After`, in whole seconds, at least 1 (R124). */
  retryAfterSeconds?: number
  /** Of a 401: becomes `WWW-Authenticate`. */
  challenge?: string
  /** For the log only; never shown to the client. */
  cause?: unknown
}

export interface FurtherError {
  readonly message: string
  readonly detail: unknown
}

/** An error that is safe to show to a client. `message` says what a person can do about it. */
export class RegistryError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly detail: unknown
  readonly further: readonly FurtherError[]
  readonly retryAfterSeconds: number | undefined
  readonly challenge: string | undefined

  constructor(code: ErrorCode, message?: string, options: RegistryErrorOptions = {}) {
    super(message ?? ERROR_CODES[code].message, { cause: options.cause })
    this.name = 'RegistryError'
    this.code = code
    this.status = options.status ?? ERROR_CODES[code].status
    this.detail = options.detail
    this.further = options.further ?? []
    this.retryAfterSeconds = options.retryAfterSeconds
    this.challenge = options.challenge
  }
}

/** The JSON body of an error answer (R121): one entry per error. */
export function errorEnvelope(error: RegistryError): string {
  const { code } = error
  const entries = [error, ...error.further].map(({ message, detail }) => ({
    code,
    message,
    ...(detail === undefined ? {} : { detail }),
  }))
  return JSON.stringify({ errors: entries })
}
