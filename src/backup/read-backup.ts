// A backup that is there, as its list says it.
import { join } from 'node:path'
import {
  type BackupContent,
  type BackupEnd,
  type BackupHead,
  BackupListReader,
} from '../bundle/backup-list.ts'
import { BundleFault } from '../bundle/tar-pieces.ts'
import { BackupError, whyNot } from './backup-error.ts'
import { piecesOf } from './files.ts'

export const LIST_NAME = 'list'
export const CATALOG_NAME = 'catalog.db'
export const FACTS_NAME = 'facts'
export const SECRETS_NAME = 'secrets'

export type ReadBackup = BackupHead & BackupEnd

/**
 * `content` is told of each line, before it is known whether the list is whole.
 * @throws BackupError where it is not
 */
export async function readBackup(
  path: string,
  content: (content: BackupContent) => Promise<void> | void = () => {},
): Promise<ReadBackup> {
  const list = join(path, LIST_NAME)
  const reader = new BackupListReader()
  try {
    for await (const piece of piecesOf(list))
      for (const each of reader.push(piece)) await content(each)
    return reader.finish()
  } catch (error) {
    if (error instanceof BundleFault) throw new BackupError(`${list}: ${error.message}`)
    if (!(error instanceof Error) || !('code' in error)) throw error
    throw new BackupError(`${list} cannot be read: ${whyNot(error)}`, { cause: error })
  }
}
