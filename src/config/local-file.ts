// The real reader for loadConfig: the local file system. Synchronous, because it runs at start and
// on a reload only.
import { readFileSync, statfsSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { FILE_MAX_BYTES } from '../access/htpasswd/limits.ts'
import type { Disk, FileRead } from './judge.ts'

/** What the operator is told, in place of the system's own words. */
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a directory',
  EACCES: 'this user may not read it',
  EPERM: 'this user may not read it',
  ENOTDIR: 'a part of the path is no directory',
  ELOOP: 'its symbolic links lead in a circle',
}

/**
 * Never throws. Only regular files are read, so that a pipe or a device cannot hold up the start.
 */
export function readLocalFile(path: string): FileRead {
  try {
    const stat = statSync(path)
    if (stat.isDirectory()) return { kind: 'failed', reason: 'it is a directory' }
    if (!stat.isFile()) return { kind: 'failed', reason: 'it is no regular file' }
    if (stat.size > FILE_MAX_BYTES) return { kind: 'failed', reason: 'it is far too large' }
    return { kind: 'file', text: readFileSync(path, 'utf8'), mode: stat.mode }
  } catch (error) {
    return failedToRead(error)
  }
}

/** By the system's error. */
export function failedToRead(error: unknown): FileRead {
  const code = codeOf(error)
  const isClosed = code === 'EACCES' || code === 'EPERM'
  return { kind: 'failed', reason: whyUnreadable(error), isMissing: code === 'ENOENT', isClosed }
}

/** Never throws. */
export function isLocalDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

/** See Surroundings. Who may write there is known to the server's user alone. Never throws. */
export function whyNoLog(path: string): string | undefined {
  return isLocalDirectory(path) ? 'it is a directory' : whyNoPlace(path)
}

/** Why there can be no file of that path, wherever its directory is to be. Never throws. */
export function whyNoPlace(path: string): string | undefined {
  const place = dirname(resolve(path))
  try {
    return statSync(place).isDirectory() ? undefined : REASONS['ENOTDIR']
  } catch (error) {
    // What else keeps this user from looking may not keep the server's.
    return codeOf(error) === 'ENOENT' ? `there is no directory ${place}` : undefined
  }
}

/** Of the nearest directory above that is there, since the path may be made later. Never throws. */
export function localDisk(path: string): Disk | undefined {
  for (let place = resolve(path); ; place = dirname(place)) {
    try {
      const { blocks, bsize } = statfsSync(place)
      return { totalBytes: blocks * bsize }
    } catch {
      if (place === dirname(place)) return undefined
    }
  }
}

/** In words where they are known, else the system's code; of what is no error of it, its words. */
export function whyUnreadable(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = codeOf(error) ?? error.message
  return REASONS[code] ?? code
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}
