// Goals of pushes (P8), of many readers (P9) and much content (P10), of background work (P11), of
// the start (P13) and of the mixed load.
import {
  LOOKED_AT_AT_START,
  LOADING,
  MANY_STEPS,
  MEMORY_OF_READERS,
  SWINGS,
  TURNS_BESIDE_CLIENTS,
  CORES_SHARED_WITH_THE_WRITER,
  VERIFIED_ON_ONE_CORE,
} from './reasons.ts'
import { CARRIED } from '../rows/carrying.ts'
import { FOUR_FILLS } from '../rows/event-loop.ts'
import { MIXED } from '../rows/mixed.ts'
import { PUSHES } from '../rows/push.ts'
import { ALL, HOT } from '../rows/scrubbing.ts'
import { THOUSAND } from '../rows/stalled.ts'
import { V3 } from '../servers.ts'
import { ZOT } from '../servers/zot.ts'
import { ownCount, ownGrowth, ownLargest, ratioTo, type Target } from '../targets.ts'

/** What a few rounds cannot tell from flat: over two powers of ten it is 1.6 times as much. */
const FLAT = 0.1

const push = { row: 'push', lines: PUSHES, why: MANY_STEPS }
const stalled = { row: 'stalled', lines: [THOUSAND] }
const catalog = { row: 'large-catalog', table: 'large-catalog' }
/** In both forms, and in the full one. */
const evictingAll = { row: 'evicting', lines: ['100,000 blobs'], alsoLines: ['1,000,000 blobs'] }
const collecting = { row: 'collecting', table: 'collecting' }
const beside = { row: 'scrubbing', lines: HOT }
const start = { row: 'start', lines: ['empty'] }
const mixed = { row: 'mixed', lines: [MIXED] }

const carrying = { row: 'carrying', lines: [CARRIED], limit: { atLeast: 0.8 } }
const carried = [
  ownCount(
    {
      ...carrying,
      measure: 'exportRate',
      what: 'rate of an export, × `cp`:',
      why: VERIFIED_ON_ONE_CORE,
    },
    2,
  ),
  ownCount({ ...carrying, measure: 'importRate', what: 'rate of an import, × `sha256sum`:' }, 2),
]

export const STEADY_GOALS: readonly Target[] = [
  ...[V3, ZOT].flatMap(server => [
    ratioTo(server, {
      ...push,
      measure: 'seconds',
      what: 'all pushes acknowledged',
      limit: { atMost: 1 },
    }),
    ratioTo(server, {
      ...push,
      measure: 'cpuSeconds',
      what: 'CPU of pushes',
      limit: { atMost: 1 },
    }),
  ]),
  ownCount({
    ...stalled,
    measure: 'residentMiB',
    what: 'resident, MiB:',
    limit: { atMost: 150 },
    why: MEMORY_OF_READERS,
  }),
  ownCount({
    ...stalled,
    measure: 'socketMiB',
    what: 'kernel memory of sockets, MiB:',
    limit: { atMost: 300 },
  }),
  ownCount(
    {
      ...stalled,
      measure: 'toAlone',
      what: 'active readers, × what they get alone:',
      limit: { atLeast: 0.9 },
    },
    2,
  ),
  ownLargest({
    ...catalog,
    measure: 'readyMs',
    what: 'ready, ms:',
    limit: { atMost: 2000 },
    why: LOOKED_AT_AT_START,
  }),
  ownGrowth({
    ...catalog,
    measure: 'readyMs',
    what: 'start grows as size to the power of',
    limit: { atMost: FLAT },
    why: LOOKED_AT_AT_START,
  }),
  ownGrowth({
    ...catalog,
    measure: 'residentMiB',
    what: 'memory grows as size to the power of',
    limit: { atMost: FLAT },
  }),
  ownGrowth({
    ...catalog,
    measure: 'pullP99Ms',
    what: 'p99 of a pull grows as size to the power of',
    limit: { atMost: FLAT },
  }),
  ownGrowth({
    ...catalog,
    measure: 'pageMs',
    what: 'a page of tags grows as size to the power of',
    limit: { atMost: FLAT },
  }),
  ownCount(
    {
      ...evictingAll,
      measure: 'toIdle',
      what: 'p99 of a hot pull during eviction of 1 %, × idle:',
      limit: { atMost: 2 },
      why: CORES_SHARED_WITH_THE_WRITER,
    },
    2,
  ),
  ownCount({
    ...evictingAll,
    measure: 'filesPerSecond',
    what: 'files a second that leave:',
    limit: { atLeast: 2_000 },
    why: TURNS_BESIDE_CLIENTS,
  }),
  ownCount(
    {
      ...evictingAll,
      measure: 'delayMs',
      what: 'delay of the event loop meanwhile, p99, ms:',
      limit: { atMost: 20 },
    },
    1,
  ),
  ownLargest({
    row: 'evicting',
    table: 'intents',
    measure: 'readyMs',
    what: 'ready with 10,000 intents, ms:',
    limit: { atMost: 2000 },
  }),
  ownLargest({
    ...collecting,
    measure: 'seconds',
    what: 'collection, s:',
    limit: { atMost: 120 },
  }),
  ownLargest({
    ...collecting,
    measure: 'cpuSeconds',
    what: 'CPU of a collection, s:',
    limit: { atMost: 30 },
  }),
  ownLargest({
    ...collecting,
    measure: 'moreMiB',
    what: 'memory that a collection takes, MiB:',
    limit: { atMost: 32 },
  }),
  ...carried,
  ownCount(
    {
      row: 'scrubbing',
      lines: [ALL],
      measure: 'toSum',
      what: 'rate of a scrub that nothing bounds, × sha256sum:',
      limit: { atLeast: 0.9 },
    },
    2,
  ),
  ownCount(
    {
      ...beside,
      measure: 'p99ToAlone',
      what: 'p99 of hot pulls beside it, × alone:',
      limit: { atMost: 1.2 },
    },
    2,
  ),
  ownCount(
    {
      ...beside,
      measure: 'rateToAlone',
      what: 'rate of hot pulls beside it, × alone:',
      limit: { atLeast: 0.95 },
    },
    2,
  ),
  ownCount(
    {
      row: 'event-loop',
      lines: [FOUR_FILLS],
      measure: 'delayMs',
      what: 'delay of the event loop, p99, ms:',
      limit: { atMost: 20 },
    },
    1,
  ),
  ownCount({
    ...start,
    measure: 'readyMs',
    what: 'ready, ms:',
    limit: { atMost: 400 },
    why: LOADING,
  }),
  ownCount(
    { ...start, measure: 'residentMiB', what: 'resident when idle, MiB:', limit: { atMost: 150 } },
    1,
  ),
  ownCount({ ...mixed, measure: 'failures', what: 'errors:', limit: { atMost: 0 } }),
  ownCount({ ...mixed, measure: 'livezMs', what: 'livez p99, ms:', limit: { atMost: 100 } }, 1),
  ownCount({ ...mixed, measure: 'readyzMs', what: 'readyz p99, ms:', limit: { atMost: 100 } }, 1),
  ownCount(
    {
      ...mixed,
      measure: 'slopePerMinute',
      what: 'resident memory grows by MiB a minute:',
      limit: { atMost: 1 },
      why: SWINGS,
    },
    2,
  ),
]
