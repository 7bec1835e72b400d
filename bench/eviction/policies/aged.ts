// LFU with ageing: the image that was used least leaves, where a use counts half after each half
// life (LRFU, Lee et al.). Since all uses lose the same share in the same time, the order of two
// images changes only when one is used; so the sum is kept as the time at which a single use would
// weigh as much, the image's *warmth*. It is a number like a last use, only later by a half life
// for each doubling of the uses. Optionally by size: an image stands later by a half life for each
// halving of the bytes that a second of fetching would free.
import type { Policy, PolicyKind, View } from './policy.ts'
import { ScoreQueue } from './score-queue.ts'

export interface AgedOptions {
  readonly halfLifeMs: number
  /** Uses that are closer to the last one that counted do not count; they refresh the image. */
  readonly apartMs: number
  /** 0: as if all were as large and as near. */
  readonly sizeWeight: number
  /** For so long it is remembered how warm an image was that has left. */
  readonly rememberedMs: number
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
export const AGED_DEFAULTS: AgedOptions = {
  halfLifeMs: DAY_MS,
  apartMs: HOUR_MS,
  sizeWeight: 0,
  rememberedMs: 0,
}

export function aged(name: string, options: Partial<AgedOptions> = {}): PolicyKind {
  return {
    name,
    inRows: true,
    open: view => new Aged({ ...AGED_DEFAULTS, ...options }, view),
  }
}

interface Warmth {
  warmthMs: number
  countedMs: number
}

/** Warmth, and the time of the last use that counted. */
const STATE_BYTES = 16
/** So much earlier than any other stands an image whose tag has gone on. */
const COOLED_MS = 3650 * DAY_MS
/** How often the lowest is looked at again because images beside it came or left. */
const LOOKS_MAX = 8

export class Aged implements Policy {
  readonly #options: AgedOptions
  readonly #view: View
  readonly #here = new ScoreQueue()
  readonly #warmths = new Map<number, Warmth>()
  #forgottenAtMs = 0

  constructor(options: AgedOptions, view: View) {
    this.#options = options
    this.#view = view
  }

  came(image: number, atMs: number): void {
    this.#forget(atMs)
    this.used(image, atMs)
  }

  used(image: number, atMs: number): void {
    const { halfLifeMs, apartMs } = this.#options
    const known = this.#warmths.get(image)
    if (known === undefined) this.#warmths.set(image, { warmthMs: atMs, countedMs: atMs })
    else if (atMs - known.countedMs < apartMs) known.warmthMs = Math.max(known.warmthMs, atMs)
    else {
      known.warmthMs = add(known.warmthMs, atMs, halfLifeMs)
      known.countedMs = atMs
    }
    this.#here.set(image, this.#score(image))
  }

  cool(image: number): void {
    const known = this.#warmths.get(image)
    if (known === undefined || !this.#here.has(image)) return
    known.warmthMs -= COOLED_MS
    known.countedMs = Number.NEGATIVE_INFINITY
    this.#here.set(image, this.#score(image))
  }

  left(image: number): void {
    this.#here.delete(image)
    if (this.#options.rememberedMs === 0) this.#warmths.delete(image)
  }

  next(mayLeave: (image: number) => boolean): number | undefined {
    for (let looks = 0; ; looks++) {
      const lowest = this.#here.first(mayLeave)
      if (lowest === undefined || this.#options.sizeWeight === 0 || looks === LOOKS_MAX)
        return lowest
      const score = this.#score(lowest)
      if (score <= (this.#here.scoreOf(lowest) ?? score)) return lowest
      this.#here.set(lowest, score)
    }
  }

  stateBytes(): number {
    return this.#warmths.size * STATE_BYTES
  }

  #score(image: number): number {
    const { halfLifeMs, sizeWeight } = this.#options
    const { warmthMs } = this.#warmths.get(image) as Warmth
    if (sizeWeight === 0) return warmthMs
    const freed = Math.max(1, this.#view.freedBytes(image))
    return warmthMs + sizeWeight * halfLifeMs * Math.log2(this.#view.refetchSeconds(image) / freed)
  }

  /** Once a day is enough: it is about the room for what is remembered. */
  #forget(atMs: number): void {
    if (atMs - this.#forgottenAtMs < DAY_MS) return
    this.#forgottenAtMs = atMs
    for (const [image, { warmthMs }] of this.#warmths)
      if (warmthMs < atMs - this.#options.rememberedMs && !this.#here.has(image))
        this.#warmths.delete(image)
  }
}

/** One use more: the logarithm of 2^(warmth/halfLife) + 2^(at/halfLife), times the half life. */
function add(warmthMs: number, atMs: number, halfLifeMs: number): number {
  const [later, earlier] = warmthMs > atMs ? [warmthMs, atMs] : [atMs, warmthMs]
  return later + halfLifeMs * Math.log2(1 + 2 ** ((earlier - later) / halfLifeMs))
}
