// The rows of the metrics table about bodies of blobs that are being sent, and requests that wait
// to be.
import type { MetricRow } from './metric-row.ts'

/** `full`: the waiting room was; `late`: no turn came in time. */
const STREAM_REFUSAL = ['full', 'late'] as const
/** The waiting room's own limit is twenty seconds. */
const WAIT_SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 20, 30] as const

export const STREAM_METRICS = {
  streamsInFlight: {
    name: 'entrepot_streams_in_flight',
    type: 'gauge',
    help: 'Bodies of blobs being sent to clients now; at most http.streams.',
    labels: {},
  },
  streamsWaiting: {
    name: 'entrepot_streams_waiting',
    type: 'gauge',
    help: 'Requests for blobs that wait because http.streams are being sent.',
    labels: {},
  },
  streamsRefused: {
    name: 'entrepot_streams_refused_total',
    type: 'counter',
    help: 'Requests for blobs that got no turn, with 503. full: too many waited already; late: none came in 20 s.',
    labels: { reason: STREAM_REFUSAL },
  },
  streamWait: {
    name: 'entrepot_stream_wait_seconds',
    type: 'histogram',
    help: 'How long requests for blobs waited for their turn, of those that had to and got one.',
    labels: {},
    buckets: WAIT_SECONDS,
  },
  streamsCut: {
    name: 'entrepot_streams_cut_total',
    type: 'counter',
    help: 'Bodies of blobs that were cut because their client took nothing for 10 s while others waited.',
    labels: {},
  },
} as const satisfies Readonly<Record<string, MetricRow>>
