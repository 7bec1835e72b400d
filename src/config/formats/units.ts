// Durations and sizes as people write them, and back. Each format function is the inverse of its
// parse function: parsing what was formatted gives the same number. Nothing here knows a
// configuration key.

/**
 * What a parser says: a value, or a sentence for a person, with the spelling that was probably
 * meant.
 */
export type Parsed<T> =
  | { readonly kind: 'ok'; readonly value: T }
  | { readonly kind: 'fault'; readonly message: string; readonly suggestion?: string }

/** A number of bytes, or a share (0 < share ≤ 1) of something that the key names. */
export type Size =
  | { readonly kind: 'bytes'; readonly bytes: number }
  | { readonly kind: 'share'; readonly share: number }

const DURATION_UNITS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const
const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|[smhd]))+$/
const DURATION_PART = /(\d+(?:\.\d+)?)(ms|[smhd])/g
/**
 * What parseDuration takes, but for texts of more digits than a number has: a regular expression
 * for JSON Schema.
 */
export const DURATION_PATTERN = `^(?:0|forever|(?:${DURATION.source.slice(1, -1)}))$`

/**
 * `5m`, `1h30m`, `1.5h`, `30d`, `500ms`; `0` needs no unit; `forever` is Infinity.
 * @returns whole milliseconds
 */
export function parseDuration(text: string): Parsed<number> {
  if (text === '0') return { kind: 'ok', value: 0 }
  if (text === 'forever') return { kind: 'ok', value: Number.POSITIVE_INFINITY }
  if (!DURATION.test(text)) return durationFault(text)
  let totalMs = 0
  for (const [, amount, unit] of text.matchAll(DURATION_PART)) {
    totalMs += Number(amount) * DURATION_UNITS[unit as keyof typeof DURATION_UNITS]
  }
  const value = Math.round(totalMs)
  return Number.isSafeInteger(value)
    ? { kind: 'ok', value }
    : { kind: 'fault', message: 'this duration is too long; write forever', suggestion: 'forever' }
}

function durationFault(text: string): Parsed<never> {
  if (text.startsWith('-')) {
    return {
      kind: 'fault',
      message: 'a duration cannot be negative; 0 means at once, forever means no limit',
    }
  }
  if (/^\d+(?:\.\d+)?$/.test(text)) {
    return {
      kind: 'fault',
      message: 'a duration needs a unit: ms, s, m, h or d',
      suggestion: `${text}s`,
    }
  }
  const message = 'a duration is numbers with units ms, s, m, h or d, such as 30s, 5m, 1h30m or 30d'
  const tidied = text
    .toLowerCase()
    .replaceAll(' ', '')
    .replace(/(\d)(?:mins?|minutes?)$/, '$1m')
    .replace(/(\d)(?:secs?|seconds?)$/, '$1s')
    .replace(/(\d)(?:hrs?|hours?)$/, '$1h')
    .replace(/(\d)days?$/, '$1d')
  const weeks = /^(\d+)(?:w|weeks?)$/.exec(tidied)
  if (weeks?.[1] !== undefined)
    return { kind: 'fault', message, suggestion: `${Number(weeks[1]) * 7}d` }
  return DURATION.test(tidied)
    ? { kind: 'fault', message, suggestion: tidied }
    : { kind: 'fault', message }
}

/** The shortest spelling in falling units. `ms` must be a whole number ≥ 0, or Infinity. */
export function formatDuration(ms: number): string {
  if (ms === Number.POSITIVE_INFINITY) return 'forever'
  if (ms === 0) return '0'
  let rest = ms
  let text = ''
  for (const [unit, unitMs] of Object.entries(DURATION_UNITS)) {
    const count = Math.floor(rest / unitMs)
    if (count > 0) text += `${count}${unit}`
    rest -= count * unitMs
  }
  return text
}

const SIZE_UNITS = {
  TiB: 2 ** 40,
  GiB: 2 ** 30,
  MiB: 2 ** 20,
  KiB: 2 ** 10,
  TB: 1e12,
  GB: 1e9,
  MB: 1e6,
  kB: 1e3,
} as const
const SIZE_UNIT_BY_LOWER_CASE = new Map<string, number>([
  ...Object.entries(SIZE_UNITS).map(([unit, bytes]) => [unit.toLowerCase(), bytes] as const),
  ['b', 1],
  ['', 1],
])
const SIZE = /^(\d+(?:\.\d+)?) ?([a-z]*|%)$/i

/**
 * What parseSize takes of these kinds, but for numbers out of range: a regular expression for JSON
 * Schema, which knows no ignoring of case.
 */
export function sizePattern(kind: 'bytes' | 'share' | 'bytes or share'): string {
  const bytes = '(?:[kKmMgGtT][iI]?)?[bB]|'
  const units = { bytes, share: '%', 'bytes or share': `%|${bytes}` }[kind]
  return `^[0-9]+(?:\\.[0-9]+)? ?(?:${units})$`
}

/**
 * `20GiB` (1024), `200GB` (1000), `1048576` or `1048576B`; with `%`, a share above 0 and up to 100
 * %. Case does not matter.
 */
export function parseSize(text: string): Parsed<Size> {
  const [, amount = '', unit = ''] = SIZE.exec(text) ?? []
  if (amount === '') return sizeFault(text)
  if (unit === '%') return parseShare(Number(amount))
  const unitBytes = SIZE_UNIT_BY_LOWER_CASE.get(unit.toLowerCase())
  if (unitBytes === undefined) return sizeFault(text, amount, unit)
  const bytes = Math.floor(Number(amount) * unitBytes)
  return Number.isSafeInteger(bytes)
    ? { kind: 'ok', value: { kind: 'bytes', bytes } }
    : { kind: 'fault', message: 'this size is too large' }
}

function parseShare(percent: number): Parsed<Size> {
  return percent > 0 && percent <= 100
    ? { kind: 'ok', value: { kind: 'share', share: percent / 100 } }
    : { kind: 'fault', message: 'a share is above 0% and at most 100%' }
}

function sizeFault(text: string, amount = '', unit = ''): Parsed<never> {
  if (text.startsWith('-')) return { kind: 'fault', message: 'a size cannot be negative' }
  const prefix = /^([kmgt])i?$/i.exec(unit)?.[1]?.toUpperCase()
  if (prefix !== undefined) {
    const message = `is ${prefix} 1024s or 1000s? write ${prefix}iB or ${prefix}B`
    return { kind: 'fault', message, suggestion: `${amount}${prefix}iB` }
  }
  return {
    kind: 'fault',
    message: 'a size is a number with a unit KiB, MiB, GiB, TiB (1024) or kB, MB, GB, TB (1000)',
  }
}

export function formatSize(size: Size): string {
  // Percent have at most 12 significant digits here, which hides what division by 100 did to the
  // last bit.
  if (size.kind === 'share') return `${Number((size.share * 100).toPrecision(12))}%`
  // Of the units that divide it, the one with the smallest number: 200GB, not 195312500KiB.
  const [unit, unitBytes] = Object.entries(SIZE_UNITS)
    .filter(([, bytes]) => size.bytes > 0 && size.bytes % bytes === 0)
    .reduce<readonly [string, number]>((best, next) => (next[1] > best[1] ? next : best), ['', 1])
  return `${size.bytes / unitBytes}${unit}`
}
