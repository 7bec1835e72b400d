// The metrics of what leaves, most of them for want of room: a part of the one table.
import type { MetricRow } from './metric-row.ts'

/** `room`: there was none left. `quota`: more was here than its quota allows. */
const WHY = ['room', 'quota'] as const
/** Why content leaves. */
const REASON = ['evicted', 'collected', 'purged', 'deleted'] as const

export const EVICTION_METRICS = {
  evictedImages: {
    name: 'entrepot_evicted_images_total',
    type: 'counter',
    help: 'Images that left because there was no room, or their quota was used up.',
    labels: { why: WHY },
  },
  evictedBlobs: {
    name: 'entrepot_evicted_blobs_total',
    type: 'counter',
    help: 'Files of blobs and manifests that were removed with them.',
    labels: { why: WHY },
  },
  evictedBytes: {
    name: 'entrepot_evicted_bytes_total',
    type: 'counter',
    help: 'Bytes that the disk had back by it.',
    labels: { why: WHY },
  },
  evictedYoungest: {
    name: 'entrepot_evicted_youngest_seconds',
    type: 'gauge',
    help: 'How long the cache remembers: of the images that left since the start, the shortest time since its last use. Absent while none left.',
    labels: {},
    isAbsentAtFirst: true,
  },
  miscounted: {
    name: 'entrepot_catalog_miscounted_total',
    type: 'counter',
    help: 'Content of which the catalog said wrongly how often it is needed, found and mended as it was counted anew.',
    labels: {},
  },
  leftFiles: {
    name: 'entrepot_left_files_total',
    type: 'counter',
    help: 'Files of blobs and manifests that were removed, of those that an earlier process had let go, too.',
    labels: { reason: REASON },
  },
  leftBytes: {
    name: 'entrepot_left_bytes_total',
    type: 'counter',
    help: 'Bytes that the disk had back by it: `evicted` for want of room or by a quota, `collected` because nothing needed them any more, `purged` by an operator, `deleted` by a client or by `storage.retention`.',
    labels: { reason: REASON },
  },
} as const satisfies Readonly<Record<string, MetricRow>>
