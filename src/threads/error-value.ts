// Errors as they cross between threads: whole, so that what http/ makes of one and what the log
// says of it is the same on every thread. The clone that a MessagePort makes of an error keeps
// neither class nor fields.
import { CAUSES_MAX } from '../observe/log.ts'
import { type ErrorCode, type FurtherError, RegistryError } from '../oci/errors.ts'
import { UploadOrderError, type UploadState } from '../registry/answers.ts'
import {
  StoreError,
  storeErrorOf,
  type StoreErrorValue,
  storeErrorValue,
} from '../registry/ports/store-error.ts'
import { UpstreamError, type UpstreamFailure } from '../registry/ports/upstream.ts'

interface ErrorText {
  readonly name: string
  readonly message: string
  readonly stack: string | undefined
  readonly cause: ErrorValue | undefined
}

export type ErrorValue = ErrorText &
  (
    | {
        readonly kind: 'registry'
        readonly code: ErrorCode
        readonly status: number
        readonly detail: unknown
        readonly further: readonly FurtherError[]
        readonly retryAfterSeconds: number | undefined
        /** Of an UploadOrderError. */
        readonly state: UploadState | undefined
      }
    | ({ readonly kind: 'store' } & StoreErrorValue)
    | {
        readonly kind: 'upstream'
        readonly failure: UpstreamFailure
        readonly facts: UpstreamFacts
      }
    | { readonly kind: 'other'; readonly code: unknown; readonly hint: unknown }
  )

type UpstreamFacts = Pick<
  UpstreamError,
  'hint' | 'retryAfterMs' | 'status' | 'repositoryUnknown' | 'code' | 'sanitizedMessage'
>

/** Whatever was thrown, as a value that can cross. */
export function encodeError(error: unknown, depth = 0): ErrorValue {
  if (!(error instanceof Error)) return encodeError(new Error(String(error)), depth)
  const { name, message, stack, cause } = error
  const text = {
    name,
    message,
    stack,
    cause: cause instanceof Error && depth < CAUSES_MAX ? encodeError(cause, depth + 1) : undefined,
  }
  if (error instanceof RegistryError) {
    const { code, status, detail, further, retryAfterSeconds } = error
    const state = error instanceof UploadOrderError ? error.state : undefined
    return { ...text, kind: 'registry', code, status, detail, further, retryAfterSeconds, state }
  }
  if (error instanceof StoreError) return { ...text, kind: 'store', ...storeErrorValue(error) }
  if (error instanceof UpstreamError) {
    const { failure, hint, retryAfterMs, status, repositoryUnknown, code, sanitizedMessage } = error
    const facts = { hint, retryAfterMs, status, repositoryUnknown, code, sanitizedMessage }
    return { ...text, kind: 'upstream', failure, facts }
  }
  const { code, hint } = error as { code?: unknown; hint?: unknown }
  return { ...text, kind: 'other', code: plain(code), hint: plain(hint) }
}

/** The same error again, of the same class. Its trace is that of the thread where it was thrown. */
export function decodeError(value: ErrorValue): Error {
  const error = rebuild(value)
  error.name = value.name
  if (value.stack !== undefined) error.stack = value.stack
  return error
}

function rebuild(value: ErrorValue): Error {
  const { message } = value
  const cause = value.cause === undefined ? undefined : decodeError(value.cause)
  switch (value.kind) {
    case 'registry':
      return rebuildRegistryError(value, cause)
    case 'store':
      return storeErrorOf(value, cause)
    case 'upstream':
      return new UpstreamError(value.failure, message, { ...present(value.facts), cause })
    case 'other': {
      const error = new Error(message, cause === undefined ? {} : { cause })
      return Object.assign(error, present({ code: value.code, hint: value.hint }))
    }
  }
}

function rebuildRegistryError(
  value: Extract<ErrorValue, { kind: 'registry' }>,
  cause: Error | undefined,
): RegistryError {
  const { code, message, status, detail, further, retryAfterSeconds, state } = value
  if (state !== undefined) return new UploadOrderError(message, state)
  return new RegistryError(code, message, {
    status,
    cause,
    further,
    ...present({ detail, retryAfterSeconds }),
  })
}

/** Without what is undefined. */
function present<Facts extends object>(
  facts: Facts,
): { [Key in keyof Facts]?: Exclude<Facts[Key], undefined> } {
  const entries = Object.entries(facts).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [Key in keyof Facts]?: Exclude<Facts[Key], undefined> }
}

/** Codes and hints are text or numbers; anything else might not cross. */
function plain(value: unknown): unknown {
  return typeof value === 'string' || typeof value === 'number' ? value : undefined
}
