// The one table of metrics: name, type, help, labels as closed sets, buckets. The prom-client
// registry (metrics.ts), the types of what may be counted and docs/metrics.md all derive from it.
// Labels are never a repository, tag or digest.

import { SOURCES } from '../registry/answers.ts'
import { AUTH_METRICS } from './auth-metrics.ts'
import { TLS_METRICS } from './tls-metrics.ts'
import { EVICTION_METRICS } from './eviction-metrics.ts'
import { DROP_REASONS } from './log-output.ts'
import type { MetricRow } from './metric-row.ts'
import { PUSH_METRICS } from './push-metrics.ts'
import { STORAGE_METRICS } from './storage-metrics.ts'
import { STREAM_METRICS } from './stream-metrics.ts'

/**
 * Sources of an answer as in `X-Entrepot-Source`, and `none` for answers that carry no content
 * (errors, pings).
 */
const SOURCE = [...SOURCES, 'none'] as const

/** Endpoints of the data port by name; `none` is a request that parsed as none of them. */
export const ENDPOINT_LABELS = [
  'ping',
  'livez',
  'manifest',
  'blob',
  'uploads',
  'upload',
  'tags',
  'referrers',
  'catalog',
  'extension',
  'token',
  'none',
] as const

export const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'other'] as const
/**
 * `aborted`: the client left; `failed`: cut by us after the head had gone out, or an answer of 5xx.
 */
const OUTCOME = ['completed', 'aborted', 'failed'] as const
const CALL = ['manifest', 'blob', 'tags', 'referrers', 'token', 'push', 'ping'] as const
const FILL_OUTCOME = ['stored', 'uncached', 'corrupt', 'failed', 'abandoned'] as const
const PREFETCH_STEP = ['started', 'used', 'cancelled', 'unused'] as const
/**
 * `connections`: a connection too many, closed before it said anything; `plain`: HTTP without TLS
 * on a port that speaks TLS.
 */
const REFUSAL = ['busy', 'connections', 'malformed', 'plain', 'proxy'] as const

const UPSTREAM = { words: 'a registry host; the first 64 seen by name, then `other`' } as const
const STATUS = { words: 'HTTP status' } as const

// A manifest from memory takes under a millisecond, a blob of gigabytes over a slow line many
// minutes.
const LATENCY_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900,
] as const
const FILL_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600] as const

export const METRICS = {
  requests: {
    name: 'entrepot_requests_total',
    type: 'counter',
    help: 'Requests of clients that ended, however they ended.',
    labels: {
      endpoint: ENDPOINT_LABELS,
      method: METHODS,
      status: STATUS,
      source: SOURCE,
      outcome: OUTCOME,
    },
  },
  requestDuration: {
    name: 'entrepot_request_duration_seconds',
    type: 'histogram',
    help: 'From the request head to the last byte handed to the kernel, or to the cut.',
    labels: { endpoint: ENDPOINT_LABELS, source: SOURCE, outcome: OUTCOME },
    buckets: LATENCY_SECONDS,
  },
  requestsInFlight: {
    name: 'entrepot_requests_in_flight',
    type: 'gauge',
    help: 'Requests being answered now.',
    labels: {},
  },
  requestsRefused: {
    name: 'entrepot_requests_refused_total',
    type: 'counter',
    help: 'Requests refused before they were looked at: too many at once, a connection too many, not HTTP, or without the PROXY header that it takes.',
    labels: { reason: REFUSAL },
  },
  adminConnectionsCut: {
    name: 'entrepot_admin_connections_cut_total',
    type: 'counter',
    help: 'Connections of the operator’s API over the network that were cut, because there were too many.',
    labels: {},
  },
  clientsLimited: {
    name: 'entrepot_clients_limited_total',
    type: 'counter',
    help: 'Requests refused with 429 because one address or account had as much under way as one may (http.limits).',
    labels: { of: ['address', 'account'], limited: ['requests', 'streams', 'uploads'] },
  },
  httpThreads: {
    name: 'entrepot_http_threads',
    type: 'gauge',
    help: 'Threads that serve clients beside the first one, which does all the rest as well.',
    labels: { state: ['starting', 'listening', 'dead'] },
  },
  httpThreadDeaths: {
    name: 'entrepot_http_thread_deaths_total',
    type: 'counter',
    help: 'Such threads that ended by an error, with the connections they had. Each is started again.',
    labels: {},
  },
  ...TLS_METRICS,
  clientBytes: {
    name: 'entrepot_client_bytes_total',
    type: 'counter',
    help: 'Body bytes of manifests, blobs and lists sent to clients, unread bytes of aborted answers not included.',
    labels: { source: SOURCE },
  },
  wanSavedBytes: {
    name: 'entrepot_wan_saved_bytes_total',
    type: 'counter',
    help: 'Body bytes sent to clients that the upstream did not have to send for them (hit, joined, stale).',
    labels: {},
  },
  receivedBytes: {
    name: 'entrepot_received_bytes_total',
    type: 'counter',
    help: 'Body bytes received from clients, those of requests that failed included.',
    labels: {},
  },
  joinedReaders: {
    name: 'entrepot_joined_readers',
    type: 'gauge',
    help: 'Clients that are reading a blob from a fill they did not start.',
    labels: {},
  },
  upstreamRequests: {
    name: 'entrepot_upstream_requests_total',
    type: 'counter',
    help: 'Requests to upstreams by what came of them: an HTTP status, its class for unusual ones, or the failure.',
    labels: { upstream: UPSTREAM, call: CALL, outcome: { words: 'status, class or failure' } },
  },
  upstreamDuration: {
    name: 'entrepot_upstream_request_duration_seconds',
    type: 'histogram',
    help: 'Time until the head of an upstream answer, or until it failed.',
    labels: { upstream: UPSTREAM, call: CALL },
    buckets: LATENCY_SECONDS,
  },
  upstreamBytes: {
    name: 'entrepot_upstream_bytes_total',
    type: 'counter',
    help: 'Body bytes received from upstreams.',
    labels: { upstream: UPSTREAM },
  },
  upstreamBreaker: {
    name: 'entrepot_upstream_breaker_state',
    type: 'gauge',
    help: 'Circuit breaker of an upstream: 0 closed, 1 half-open, 2 open (answered from here without asking).',
    labels: { upstream: UPSTREAM },
  },
  upstreamRateLimit: {
    name: 'entrepot_upstream_rate_limit_remaining',
    type: 'gauge',
    help: 'Pulls that the upstream still allows, from its rate-limit headers.',
    labels: { upstream: UPSTREAM },
  },
  upstreamLies: {
    name: 'entrepot_upstream_lies_total',
    type: 'counter',
    help: 'Answers of an upstream that did not match their digest or length. None of them was kept or served whole.',
    labels: { upstream: UPSTREAM },
  },
  mirrorsLeftOut: {
    name: 'entrepot_upstream_mirrors_left_out_total',
    type: 'counter',
    help: 'Times that a mirror of an upstream gave wrong content and was not asked for a while.',
    labels: { upstream: UPSTREAM },
  },
  staleAnswers: {
    name: 'entrepot_stale_answers_total',
    type: 'counter',
    help: 'Answers given past their freshness because the upstream failed.',
    labels: { upstream: UPSTREAM },
  },
  fillsInFlight: {
    name: 'entrepot_fills_in_flight',
    type: 'gauge',
    help: 'Blobs being downloaded into the cache now.',
    labels: {},
  },
  fills: {
    name: 'entrepot_fills_total',
    type: 'counter',
    help: 'Fills that ended. uncached: passed on but not kept, for want of space.',
    labels: { outcome: FILL_OUTCOME },
  },
  fillDuration: {
    name: 'entrepot_fill_duration_seconds',
    type: 'histogram',
    help: 'How long fills took.',
    labels: { outcome: FILL_OUTCOME },
    buckets: FILL_SECONDS,
  },
  fillResumedBytes: {
    name: 'entrepot_fill_resumed_bytes_total',
    type: 'counter',
    help: 'Bytes that a fill found on disk from an earlier attempt and did not ask for again.',
    labels: {},
  },
  ...AUTH_METRICS,
  ...STREAM_METRICS,
  prefetchedBlobs: {
    name: 'entrepot_prefetched_blobs_total',
    type: 'counter',
    help: 'Blobs fetched before a client asked for them. cancelled: nobody asked while they were on their way; unused: nor when they were here.',
    labels: { step: PREFETCH_STEP },
  },
  prefetchVainBytes: {
    name: 'entrepot_prefetch_vain_bytes_total',
    type: 'counter',
    help: 'Bytes fetched for blobs that nobody asked for in time. They are kept, and not fetched again by who asks later.',
    labels: { upstream: UPSTREAM },
  },
  ...PUSH_METRICS,
  logLinesDropped: {
    name: 'entrepot_log_lines_dropped_total',
    type: 'counter',
    help: 'Log lines that standard output did not take: the write failed, or more waited than are kept.',
    labels: { reason: DROP_REASONS },
  },
  auditLinesDropped: {
    name: 'entrepot_audit_lines_dropped_total',
    type: 'counter',
    help: 'Lines of the audit log that were not written: the write failed, or more waited than are kept.',
    labels: { reason: DROP_REASONS },
  },
  ...STORAGE_METRICS,
  ...EVICTION_METRICS,
  blobs: { name: 'entrepot_blobs', type: 'gauge', help: 'Blobs here.', labels: {} },
  manifests: { name: 'entrepot_manifests', type: 'gauge', help: 'Manifests here.', labels: {} },
  repositories: {
    name: 'entrepot_repositories',
    type: 'gauge',
    help: 'Repositories with a manifest or tag here.',
    labels: {},
  },
  tags: { name: 'entrepot_tags', type: 'gauge', help: 'Tags here.', labels: {} },
  buildInfo: {
    name: 'entrepot_build_info',
    type: 'gauge',
    help: 'Always 1; the labels say which build runs.',
    labels: { version: { words: 'of Entrepot' }, node: { words: 'of Node' } },
  },
} as const satisfies Readonly<Record<string, MetricRow>>

export type MetricKey = keyof typeof METRICS

type ValueOf<V> = V extends readonly (infer T extends string)[] ? T : string
type LabelsIn<K extends MetricKey> = (typeof METRICS)[K]['labels']
/** The labels that a metric takes, each typed by its closed set. */
export type LabelsOf<K extends MetricKey> = {
  readonly [L in keyof LabelsIn<K>]: ValueOf<LabelsIn<K>[L]>
}

/** Keys of the rows of one type. */
export type KeyOf<T extends MetricRow['type']> = {
  [K in MetricKey]: (typeof METRICS)[K]['type'] extends T ? K : never
}[MetricKey]

export type SourceLabel = (typeof SOURCE)[number]
export type EndpointLabel = (typeof ENDPOINT_LABELS)[number]
export type MethodLabel = (typeof METHODS)[number]
export type OutcomeLabel = (typeof OUTCOME)[number]
