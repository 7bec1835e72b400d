// What to do when a download breaks: which failures are worth another attempt, after what pause,
// and what happens to the part on disk.
import type { Namespaces } from '../routing/namespaces.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { FillFile } from '../ports/blob-store-fills.ts'
import { StoreError } from '../ports/store-error.ts'
import type { Clock } from '../ports/clock.ts'
import type { NoteEvent } from '../ports/events.ts'
import { type Distrust, UpstreamError } from '../ports/upstream.ts'
import { mayGoOn } from '../routing/sharing.ts'
import { distrust, type FillTask } from './fill-task.ts'
import { QueueError } from '../refusals/queue-error.ts'

/** Attempts in a row that bring no byte; each follows the upstream client's own retries. */
const MAX_FRUITLESS_ATTEMPTS = 5
const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 8_000

/**
 * The growing file of the blob, with the part that is here already. `advanced` is told how many
 * bytes are there without a gap, as the disk takes them, which is later than the network gives
 * them.
 * @throws StoreError
 */
export async function openPart(
  { store, namespaces }: { store: BlobStore; namespaces: Namespaces },
  { digest, repository }: FillTask,
  advanced: (contiguousBytes: number) => void,
): Promise<FillFile> {
  let file: FillFile
  const open = () => store.openFill(digest, () => advanced(file.contiguousBytes))
  file = await open()
  // A part that somebody else began, and does not share, would be delivered by its end alone
  // (R252).
  if (mayGoOn(namespaces, file, repository.registry)) return file
  await file.discard()
  file = await open()
  return file
}

/**
 * Wrong bytes go; a part that may be right is left for the next attempt, or the next process. What
 * a response says of itself makes no byte wrong: anybody may stand in the way and say something
 * else for a while.
 */
export async function setAside(file: FillFile, error: unknown): Promise<void> {
  const useless = isWrong(error) || (error instanceof StoreError && error.failure === 'full')
  await (useless ? file.discard() : file.park())
}

/** Did the bytes contradict the digest, or those that came before? */
export function isWrong(error: unknown): boolean {
  return error instanceof StoreError && error.failure === 'corrupt'
}

/** It says nothing of the bytes, which whoever wants them can have without a disk (R126). */
export function isOfDisk(error: unknown): error is StoreError {
  return error instanceof StoreError && !isWrong(error)
}

/**
 * What to hold against a mirror that said something of the blob that cannot be; undefined for any
 * other failure. Of all but its bytes the registry may say the same.
 */
export function distrustFor(error: unknown): Distrust | undefined {
  if (isWrong(error)) return 'other bytes'
  return isInvalid(error) ? 'odd content' : undefined
}

/** Tells of what cannot be, and holds it against the mirror. No effect for any other failure. */
export function noteLie(error: unknown, task: FillTask, note: NoteEvent): void {
  const why = distrustFor(error)
  if (why === undefined) return
  distrust(task, why)
  const what = `blob ${task.digest}: ${error instanceof Error ? error.message : 'wrong'}`
  note({ kind: 'content lied', registry: task.repository.registry, what })
}

function isInvalid(error: unknown): boolean {
  return error instanceof UpstreamError && error.failure === 'invalid'
}

/** What readers are told: bytes that are wrong are the upstream's failure, whoever found it out. */
export function failureForReaders(error: unknown): unknown {
  return error instanceof StoreError && error.failure === 'corrupt'
    ? new UpstreamError('invalid', error.message, { cause: error })
    : error
}

/** For the log: what the operator can do. */
export function hintOf(failure: unknown): string | undefined {
  const hasHint =
    failure instanceof UpstreamError ||
    failure instanceof StoreError ||
    failure instanceof QueueError
  return hasHint ? failure.hint : undefined
}

/** Counts the attempts of one download that brought no byte. */
export class Attempts {
  readonly #clock: Clock
  #fruitless = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Pauses before the next attempt, after one that brought `gainedBytes` and then failed with
   * `error`.
   * @throws `error` when there were enough of them; the signal's reason
   */
  async pauseAfter(error: unknown, gainedBytes: number, signal: AbortSignal): Promise<void> {
    this.#fruitless = gainedBytes > 0 ? 0 : this.#fruitless + 1
    if (this.#fruitless > MAX_FRUITLESS_ATTEMPTS) throw error
    await this.#clock.sleep(pauseMs(this.#fruitless, error), signal)
  }
}

/**
 * May another attempt mend it? `isBegun`: the upstream has sent some of the blob, so that whatever
 * it says then in place of the rest is no word on the blob. `hasPart`: somebody did, perhaps
 * another process; the upstream may still refuse it, but not make it another one.
 */
export function mayTryAgain(
  error: unknown,
  { isBegun, hasPart }: { readonly isBegun: boolean; readonly hasPart: boolean },
): boolean {
  if (!(error instanceof UpstreamError)) return false
  if (hasPart) return isBegun || isInvalid(error)
  return isBegun && (error.failure === 'unavailable' || error.failure === 'rate-limited')
}

function pauseMs(fruitless: number, error: unknown): number {
  const wantedMs = error instanceof UpstreamError ? (error.retryAfterMs ?? 0) : 0
  const doubledMs = fruitless === 0 ? 0 : FIRST_PAUSE_MS * 2 ** (fruitless - 1)
  return Math.min(LONGEST_PAUSE_MS, Math.max(wantedMs, doubledMs))
}
