// `status`: what the running edge holds and saved, and how its upstreams are.
import type { PlainBecause, Sending } from '../registry/operator/operator-deps.ts'
import type { Status } from '../registry/operator/status.ts'
import { askAdmin } from './admin-client.ts'
import { type CliContext, EXIT_CODES, type ExitCode } from './context.ts'
import { COMMON_HELP, readCommon } from './options.ts'
import {
  aboutSpan,
  describeAge,
  describeBytes,
  describeCount,
  describeFaults,
  describeSpan,
  writeJson,
  writeTable,
} from './output.ts'
import {
  describeAccounts,
  describeCertificates,
  describeOperators,
  describeRobots,
} from './status-of-logins.ts'

export const help = `entrepot status [--json]

Cache size and hit ratio, bytes saved on the WAN, what waits to be delivered, and the health of each upstream.

${COMMON_HELP}

Examples
  entrepot status
  entrepot status --json
`

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const { server, json } = readCommon(args, context, {
    least: 0,
    most: 0,
    usage: 'entrepot status',
  })
  const status = await askAdmin<Status>({ server, path: '/status' })
  if (json) writeJson(context, status)
  else writeText(context, status)
  return EXIT_CODES.ok
}

function writeText(context: CliContext, status: Status): void {
  const { version, content, storage, traffic, upstreams } = status
  const share =
    traffic.sentBytes === 0 ? 0 : Math.round((traffic.savedBytes / traffic.sentBytes) * 100)
  writeTable(context, [
    ['version', `${version}, process ${status.pid}`],
    ...(status.needsRestart.length === 0
      ? []
      : [['restart', `is waited for by ${status.needsRestart.join(', ')}`]]),
    ...describeReload(status),
    ['threads', describeThreads(status)],
    ...describeCertificates(status),
    ...describeAccounts(status),
    ...describeRobots(status),
    ...describeOperators(status),
    ['sending', describeSending(status)],
    ['content', describeContent(status)],
    [
      '',
      `${describeCount(content.tags, 'tag')}, ${describeCount(content.manifests, 'manifest')} and ${describeCount(content.blobs, 'blob')} in ${describeCount(content.repositories, 'repository')}`,
    ],
    ...describeDeleted(status),
    ['room', describeRoom(status)],
    ['', describeFences(status)],
    ...describeUnwritable(status),
    ...(storage.full === undefined ? [] : [['keeping', `nothing: ${storage.full}`]]),
    ...describeNoRoom(status),
    ['left', describeLeft(status)],
    ...describeMemory(status),
    ['pins', describePins(status)],
    ...describeLost(status),
    ...describeScrub(status),
    [
      'sent',
      `${describeBytes(traffic.sentBytes)} in ${describeCount(traffic.requests, 'request')} since the start`,
    ],
    ['fetched', `${describeBytes(traffic.upstreamBytes)} from upstreams`],
    ['saved', `${describeBytes(traffic.savedBytes)} on the WAN (${share} % of what was sent)`],
    ...describePaused(status),
    ['queue', describeQueue(status)],
    ...(status.queue.reason === undefined ? [] : [['', `not delivered: ${status.queue.reason}`]]),
    ['uploads', describeUploads(status)],
  ])
  context.stdout.write('\n')
  writeTable(context, [
    ['UPSTREAM', 'STATE', 'HOLDS', 'RATE LIMIT LEFT', 'LAST FAILURE'],
    ...upstreams.map(each => [
      each.registry,
      stateOf(each),
      each.heldBytes === undefined ? '-' : describeBytes(each.heldBytes),
      each.rateLimitRemaining === undefined ? '-' : String(each.rateLimitRemaining),
      each.credentials === 'refused' ? WRONG_CREDENTIALS : (each.lastFailure ?? '-'),
    ]),
  ])
}

const WRONG_CREDENTIALS =
  'the credentials that are configured for it: correct them; "entrepot check --online" tries them'

function describeContent({ storage }: Status): string {
  const { keptBytes, cachedBytes, leavingBytes } = storage
  const leaving = leavingBytes === 0 ? '' : `, ${describeBytes(leavingBytes)} about to go`
  return `${describeBytes(cachedBytes + keptBytes)}: ${describeBytes(cachedBytes)} cached, ${describeBytes(keptBytes)} pushed here${leaving}`
}

/** Whoever deleted to make room, and sees none. */
function describeDeleted({ storage: { deleted }, nowMs }: Status): readonly string[][] {
  if (deleted === undefined) return []
  const { bytes, isMore, nextAtMs } = deleted
  const what = `${isMore ? 'more than ' : ''}${describeBytes(bytes)}`
  const next = `the next of it goes in ${describeSpan(nextAtMs - nowMs)}`
  return [['deleted', `${what} stay until storage.gc.delay is over; ${next}`]]
}

/** A server of before jobs could be paused tells of none. */
function describePaused({ pausedJobs = [] }: Partial<Status>): readonly string[][] {
  if (pausedJobs.length === 0) return []
  const how = 'until "entrepot jobs resume NAME", or the next start'
  return [['paused', `${pausedJobs.join(', ')}: no run begins ${how}`]]
}

function describeRoom({ storage }: Status): string {
  const { takenBytes, maxBytes, freeBytes } = storage
  return `${describeBytes(takenBytes)} taken of ${describeBytes(maxBytes)}, ${describeBytes(freeBytes)} free on the disk${describeFiles(storage)}`
}

/** A server of before that was looked for tells nothing. */
function describeUnwritable({ storage: { unwritable }, nowMs }: Status): readonly string[][] {
  if (unwritable === undefined) return []
  const { why, sinceMs } = unwritable
  const what =
    why === 'full' ? 'full to the last byte or file' : 'read-only: see the kernel log (dmesg)'
  return [['disk', `cannot be written, seen ${describeAge(nowMs - sinceMs)}: it is ${what}`]]
}

/** Where they run out before the bytes do. */
function describeFiles({ files, freeBytes, totalBytes }: Status['storage']): string {
  if (files === undefined || files.free / files.total >= freeBytes / totalBytes) return ''
  return `; of ${files.total} files that it can hold ${files.free} are free`
}

/** What is taken when there is no room, and what is kept free of what. */
function describeFences({ storage }: Status): string {
  const { lowWaterBytes, minFreeBytes, pushReserveBytes } = storage
  return `makes room down to ${describeBytes(lowWaterBytes)}; keeps ${describeBytes(pushReserveBytes)} for pushes, and ${describeBytes(minFreeBytes)} of the disk free`
}

function describeReload({ refusedReload, nowMs }: Status): (readonly string[])[] {
  if (refusedReload === undefined) return []
  const { atMs, faults, isInPart } = refusedReload
  const inForce = isInPart
    ? 'part of the new configuration may be in force; restart it to have one of them'
    : 'the configuration of before is in force'
  return [
    ['reload', `${isInPart ? 'failed' : 'refused'} ${describeAge(nowMs - atMs)}: ${inForce}`],
    ['', describeFaults(faults)],
  ]
}

const WHY_PLAIN: Readonly<Record<PlainBecause, string>> = {
  tls: 'over TLS every byte passes through this process',
  'switched off': 'every byte passes through this process: ENTREPOT_NATIVE is off',
  'not built': 'every byte passes through this process; "npm run build:native" says why',
}

function describeSending(status: Sending): string {
  return status.sending === 'sendfile'
    ? 'sendfile (large blobs go from their file to clients by the kernel)'
    : `plain (${WHY_PLAIN[status.plainBecause]})`
}

function describeThreads({ threads: { configured, listening, deaths } }: Status): string {
  const died = deaths === 0 ? 'none died' : `${deaths} died; the log has why`
  return `${listening} of ${configured} listen; ${died} since the start`
}

function describeNoRoom({ storage: { refused }, nowMs }: Status): readonly string[][] {
  const { pushes, notKept, last } = refused
  if (last === undefined) return []
  const wanted = last.wantedBytes === undefined ? '' : ` ${describeBytes(last.wantedBytes)} wanted,`
  const free = last.freeBytes === undefined ? '' : ` ${describeBytes(last.freeBytes)} free`
  const sizes = wanted === '' && free === '' ? '' : `:${wanted}${free}`
  return [
    ['no room', `refused requests of pushes: ${pushes}; not kept: ${notKept}; since the start`],
    ['', `the last ${describeAge(nowMs - last.atMs)}${sizes}`],
  ]
}

/** What has left, by reason; what nothing left for is not named. */
function describeLeft({ departures: { left, evictedImages } }: Status): string {
  const { room, quota } = evictedImages
  const whys = [
    ...(room === 0 ? [] : [`${describeCount(room, 'image')} for want of room`]),
    ...(quota === 0 ? [] : [`${describeCount(quota, 'image')} by a quota`]),
  ]
  const parts = left
    .filter(({ files }) => files > 0)
    .map(({ reason, bytes }) => {
      const which = reason === 'evicted' && room + quota > 0 ? ` (${whys.join(', ')})` : ''
      return `${describeBytes(bytes)} ${reason}${which}`
    })
  return parts.length === 0 ? 'nothing since the start' : `${parts.join(', ')}; since the start`
}

/** How long what nobody asks for stays, and what a larger disk would be good for. */
function describeMemory({ departures: { rememberedMs, returned } }: Status): readonly string[][] {
  const remembered =
    rememberedMs === undefined
      ? []
      : [
          [
            '',
            `remembers ${aboutSpan(rememberedMs)}: the shortest time from its last use until an image left`,
          ],
        ]
  const images = describeCount(returned.images, 'image')
  const saved = `twice the room would have saved fetching ${images} again, ${describeBytes(returned.bytes)} in all`
  return returned.images === 0 ? remembered : [...remembered, ['', saved]]
}

function describePins({ pins, pinnedBytes }: Status): string {
  if (pins === 0) return 'none'
  const hold = pinnedBytes === undefined ? 'being counted' : `hold ${describeBytes(pinnedBytes)}`
  return `${pins}, ${hold}; "entrepot pin --list" tells which`
}

/** A server of before scrubbing tells of none. */
function describeScrub({ scrub, nowMs = 0 }: Partial<Status>): readonly string[][] {
  const { broken = 0, oldestAtMs } = scrub ?? {}
  const what = broken === 1 ? '1 file is' : `${broken} files are`
  const lost = `${what} broken until pushed or imported again: "entrepot scrub" tells which`
  const told = [
    ...(broken === 0 ? [] : [lost]),
    ...(oldestAtMs === undefined ? [] : [describeOldest(nowMs - oldestAtMs, oldestAtMs)]),
  ]
  return told.length === 0 ? [] : [['scrub', told.join('; ')]]
}

function describeOldest(ageMs: number, oldestAtMs: number): string {
  if (oldestAtMs === 0) return 'something here was never verified yet'
  return `all that is here was verified within ${describeSpan(Math.max(0, ageMs))}`
}

function describeLost({ lost }: Status): readonly string[][] {
  if (lost === 0) return []
  if (lost === undefined) return [['lost', 'being looked for, after an end out of order']]
  const what = lost === 1 ? '1 thing that was' : `${lost} things that were`
  const until =
    'what they may need stays, as "unclear", until they are pushed again, brought back or given up ("Backup and restore" in docs/operations.md)'
  return [['lost', `${what} pushed here, or the file that tells of it: ${until}`]]
}

function describeQueue({ queue, nowMs }: Status): string {
  const { waiting, parked, oldestAtMs } = queue
  if (waiting + parked === 0) return 'nothing waits to be delivered'
  const oldest =
    oldestAtMs === undefined ? '' : `, the oldest pushed ${describeAge(nowMs - oldestAtMs)}`
  const look = parked === 0 ? '' : '; see "entrepot queue ls"'
  return `${waiting} waiting${oldest}; ${parked} parked${look}`
}

function describeUploads({ uploads: { sessions, bytes } }: Status): string {
  return sessions === 0 ? 'none open' : `${sessions} open, ${describeBytes(bytes)}`
}

function stateOf(upstream: Status['upstreams'][number]): string {
  if (upstream.offline) return 'offline'
  if (upstream.credentials === 'refused') return 'refuses'
  if (upstream.breaker !== 'closed') return upstream.breaker === 'open' ? 'failing' : 'trying'
  return { good: 'ok', failed: 'failed last', unknown: 'not asked yet' }[
    upstream.lastFinding ?? 'unknown'
  ]
}
