// What a command is given of the process it runs in; commands never touch `process` themselves.

export interface OutputStream {
  write(text: string | Uint8Array): unknown
  /** Of a terminal: characters per line. */
  readonly columns?: number
}

/** As node's own for a file, a pipe or a terminal. */
export interface InputStream extends AsyncIterable<Buffer> {
  readonly isTTY?: boolean
  /** Of a terminal: it shows nothing of what is typed, and what is typed comes at once. */
  setRawMode?(isRaw: boolean): unknown
}

export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Opened when it is asked for: most commands read nothing. */
  stdin(): InputStream
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  /** Standard output is a terminal. */
  readonly isTerminal: boolean
  /**
   * Standard input, output or error is a terminal: whoever runs this sits before it, and closing it
   * ends what runs there.
   */
  readonly hasTerminal: boolean
  readonly nodeVersion: string
  /** Of this process. */
  readonly pid: number
  /** What this process may have: the machine's memory, or what its control group allows. */
  readonly memoryBytes: number
  /** Processor cores that this process may use at the same time; at least 1. */
  readonly cores: number
  /** The user that this process runs as; undefined where systems have no such numbers. */
  readonly uid: number | undefined
  /** Code that was compiled when this was installed may be loaded. */
  readonly native: boolean
  /** Calls `act` at every arrival of the signal. */
  onSignal(signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP', act: () => void): void
  /** Calls `act` when the process ends, with nothing left that could wait. */
  onExit(act: () => void): void
  /**
   * From now on the process outlives its standard output and error; without, one that cannot be
   * written ends it.
   */
  outliveStreams(): void
  /** Ends the process at once: only for a second SIGTERM or SIGINT while draining. */
  exit(code: number): never
}

/** What the shell sees; documented in docs/operations.md and in `--help`. */
export const EXIT_CODES = {
  ok: 0,
  /** The command ran and the answer is no: not found, faults in a configuration, a failed pull. */
  failed: 1,
  /** Wrong arguments. */
  usage: 2,
  /** There is no data directory, as restic's `check` says it. */
  noDirectory: 10,
  /** Another process has the data directory; the same. */
  locked: 11,
  /** The server is not running or cannot be reached. */
  unreachable: 69,
  /** The configuration is invalid (sysexits EX_CONFIG). */
  configuration: 78,
  /** Ctrl-C, where something had to be put in order before the end. */
  interrupted: 130,
} as const

export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES]

/** Ends a command with a message for people on standard error. */
export class CliError extends Error {
  readonly exitCode: ExitCode

  constructor(exitCode: ExitCode, message: string) {
    super(message)
    this.name = 'CliError'
    this.exitCode = exitCode
  }
}
