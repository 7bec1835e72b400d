// wrk as the load client for many small requests, and its report read.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

export interface WrkOptions {
  readonly clients: number
  readonly seconds: number
  readonly accept: string
}

export interface WrkReport {
  readonly requests: number
  readonly requestsPerSecond: number
  readonly p99Ms: number
  /** Answers that were no success, and errors of the connection. */
  readonly failures: number
}

const UNIT_MS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1000, m: 60_000 }

/** @throws Error when wrk is not installed */
export async function runWrk(url: string, options: WrkOptions): Promise<WrkReport> {
  const { clients, seconds, accept } = options
  const args = ['-t1', `-c${clients}`, `-d${seconds}s`, '--latency', '-H', `Accept: ${accept}`, url]
  const { stdout } = await promisify(execFile)('wrk', args)
  return parseWrk(stdout)
}

/** What wrk 4 prints. A number that is not there is NaN, or 0 where wrk tells only what happened. */
export function parseWrk(text: string): WrkReport {
  const number = (pattern: RegExp, missing: number) => Number(pattern.exec(text)?.[1] ?? missing)
  const [, value = 'NaN', unit = 'ms'] = /^\s*99%\s+([\d.]+)(us|ms|s|m)\s*$/m.exec(text) ?? []
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)
  const refused = number(/Non-2xx or 3xx responses: (\d+)/, 0)
  return {
    requests: number(/^\s*(\d+) requests in /m, Number.NaN),
    requestsPerSecond: number(/^Requests\/sec:\s+([\d.]+)/m, Number.NaN),
    p99Ms: Number(value) * (UNIT_MS[unit] ?? Number.NaN),
    failures: (errors ?? []).slice(1).reduce((sum, count) => sum + Number(count), refused),
  }
}
