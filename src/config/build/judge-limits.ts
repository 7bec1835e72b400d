// Limits of the storage that can't be meant, as far as the machine is known: what the file system
// leaves no room for, and less than what is kept. The server starts with them all the same.
import type { StorageConfig } from '../config.ts'
import type { Path } from '../findings.ts'
import type { Disk, Judge } from '../judge.ts'
import { formatSize, type Size } from '../formats/units.ts'

const MAX_SIZE = ['storage', 'maxsize']
const UNITS = [1024 ** 4, 1024 ** 3, 1024 ** 2]

type Limits = Pick<StorageConfig, 'rootDirectory' | 'maxSize' | 'minFree'>

/** `disk` undefined: nothing is known of it, but that shares are of it. */
export function judgeLimits(judge: Judge, limits: Limits, disk: Disk | undefined): void {
  // Shares alone can be compared on any disk.
  const totalBytes = disk?.totalBytes ?? Number.POSITIVE_INFINITY
  const { rootDirectory, maxSize, minFree } = limits
  noteWithoutUnit(judge, MAX_SIZE, maxSize)
  noteWithoutUnit(judge, ['storage', 'minfree'], minFree)
  if (shareOf(maxSize, totalBytes) + shareOf(minFree, totalBytes) > 1) {
    const has = disk === undefined ? '' : ` of ${rounded(totalBytes)}`
    judge.note(MAX_SIZE, {
      severity: 'warning',
      message: `cannot be reached: storage.minfree keeps ${formatSize(minFree)} free of the file system${has} that holds ${rootDirectory}`,
      suggestion: reachable(limits, totalBytes),
    })
  }
  const keptBytes = disk?.keptBytes
  if (keptBytes === undefined || keptBytes <= shareOf(maxSize, totalBytes) * totalBytes) return
  judge.note(MAX_SIZE, {
    severity: 'warning',
    message: `is below what was pushed and is kept here, ${rounded(keptBytes)}: that stays, nothing is cached beside it, and pushes are refused; raise it, or delete images`,
  })
}

/** Nothing that limits a cache is smaller: a unit, or the sign of a share, was forgotten. */
const SMALLEST_LIMIT = 1024 ** 2

/** A limit of so few bytes that its unit must be missing. */
export function noteWithoutUnit(judge: Judge, path: Path, size: Size | undefined): void {
  if (size?.kind !== 'bytes' || size.bytes === 0 || size.bytes >= SMALLEST_LIMIT) return
  judge.note(path, {
    severity: 'warning',
    message: `is ${size.bytes} bytes, less than any image: a size needs a unit, such as GiB, and a share its %`,
  })
}

function shareOf(size: Size, totalBytes: number): number {
  return size.kind === 'share' ? size.share : size.bytes / totalBytes
}

/** Of the same kind; undefined where `minfree` leaves nothing. */
function reachable({ maxSize, minFree }: Limits, totalBytes: number): string | undefined {
  const share = 1 - shareOf(minFree, totalBytes)
  if (share <= 0) return undefined
  if (maxSize.kind === 'bytes') return rounded(totalBytes * share)
  return formatSize({ kind: 'share', share: Math.floor(share * 100) / 100 })
}

/** Down to two digits at least, as it may stand in a configuration. */
function rounded(bytes: number): string {
  const unitBytes = UNITS.find(unit => bytes >= 10 * unit) ?? 1024
  return formatSize({ kind: 'bytes', bytes: Math.floor(bytes / unitBytes) * unitBytes })
}
