// The metrics of clients' requests as plain numbers, one set for each combination of labels that
// occurred: a request adds to them, a scrape carries them over. Labels are closed sets, so there
// are few.
import type { BucketHistogram, HistogramSeries } from './histogram.ts'
import type { LabelsOf, SourceLabel } from './metrics-table.ts'

export type RequestLabels = LabelsOf<'requests'>

export interface RequestSeries {
  /** One request more. `sentBytes`: of its answer's body. */
  add(request: { readonly durationMs: number; readonly sentBytes: number }): void
}

/** What was added since it was last carried over. */
export interface RequestsAdded {
  readonly labels: RequestLabels
  readonly requests: number
  readonly sentBytes: number
}

const MS_PER_SECOND = 1_000

class Series implements RequestSeries {
  readonly labels: RequestLabels
  readonly #durations: HistogramSeries
  #requests = 0
  #sentBytes = 0

  constructor(labels: RequestLabels, durations: HistogramSeries) {
    this.labels = labels
    this.#durations = durations
  }

  add({ durationMs, sentBytes }: { durationMs: number; sentBytes: number }): void {
    this.#requests += 1
    this.#sentBytes += sentBytes
    this.#durations.observe(durationMs / MS_PER_SECOND)
  }

  take(): RequestsAdded {
    const added = { labels: this.labels, requests: this.#requests, sentBytes: this.#sentBytes }
    this.#requests = 0
    this.#sentBytes = 0
    return added
  }
}

export class RequestSeriesTable {
  readonly #durations: BucketHistogram
  readonly #series = new Map<string, Series>()

  constructor(durations: BucketHistogram) {
    this.#durations = durations
  }

  /** The same one for the same labels; to be kept by whoever has many alike. */
  find(labels: RequestLabels): RequestSeries {
    const { endpoint, method, status, source, outcome } = labels
    const key = `${endpoint} ${method} ${status} ${source} ${outcome}`
    let series = this.#series.get(key)
    if (series === undefined) {
      series = new Series(labels, this.#durations.series({ endpoint, source, outcome }))
      this.#series.set(key, series)
    }
    return series
  }

  /** All that was added since the last call. */
  take(): RequestsAdded[] {
    return [...this.#series.values()].map(series => series.take())
  }
}

/** Bytes of these did not have to cross the WAN for this client. */
export const SAVED_SOURCES: ReadonlySet<SourceLabel> = new Set(['hit', 'joined', 'stale'])
