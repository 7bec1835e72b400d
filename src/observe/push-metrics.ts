// The rows of the metrics table about what clients push, what waits to be delivered, and uploads
// that are under way.
import { CARRIERS } from '../registry/ports/outbox.ts'
import { TAKING_MODES } from '../registry/ports/push-modes.ts'
import type { MetricRow } from './metric-row.ts'

const DELIVERY_OUTCOME = ['delivered', 'retried', 'parked'] as const
/** A manifest goes over in a moment; an image of gigabytes over a thin line takes a night. */
const DELIVERY_SECONDS = [0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3_600, 14_400, 43_200] as const

export const PUSH_METRICS = {
  pushes: {
    name: 'entrepot_pushes_total',
    type: 'counter',
    help: 'Manifests and blobs of clients that were acknowledged, by the push mode of their repository.',
    labels: { what: ['manifest', 'blob'], mode: TAKING_MODES },
  },
  pushedBytes: {
    name: 'entrepot_pushed_bytes_total',
    type: 'counter',
    help: 'Bytes of the manifests and blobs that were acknowledged.',
    labels: { mode: TAKING_MODES },
  },
  deliveries: {
    name: 'entrepot_deliveries_total',
    type: 'counter',
    help: 'Attempts to bring an entry of the queue away. retried: it failed and is tried again; parked: it waits for the operator.',
    labels: { carrier: CARRIERS, outcome: DELIVERY_OUTCOME },
  },
  deliveryDuration: {
    name: 'entrepot_delivery_duration_seconds',
    type: 'histogram',
    help: 'How long those attempts took.',
    labels: { carrier: CARRIERS, outcome: DELIVERY_OUTCOME },
    buckets: DELIVERY_SECONDS,
  },
  outboxEntries: {
    name: 'entrepot_outbox_entries',
    type: 'gauge',
    help: 'Entries in the queue.',
    labels: { carrier: CARRIERS, state: ['waiting', 'parked'] },
  },
  outboxOldest: {
    name: 'entrepot_outbox_oldest_age_seconds',
    type: 'gauge',
    help: 'Age of the oldest entry that waits, parked ones not included; 0 when none does.',
    labels: { carrier: CARRIERS },
  },
  uploadSessions: {
    name: 'entrepot_upload_sessions',
    type: 'gauge',
    help: 'Uploads that clients have begun and neither finished nor given up.',
    labels: {},
  },
  uploadBytes: {
    name: 'entrepot_upload_bytes',
    type: 'gauge',
    help: 'Bytes on disk of these uploads.',
    labels: {},
  },
  uploadsPurged: {
    name: 'entrepot_uploads_purged_total',
    type: 'counter',
    help: 'Abandoned uploads that were removed.',
    labels: {},
  },
  retentionGone: {
    name: 'entrepot_retention_gone_total',
    type: 'counter',
    help: 'Tags and manifests that `storage.retention` has let go.',
    labels: { what: ['tag', 'manifest'] },
  },
} as const satisfies Readonly<Record<string, MetricRow>>
