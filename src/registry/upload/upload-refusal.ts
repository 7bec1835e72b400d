// Why an upload cannot be begun or gone on with, in words for the client. Pieces that do not fit
// are append-upload.ts; what the operator's rules forbid is push-refusal.ts.
import { RegistryError } from '../../oci/errors.ts'
import { noteStorage } from '../best-effort.ts'
import { StoreError } from '../ports/store-error.ts'
import type { NoteEvent } from '../ports/events.ts'

/** Until the next one of many is done, or has given up. */
const RETRY_AFTER_BUSY_SECONDS = 5
/** Somebody has to finish or cancel some first; clients wait no longer than this (R124). */
const RETRY_AFTER_LONG_SECONDS = 60
const RETRY_AFTER_STOP_SECONDS = 1
/**
 * By these words dockerd knows that trying again is of no use; it repeats any other 5xx five times,
 * for a minute.
 */
const NO_SPACE = 'no space left on device'

/**
 * The same for what was never there and for another repository's: an id is all that a client holds
 * (R178).
 */
export function unknownUpload(): RegistryError {
  return new RegistryError(
    'BLOB_UPLOAD_UNKNOWN',
    'there is no such upload in this repository: it has ended, was cancelled or removed, or was never begun; begin a new one',
  )
}

export function tooManyBegun(limit: number): RegistryError {
  return new RegistryError(
    'TOOMANYREQUESTS',
    `${limit} uploads were begun at this edge and not finished: finish or cancel some; those that nobody goes on with are removed as storage.maintenance.uploadpurging says`,
    { retryAfterSeconds: RETRY_AFTER_LONG_SECONDS },
  )
}

export function tooManyAtOnce(limit: number): RegistryError {
  return new RegistryError(
    'UNAVAILABLE',
    `${limit} uploads come in at once, and this edge takes no more: go on in a moment`,
    { retryAfterSeconds: RETRY_AFTER_BUSY_SECONDS },
  )
}

/** Others wait for its place. What came of it counts. */
export function tooSlow(): RegistryError {
  const message = 'the upload came too slowly while others waited; what came of it may be resumed'
  return new RegistryError('UNSUPPORTED', message, { status: 408 })
}

/** Others need its room. */
export function heldInVain(): RegistryError {
  const message =
    'the upload came too slowly while others needed its room, and has ended: begin anew'
  return new RegistryError('UNSUPPORTED', message, { status: 408 })
}

export function stopping(): RegistryError {
  return new RegistryError(
    'UNAVAILABLE',
    'this edge is stopping; the upload can go on once it is back',
    { retryAfterSeconds: RETRY_AFTER_STOP_SECONDS },
  )
}

/** Will the same be taken later? Then what whoever asks again is to be told; undefined when not. */
export function outageOf(error: unknown): RegistryError | StoreError | undefined {
  // Room that is only announced is free in a moment: a new upload may find it.
  if (error instanceof StoreError && error.isPassing) return undefined
  if (error instanceof StoreError) return error.failure === 'full' ? noRoom(error) : error
  return error instanceof RegistryError && error.code === 'UNAVAILABLE' ? error : undefined
}

/**
 * Runs a part of a push; a full disk becomes what the client is told, after one event.
 * @throws what `work` throws
 */
export async function withFullDiskErrors<Answer>(
  note: NoteEvent,
  work: () => Promise<Answer>,
): Promise<Answer> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof StoreError) || error.failure !== 'full') throw error
    noteStorage(note, error, true)
    throw noRoom(error)
  }
}

function noRoom(cause: StoreError): RegistryError {
  if (cause.isPassing) {
    // Whoever announces a lot and brings nothing does not end the pushes of others.
    const message = 'others are bringing as much as this edge has room for: push again in a moment'
    return new RegistryError('UNAVAILABLE', message, {
      retryAfterSeconds: RETRY_AFTER_BUSY_SECONDS,
      cause,
    })
  }
  return new RegistryError(
    'UNAVAILABLE',
    `${NO_SPACE}: the disk of this edge is full, or storage.maxsize is used up; this cannot be pushed until its operator has made room`,
    { status: 507, cause },
  )
}
