// The arithmetic of the bench: medians and spreads of a few rounds, and numbers as people read them.

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
 * How much later clients were served than others: each list sorted, the k-th against the k-th, the largest difference.
 * @throws RangeError when the lists differ in length
 */
export function worstDelay(times: readonly number[], reference: readonly number[]): number {
  if (times.length !== reference.length) throw new RangeError('there is not one for each')
  const sorted = times.toSorted((a, b) => a - b)
  const against = reference.toSorted((a, b) => a - b)
  return Math.max(...sorted.map((time, index) => time - (against[index] ?? Number.NaN)))
}
