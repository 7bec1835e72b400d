// How disk and catalog fail.

/**
 * - `full`: no space or no inodes left; `io`: the disk failed; `corrupt`: bytes do not hash to
 *   their digest or have the wrong length; `busy`: another fill of this digest is open, the data
 *   directory is another process's, or too many catalog writes wait.
 */
export type StoreFailure = 'full' | 'io' | 'corrupt' | 'busy'

export interface WantedRoom {
  /** Absent when nobody had said how long it is. */
  readonly wantedBytes?: number
  /** There was room for so much of it. */
  readonly freeBytes: number
}

/** Not safe to show to clients: it names files. `hint` says what the operator can do. */
export class StoreError extends Error {
  readonly failure: StoreFailure
  readonly hint: string | undefined
  /** Of `full`, where it was found out before anything was written. */
  readonly room: WantedRoom | undefined
  /** Of `full`: there is room but for what others have announced and not brought. */
  readonly isPassing: boolean
  /** Of a publication: the file has its name by then, and whoever wrote it has to take it away. */
  readonly isNamed: boolean

  constructor(
    failure: StoreFailure,
    message: string,
    options: {
      hint?: string | undefined
      cause?: unknown
      room?: WantedRoom
      isPassing?: boolean
      isNamed?: boolean
    } = {},
  ) {
    super(message, { cause: options.cause })
    this.name = 'StoreError'
    this.failure = failure
    this.hint = options.hint
    this.room = options.room
    this.isPassing = options.isPassing ?? false
    this.isNamed = options.isNamed ?? false
  }
}

/**
 * As it crosses between threads, by whatever way: the clone that a MessagePort makes of an error
 * keeps neither class nor fields.
 */
export type StoreErrorValue = Pick<
  StoreError,
  'message' | 'failure' | 'hint' | 'room' | 'isPassing'
>

export function storeErrorValue(error: StoreError): StoreErrorValue {
  const { message, failure, hint, room, isPassing } = error
  return { message, failure, hint, room, isPassing }
}

/** The same error again. */
export function storeErrorOf(value: StoreErrorValue, cause?: Error): StoreError {
  const { message, failure, hint, room, isPassing } = value
  return new StoreError(failure, message, {
    cause,
    isPassing,
    ...(hint === undefined ? {} : { hint }),
    ...(room === undefined ? {} : { room }),
  })
}
