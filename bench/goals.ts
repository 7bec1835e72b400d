// What Entrepot must reach in each row, and why it does not where the reason is known.
import { NGINX } from './servers.ts'
import { ownCount, ratioTo, type Target, words } from './targets.ts'

const V2 = 'docker-registry 2.8'
const V3 = 'distribution 3.1'
const ZOT = 'zot'
const LIMITED = '10 MB/s'
const COLD = ['not limited', LIMITED]
const CLIENTS = ['4', '64']
const SMALL = ['blob of 4 KiB', 'manifest by digest', 'manifest by tag']
const TAG = ['manifest by tag']
const PUSHES = ['1 × 1 GiB', '200 × 1 MiB, 8 at once']
/** Length of a run of the row and one: a tag that is fresh for a second may be asked for so often. */
const SECONDS_AND_ONE = 4

const THROUGH_NODE =
  'the bytes pass through Node: each piece is read by a thread of its pool, copied into a buffer of the process and copied out again ' +
  'by the main thread (src/registry/fill/follow.ts, src/http/send-blob.ts), where the others let the kernel send the file. Sending files ' +
  'by `sendfile` and more than one HTTP thread come in a later version.'
const FROM_DISK =
  'nothing is kept in memory: each request looks into SQLite, then opens, reads and closes a file, each of them a trip through the ' +
  'thread pool (src/registry/pull/manifest-content.ts and pull-blob.ts, `readVerified` and `openRegularFile` in src/store/filesystem). In ' +
  'a profile these are most of the time, and the request log comes after them. A cache in memory comes in a later version.'
const LOADING =
  'nearly all of it is loading and compiling the modules of the libraries, some hundreds of files; the catalog and the store take little ' +
  'when they are empty.'
const STEPS_OF_A_FILL =
  'a fill looks into the catalog, makes its file, opens it for readers, asks the upstream, writes down what it was promised, and writes the ' +
  'first bytes before it reads them back: each a trip through the thread pool, one after the other (src/registry/fill/fill.ts and fill-receive.ts). ' +
  'On a machine whose cores are taken each trip waits for one.'

const MANY_STEPS =
  'a small blob takes a dozen trips through the thread pool (free space, two files made, written, synced and renamed, its directory synced) ' +
  'and a commit of the catalog by another thread (src/registry/upload, src/store/filesystem, src/catalog/sqlite/writer.ts). On two cores ' +
  'waking those threads is most of what it costs; hashing and copying its bytes are the smaller part.'

const cold = { row: 'cold', lines: COLD }
const hotBlob = { row: 'hot-blob', lines: CLIENTS, measure: 'cpuSecondsPerGB' }
const hotSmall = { row: 'hot-small', lines: SMALL }

export const GOALS: readonly Target[] = [
  ownCount(
    { ...cold, measure: 'bytesRatio', what: 'bytes upstream, × the blob:', limit: { atMost: 1 } },
    2,
  ),
  ownCount(
    {
      ...cold,
      measure: 'laterMs',
      what: 'first byte of each client later than direct, ms:',
      limit: { atMost: 10 },
      why: STEPS_OF_A_FILL,
    },
    1,
  ),
  ratioTo('direct', {
    ...cold,
    lines: [LIMITED],
    measure: 'lastClientSeconds',
    what: 'last client done:',
    limit: { atMost: 1.3 },
  }),
  words('upstream answers 429', 'an answer that says when to come back', /Retry-After: \d/),
  words('start while', 'starts, serves tag and blob', /^starts; tag: served; blob: served$/),
  words(
    'upstream flips',
    'no complete wrong answer, and nothing wrong kept',
    /^(?!.*wrong).*served$/,
  ),
  words('tag deleted', 'gone for the client, too', /^refused, 404$/),
  ...[
    { server: NGINX, atMost: 1.1 },
    { server: V2, atMost: 0.5 },
    { server: V3, atMost: 0.5 },
    { server: ZOT, atMost: 0.5 },
  ].map(({ server, atMost }) =>
    ratioTo(server, { ...hotBlob, what: 'CPU per GB', limit: { atMost }, why: THROUGH_NODE }),
  ),
  ...[NGINX, V2, V3].map(server =>
    ratioTo(server, {
      ...hotBlob,
      measure: 'megabytesPerSecond',
      what: 'throughput',
      limit: { atLeast: 0.95 },
      why: THROUGH_NODE,
    }),
  ),
  ...[
    { server: NGINX, atMost: 3 },
    { server: ZOT, atMost: 0.35 },
  ].map(({ server, atMost }) =>
    ratioTo(server, {
      ...hotSmall,
      measure: 'cpuMicroseconds',
      what: 'CPU per request',
      limit: { atMost },
      why: FROM_DISK,
    }),
  ),
  ratioTo(ZOT, {
    ...hotSmall,
    measure: 'requestsPerSecond',
    what: 'requests/s',
    limit: { atLeast: 3 },
    why: FROM_DISK,
  }),
  ownCount({
    ...hotSmall,
    lines: TAG,
    measure: 'upstreamRequests',
    what: 'requests upstream in a run, tag fresh for 1 s:',
    limit: { atMost: SECONDS_AND_ONE },
  }),
  ...[V2, V3, ZOT].flatMap(server => [
    ratioTo(server, {
      row: 'push',
      lines: PUSHES,
      measure: 'seconds',
      what: 'all pushes acknowledged',
      limit: { atMost: 1 },
      why: MANY_STEPS,
    }),
    ratioTo(server, {
      row: 'push',
      lines: PUSHES,
      measure: 'cpuSeconds',
      what: 'CPU of pushes',
      limit: { atMost: 1 },
      why: MANY_STEPS,
    }),
  ]),
  ownCount({
    row: 'start',
    lines: ['empty'],
    measure: 'readyMs',
    what: 'ready, ms:',
    limit: { atMost: 400 },
    why: LOADING,
  }),
  ownCount(
    {
      row: 'start',
      lines: ['empty'],
      measure: 'residentMiB',
      what: 'resident when idle, MiB:',
      limit: { atMost: 150 },
    },
    1,
  ),
  ownCount(
    {
      row: 'skopeo',
      lines: [LIMITED],
      measure: 'fasterThanDirect',
      what: 'whole pull, × faster than direct:',
      limit: { atLeast: 4 },
      why:
        'a blob is fetched by one connection, and only when the client asks for it. Fetching in ranges and fetching blobs ahead when ' +
        'the manifest is served come in a later version.',
    },
    2,
  ),
]
