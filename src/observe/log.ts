// The logger: pino, one JSON object per line, secrets taken out by name. Messages are constant
// lower-case text; what differs is in fields. Nobody makes a child logger from what a client sent.
import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino'
import type { LogLevel } from './log-levels.ts'
import { redactText } from './redact.ts'

export type Logger = PinoLogger

/**
 * Exact paths: where headers or an option object may be logged. No wildcards: pino would copy the
 * object of every line for them, which makes a line five times as dear.
 */
const REDACTED = [
  'authorization',
  'cookie',
  '["set-cookie"]',
  '["proxy-authorization"]',
  'password',
  'token',
  'secret',
].flatMap(name => {
  const step = name.startsWith('[') ? name : `.${name}`
  return [name, `headers${step}`, `request.headers${step}`, `response.headers${step}`]
})

export interface LoggerOptions {
  readonly level: LogLevel
  /** Where lines go: LogOutput, or what another thread is told. */
  readonly destination: DestinationStream
}

export function createLogger(options: LoggerOptions): Logger {
  return pino(
    {
      level: options.level,
      // The service manager knows the process and the host.
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      redact: { paths: REDACTED, censor: '[redacted]' },
      serializers: { err: describeError, error: describeError, url: describeUrl },
    },
    options.destination,
  )
}

/** Writes lines that are whole JSON already to where `logger` writes, in order with its own. */
export function lineWriter(logger: Logger): (line: string) => void {
  const { [pino.symbols.streamSym]: stream } = logger as unknown as {
    readonly [pino.symbols.streamSym]: DestinationStream
  }
  return line => {
    stream.write(line)
  }
}

interface ErrorFields {
  readonly type: string
  readonly message: string
  readonly code: unknown
  readonly hint: unknown
  readonly stack: string | undefined
  readonly cause: ErrorFields | undefined
}

/** Causes deeper than this say nothing new, and a cycle must end. */
export const CAUSES_MAX = 4

function describeError(error: unknown, depth = 0): ErrorFields | string {
  if (!(error instanceof Error)) return redactText(String(error))
  const { code, hint } = error as { code?: unknown; hint?: unknown }
  const cause =
    error.cause instanceof Error && depth < CAUSES_MAX
      ? (describeError(error.cause, depth + 1) as ErrorFields)
      : undefined
  return {
    type: error.name,
    message: redactText(error.message),
    code,
    hint,
    // The trace without its first line, which is the message again; the frames are ours.
    stack: error.stack
      ?.split('\n')
      .filter(line => line.startsWith('    at '))
      .join('\n'),
    cause,
  }
}

function describeUrl(url: unknown): string {
  return redactText(String(url))
}
