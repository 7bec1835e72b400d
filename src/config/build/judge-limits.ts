// Limits of the storage that can't be meant, as far as the machine is known: what the file system
// leaves no room for, and less than what is kept. The server starts with them all the same.
import type { StorageConfig } from '../config.ts'
import type { Path } from '../findings.ts'
import type { Disk, Judge } from '../judge.ts'
import { formatSize, type Size } from '../formats/units.ts'

const MAX_SIZE = ['storage', 'maxsize']
const MIN_FREE = ['storage', 'minfree']
const UNITS = [1024 ** 4, 1024 ** 3, 1024 ** 2]

type Limits = Pick<StorageConfig, 'rootDirectory' | 'maxSize' | 'minFree'>

/** `disk` undefined: nothing is known of it, but that shares are of it. */
export function judgeLimits(judge: Judge, limits: Limits, disk: Disk | undefined): void {
  // Shares alone can be compared on any disk.
  const totalBytes = disk?.totalBytes ?? Number.POSITIVE_INFINITY
  const { rootDirectory, maxSize, minFree } = limits
  noteWithoutUnit(judge, MAX_SIZE, maxSize)
  noteWithoutUnit(judge, MIN_FREE, minFree)
  if (shareOf(maxSize, totalBytes) + shareOf(minFree, totalBytes) > 1) {
    const has = disk === undefined ? '' : ` of ${rounded(totalBytes)}`
    const where = `of the file system${has} that holds ${rootDirectory}`
    if (isAboutMinFree(judge, shareOf(minFree, totalBytes)))
      noteMinFree(judge, limits, { totalBytes, where })
    else
      judge.note(MAX_SIZE, {
        severity: 'warning',
        message: `cannot be reached: storage.minfree keeps ${formatSize(minFree)} free ${where}`,
        suggestion: remaining({ of: minFree, as: maxSize }, totalBytes),
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

/** More than this that others shall have is taken for what was to be the cache's. */
const MOST_FREE = 0.5

/** Which of the two that do not fit together was not meant so? */
function isAboutMinFree(judge: Judge, freeShare: number): boolean {
  return judge.isWritten(MIN_FREE) && (!judge.isWritten(MAX_SIZE) || freeShare > MOST_FREE)
}

function noteMinFree(
  judge: Judge,
  { maxSize, minFree }: Limits,
  { totalBytes, where }: { readonly totalBytes: number; readonly where: string },
): void {
  const left = remaining({ of: minFree, as: minFree }, totalBytes) ?? 'nothing'
  const isTooMuch = shareOf(minFree, totalBytes) > MOST_FREE
  judge.note(MIN_FREE, {
    severity: 'warning',
    message: `leaves ${left} ${where}: storage.maxsize (${formatSize(maxSize)}) cannot be reached`,
    suggestion: isTooMuch ? remaining({ of: maxSize, as: minFree }, totalBytes) : undefined,
  })
}

/** What the one limit leaves, in the form of the other; undefined where that is nothing. */
function remaining(
  { of, as }: { readonly of: Size; readonly as: Size },
  totalBytes: number,
): string | undefined {
  const share = 1 - shareOf(of, totalBytes)
  if (share <= 0) return undefined
  if (as.kind === 'bytes') return rounded(totalBytes * share)
  // 1 - 0.8 is a little less than 0.2.
  const percent = Math.floor(Number((share * 100).toFixed(3)))
  return formatSize({ kind: 'share', share: percent / 100 })
}

/** Down to two digits at least, as it may stand in a configuration. */
function rounded(bytes: number): string {
  const unitBytes = UNITS.find(unit => bytes >= 10 * unit) ?? 1024
  return formatSize({ kind: 'bytes', bytes: Math.floor(bytes / unitBytes) * unitBytes })
}
