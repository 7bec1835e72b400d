// What other threads of this process have counted, merged into what one of them shows: sums, also
// of threads that are no more, so that no counter ever falls.
import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue } from 'prom-client'

/** Plain values: one entry per metric, as prom-client tells of it. */
export type MetricsSnapshot = readonly SnapshotEntry[]
type SnapshotEntry = Pick<
  MetricObjectWithValues<Value>,
  'name' | 'help' | 'type' | 'aggregator'
> & {
  readonly values: readonly Value[]
}
type Value = MetricValue<string> & { readonly metricName?: string }

export interface Merged {
  /** What `source` has counted since it began; takes the place of what it said before. */
  update(source: number, snapshot: MetricsSnapshot): void
  /** `source` is no more: what it has counted stays, what it was just doing does not. */
  retire(source: number): void
  /** Of one metric, one after the other. */
  valuesOf(name: string): readonly Value[]
  /** The sums with `own`, in the Prometheus text format. */
  render(own: MetricsSnapshot): Promise<string>
}

export function createMerged(): Merged {
  const running = new Map<number, MetricsSnapshot>()
  let retired: MetricsSnapshot = []

  return {
    update(source, snapshot) {
      running.set(source, snapshot)
    },
    retire(source) {
      const last = running.get(source)
      running.delete(source)
      if (last !== undefined) retired = sumOf([retired, last.filter(({ type }) => !isGauge(type))])
    },
    valuesOf: name =>
      [...running.values(), retired].flatMap(
        snapshot => snapshot.find(entry => entry.name === name)?.values ?? [],
      ),
    render: own => registryOf([own, ...running.values(), retired]).metrics(),
  }
}

/** What can cross to another thread of what prom-client gives. */
export function snapshotOf(metrics: MetricsSnapshot): MetricsSnapshot {
  return metrics.map(({ name, help, type, aggregator, values }) => ({
    name,
    help,
    type,
    aggregator,
    values: values.map(({ value, labels, metricName }) => ({
      value,
      labels,
      ...(metricName === undefined ? {} : { metricName }),
    })),
  }))
}

function registryOf(snapshots: readonly MetricsSnapshot[]) {
  return AggregatorRegistry.aggregate(snapshots as MetricsSnapshot[])
}

function sumOf(snapshots: readonly MetricsSnapshot[]): MetricsSnapshot {
  // Each is an object whose `get` gives what getMetricsAsJSON would, without a promise.
  const metrics = registryOf(snapshots).getMetricsAsArray() as unknown as readonly SnapshotEntry[]
  return snapshotOf(metrics)
}

/** prom-client's types call it by number, its values by name. */
function isGauge(type: unknown): boolean {
  return type === 'gauge'
}
