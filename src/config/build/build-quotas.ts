// Judges quotas: each by itself, against what there is in all, and all floors together. None of it
// keeps the server from starting: a quota refuses nothing.
import { hostsOfPattern, type KnownNames } from './build-repositories.ts'
import type { Path } from '../findings.ts'
import { noteWithoutUnit } from './judge-limits.ts'
import type { Judge } from '../judge.ts'
import { LOCALHOST } from '../../oci/reference.ts'
import type { Settings } from '../schema/schema.ts'
import { formatSize, type Size } from '../formats/units.ts'

type QuotaSettings = NonNullable<Settings['repositories'][number]['quota']>
type Written = readonly [Path, QuotaSettings]

export function checkQuotas(judge: Judge, settings: Settings, known: KnownNames): void {
  const { maxsize, rootdirectory } = settings.storage
  const totalBytes = judge.surroundings.diskOf(rootdirectory)?.totalBytes
  const limit = { maxsize, totalBytes }
  const quotas = [...quotasOf(settings)]
  for (const [path, quota] of quotas) checkQuota(judge, path, { quota, limit })
  checkFloors(judge, quotas, limit)
  checkKept(judge, settings, known)
}

/** What is pushed to `localhost` stays, whatever a quota says. */
function checkKept(judge: Judge, { repositories }: Settings, known: KnownNames): void {
  for (const [index, { match, quota, push }] of repositories.entries()) {
    const hosts = quota === undefined ? undefined : hostsOfPattern(match, known)
    if (push === 'deny' || hosts?.length !== 1 || hosts[0] !== LOCALHOST) continue
    const message =
      'changes nothing: what is pushed here stays; storage.retention says how long, and storage.maxsize how much'
    judge.note(['repositories', index, 'quota'], { severity: 'warning', message })
  }
}

function* quotasOf({ upstreams, repositories }: Settings): Generator<Written> {
  for (const [key, { quota }] of Object.entries(upstreams))
    if (quota !== undefined) yield [['upstreams', key, 'quota'], quota]
  for (const [index, { quota }] of repositories.entries())
    if (quota !== undefined) yield [['repositories', index, 'quota'], quota]
}

interface QuotaParts {
  readonly quota: QuotaSettings
  readonly limit: Limit
}

function checkQuota(judge: Judge, path: Path, { quota, limit }: QuotaParts): void {
  const { maxsize } = limit
  const ofDisk = maxsize.kind === 'share' ? ' of the file system' : ''
  for (const key of ['ceiling', 'floor'] as const) {
    noteWithoutUnit(judge, [...path, key], quota[key])
    const share = shareOf(quota[key], limit)
    if (share !== undefined && share > 1)
      judge.note([...path, key], {
        severity: 'warning',
        message: `is above storage.maxsize, which is ${formatSize(maxsize)}${ofDisk}`,
        suggestion: formatSize(maxsize.kind === 'bytes' ? maxsize : { kind: 'share', share: 1 }),
      })
  }
  const { ceiling, floor } = quota
  const [most, least] = [shareOf(ceiling, limit), shareOf(floor, limit)]
  const isBelow =
    most !== undefined && least !== undefined
      ? least > most
      : ceiling?.kind === 'bytes' && floor?.kind === 'bytes' && floor.bytes > ceiling.bytes
  if (ceiling !== undefined && isBelow)
    judge.note([...path, 'floor'], {
      severity: 'warning',
      message: 'is above the ceiling, which counts',
      suggestion: formatSize(ceiling),
    })
}

/** Each but the last leaves nothing to others where they come to all there is. */
function checkFloors(judge: Judge, quotas: readonly Written[], limit: Limit): void {
  const floors = quotas.flatMap(([path, { floor }]) => {
    const share = shareOf(floor, limit)
    return share === undefined ? [] : [{ path: [...path, 'floor'], share }]
  })
  const sum = floors.reduce((total, { share }) => total + share, 0)
  const last = floors.at(-1)
  if (last === undefined || floors.length < 2 || sum <= 1) return
  const message = `makes all floors come to more than storage.maxsize: then nothing of these leaves for each other, and what else is pulled is passed on; lower one of them`
  judge.note(last.path, { severity: 'warning', message })
}

interface Limit {
  readonly maxsize: Size
  /** Of the file system; undefined: nothing is known of it. */
  readonly totalBytes: number | undefined
}

/** Of `maxsize`; undefined where that depends on a disk of which nothing is known. */
function shareOf(size: Size | undefined, { maxsize, totalBytes }: Limit): number | undefined {
  if (size === undefined) return undefined
  if (size.kind === 'share') return size.share
  if (maxsize.kind === 'bytes') return size.bytes / maxsize.bytes
  return totalBytes === undefined ? undefined : size.bytes / (maxsize.share * totalBytes)
}
