// A histogram whose series are held by who observes: one look-up for each set of labels, and a few
// additions for each value. Read as prom-client reads its own. That one looks its labels up, and
// checks them, at every value.

/** One set of labels. Values are counted in the first bucket that they fit into. */
export interface HistogramSeries {
  observe(value: number): void
}

interface Series extends HistogramSeries {
  readonly labels: Readonly<Record<string, string>>
  /** By bucket, not cumulated; the last one is for what fits in no other. */
  readonly counts: number[]
  sum: number
}

export interface HistogramOptions {
  readonly name: string
  readonly help: string
  /** Upper bounds, ascending. */
  readonly buckets: readonly number[]
}

export class BucketHistogram {
  readonly name: string
  readonly help: string
  readonly type = 'histogram'
  readonly aggregator = 'sum'
  readonly #bounds: readonly number[]
  readonly #series = new Map<string, Series>()

  constructor({ name, help, buckets }: HistogramOptions) {
    this.name = name
    this.help = help
    this.#bounds = buckets
  }

  /** The same one for the same labels in the same order. */
  series(labels: Readonly<Record<string, string>>): HistogramSeries {
    const key = Object.values(labels).join('\n')
    let series = this.#series.get(key)
    if (series === undefined) {
      series = createSeries(labels, this.#bounds)
      this.#series.set(key, series)
    }
    return series
  }

  /** In the form in which prom-client's registry takes it. */
  async get() {
    const { name, help, type, aggregator } = this
    const values = [...this.#series.values()].flatMap(series => this.#valuesOf(series))
    return { name, help, type, aggregator, values }
  }

  #valuesOf({ labels, counts, sum }: Series) {
    let count = 0
    const buckets = counts.map((each, at) => {
      count += each
      const le = this.#bounds[at] ?? '+Inf'
      return { labels: { le, ...labels }, value: count, metricName: `${this.name}_bucket` }
    })
    return [
      ...buckets,
      { labels, value: sum, metricName: `${this.name}_sum` },
      { labels, value: count, metricName: `${this.name}_count` },
    ]
  }
}

function createSeries(labels: Readonly<Record<string, string>>, bounds: readonly number[]): Series {
  const counts = Array.from({ length: bounds.length + 1 }, () => 0)
  const series: Series = {
    labels,
    counts,
    sum: 0,
    observe(value) {
      let at = 0
      // Most are fast, so that the first buckets are looked at first.
      while (at < bounds.length && value > (bounds[at] as number)) at += 1
      counts[at] = (counts[at] as number) + 1
      series.sum += value
    },
  }
  return series
}
