// The files of an edge that let somebody be let in, or sign as it: read by the command, so that the
// server hands them to nobody.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { whyNot } from '../backup/backup-error.ts'
import type { OwnFile } from '../backup/write-backup.ts'
import { SECRET_NAMES, type SecretName } from '../bundle/backup-list.ts'
import type { AdminServer } from './admin-client.ts'
import type { BackupSession } from './backup-session.ts'
import { requireConfiguration } from './configuration.ts'
import { type CliContext, CliError, EXIT_CODES } from './context.ts'

/** The name of the file of accounts in a backup, whatever it is called elsewhere. */
export const ACCOUNTS_NAME = 'htpasswd'
/** The rest lies in the data directory; docs/storage-format.md says what each is. */
const OWN_FILES = SECRET_NAMES.filter(name => name !== ACCOUNTS_NAME)

interface Reading {
  readonly server: AdminServer
  readonly session: BackupSession
  readonly config: string | undefined
  readonly context: CliContext
}

/** Those that are there. @throws CliError where one cannot be read */
export async function readSecrets(reading: Reading): Promise<readonly OwnFile[]> {
  const { server, session, config, context } = reading
  if (server.kind !== 'socket')
    throw new CliError(EXIT_CODES.usage, '--secrets is for the machine of the edge itself')
  const { directory } = session.begun
  const files: OwnFile[] = []
  for (const name of OWN_FILES) await add(files, name, join(directory, name))
  const accounts = requireConfiguration(context, config).auth?.file?.path
  if (accounts !== undefined) await add(files, ACCOUNTS_NAME, accounts)
  return files
}

async function add(files: OwnFile[], name: SecretName, path: string): Promise<void> {
  try {
    files.push({ name, bytes: await readFile(path) })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return
    const message = `${path} cannot be read (${whyNot(error)}): --secrets is for root, or the user of the server`
    throw new CliError(EXIT_CODES.failed, message)
  }
}
