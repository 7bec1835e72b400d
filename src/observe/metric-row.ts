// A row of the metrics table.

/** A label whose values are given by words, where listing them would help nobody. */
export type LabelValues = readonly string[] | { readonly words: string }

export interface MetricRow {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: Readonly<Record<string, LabelValues>>
  readonly buckets?: readonly number[]
  /** Of a gauge without labels, which else begins with 0. Default false. */
  readonly isAbsentAtFirst?: boolean
}
