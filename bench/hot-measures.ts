// What downloading one thing that is here, again and again, costs a server and the whole machine:
// for each gigabyte of a large blob, plain or over TLS, and for each answer of a small one.
import type { Table } from './figures.ts'
import type { Load, LoopOptions } from './load.ts'
import { watchCpu } from './processes.ts'
import type { RunningServer } from './server-process.ts'
import { runWrk, type WrkOptions } from './wrk.ts'

const GIGABYTE = 1e9
const MEGABYTE = 1e6
const MICROSECONDS = 1e6

/** A table of what either measure of a large blob tells, a line for each number of clients. */
export const BLOB_BY_CLIENTS = {
  lineHeading: 'clients',
  columns: [
    { measure: 'cpuSecondsPerGB', heading: 'CPU, s per GB', digits: 3 },
    { measure: 'boxSecondsPerGB', heading: 'whole box, s per GB', digits: 3 },
    { measure: 'megabytesPerSecond', heading: 'MB/s' },
    { measure: 'failures', heading: 'failed answers' },
  ],
  growth: [{ measure: 'cpuSecondsPerGB', what: 'CPU per GB with the number of clients' }],
} satisfies Omit<Table, 'table' | 'title'>

/** A large blob over plain HTTP, by the client of this bench, which drops what it reads. */
export async function measureBlob(
  { load, server }: { readonly load: Load; readonly server: RunningServer },
  path: string,
  options: LoopOptions,
) {
  const cpu = watchCpu(server.pid)
  const { bytes, seconds, failures } = await load.loop(server.url, path, options)
  return perGigabyte({ bytes, seconds, failures, ...cpu() })
}

/** The same by wrk, which speaks TLS as well and decrypts with one thread. */
export async function measureBlobByWrk(server: RunningServer, path: string, options: WrkOptions) {
  const cpu = watchCpu(server.pid)
  const { bytes, failures } = await runWrk(`${server.url}${path}`, options)
  return perGigabyte({ bytes, seconds: options.seconds, failures, ...cpu() })
}

/** What is small, by wrk. */
export async function measureSmall(server: RunningServer, path: string, options: WrkOptions) {
  const cpu = watchCpu(server.pid)
  const { requests, ...seen } = await runWrk(`${server.url}${path}`, options)
  const { cpuSeconds, boxSeconds } = cpu()
  return {
    requestsPerSecond: seen.requestsPerSecond,
    cpuMicroseconds: (cpuSeconds * MICROSECONDS) / requests,
    boxMicroseconds: (boxSeconds * MICROSECONDS) / requests,
    p99Ms: seen.p99Ms,
    failures: seen.failures,
  }
}

function perGigabyte(seen: {
  readonly bytes: number
  readonly seconds: number
  readonly failures: number
  readonly cpuSeconds: number
  readonly boxSeconds: number
}) {
  const gigabytes = seen.bytes / GIGABYTE
  return {
    cpuSecondsPerGB: seen.cpuSeconds / gigabytes,
    boxSecondsPerGB: seen.boxSeconds / gigabytes,
    megabytesPerSecond: seen.bytes / MEGABYTE / seen.seconds,
    failures: seen.failures,
  }
}
