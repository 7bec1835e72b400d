// Spans of time as people say them, in whole units and no more exactly than it matters.

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const MINUTE_MS = 60_000

/** `30 days ago`, `5 hours ago`, `less than a minute ago`; rounded down. What is to come is now. */
export function agoText(atMs: number, nowMs: number): string {
  return `${spanText(Math.max(0, nowMs - atMs))} ago`
}

/** `30 days`, `5 hours`, `less than a minute`; rounded down. */
export function spanText(ms: number): string {
  if (ms >= DAY_MS) return counted(ms / DAY_MS, 'day')
  if (ms >= HOUR_MS) return counted(ms / HOUR_MS, 'hour')
  if (ms >= MINUTE_MS) return counted(ms / MINUTE_MS, 'minute')
  return 'less than a minute'
}

function counted(amount: number, unit: string): string {
  const whole = Math.floor(amount)
  return `${whole} ${unit}${whole === 1 ? '' : 's'}`
}
