// docs/metrics.md, written from the metrics table.
import type { LabelValues, MetricRow } from '../../src/observe/metric-row.ts'
import { METRICS } from '../../src/observe/metrics-table.ts'

/** What prom-client adds by itself and what people look for there. */
const PROCESS_METRICS = [
  [
    'nodejs_eventloop_lag_p99_seconds',
    'How late a timer of 20 ms went off, 99th percentile since the last scrape.',
  ],
  ['nodejs_eventloop_lag_max_seconds', 'The same, the latest.'],
  ['process_open_fds', 'Open files and sockets.'],
  ['process_max_fds', 'The limit of open files.'],
  ['process_resident_memory_bytes', 'Resident memory.'],
  ['process_cpu_seconds_total', 'Processor time.'],
  ['nodejs_heap_size_used_bytes', 'JavaScript heap in use.'],
  ['nodejs_external_memory_bytes', 'Memory of buffers outside the heap.'],
] as const

/** The whole text of docs/metrics.md, ending in a newline. */
export function renderMetricsDoc(): string {
  return [
    '# Metrics',
    '',
    'Served by `/metrics` on the admin address in the Prometheus text format. This page is generated from',
    '`src/observe/metrics-table.ts` by `npm run docs`. Labels are closed sets; a repository, tag or digest is never a label.',
    '',
    ...Object.values(METRICS).flatMap(renderRow),
    '## Of the process',
    '',
    'The default metrics of prom-client are there too (but for `nodejs_eventloop_lag_stddev_seconds`), among them:',
    '',
    ...PROCESS_METRICS.map(([name, help]) => `* \`${name}\`: ${help}`),
    '',
  ].join('\n')
}

function renderRow(row: MetricRow): readonly string[] {
  const labels = Object.entries(row.labels).map(
    ([label, values]) => `* \`${label}\`: ${renderValues(values)}`,
  )
  const buckets = row.buckets === undefined ? [] : [`* buckets: ${row.buckets.join(', ')}`]
  const list = [...labels, ...buckets]
  return [
    `## ${row.name}`,
    '',
    `${row.type}. ${row.help}`,
    '',
    ...(list.length === 0 ? [] : [...list, '']),
  ]
}

function renderValues(values: LabelValues): string {
  return 'words' in values ? values.words : values.map(value => `\`${value}\``).join(', ')
}
