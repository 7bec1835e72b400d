// The audit log's destination (ADR 0043): standard output or error, or a file that grows, and that
// is opened anew where an operator's tools have moved it. Nothing waits for it: what it does not
// take is dropped, counted and told. A part of the composition root.
import { constants, openSync } from 'node:fs'
import type { AuditConfig } from '../config/config.ts'
import { type AuditSettings, createAudit, type NoteAudit } from '../observe/audit.ts'
import type { Logger } from '../observe/log.ts'
import { LogOutput } from '../observe/log-output.ts'
import type { Metrics } from '../observe/metrics.ts'
import { StoreError } from '../registry/ports/store-error.ts'

export interface OpenAuditDeps {
  readonly logger: Logger
  readonly metrics: Metrics
  /** Standard output. */
  readonly logDestination: { write(lines: string): void }
  /** Wall clock. */
  readonly nowMs: () => number
  readonly atExit?: ((act: () => void) => void) | undefined
}

const STANDARD_ERROR = 2
const MODE = 0o600
/** A pipe that nobody reads is told, and not waited for. */
const ADDING = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK

export class OpenAudit {
  readonly settings: AuditSettings
  readonly note: NoteAudit
  readonly #deps: OpenAuditDeps
  /** Undefined of standard output and error. */
  readonly #path: string | undefined
  #output: { write(lines: string): void }
  #file: LogOutput | undefined
  #isTold = false

  /** @throws StoreError when the file cannot be opened */
  constructor({ output, pulls }: AuditConfig, deps: OpenAuditDeps) {
    this.settings = { pulls }
    this.#deps = deps
    this.#path = output === 'stdout' || output === 'stderr' ? undefined : output
    this.#output = deps.logDestination
    const standard = output === 'stderr' ? this.#write(STANDARD_ERROR) : undefined
    if (standard !== undefined) this.#output = standard
    if (this.#path !== undefined) this.#open(this.#path)
    this.note = createAudit(line => this.write(line), deps.nowMs)
    deps.atExit?.(() => (this.#file ?? standard)?.end())
  }

  /** Takes whole lines. */
  write(lines: string): void {
    this.#output.write(lines)
  }

  /** A file that was moved away is begun anew. Where that fails the one of before stays in use. */
  reopen(): void {
    if (this.#path === undefined) return
    try {
      this.#open(this.#path)
    } catch (err) {
      const hint = 'the file of before stays in use; see who may write in its directory, and reload'
      this.#deps.logger.error({ err, hint }, 'the audit file cannot be opened again')
    }
  }

  /** Resolves when the last line is written, or dropped. */
  async stop(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
  }

  #open(path: string): void {
    let fd: number
    try {
      fd = openSync(path, ADDING, MODE)
    } catch (error) {
      const hint = 'audit.output has to name a file that the user of this server may write'
      const message = `the audit file ${path} cannot be opened: ${whyOf(error)}`
      throw new StoreError('io', message, { hint, cause: error })
    }
    const before = this.#file
    this.#file = this.#write(fd)
    this.#output = this.#file
    void before?.close()
  }

  #write(fd: number): LogOutput {
    const { metrics, logger } = this.#deps
    return new LogOutput({
      fd,
      dropped: (reason, lines) => {
        metrics.count('auditLinesDropped', { reason }, lines)
        if (this.#isTold) return
        this.#isTold = true
        const hint =
          'requests go on, and what they did is not written down; see whether the disk is full'
        logger.error({ reason, hint }, 'the audit log cannot be written')
      },
      resumed: (lines, code) => {
        this.#isTold = false
        logger.warn({ lines, code }, 'the audit log is written again; lines are missing')
      },
    })
  }
}

function whyOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
