// Where log lines go: standard output, which may be slow, full, or gone. Nothing waits for it and
// nothing fails by it: what it does not take is dropped and counted, and the next lines are tried
// again. Not pino's own destination: that one throws away its whole process when a write fails, and
// waits for ever at the end for a reader that does not read.
import { close, constants, fstatSync, openSync, write, writeSync } from 'node:fs'

/**
 * A write of its own for each line costs a request from memory as much as its answer: lines are
 * gathered, though not for long.
 */
const GATHERED_BYTES = 16 * 1024
const GATHERED_MS = 100
/**
 * What waits for a slow reader: some thousand lines. More are dropped, since they would be held in
 * memory.
 */
export const WAITING_MAX_BYTES = 1024 * 1024
/** At the end of the process a reader that is slow gets so long for the last lines. */
const END_MS = 500
const END_STEP_MS = 10

/**
 * `failed`: the write failed, as on a full disk or a closed terminal; `slow`: more lines waited
 * than are kept.
 */
export const DROP_REASONS = ['failed', 'slow'] as const
export type DropReason = (typeof DROP_REASONS)[number]

export interface LogOutputOptions {
  /** The file descriptor that is written to. */
  readonly fd: number
  /** Lines that will never be written. */
  readonly dropped: (reason: DropReason, lines: number) => void
  /**
   * It takes lines again: so many were dropped before, the last for `code`, where a write had
   * failed.
   */
  readonly resumed: (lines: number, code: string | undefined) => void
}

export class LogOutput {
  readonly #fd: number
  readonly #options: LogOutputOptions
  /** Whole lines that no write has been begun for. */
  #waiting = ''
  #waitingBytes = 0
  /** What a write is under way for. */
  #writing: Buffer = NOTHING
  #isWriting = false
  #isDue = false
  /** The last write that succeeded ended in the middle of a line. */
  #isCut = false
  #dropped = 0
  #code: string | undefined
  #closing: PromiseWithResolvers<void> | undefined
  /** Its number may be another file's by now. */
  #isClosed = false

  constructor(options: LogOutputOptions) {
    this.#options = options
    this.#fd = openWithoutWaiting(options.fd)
  }

  /** Takes whole lines, each with its line feed. Never throws. */
  write(lines: string): void {
    if (this.#isClosed) return this.#drop('failed', lines)
    const bytes = Buffer.byteLength(lines)
    if (this.#waitingBytes + this.#writing.length + bytes > WAITING_MAX_BYTES) {
      this.#drop('slow', lines)
      return
    }
    this.#waiting += lines
    this.#waitingBytes += bytes
    if (this.#waitingBytes >= GATHERED_BYTES) this.#write()
    else this.#writeSoon()
  }

  /**
   * At the end of the process: writes what waits, here and now, as far as it is taken within
   * END_MS.
   */
  end(): void {
    // One that is under way is not written twice.
    let left = this.#isWriting ? this.#take() : Buffer.concat([this.#writing, this.#take()])
    for (let waitedMs = 0; left.length > 0; ) {
      try {
        left = left.subarray(writeSync(this.#fd, left))
      } catch (error) {
        if (!isBusy(error) || waitedMs >= END_MS) return
        // There is no loop any more that could wait.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, END_STEP_MS)
        waitedMs += END_STEP_MS
      }
    }
  }

  /** Nothing more comes. Resolves when the last line is written, or dropped. Closes the file. */
  close(): Promise<void> {
    this.#closing ??= Promise.withResolvers<void>()
    this.#write()
    return this.#closing.promise
  }

  #writeSoon(): void {
    if (this.#isDue) return
    this.#isDue = true
    const write = () => {
      this.#isDue = false
      this.#write()
    }
    setTimeout(write, GATHERED_MS).unref()
  }

  #write(): void {
    if (this.#isWriting || this.#isClosed) return
    if (this.#writing.length === 0) this.#writing = this.#take()
    if (this.#writing.length === 0) {
      if (this.#closing !== undefined) this.#closeFile(this.#closing)
      return
    }
    this.#isWriting = true
    write(this.#fd, this.#writing, (error, bytes) => {
      this.#isWriting = false
      if (error === null) this.#wrote(bytes)
      else if (this.#closing !== undefined) return this.#giveUp(error, this.#closing)
      else if (!isBusy(error)) this.#failed(error)
      const isFull = this.#waitingBytes >= GATHERED_BYTES || this.#closing !== undefined
      const isMore = this.#writing.length > 0 || isFull
      if (error === null && isMore) this.#write()
      else if (isMore || this.#waitingBytes > 0) this.#writeSoon()
    })
  }

  /** At its end nobody waits for a file that takes no more. */
  #giveUp(error: NodeJS.ErrnoException, closing: PromiseWithResolvers<void>): void {
    this.#writing = Buffer.concat([this.#writing, this.#take()])
    this.#failed(error)
    this.#closeFile(closing)
  }

  #closeFile({ resolve }: PromiseWithResolvers<void>): void {
    this.#isClosed = true
    const { fd } = this.#options
    if (fd !== this.#fd) close(fd)
    close(this.#fd, () => resolve())
  }

  #take(): Buffer {
    // A line that was cut by a failure stays by itself.
    const taken = Buffer.from(this.#isCut ? `\n${this.#waiting}` : this.#waiting)
    this.#waiting = ''
    this.#waitingBytes = 0
    return taken
  }

  #wrote(bytes: number): void {
    this.#isCut = this.#writing[bytes - 1] !== LINE_FEED
    this.#writing = this.#writing.subarray(bytes)
    if (this.#dropped === 0 || this.#isCut) return
    const [lines, code] = [this.#dropped, this.#code]
    this.#dropped = 0
    this.#code = undefined
    this.#options.resumed(lines, code)
  }

  #failed(error: NodeJS.ErrnoException): void {
    this.#code = error.code
    const lines = this.#writing.toString()
    this.#writing = NOTHING
    this.#drop('failed', lines)
  }

  #drop(reason: DropReason, lines: string): void {
    // The rest of one that was cut counts, and the line feed that ended it does not.
    const count = lines.split('\n').filter(line => line !== '').length
    this.#dropped += count
    this.#options.dropped(reason, count)
  }
}

const NOTHING = Buffer.alloc(0)
const LINE_FEED = 0x0a

/** Nobody reads for the moment. */
function isBusy(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EAGAIN'
}

/**
 * The same terminal or pipe, opened once more in a way that a write never waits for a reader: one
 * that waits holds a thread, which the end of the process waits for. A file never waits, and of a
 * socket node has seen to it, as for all that is `process.stdout`.
 */
function openWithoutWaiting(fd: number): number {
  const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants
  try {
    return fstatSync(fd).isFile() ? fd : openSync(`/dev/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY)
  } catch {
    return fd
  }
}
