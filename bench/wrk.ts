// wrk as the load client for many small requests, and its report read.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export interface WrkOptions {
  readonly clients: number
  readonly seconds: number
  /** Default none. */
  readonly accept?: string
  /** A file: what requests show, one line of it after the other. Default: nothing. */
  readonly logins?: string
}

export interface WrkReport {
  readonly requests: number
  readonly requestsPerSecond: number
  readonly p99Ms: number
  /** The longest that anybody waited. */
  readonly mostMs: number
  /** Everything that was read, heads and answers that were cut off at the end included. */
  readonly bytes: number
  /** Answers that were no success, and errors of the connection. */
  readonly failures: number
}

const UNIT_MS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000 }
/** wrk counts in powers of two and says B, KB, MB, GB. */
const UNIT_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1024,
  MB: 1024 ** 2,
  GB: 1024 ** 3,
  TB: 1024 ** 4,
}
/** Its own two seconds are too few for a large blob among many clients. */
const TIMEOUT = '60s'

const LOGINS_SCRIPT = fileURLToPath(new URL('wrk-logins.lua', import.meta.url))

/** @throws Error when wrk is not installed */
export async function runWrk(url: string, options: WrkOptions): Promise<WrkReport> {
  const { clients, seconds, accept, logins } = options
  const load = ['-t1', `-c${clients}`, `-d${seconds}s`, '--latency', '--timeout', TIMEOUT]
  const script = logins === undefined ? [] : ['-s', LOGINS_SCRIPT]
  const file = logins === undefined ? [] : ['--', logins]
  const head = accept === undefined ? [] : ['-H', `Accept: ${accept}`]
  const args = [...load, ...head, ...script, url, ...file]
  const { stdout } = await promisify(execFile)('wrk', args)
  return parseWrk(stdout)
}

/**
 * What wrk 4 prints. A number that is not there is NaN, or 0 where wrk tells only what happened.
 */
export function parseWrk(text: string): WrkReport {
  const number = (pattern: RegExp, missing: number) => Number(pattern.exec(text)?.[1] ?? missing)
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)
  const refused = number(/Non-2xx or 3xx responses: (\d+)/, 0)
  return {
    requests: number(/^\s*(\d+) requests in /m, Number.NaN),
    requestsPerSecond: number(/^Requests\/sec:\s+([\d.]+)/m, Number.NaN),
    p99Ms: quantity(/^\s*99%\s+([\d.]+)(us|ms|s|m)\s*$/m.exec(text), UNIT_MS),
    mostMs: quantity(
      /^\s*Latency\s+[\d.]+\w*\s+[\d.]+\w*\s+([\d.]+)(us|ms|s|m)\b/m.exec(text),
      UNIT_MS,
    ),
    bytes: quantity(/ requests in .*, ([\d.]+)([KMGT]?B) read/.exec(text), UNIT_BYTES),
    failures: (errors ?? []).slice(1).reduce((sum, count) => sum + Number(count), refused),
  }
}

/** A number and its unit, from the first two groups of a match. */
function quantity(match: RegExpExecArray | null, units: Readonly<Record<string, number>>): number {
  const [, value = 'NaN', unit = ''] = match ?? []
  return Number(value) * (units[unit] ?? Number.NaN)
}
