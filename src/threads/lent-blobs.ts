// The blobs that one HTTP thread has open. Their files are open in this thread and are sent from in
// that one, by number: a number that was closed too early would be another file's. So each is
// closed when that thread says so, or once that thread is no more.
import type { BlobAnswer } from '../registry/answers.ts'
import type { Offer } from './other-thread.ts'

interface Lent {
  readonly blob: BlobAnswer
  /** What is read of it as a stream. */
  readonly offers: Offer[]
}

export class LentBlobs {
  readonly #lent = new Map<number, Lent>()
  readonly #failed: (error: unknown) => void
  #lastLease = 0
  #isOver = false

  /** `failed` is told when a blob could not be closed. */
  constructor(failed: (error: unknown) => void) {
    this.#failed = failed
  }

  get count(): number {
    return this.#lent.size
  }

  /** The lease. @throws when the thread is gone; the blob is closed then */
  lend(blob: BlobAnswer): number {
    if (this.#isOver) {
      this.#close({ blob, offers: [] })
      throw new Error('the thread that asked for this blob is gone')
    }
    this.#lastLease += 1
    this.#lent.set(this.#lastLease, { blob, offers: [] })
    return this.#lastLease
  }

  /** @throws for a lease that is over */
  find(lease: number): BlobAnswer {
    return this.#find(lease).blob
  }

  /**
   * Ends with the lease, if not before.
   * @throws for a lease that is over; `offer` is not called then
   */
  offer(lease: number, offer: (blob: BlobAnswer) => Offer): number {
    const { blob, offers } = this.#find(lease)
    const one = offer(blob)
    offers.push(one)
    return one.stream
  }

  /** No effect for a lease that is over. */
  giveBack(lease: number): void {
    const lent = this.#lent.get(lease)
    this.#lent.delete(lease)
    if (lent !== undefined) this.#close(lent)
  }

  /** To be called when the thread is no more and not before: until then it may send from a file. */
  end(): void {
    this.#isOver = true
    for (const lent of this.#lent.values()) this.#close(lent)
    this.#lent.clear()
  }

  #find(lease: number): Lent {
    const lent = this.#lent.get(lease)
    if (lent === undefined) throw new Error('this blob was closed')
    return lent
  }

  #close({ blob, offers }: Lent): void {
    for (const offer of offers) offer.dispose()
    blob.close().catch(this.#failed)
  }
}
