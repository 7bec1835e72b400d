// The rows of the metrics table about the disk: how much room there is, and what takes it.
import type { MetricRow } from './metric-row.ts'

const FAILURE = ['full', 'io', 'corrupt', 'busy'] as const
/** `leaving`: the row is gone, and the file goes next. */
const HELD_AS = ['kept', 'cached', 'leaving'] as const

/** What became of content that was found damaged. */
const IMPORTED = ['imported', 'refused', 'cancelled', 'dry run'] as const
const BECAME = ['mended', 'refetched', 'forgotten', 'broken'] as const

export const STORAGE_METRICS = {
  storageFailures: {
    name: 'entrepot_storage_failures_total',
    type: 'counter',
    help: 'Failures of the disk under the cache, by cause.',
    labels: { failure: FAILURE },
  },
  storageFree: {
    name: 'entrepot_storage_free_bytes',
    type: 'gauge',
    help: 'Free on the file system that holds the blobs.',
    labels: {},
  },
  storageTotal: {
    name: 'entrepot_storage_total_bytes',
    type: 'gauge',
    help: 'Size of the file system that holds the blobs.',
    labels: {},
  },
  storageUnwritable: {
    name: 'entrepot_storage_unwritable_seconds',
    type: 'gauge',
    help: 'Since when the file system that holds the blobs is seen to be read-only, or full to the last byte or file, at least 1; 0 while it can be written.',
    labels: {},
  },
  storageTaken: {
    name: 'entrepot_storage_taken_bytes',
    type: 'gauge',
    help: 'Taken by the data directory, all of it.',
    labels: {},
  },
  storageLimit: {
    name: 'entrepot_storage_limit_bytes',
    type: 'gauge',
    help: 'Most that the data directory can come to: `storage.maxsize`, or what the disk can give if that is less.',
    labels: {},
  },
  storageMinFree: {
    name: 'entrepot_storage_min_free_bytes',
    type: 'gauge',
    help: 'Stays free on the file system for others: `storage.minfree`.',
    labels: {},
  },
  storagePushReserve: {
    name: 'entrepot_storage_push_reserve_bytes',
    type: 'gauge',
    help: 'Of the limit, what no download may take, for pushes.',
    labels: {},
  },
  contentBytes: {
    name: 'entrepot_content_bytes',
    type: 'gauge',
    help: 'Bytes of all blobs and manifests here.',
    labels: {},
  },
  contentHeld: {
    name: 'entrepot_content_held_bytes',
    type: 'gauge',
    help: 'What content takes on the disk: kept because it was pushed here, cached because an upstream has it as well, or about to be removed.',
    labels: { as: HELD_AS },
  },
  contentOf: {
    name: 'entrepot_content_of_upstream_bytes',
    type: 'gauge',
    help: 'What the repositories of an upstream hold on the disk, those of `localhost` too; what several share counts for each.',
    labels: { upstream: { words: 'a registry host of the configuration, else `other`' } },
  },
  pins: {
    name: 'entrepot_pins',
    type: 'gauge',
    help: 'Pins, of the configuration and by commands; what they hold stays under any pressure.',
    labels: {},
  },
  pinnedBytes: {
    name: 'entrepot_pinned_bytes',
    type: 'gauge',
    help: 'What pins hold on the disk, counted every ten minutes at most; what several repositories share counts for each.',
    labels: {},
  },
  lost: {
    name: 'entrepot_lost',
    type: 'gauge',
    help: 'Manifests, tags and queued pushes that were pushed here and are lost, and files in facts/ that cannot be read: what they may need stays. Not there while that is being found out.',
    labels: {},
  },
  imports: {
    name: 'entrepot_imports_total',
    type: 'counter',
    help: 'Imports that ended: `imported`, `refused` (or cut), `cancelled` by an operator, `dry run` however it ended.',
    labels: { outcome: IMPORTED },
  },
  importedBytes: {
    name: 'entrepot_imported_bytes_total',
    type: 'counter',
    help: 'Bytes of manifests and blobs that imports have written.',
    labels: {},
  },
  scrubBlobs: {
    name: 'entrepot_scrub_blobs_total',
    type: 'counter',
    help: 'Files of blobs and manifests that were read once more to verify them.',
    labels: {},
  },
  scrubBytes: {
    name: 'entrepot_scrub_bytes_total',
    type: 'counter',
    help: 'Bytes of them.',
    labels: {},
  },
  scrubDamaged: {
    name: 'entrepot_scrub_damaged_total',
    type: 'counter',
    help: 'Files that were not what their digests say: `mended` (their mode kept them from being read), `refetched`, `forgotten` (fetched when next asked for), `broken` (pushed, and nowhere else).',
    labels: { became: BECAME },
  },
  scrubBroken: {
    name: 'entrepot_scrub_broken',
    type: 'gauge',
    help: 'Files that a scrub has found broken, and that nobody has pushed again, imported again or deleted since. One that was brought back by hand counts for an hour at most.',
    labels: {},
  },
  scrubOldest: {
    name: 'entrepot_scrub_oldest_seconds',
    type: 'gauge',
    help: 'How long ago that of all files was verified that was verified longest ago: below `storage.scrub.period` where scrubbing keeps up. Not there while nothing is here, or something that nobody has verified yet.',
    labels: {},
    isAbsentAtFirst: true,
  },
  returnedImages: {
    name: 'entrepot_evicted_images_returned',
    type: 'gauge',
    help: 'Images that were evicted and fetched again, and with twice the room would have stayed; since the catalog was begun.',
    labels: {},
  },
  returnedBytes: {
    name: 'entrepot_evicted_images_returned_bytes',
    type: 'gauge',
    help: 'What had left with those images: so much would twice the room have saved.',
    labels: {},
  },
} as const satisfies Readonly<Record<string, MetricRow>>
