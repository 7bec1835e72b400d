// How much of what leaves is done at once: much where somebody waits for it, since each commit is
// waited for, and little where nobody does, since clients wait for what is done in one go
// (bench/where-the-time-goes.md).
import type { Haste } from '../../async/haste.ts'

interface Portions {
  /**
   * In one commit, with what they list: the disk has work while more is written, and whoever else
   * writes waits for it.
   */
  readonly images: number
  /**
   * Whose intents go in one commit, which they share. Whoever brings one of them back meanwhile
   * waits for all.
   */
  readonly files: number
  /** Intents read at a time, and looked at between two pauses. */
  readonly rows: number
}

/** 10 or 20 ms of the thread that writes; some tenths of a second of a disk that is slow. */
const HASTY: Portions = { images: 16, files: 256, rows: 512 }

/** Some milliseconds of that thread, and less than one of the one that answers clients. */
const AT_LEISURE: Portions = { images: 4, files: 32, rows: 64 }

type Asked = Pick<Haste, 'isOn'>

function portions({ isOn }: Asked): Portions {
  return isOn ? HASTY : AT_LEISURE
}

/** As it is now. */
export function rowsAtOnce(haste: Asked): number {
  return portions(haste).rows
}

/** All of them, in their order, by so many as it is when each portion is asked for. */
export function* inPortions<Item>(
  items: readonly Item[],
  of: 'images' | 'files',
  haste: Asked,
): Generator<readonly Item[]> {
  for (let rest = items; rest.length > 0; ) {
    const portion = rest.slice(0, portions(haste)[of])
    rest = rest.slice(portion.length)
    yield portion
  }
}
