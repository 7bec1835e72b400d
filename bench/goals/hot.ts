// Goals of what is here already: P1 large blobs, P2 the same over TLS, P3 small objects, P4 tags
// whose freshness runs out.
import { ENCRYPTED_HERE, HTTP_IN_NODE, SENT_BY_THE_KERNEL } from './reasons.ts'
import { EXPIRING, UPSTREAM_MS } from '../rows/freshness.ts'
import { ONE_THREAD } from '../rows/tls.ts'
import { V2, V3 } from '../servers.ts'
import { NGINX } from '../servers/nginx.ts'
import { ZOT } from '../servers/zot.ts'
import { ownCount, ratioTo, ratioToBest, type Target } from '../targets.ts'

const EVERYBODY = [NGINX, V2, V3, ZOT]
const CLIENTS = ['4', '64']
const TLS_CLIENTS = ['4', '32']
const SMALL = ['blob of 4 KiB', 'manifest by digest', 'manifest by tag']
/**
 * Length of a run of the row and one: a tag that is fresh for a second may be asked for so often.
 */
const SECONDS_AND_ONE = 3

const hotBlob = {
  row: 'hot-blob',
  lines: CLIENTS,
  measure: 'cpuSecondsPerGB',
  what: 'CPU per GB',
  why: SENT_BY_THE_KERNEL,
}
const tls = {
  row: 'tls',
  lines: TLS_CLIENTS,
  measure: 'cpuSecondsPerGB',
  what: 'CPU per GB',
  why: ENCRYPTED_HERE,
}
const hotSmall = { row: 'hot-small', lines: SMALL }
const hotCost = { ...hotSmall, why: HTTP_IN_NODE }
const freshness = { row: 'freshness', lines: [EXPIRING] }

export const HOT_GOALS: readonly Target[] = [
  ratioTo(NGINX, { ...hotBlob, limit: { atMost: 1.1 } }),
  ratioTo(ZOT, { ...hotBlob, limit: { atMost: 0.5 } }),
  ratioTo(V2, { ...hotBlob, limit: { atMost: 0.5 } }),
  ratioTo(V3, { ...hotBlob, limit: { atMost: 0.5 } }),
  ratioToBest(EVERYBODY, {
    ...hotBlob,
    measure: 'megabytesPerSecond',
    what: 'throughput',
    limit: { atLeast: 0.95 },
  }),
  ratioToBest(EVERYBODY, { ...tls, limit: { atMost: 1 } }),
  ratioTo(ONE_THREAD, {
    ...tls,
    measure: 'megabytesPerSecond',
    what: 'throughput',
    limit: { atLeast: 1 },
  }),
  ratioTo(NGINX, {
    ...hotCost,
    measure: 'cpuMicroseconds',
    what: 'CPU per request',
    limit: { atMost: 3 },
  }),
  ratioTo(ZOT, {
    ...hotCost,
    measure: 'cpuMicroseconds',
    what: 'CPU per request',
    limit: { atMost: 0.35 },
  }),
  ratioTo(ZOT, {
    ...hotCost,
    measure: 'requestsPerSecond',
    what: 'requests/s',
    limit: { atLeast: 3 },
  }),
  ownCount({
    ...hotSmall,
    lines: ['manifest by tag'],
    measure: 'upstreamRequests',
    what: 'requests upstream in a run of 2 s, tag fresh for 1 s:',
    limit: { atMost: SECONDS_AND_ONE },
  }),
  // A run of some seconds meets the ends of one period more than it is seconds long.
  ownCount(
    {
      ...freshness,
      measure: 'perPeriod',
      what: 'requests upstream per tag and period of freshness:',
      limit: { atMost: 1.25 },
    },
    2,
  ),
  ownCount(
    {
      ...freshness,
      measure: 'p99Ratio',
      what: 'p99 to that of a fresh tag, ×:',
      limit: { atMost: 1.2 },
    },
    2,
  ),
  ownCount(
    {
      ...freshness,
      measure: 'mostMs',
      what: `longest wait, ms, while the upstream takes ${UPSTREAM_MS}:`,
      limit: { atMost: UPSTREAM_MS / 2 },
    },
    1,
  ),
]
