// What was found, in memory that does not grow with it: of each kind the first ones, and how many
// there were.
import { DAMAGES, type Damage, type DamageKind, menderOf } from './damage.ts'

/** Of each kind; a person reads no more, and a program asks again once these are mended. */
export const TOLD_MAX = 1_000

export interface FoundKind {
  readonly kind: DamageKind
  /** All of them. */
  readonly count: number
  /** The first TOLD_MAX. */
  readonly damages: readonly Omit<Damage, 'kind'>[]
}

export interface Looked {
  rows: number
  files: number
  facts: number
  images: number
  readBlobs: number
  readBytes: number
}

export interface FsckReport {
  readonly looked: Readonly<Looked>
  /** Of what is damage: by who puts it right. */
  readonly repairable: number
  readonly operators: number
  readonly found: readonly FoundKind[]
}

export class Report {
  readonly looked: Looked = { rows: 0, files: 0, facts: 0, images: 0, readBlobs: 0, readBytes: 0 }
  readonly #found = new Map<DamageKind, { count: number; damages: Omit<Damage, 'kind'>[] }>()

  add({ kind, ...damage }: Damage): void {
    const found = this.#found.get(kind) ?? { count: 0, damages: [] }
    this.#found.set(kind, found)
    found.count += 1
    if (found.damages.length < TOLD_MAX) found.damages.push(damage)
  }

  get damages(): number {
    return this.#sum('repair') + this.#sum('operator')
  }

  end(): FsckReport {
    const kinds = Object.keys(DAMAGES) as DamageKind[]
    return {
      looked: { ...this.looked },
      repairable: this.#sum('repair'),
      operators: this.#sum('operator'),
      found: kinds.flatMap(kind => {
        const found = this.#found.get(kind)
        return found === undefined ? [] : [{ kind, ...found }]
      }),
    }
  }

  #sum(mender: 'repair' | 'operator'): number {
    let sum = 0
    for (const [kind, { count }] of this.#found) if (menderOf(kind) === mender) sum += count
    return sum
  }
}
