// How commands write: tables and sizes for people, JSON for programs.
import type { CliContext, ExitCode } from './context.ts'

/** `1.5 GiB`, `312 B`: at most four characters of number. */
export function describeBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

/** `1 manifest`, `2 manifests`, `0 repositories`, `3 days`. */
export function describeCount(count: number, noun: string): string {
  if (count === 1) return `1 ${noun}`
  return `${count} ${/[^aeiou]y$/.test(noun) ? `${noun.slice(0, -1)}ies` : `${noun}s`}`
}

const SPANS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const

/** `3 min`, `2 d`; less than a second is `1 s`. */
export function describeSpan(ms: number): string {
  for (const [name, length] of SPANS) if (ms >= length) return `${Math.floor(ms / length)} ${name}`
  return '1 s'
}

/** `3 min ago`, `2 d ago`. */
export function describeAge(ms: number): string {
  return ms < 1_000 ? 'just now' : `${describeSpan(ms)} ago`
}

/** The age of something that happened at `atMs`; `never` for 0, which stands for that. */
export function describeSince(atMs: number, nowMs: number): string {
  return atMs === 0 ? 'never' : describeAge(nowMs - atMs)
}

const LONG_SPANS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
] as const

/** `about 12 days`: of two or more of what it is told in. */
export function aboutSpan(ms: number): string {
  for (const [noun, length] of LONG_SPANS)
    if (ms >= 2 * length) return `about ${describeCount(Math.round(ms / length), noun)}`
  return 'less than two minutes'
}

export function writeJson(context: CliContext, value: unknown): void {
  context.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
}

export interface Failure {
  readonly exitCode: ExitCode
  readonly message: string
}

/** How a failure is told with --json: one line on standard error. */
export function writeFailure(context: CliContext, { exitCode, message }: Failure): void {
  context.stderr.write(`${JSON.stringify({ error: { exitCode, message } })}\n`)
}

/**
 * The first of the faults of a configuration, which is enough to go on by: `check` has them all.
 */
export function describeFaults([first = '', ...more]: readonly string[]): string {
  return more.length === 0 ? first : `${first} (${more.length} more: "entrepot check" tells all)`
}

/** Columns as wide as their widest cell, two spaces between; the first row is the heading. */
export function writeTable(context: CliContext, rows: readonly (readonly string[])[]): void {
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, cell] of row.entries())
      widths[column] = Math.max(widths[column] ?? 0, cell.length)
  }
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0),
    )
    context.stdout.write(`${cells.join('  ').trimEnd()}\n`)
  }
}

/** `sha256:` and twelve characters: enough to tell apart, short enough for a table. */
export function shortDigest(digest: string): string {
  return digest.slice(0, digest.indexOf(':') + 13)
}
