// What downloading one thing again and again costs a server, for each gigabyte that arrived.
import type { Load, LoopOptions } from './load.ts'
import { cpuSeconds } from './processes.ts'
import type { RunningServer } from './server-process.ts'

const GIGABYTE = 1e9
const MEGABYTE = 1e6

export function createLoopMeasure(load: Load) {
  return async (server: RunningServer, path: string, options: LoopOptions) => {
    const before = cpuSeconds(server.pid)
    const { bytes, seconds, failures } = await load.loop(server.url, path, options)
    const cpu = cpuSeconds(server.pid) - before
    return {
      cpuSecondsPerGB: cpu / (bytes / GIGABYTE),
      megabytesPerSecond: bytes / MEGABYTE / seconds,
      failures,
    }
  }
}
