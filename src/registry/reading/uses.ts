// Who was given what, counted in memory and handed on now and then: an answer must never cost a
// commit, nor a message to another thread. Each thread that serves has one; that of the thread with
// the catalog hands on to it, the others to that one. A stop loses nothing of it, a crash the last
// minute.
import type { Digest } from '../../oci/digest.ts'
import { type Reference, type Repository, repositoryKey } from '../../oci/reference.ts'
import type { CountedUses, Used } from '../ports/catalog-uses.ts'
import type { Clock } from '../ports/clock.ts'

/** Kept by who gives the same again and again. It costs two additions, and never throws. */
export type NoteUse = (atMs: number) => void

export interface UsesOptions {
  readonly clock: Pick<Clock, 'sleep' | 'monotonicMs'>
  /** What is new waits so long at most. */
  readonly everyMs: number
  /** What goes on being used is handed on so often at most. */
  readonly againMs: number
  /** Who tells `add` of what others counted; MUST NOT reject. Default: there is nobody. */
  readonly others?: { tellUses(): Promise<void> } | undefined
  /** What it rejects with is lost: whoever else writes there tells of it. */
  readonly handOn: (uses: readonly CountedUses[]) => void | Promise<void>
}

/**
 * Things whose uses wait at once, or waited a moment ago: some 500 KB, and less than 50 ms of the
 * thread that writes them, behind which a push may wait. More are handed on early; while those
 * before are not written yet, more are lost.
 */
const THINGS_MAX = 1_000

interface Thing {
  readonly used: Used
  count: number
  atMs: number
  /** Monotonic. */
  handedOnMs: number
  /** Its uses are going to be handed on; otherwise nobody looks at them any more. */
  isHere: boolean
}

export class Uses {
  readonly #options: UsesOptions
  readonly #stopping = new AbortController()
  #things = new Map<string, Thing>()
  #isTimed = false
  #handingOn = 0
  #handedOn: Promise<void> = Promise.resolve()

  constructor(options: UsesOptions) {
    this.#options = options
  }

  note(used: Used, atMs: number): void {
    count(this.#open(used), 1, atMs)
  }

  createNote(used: Used): NoteUse {
    let thing: Thing | undefined
    return atMs => {
      if (thing?.isHere !== true) thing = this.#open(used)
      count(thing, 1, atMs)
    }
  }

  /** What another thread counted. */
  add(uses: readonly CountedUses[]): void {
    for (const used of uses) count(this.#open(used), used.count, used.atMs)
  }

  /** Resolves when all that was noted before, by others too, is handed on, or lost. */
  async flush(): Promise<void> {
    await this.#options.others?.tellUses()
    await this.#handOnAll()
  }

  /** Resolves as `flush`, not asking others. What is noted later is lost. */
  stop(): Promise<void> {
    this.#stopping.abort()
    const flushed = this.#handOnAll()
    this.#forgetAll()
    return flushed
  }

  #handOnAll(): Promise<void> {
    return this.#handOn(this.#take(() => true))
  }

  #open(used: Used): Thing {
    const key = keyOf(used)
    const known = this.#things.get(key)
    if (known !== undefined) return known
    const { repository, digest, tag } = used
    const thing: Thing = {
      used: { repository, digest, tag },
      count: 0,
      atMs: 0,
      handedOnMs: Number.NEGATIVE_INFINITY,
      isHere: false,
    }
    if (this.#stopping.signal.aborted || !this.#hasRoom()) return thing
    thing.isHere = true
    this.#things.set(key, thing)
    if (!this.#isTimed) void this.#handOnInTime()
    return thing
  }

  #hasRoom(): boolean {
    if (this.#things.size < THINGS_MAX) return true
    if (this.#handingOn > 0) return false
    void this.#handOnAll()
    this.#forgetAll()
    return true
  }

  #forgetAll(): void {
    for (const thing of this.#things.values()) thing.isHere = false
    this.#things = new Map()
  }

  /** As long as there is anything. */
  async #handOnInTime(): Promise<void> {
    const { clock, everyMs, againMs } = this.#options
    this.#isTimed = true
    try {
      while (this.#things.size > 0) {
        await clock.sleep(everyMs, this.#stopping.signal)
        const beforeMs = clock.monotonicMs() - againMs
        await this.#handOn(this.#take(({ handedOnMs }) => handedOnMs <= beforeMs))
      }
    } catch {
      // Stopped: whoever stops flushes what is left.
    } finally {
      this.#isTimed = false
    }
  }

  /** What was not used since it was last due goes. */
  #take(isDue: (thing: Thing) => boolean): readonly CountedUses[] {
    const nowMs = this.#options.clock.monotonicMs()
    const taken: CountedUses[] = []
    for (const [key, thing] of this.#things) {
      if (!isDue(thing)) continue
      if (thing.count === 0) {
        thing.isHere = false
        this.#things.delete(key)
        continue
      }
      taken.push({ ...thing.used, count: thing.count, atMs: thing.atMs })
      thing.count = 0
      thing.handedOnMs = nowMs
    }
    return taken
  }

  /** In the order of the calls, one after another. */
  #handOn(uses: readonly CountedUses[]): Promise<void> {
    if (uses.length === 0) return this.#handedOn
    const before = this.#handedOn
    const handOn = async () => {
      await before
      try {
        await this.#options.handOn(uses)
      } catch {
        // Lost.
      }
      this.#handingOn -= 1
    }
    this.#handingOn += 1
    this.#handedOn = handOn()
    return this.#handedOn
  }
}

function count(thing: Thing, uses: number, atMs: number): void {
  thing.count += uses
  if (atMs > thing.atMs) thing.atMs = atMs
}

/** What who asks for a manifest by `reference` uses, when it is given the one with `digest`. */
export function usedBy(
  repository: Repository,
  { reference, digest }: { readonly reference: Reference; readonly digest: Digest },
): Used {
  const tag = reference.kind === 'tag' ? reference.tag : undefined
  return { repository, digest, tag }
}

function keyOf({ repository, digest, tag }: Used): string {
  return `${repositoryKey(repository)} ${digest} ${tag ?? ''}`
}
