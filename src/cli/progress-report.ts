// What a command that takes its time tells meanwhile: events with --json, else lines, and a bar on
// a terminal.
import { commandClock } from '../server/clock.ts'
import type { CliContext } from './context.ts'
import { describeBytes } from './output.ts'
import { createProgressBar } from './progress-bar.ts'

/** Without a terminal: told of so often how far it is. */
const TOLD_EVERY_MS = 10_000

export interface Progress {
  readonly kind: string
  readonly doneBytes: number
  readonly totalBytes: number
}

export class ProgressReport {
  readonly #json: boolean
  readonly #context: CliContext
  readonly #draw: ReturnType<typeof createProgressBar>
  /** On the monotonic clock. */
  #toldMs = commandClock.monotonicMs()

  /** What is told goes to the standard output of `context`. */
  constructor({ json, context }: { readonly json: boolean; readonly context: CliContext }) {
    this.#json = json
    this.#context = context
    this.#draw = createProgressBar(context, () => commandClock.monotonicMs())
  }

  /** An event with --json, else a line. */
  tell(event: object, line: string): void {
    this.#context.stdout.write(this.#json ? `${JSON.stringify(event)}\n` : line)
  }

  /** What stops nothing; with --json standard error has failures alone. */
  note(message: string): void {
    if (this.#json) this.tell({ kind: 'note', message }, '')
    else this.#context.stderr.write(`${message}\n`)
  }

  /** A bar; without a terminal a line, now and then. */
  progress(label: string, event: Progress): void {
    const { doneBytes, totalBytes } = event
    if (this.#context.isTerminal && !this.#json) return this.#draw({ label, doneBytes, totalBytes })
    const nowMs = commandClock.monotonicMs()
    if (nowMs - this.#toldMs < TOLD_EVERY_MS) return
    this.#toldMs = nowMs
    const share = `${describeBytes(doneBytes)} of ${describeBytes(totalBytes)}`
    this.tell(event, `${label}: ${share}\n`)
  }
}
