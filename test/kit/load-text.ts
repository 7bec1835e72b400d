// Configurations for tests: YAML text, an environment and files as plain objects.
import { formatFindings } from '../../src/config/findings.ts'
import type { Config } from '../../src/config/config.ts'
import type { Disk, FileRead } from '../../src/config/judge.ts'
import { failedToRead } from '../../src/config/local-file.ts'
import { loadConfig, type LoadResult } from '../../src/config/load.ts'

const PRIVATE_FILE = 0o100600

export interface Around {
  readonly env?: Readonly<Record<string, string>>
  /** Text by path; files of mode 0600. */
  readonly files?: Readonly<Record<string, string>>
  readonly modes?: Readonly<Record<string, number>>
  readonly directories?: readonly string[]
  /** Files that whoever loads it may not read. */
  readonly closed?: readonly string[]
  readonly nowMs?: number
  /** What holds every path. Default: nothing is known of it. */
  readonly disk?: Disk
}

export function loadText(text: string | undefined, around: Around = {}): LoadResult {
  const { env = {}, files = {}, modes = {}, directories = [], closed = [], nowMs, disk } = around
  const readFile = (path: string): FileRead => {
    if (closed.includes(path)) return failed('EACCES')
    if (directories.includes(path)) return failed('EISDIR')
    const found = files[path]
    return found === undefined
      ? failed('ENOENT')
      : { kind: 'file', text: found, mode: modes[path] ?? PRIVATE_FILE }
  }
  return loadConfig({
    file: text === undefined ? undefined : { path: 'edge.yaml', text },
    env,
    readFile,
    isDirectory: path => directories.includes(path),
    diskOf: () => disk,
    ...(nowMs === undefined ? {} : { nowMs }),
  })
}

function failed(code: string): FileRead {
  return failedToRead(Object.assign(new Error(code), { code }))
}

/** What an operator reads about it, line by line; warnings, too. */
export function complaints(text: string | undefined, around: Around = {}): readonly string[] {
  return complaintsOf(loadText(text, around))
}

export function complaintsOf(result: LoadResult): readonly string[] {
  const findings = result.kind === 'ok' ? result.warnings : result.findings
  return formatFindings(findings, 'edge.yaml').split('\n').slice(0, -1)
}

/** @throws when there is any finding at all */
export function configOf(text: string | undefined, around: Around = {}): Config {
  const result = loadText(text, around)
  const found = complaintsOf(result)
  if (result.kind === 'invalid' || found.length > 0) throw new Error(found.join('\n'))
  return result.config
}
