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
  | 'contentBytes'
  | 'blobs'
  | 'manifests'
  | 'repositories'
  | 'tags'
  | 'outboxEntries'
  | 'outboxOldest'
  | 'uploadSessions'
  | 'uploadBytes'
  | 'httpThreads'

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
  const registry = new Registry()
  const ofProcess = new Registry()
  const merged = createMerged()
  const instruments = new Map<MetricKey, Instrument>()
  for (const [key, row] of Object.entries(METRICS))
    instruments.set(key as MetricKey, createInstrument(row, registry))
  if (options.process ?? true) {
    collectDefaultMetrics({ register: ofProcess, eventLoopMonitoringPrecision: HARDLY_EVER_MS })
    watchEventLoop(ofProcess)
  }

  const boundLabels = boundUpstreams()
  const requests = new RequestSeriesTable(instruments.get('requestDuration') as BucketHistogram)
  /**
   * Gauges without labels, some of which change with every request: prom-client has them at a
   * scrape.
   */
  const plain = new Map<MetricKey, number>()
  const watched: (() => Promise<void>)[] = []
  const gauge = (key: MetricKey) => instruments.get(key) as Gauge

  /** What is added up as plain numbers between two scrapes. */
  function carryOver(): void {
    for (const [key, value] of plain) gauge(key).set(value)
    for (const { labels, requests: amount, sentBytes } of requests.take()) {
      const { source } = labels
      metrics.count('requests', labels, amount)
      if (source === 'none') continue
      metrics.count('clientBytes', { source }, sentBytes)
      if (SAVED_SOURCES.has(source)) metrics.count('wanSavedBytes', {}, sentBytes)
    }
  }

  const metrics: Metrics = {
    count(key, labels, amount = 1) {
      if (amount !== 0) (instruments.get(key) as Counter).inc(boundLabels(labels), amount)
    },
    observe(key, labels, value) {
      ;(instruments.get(key) as BucketHistogram).series(boundLabels(labels)).observe(value)
    },
    set(key, labels, value) {
      if (Object.keys(labels).length === 0) plain.set(key, value)
      else gauge(key).set(boundLabels(labels), value)
    },
    move(key, by) {
      plain.set(key, (plain.get(key) ?? 0) + by)
    },
    requestSeries: labels => requests.find(labels),
    async total(key, labels = {}) {
      carryOver()
      const { name, values } = await (instruments.get(key) as Counter).get()
      const wanted = Object.entries(labels)
      return [...values, ...merged.valuesOf(name)]
        .filter(({ labels: own }) => wanted.every(([name, value]) => own[name] === value))
        .reduce((sum, { value }) => sum + value, 0)
    },
    watch(read) {
      watched.push(
        singly(read, values => {
          for (const [key, value] of Object.entries(values)) {
            if (typeof value === 'number') gauge(key as MetricKey).set(value)
            else for (const each of value) gauge(key as MetricKey).set(each.labels, each.value)
          }
        }),
      )
    },
    async snapshot() {
      carryOver()
      const counted = await registry.getMetricsAsJSON()
      // Not to be added up: every thread says the same.
      return snapshotOf(counted.filter(({ name }) => name !== METRICS.buildInfo.name))
    },
    merged,
    async render() {
      if (watched.length > 0)
        await withinLimit(Promise.all(watched.map(read => read())), options.sleep)
      carryOver()
      const own = await registry.getMetricsAsJSON()
      const texts = [merged.render(own), ofProcess.metrics()]
      return { contentType: registry.contentType, text: (await Promise.all(texts)).join('\n') }
    },
  }
  metrics.set('buildInfo', { version: options.version, node: options.nodeVersion }, 1)
  return metrics
}

function createInstrument(row: MetricRow, registry: Registry): Instrument {
  const { name, help } = row
  const base = { name, help, labelNames: Object.keys(row.labels), registers: [registry] }
  switch (row.type) {
    case 'counter':
      return new Counter(base)
    case 'gauge':
      return new Gauge(base)
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
