// The catalog of a directory in which nothing may change: a copy of its file and of its log
// elsewhere is checked, brought up to date and read.
import { constants } from 'node:fs'
import { access, copyFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { StoreError } from '../../registry/ports/store-error.ts'
import type { SqliteCatalog } from './catalog.ts'
import { faultOf } from './faults.ts'
import { checkFile } from './file/check-file.ts'
import { openSqliteCatalog, type SqliteCatalogOptions } from './open.ts'

export interface OpenedCopy {
  /** Undefined when there is none, or it cannot be used. */
  readonly catalog: SqliteCatalog | undefined
  readonly found: 'whole' | 'missing' | 'damaged' | 'inconsistent' | 'refused'
  /** For people. */
  readonly faults: readonly string[]
}

/**
 * `scratch`: an empty directory, which whoever made it removes; the catalog is to be closed before.
 * @throws StoreError full, io, with a hint, where there is no room for the copy, or the file cannot
 * be read
 */
export async function openCopy(
  scratch: string,
  { directory, ...options }: SqliteCatalogOptions,
): Promise<OpenedCopy> {
  const file = join(directory, 'catalog.db')
  if (!(await isThere(file))) return { catalog: undefined, found: 'missing', faults: [] }
  const copy = join(scratch, 'catalog.db')
  await copyTo(scratch, file, copy)
  if (await isThere(`${file}-wal`)) await copyTo(scratch, `${file}-wal`, `${copy}-wal`)
  const { isDamaged, faults } = checkFile(copy)
  if (isDamaged) return { catalog: undefined, found: 'damaged', faults }
  try {
    const catalog = await openSqliteCatalog({ ...options, directory: scratch })
    return { catalog, found: faults.length > 0 ? 'inconsistent' : 'whole', faults }
  } catch (error) {
    const { message, hint } = faultOf(error)
    const why = hint === undefined ? message : `${message}; ${hint}`
    return { catalog: undefined, found: 'refused', faults: [why] }
  }
}

function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** Shares its blocks where the file system can. */
async function copyTo(scratch: string, from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE)
  } catch (cause) {
    const { size } = await stat(from).catch(() => ({ size: 0 }))
    const { failure, message } = faultOf(cause)
    throw new StoreError(failure, `${from} cannot be copied to ${scratch}: ${message}`, {
      hint: `it is read from a copy of ${size} bytes: set TMPDIR to a directory with room for that`,
      cause,
    })
  }
}
