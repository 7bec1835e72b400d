// `status`: what the running edge holds and saved, and how its upstreams are.
import type { PlainBecause, Sending } from '../registry/operator/operator-deps.ts'
import type { Status } from '../registry/operator/status.ts'
import { askAdmin } from './admin-client.ts'
import { type CliContext, EXIT_CODES, type ExitCode } from './context.ts'
import { COMMON_HELP, readCommon } from './options.ts'
import {
  describeAge,
  describeBytes,
  describeCount,
  describeFaults,
  writeJson,
  writeTable,
} from './output.ts'

export const help = `entrepot status [--json]

Cache size and hit ratio, bytes saved on the WAN, what waits to be delivered, and the health of each upstream.

${COMMON_HELP}

Examples
  entrepot status
  entrepot status --json
`

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const { socket, json } = readCommon(args, context, {
    least: 0,
    most: 0,
    usage: 'entrepot status',
  })
  const status = await askAdmin<Status>({ socket, path: '/status' })
  if (json) writeJson(context, status)
  else writeText(context, status)
  return EXIT_CODES.ok
}

function writeText(context: CliContext, status: Status): void {
  const { version, content, storage, traffic, upstreams } = status
  const limit = `limit ${describeBytes(storage.maxBytes)}`
  const share =
    traffic.sentBytes === 0 ? 0 : Math.round((traffic.savedBytes / traffic.sentBytes) * 100)
  writeTable(context, [
    ['version', `${version}, process ${status.pid}`],
    ...(status.needsRestart.length === 0
      ? []
      : [['restart', `is waited for by ${status.needsRestart.join(', ')}`]]),
    ...describeReload(status),
    ['threads', describeThreads(status)],
    ['sending', describeSending(status)],
    [
      'content',
      `${describeBytes(content.contentBytes)} (${limit}, ${describeBytes(storage.freeBytes)} free on the disk)`,
    ],
    [
      '',
      `${describeCount(content.tags, 'tag')}, ${describeCount(content.manifests, 'manifest')} and ${describeCount(content.blobs, 'blob')} in ${describeCount(content.repositories, 'repository')}`,
    ],
    ...(storage.full === undefined ? [] : [['keeping', `nothing: ${storage.full}`]]),
    ...describeNoRoom(status),
    [
      'sent',
      `${describeBytes(traffic.sentBytes)} in ${describeCount(traffic.requests, 'request')} since the start`,
    ],
    ['fetched', `${describeBytes(traffic.upstreamBytes)} from upstreams`],
    ['saved', `${describeBytes(traffic.savedBytes)} on the WAN (${share} % of what was sent)`],
    ['queue', describeQueue(status)],
    ['uploads', describeUploads(status)],
  ])
  context.stdout.write('\n')
  writeTable(context, [
    ['UPSTREAM', 'STATE', 'RATE LIMIT LEFT', 'LAST FAILURE'],
    ...upstreams.map(each => [
      each.registry,
      stateOf(each),
      each.rateLimitRemaining === undefined ? '-' : String(each.rateLimitRemaining),
      each.lastFailure ?? '-',
    ]),
  ])
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
  if (upstream.breaker !== 'closed') return upstream.breaker === 'open' ? 'failing' : 'trying'
  return { good: 'ok', failed: 'failed last', unknown: 'not asked yet' }[
    upstream.lastFinding ?? 'unknown'
  ]
}
