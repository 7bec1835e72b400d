// The levels of log lines, the quietest last: for the configuration too, which need not load what
// writes them.

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
