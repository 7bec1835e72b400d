// S3-FIFO (Yang et al., SOSP '23): what comes waits in a small queue, a tenth of the cache; what
// was used more than once by its end goes on to the main queue, the rest leaves, and its name is
// remembered: if it comes again it goes to the main queue at once. There uses give up to three more
// rounds. As the authors do for objects of unequal sizes, queues are measured in bytes, those of
// the remembered ones too.
import type { Policy, PolicyKind, View } from './policy.ts'

export const S3_FIFO: PolicyKind = {
  name: 'S3-FIFO',
  inRows: false,
  open: view => new S3Fifo(view),
}

const SMALL_SHARE = 0.1
const USES_MAX = 3
/** More uses than this bring an image from the small queue into the main one. */
const USES_TO_STAY = 1
/** Its place, its uses and its bytes. */
const ENTRY_BYTES = 17
const REMEMBERED_BYTES = 16

interface Entry {
  bytes: number
  uses: number
}

class S3Fifo implements Policy {
  readonly #smallLimitBytes: number
  /** Oldest first, as all maps are that nothing is put into twice. */
  readonly #small = new Map<number, Entry>()
  readonly #main = new Map<number, Entry>()
  readonly #remembered = new Map<number, number>()
  #smallBytes = 0
  #mainBytes = 0
  #rememberedBytes = 0

  constructor({ limitBytes }: View) {
    this.#smallLimitBytes = limitBytes * SMALL_SHARE
  }

  came(image: number, _atMs: number, bytes: number): void {
    const known = this.#remembered.get(image)
    if (known === undefined) {
      this.#small.set(image, { bytes, uses: 0 })
      this.#smallBytes += bytes
    } else {
      this.#remembered.delete(image)
      this.#rememberedBytes -= known
      this.#toMain(image, { bytes, uses: 0 })
    }
  }

  used(image: number): void {
    const entry = this.#small.get(image) ?? this.#main.get(image)
    if (entry !== undefined) entry.uses = Math.min(USES_MAX, entry.uses + 1)
  }

  left(image: number): void {
    const [small, main] = [this.#small.get(image), this.#main.get(image)]
    if (main !== undefined) {
      this.#main.delete(image)
      this.#mainBytes -= main.bytes
    } else if (small !== undefined) {
      this.#small.delete(image)
      this.#smallBytes -= small.bytes
      this.#remember(image, small.bytes)
    }
  }

  next(mayLeave: (image: number) => boolean): number | undefined {
    let held = 0
    while (held < this.#small.size + this.#main.size) {
      const isSmall =
        this.#small.size > 0 && (this.#smallBytes > this.#smallLimitBytes || this.#main.size === 0)
      const queue = isSmall ? this.#small : this.#main
      const [image, entry] = queue.entries().next().value as [number, Entry]
      if (isSmall && entry.uses > USES_TO_STAY) {
        queue.delete(image)
        this.#smallBytes -= entry.bytes
        this.#toMain(image, { ...entry, uses: 0 })
      } else if (!isSmall && entry.uses > 0) {
        entry.uses--
        again(queue, image, entry)
      } else if (mayLeave(image)) return image
      else {
        held++
        again(queue, image, entry)
      }
    }
    // The main queue had nobody, or the small one was held back as a whole.
    return [...this.#small.keys(), ...this.#main.keys()].find(mayLeave)
  }

  stateBytes(): number {
    const here = this.#small.size + this.#main.size
    return here * ENTRY_BYTES + this.#remembered.size * REMEMBERED_BYTES
  }

  #toMain(image: number, entry: Entry): void {
    this.#main.set(image, entry)
    this.#mainBytes += entry.bytes
  }

  #remember(image: number, bytes: number): void {
    this.#remembered.set(image, bytes)
    this.#rememberedBytes += bytes
    for (const [oldest, itsBytes] of this.#remembered) {
      if (this.#rememberedBytes <= this.#mainBytes) break
      this.#remembered.delete(oldest)
      this.#rememberedBytes -= itsBytes
    }
  }
}

function again(queue: Map<number, Entry>, image: number, entry: Entry): void {
  queue.delete(image)
  queue.set(image, entry)
}
