// The progress of one blob after the other on a terminal: how much is here, how fast it comes and
// how long that will take. Drawn over itself; what is not a terminal gets lines instead (pull.ts).
import type { CliContext } from './context.ts'
import { describeBytes, describeSpan } from './output.ts'

/** A person sees no more, and a slow line to the terminal should carry little else. */
const REDRAW_MS = 100
/** Before that a rate is chance. */
const RATE_AFTER_MS = 500
const BAR_WIDTH_MAX = 28
const BAR_WIDTH_MIN = 8
/** Of terminals that do not say: serial lines, and what pretends to be one. */
const COLUMNS_UNKNOWN = 80

export interface BlobProgress {
  readonly label: string
  readonly doneBytes: number
  readonly totalBytes: number
}

/**
 * @returns a function that draws; the last state of a blob is always drawn, and ends the line.
 * `nowMs` is monotonic.
 */
export function createProgressBar(
  { stdout }: Pick<CliContext, 'stdout'>,
  nowMs: () => number,
): (progress: BlobProgress) => void {
  let blob = { label: '', beganMs: 0, beganBytes: 0 }
  let drawnMs = Number.NEGATIVE_INFINITY
  return progress => {
    const { label, doneBytes, totalBytes } = progress
    const atMs = nowMs()
    if (blob.label !== label) {
      blob = { label, beganMs: atMs, beganBytes: doneBytes }
      drawnMs = Number.NEGATIVE_INFINITY
    }
    const isDone = doneBytes === totalBytes
    if (!isDone && atMs - drawnMs < REDRAW_MS) return
    drawnMs = atMs
    const spentMs = atMs - blob.beganMs
    const bytesPerMs = spentMs < RATE_AFTER_MS ? undefined : (doneBytes - blob.beganBytes) / spentMs
    const line = progressLine(progress, { bytesPerMs, columns: columnsOf(stdout) })
    stdout.write(`\r\u001b[2K${line}${isDone ? '\n' : ''}`)
    if (isDone) blob = { ...blob, label: '' }
  }
}

function columnsOf({ columns = 0 }: CliContext['stdout']): number {
  return columns > 0 ? columns : COLUMNS_UNKNOWN
}

/**
 * `sha256:0123456789ab [=====> ] 12.0 MiB of 31.2 MiB 3.1 MiB/s 6 s left`, in less than `columns`.
 */
function progressLine(
  { label, doneBytes, totalBytes }: BlobProgress,
  { bytesPerMs, columns }: { bytesPerMs: number | undefined; columns: number },
): string {
  const rate =
    bytesPerMs === undefined ? '' : `  ${describeBytes(Math.round(bytesPerMs * 1_000))}/s`
  const isOpen = bytesPerMs !== undefined && bytesPerMs > 0 && doneBytes < totalBytes
  const rest = isOpen ? `  ${describeSpan((totalBytes - doneBytes) / bytesPerMs)} left` : ''
  const numbers = `${describeBytes(doneBytes)} of ${describeBytes(totalBytes)}${rate}${rest}`
  // The last column stays free: a full line breaks on some terminals, and then the next one is
  // drawn below it.
  const room = columns - 1 - label.length - numbers.length - '  []  '.length
  const bar = room < BAR_WIDTH_MIN ? '' : `[${barOf(doneBytes / totalBytes, room)}]  `
  return `${label}  ${bar}${numbers}`.slice(0, columns - 1)
}

/** An empty blob is whole. */
function barOf(share: number, room: number): string {
  const width = Math.min(room, BAR_WIDTH_MAX)
  const filled = Number.isNaN(share) ? width : Math.round(share * width)
  const head = filled < width ? '>' : '='
  return `${'='.repeat(Math.max(0, filled - 1))}${filled > 0 ? head : ''}`.padEnd(width)
}
