// Reads all of a backup, and says what of it is not what its list says.
import { join } from 'node:path'
import { checkSnapshot } from '../catalog/sqlite/snapshot/bring-back.ts'
import type { BackedUpFile, BackupContent } from '../bundle/backup-list.ts'
import type { Digest } from '../oci/digest.ts'
import { StoreError } from '../registry/ports/store-error.ts'
import { BackupError, whyNot } from './backup-error.ts'
import { isContent, sumOf } from './files.ts'
import {
  CATALOG_NAME,
  FACTS_NAME,
  readBackup,
  type ReadBackup,
  SECRETS_NAME,
} from './read-backup.ts'
import type { BackupTarget } from './target.ts'

/** What has a fault: content, a file beside the list by its name, or the list itself. */
export type Faulty = { readonly content: Digest } | { readonly file: string } | 'list'

export interface Verifying {
  /** Told of each fault, as it is found. */
  readonly fault: (message: string, of: Faulty) => void
  /** Told of content that was read. */
  readonly progress: (doneBytes: number) => void
}

/**
 * Undefined where its list cannot be believed; else the list, also where something it lists is
 * faulty.
 */
export async function verifyBackup(
  target: BackupTarget,
  path: string,
  { fault, progress }: Verifying,
): Promise<ReadBackup | undefined> {
  let doneBytes = 0
  let backup: ReadBackup
  try {
    backup = await readBackup(path, async content => {
      const what = await faultOf(target, content)
      if (what !== undefined) fault(`${content.content} ${what}`, content)
      progress((doneBytes += content.size))
    })
  } catch (error) {
    if (!(error instanceof BackupError)) throw error
    fault(error.message, 'list')
    return undefined
  }
  for (const [name, file] of partsOf(backup)) {
    const what = await faultOfFile(join(path, name), file)
    if (what !== undefined) fault(`${join(path, name)} ${what}`, { file: name })
  }
  try {
    checkSnapshot(join(path, CATALOG_NAME))
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    fault(`${join(path, CATALOG_NAME)}: ${error.message}`, { file: CATALOG_NAME })
  }
  return backup
}

export function partsOf({
  catalog,
  facts,
  secrets,
}: ReadBackup): readonly (readonly [string, BackedUpFile])[] {
  return [
    [CATALOG_NAME, catalog],
    [FACTS_NAME, facts],
    ...secrets.map(each => [join(SECRETS_NAME, each.name), each] as const),
  ]
}

/** Undefined: it is right. */
async function faultOf(target: BackupTarget, { content, size, state }: BackupContent) {
  if (state === 'missing')
    return 'was not in this edge any more when it was backed up, or had rotted'
  if (!target.has(content, size)) return 'is not there, or has another length'
  try {
    return (await isContent(target.pathOf(content), content)) ? undefined : 'has rotted'
  } catch (error) {
    return `cannot be read: ${whyNot(error)}`
  }
}

async function faultOfFile(path: string, { size, sha256 }: BackedUpFile) {
  try {
    const found = await sumOf(path)
    return found.size === size && found.sha256 === sha256 ? undefined : 'is not what was written'
  } catch (error) {
    return `cannot be read: ${whyNot(error)}`
  }
}
