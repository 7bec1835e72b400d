// The arithmetic of the bench: medians and spreads of a few rounds, and numbers as people read
// them.

/** The middle value; of an even count the mean of the two in the middle; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN
  return (lower + upper) / 2
}

/** `1,234.5`; a number that is none is a dash. */
export function formatNumber(value: number, digits = 0): string {
  if (!Number.isFinite(value)) return '–'
  const text = value.toLocaleString('en-US', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  })
  return /^-[0.,]+$/.test(text) ? text.slice(1) : text
}

/** `median (least–most)`, or one number when all rounds agree to the digits shown. */
export function formatSpread(values: readonly number[], digits = 0): string {
  const format = (value: number) => formatNumber(value, digits)
  const least = format(Math.min(...values))
  const most = format(Math.max(...values))
  const middle = format(median(values))
  if (values.length === 0) return '–'
  return least === most ? middle : `${middle} (${least}–${most})`
}

/**
 * How much later clients were served than others: each list sorted, the k-th against the k-th, the
 * largest difference.
 * @throws RangeError when the lists differ in length
 */
export function worstDelay(times: readonly number[], reference: readonly number[]): number {
  if (times.length !== reference.length) throw new RangeError('there is not one for each')
  const sorted = times.toSorted((a, b) => a - b)
  const against = reference.toSorted((a, b) => a - b)
  return Math.max(...sorted.map((time, index) => time - (against[index] ?? Number.NaN)))
}

/** One cost at one size. */
export interface Point {
  readonly size: number
  readonly value: number
}

/**
 * The k of "cost grows as size^k", by least squares over the logarithms: 0 is flat, 1 is linear.
 * NaN of fewer than three sizes, and of what has no logarithm.
 */
export function growthExponent(points: readonly Point[]): number {
  if (new Set(points.map(({ size }) => size)).size < 3) return Number.NaN
  return slope(points.map(({ size, value }) => ({ size: Math.log(size), value: Math.log(value) })))
}

/** Least squares: how much the value changes for each unit of size. NaN of fewer than two sizes. */
export function slope(points: readonly Point[]): number {
  const mean = (values: readonly number[]) =>
    values.reduce((sum, value) => sum + value, 0) / values.length
  const middle = mean(points.map(({ size }) => size))
  const level = mean(points.map(({ value }) => value))
  const together = points.reduce(
    (sum, { size, value }) => sum + (size - middle) * (value - level),
    0,
  )
  const apart = points.reduce((sum, { size }) => sum + (size - middle) ** 2, 0)
  return apart === 0 ? Number.NaN : together / apart
}

/** The value that `share` of all are not above; NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}

/** How two lists lie to each other, whatever their shapes are. */
export interface Compared {
  /** How likely a value of the first is above one of the second; 0.5: they are alike. */
  readonly above: number
  /** That, in standard deviations of what chance does to lists that are alike. */
  readonly deviations: number
}

/**
 * By the ranks of all values together (Mann and Whitney), so that a few that are far off count no
 * more than others. NaN where one is empty. Values that are the same lower the deviations a little.
 */
export function compareRanks(one: readonly number[], other: readonly number[]): Compared {
  const all = [
    ...one.map(value => ({ value, isOne: true })),
    ...other.map(value => ({ value, isOne: false })),
  ].toSorted((a, b) => a.value - b.value)
  let ranks = 0
  for (let first = 0; first < all.length; ) {
    let end = first
    while (all[end]?.value === all[first]?.value && end < all.length) end += 1
    // Those that are the same share what comes to them.
    const rank = (first + 1 + end) / 2
    ranks += rank * all.slice(first, end).filter(({ isOne }) => isOne).length
    first = end
  }
  const pairs = one.length * other.length
  const wins = ranks - (one.length * (one.length + 1)) / 2
  const deviation = Math.sqrt((pairs * (all.length + 1)) / 12)
  return { above: wins / pairs, deviations: (wins - pairs / 2) / deviation }
}
