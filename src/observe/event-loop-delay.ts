// How late the event loop is: how much later than it was due a timer of 20 ms went off. Under the
// names that prom-client gives it, but looked at half as often, since each look wakes the process,
// which was most of what an idle one cost; and without the interval of the looks, which prom-client
// takes for delay.
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Gauge, type Registry } from 'prom-client'

const LOOK_MS = 20
/** For prom-client's own monitor, which cannot be left out: a day. */
export const HARDLY_EVER_MS = 24 * 60 * 60 * 1000
const NS_PER_SECOND = 1e9
const LOOK_NS = LOOK_MS * 1e6

type Delays = ReturnType<typeof monitorEventLoopDelay>

/** In nanoseconds, with the interval of the looks; of one look at least. */
const READ: Readonly<Record<string, (delays: Delays) => number>> = {
  min: ({ min }) => min,
  max: ({ max }) => max,
  mean: ({ mean }) => mean,
  p50: delays => delays.percentile(50),
  p90: delays => delays.percentile(90),
  p99: delays => delays.percentile(99),
}

/**
 * In place of what prom-client has put into `registry`. Runs until the process ends, and keeps it
 * from nothing.
 */
export function watchEventLoop(registry: Registry): void {
  const delays = monitorEventLoopDelay({ resolution: LOOK_MS })
  delays.enable()
  registry.removeSingleMetric(nameOf('stddev'))
  const gauges = Object.entries(READ).map(([what, read], index) => {
    registry.removeSingleMetric(nameOf(what))
    const gauge = new Gauge({
      name: nameOf(what),
      help: `How late a timer of ${LOOK_MS} ms went off since the last scrape: ${what}.`,
      registers: [registry],
      // The first is asked first, for all.
      ...(index === 0 ? { collect: () => collect() } : {}),
    })
    return { gauge, read }
  })
  function collect(): void {
    if (delays.count === 0) return
    for (const { gauge, read } of gauges)
      gauge.set(Math.max(0, read(delays) - LOOK_NS) / NS_PER_SECOND)
    delays.reset()
  }
}

function nameOf(what: string): string {
  return `nodejs_eventloop_lag_${what}_seconds`
}
