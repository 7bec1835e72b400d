// SQLite gives a new database the mode that the umask leaves, and its log that of the database.
// What repositories are called and who pushed what is nobody else's business, whatever the umask.
import { chmodSync, closeSync, constants, existsSync, openSync } from 'node:fs'

const OWNER_MODE = 0o600

/**
 * Makes `file`, empty, unless it is there, and closes it and its log to others.
 * @throws the system's error
 */
export function closeToOthers(file: string): void {
  closeSync(openSync(file, constants.O_RDWR | constants.O_CREAT, OWNER_MODE))
  for (const suffix of ['', '-wal', '-shm', '-journal'])
    if (existsSync(file + suffix)) chmodSync(file + suffix, OWNER_MODE)
}
