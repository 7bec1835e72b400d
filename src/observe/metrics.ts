// The metrics table brought to life in a prom-client registry of its own. Typed by the table, so
// that a label outside its closed set does not compile.
import { within } from '../async/within.ts'
import { Counter, collectDefaultMetrics, Gauge, type Histogram, Registry } from 'prom-client'
import { HARDLY_EVER_MS, watchEventLoop } from './event-loop-delay.ts'
import { BucketHistogram } from './histogram.ts'
import type { MetricRow } from './metric-row.ts'
import { type KeyOf, type LabelsOf, METRICS, type MetricKey } from './metrics-table.ts'
import { createMerged, type Merged, type MetricsSnapshot, snapshotOf } from './merged-metrics.ts'
import {
  type RequestLabels,
  type RequestSeries,
  RequestSeriesTable,
  SAVED_SOURCES,
} from './request-series.ts'

/**
 * Upstreams that get a label value of their own; with the `"*"` upstream, clients choose the hosts.
 */
export const UPSTREAM_LABELS_MAX = 64

/** A scrape waits so long for the disk and the catalog; after that it shows what they said last. */
export const GAUGE_READ_LIMIT_MS = 1_000

export interface MetricsOptions {
  /** Of Entrepot and of Node, for `entrepot_build_info`. */
  readonly version: string
  readonly nodeVersion: string
  /** For the limit of gauges that have to be read; such as Clock.sleep. */
  readonly sleep: (ms: number, signal?: AbortSignal) => Promise<void>
  /** Also the process's own metrics. Default true; they keep an event-loop monitor running. */
  readonly process?: boolean
}

/** Facts that are read at each scrape; of a gauge with labels, one value for each set of them. */
export type WatchedGauges = {
  readonly [K in WatchedKey]?: keyof LabelsOf<K> extends never
    ? number
    : readonly { readonly labels: LabelsOf<K>; readonly value: number }[]
}
type WatchedKey =
  | 'storageFree'
  | 'storageTotal'
  | 'storageUnwritable'
  | 'storageTaken'
  | 'pins'
  | 'pinnedBytes'
  | 'scrubBroken'
  | 'scrubOldest'
  | 'returnedImages'
  | 'returnedBytes'
  | 'storageLimit'
  | 'storageMinFree'
  | 'storagePushReserve'
  | 'contentBytes'
  | 'contentHeld'
  | 'contentOf'
  | 'blobs'
  | 'manifests'
  | 'repositories'
  | 'tags'
  | 'outboxEntries'
  | 'outboxOldest'
  | 'uploadSessions'
  | 'uploadBytes'
  | 'httpThreads'
  | 'authRobots'

export interface Metrics {
  /** Adds to a counter; 1 unless told. No effect if `amount` is 0. */
  count<K extends KeyOf<'counter'>>(key: K, labels: LabelsOf<K>, amount?: number): void
  /**
   * Where requests of these labels are added: number, duration, bytes sent and saved. To be kept by
   * whoever has many alike.
   */
  requestSeries(labels: RequestLabels): RequestSeries
  observe<K extends KeyOf<'histogram'>>(key: K, labels: LabelsOf<K>, value: number): void
  set<K extends KeyOf<'gauge'>>(key: K, labels: LabelsOf<K>, value: number): void
  /** Moves a gauge without labels up or down. */
  move(key: 'requestsInFlight' | 'joinedReaders' | 'fillsInFlight', by: 1 | -1): void
  /** What a counter has come to since the start, over all series whose labels include `labels`. */
  total<K extends KeyOf<'counter'>>(key: K, labels?: Partial<LabelsOf<K>>): Promise<number>
  /** Of a gauge without labels, as this thread has set it; undefined until then. */
  lastSet(key: KeyOf<'gauge'>): number | undefined
  /**
   * `read` runs at each scrape, one at a time; when it fails or is slow the gauges keep their last
   * values.
   */
  watch(read: () => Promise<WatchedGauges>): void
  /** What this thread has counted, for the `merged` of another. */
  snapshot(): Promise<MetricsSnapshot>
  /** What other threads have counted: a part of `total` and `render`. */
  readonly merged: Merged
  /** The Prometheus text format, for `/metrics`. */
  render(): Promise<{ readonly contentType: string; readonly text: string }>
}

type Instrument = Counter | Gauge | BucketHistogram

/** One registry per call, so that two apps in one process (tests) share nothing. */
export function createMetrics(options: MetricsOptions): Metrics {
  return new PrometheusMetrics(options)
}

class PrometheusMetrics implements Metrics {
  readonly merged = createMerged()
  readonly #sleep: MetricsOptions['sleep']
  readonly #registry = new Registry()
  readonly #ofProcess = new Registry()
  readonly #instruments = new Map<MetricKey, Instrument>()
  readonly #boundLabels = boundUpstreams()
  readonly #requests: RequestSeriesTable
  /**
   * Gauges without labels, some of which change with every request: prom-client has them at a
   * scrape.
   */
  readonly #plain = new Map<MetricKey, number>()
  readonly #watched: (() => Promise<void>)[] = []

  constructor(options: MetricsOptions) {
    this.#sleep = options.sleep
    for (const [key, row] of Object.entries(METRICS))
      this.#instruments.set(key as MetricKey, createInstrument(row, this.#registry))
    this.#requests = new RequestSeriesTable(this.#histogram('requestDuration'))
    if (options.process ?? true) {
      const eventLoopMonitoringPrecision = HARDLY_EVER_MS
      collectDefaultMetrics({ register: this.#ofProcess, eventLoopMonitoringPrecision })
      watchEventLoop(this.#ofProcess)
    }
    this.set('buildInfo', { version: options.version, node: options.nodeVersion }, 1)
  }

  count<K extends KeyOf<'counter'>>(key: K, labels: LabelsOf<K>, amount = 1): void {
    if (amount !== 0) this.#counter(key).inc(this.#boundLabels(labels), amount)
  }

  requestSeries(labels: RequestLabels): RequestSeries {
    return this.#requests.find(labels)
  }

  observe<K extends KeyOf<'histogram'>>(key: K, labels: LabelsOf<K>, value: number): void {
    this.#histogram(key).series(this.#boundLabels(labels)).observe(value)
  }

  set<K extends KeyOf<'gauge'>>(key: K, labels: LabelsOf<K>, value: number): void {
    if (Object.keys(labels).length === 0) this.#plain.set(key, value)
    else this.#gauge(key).set(this.#boundLabels(labels), value)
  }

  move(key: MetricKey, by: 1 | -1): void {
    this.#plain.set(key, (this.#plain.get(key) ?? 0) + by)
  }

  async total<K extends KeyOf<'counter'>>(
    key: K,
    labels: Partial<LabelsOf<K>> = {},
  ): Promise<number> {
    this.#carryOver()
    const { name, values } = await this.#counter(key).get()
    const wanted = Object.entries(labels)
    return [...values, ...this.merged.valuesOf(name)]
      .filter(({ labels: own }) => wanted.every(([name, value]) => own[name] === value))
      .reduce((sum, { value }) => sum + value, 0)
  }

  lastSet(key: KeyOf<'gauge'>): number | undefined {
    return this.#plain.get(key)
  }

  watch(read: () => Promise<WatchedGauges>): void {
    const use = (gauges: WatchedGauges): void => {
      for (const [key, value] of Object.entries(gauges)) {
        const gauge = this.#gauge(key as MetricKey)
        if (typeof value === 'number') gauge.set(value)
        else for (const each of value) gauge.set(each.labels, each.value)
      }
    }
    this.#watched.push(singly(read, use))
  }

  async snapshot(): Promise<MetricsSnapshot> {
    this.#carryOver()
    const counted = await this.#registry.getMetricsAsJSON()
    // Not to be added up: every thread says the same.
    return snapshotOf(counted.filter(({ name }) => name !== METRICS.buildInfo.name))
  }

  async render(): Promise<{ readonly contentType: string; readonly text: string }> {
    if (this.#watched.length > 0)
      await withinLimit(Promise.all(this.#watched.map(read => read())), this.#sleep)
    this.#carryOver()
    const own = await this.#registry.getMetricsAsJSON()
    const texts = [this.merged.render(own), this.#ofProcess.metrics()]
    return { contentType: this.#registry.contentType, text: (await Promise.all(texts)).join('\n') }
  }

  /** What is added up as plain numbers between two scrapes. */
  #carryOver(): void {
    for (const [key, value] of this.#plain) this.#gauge(key).set(value)
    for (const { labels, requests: amount, sentBytes } of this.#requests.take()) {
      const { source } = labels
      this.count('requests', labels, amount)
      if (source === 'none') continue
      this.count('clientBytes', { source }, sentBytes)
      if (SAVED_SOURCES.has(source)) this.count('wanSavedBytes', {}, sentBytes)
    }
  }

  #counter(key: KeyOf<'counter'>): Counter {
    return this.#instruments.get(key) as Counter
  }

  #gauge(key: MetricKey): Gauge {
    return this.#instruments.get(key) as Gauge
  }

  #histogram(key: KeyOf<'histogram'>): BucketHistogram {
    return this.#instruments.get(key) as BucketHistogram
  }
}

function createInstrument(row: MetricRow, registry: Registry): Instrument {
  const { name, help } = row
  const base = { name, help, labelNames: Object.keys(row.labels), registers: [registry] }
  switch (row.type) {
    case 'counter':
      return new Counter(base)
    case 'gauge': {
      const gauge = new Gauge(base)
      if (row.isAbsentAtFirst) gauge.remove()
      return gauge
    }
    case 'histogram': {
      const histogram = new BucketHistogram({ name, help, buckets: row.buckets ?? [] })
      // It is asked for its name and its values, and for nothing else.
      registry.registerMetric(histogram as unknown as Histogram)
      return histogram
    }
  }
}

/**
 * Puts `other` for upstreams beyond the first UPSTREAM_LABELS_MAX, so that clients cannot grow the
 * series without end.
 */
function boundUpstreams(): (labels: Readonly<Record<string, string>>) => Record<string, string> {
  const seen = new Set<string>()
  return labels => {
    const { upstream } = labels
    if (upstream === undefined || seen.has(upstream)) return labels
    if (seen.size >= UPSTREAM_LABELS_MAX) return { ...labels, upstream: 'other' }
    seen.add(upstream)
    return labels
  }
}

/**
 * Runs `read` unless it is still running, and hands on what it gave; a failure leaves things as
 * they were.
 */
function singly<T>(read: () => Promise<T>, use: (value: T) => void): () => Promise<void> {
  let running: Promise<void> | undefined
  return () => {
    running ??= read()
      .then(use, () => {})
      .finally(() => {
        running = undefined
      })
    return running
  }
}

async function withinLimit(work: Promise<unknown>, sleep: MetricsOptions['sleep']): Promise<void> {
  await within({ sleep }, GAUGE_READ_LIMIT_MS, work)
}
