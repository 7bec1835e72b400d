// A catalog that did not hold together, kept under a dated name beside the new one: it is moved
// there with its log, and the new one remembers it until recovery is done. A process may end
// between any two of these steps; the next one finds by the name what there is to go on with.
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Database } from 'better-sqlite3'

const INFIX = '.damaged-'
const BESIDE = ['-wal', '-shm'] as const

/** Returns where it is now. `atMs` names it. @throws the system's error */
export function moveAside(file: string, atMs: number): string {
  const date = new Date(atMs).toISOString().replace(/[:-]/g, '').replace(/\.\d+/, '')
  const isTaken = (path: string) => ['', ...BESIDE].some(suffix => existsSync(path + suffix))
  let evidence = `${file}${INFIX}${date}`
  for (let n = 2; isTaken(evidence); n++) evidence = `${file}${INFIX}${date}-${n}`
  // The log last: without it, the file might hold together, and lack what was acknowledged.
  renameSync(file, evidence)
  moveLog(file, evidence)
  return evidence
}

/** In place of a new one that could not be begun. @throws the system's error */
export function putBack(evidence: string, file: string): void {
  for (const suffix of [...BESIDE, '']) rmSync(file + suffix, { force: true })
  moveLog(evidence, file)
  renameSync(evidence, file)
}

/** Before the file is opened: a log of what was moved away would be lost. */
export function finishMove(file: string): void {
  const evidence = existsSync(file) ? undefined : lastEvidence(file)
  if (evidence !== undefined) moveLog(file, evidence)
}

/**
 * Remembered until recovery is done, which a crash may come before.
 * @throws SqliteError
 */
export function noteEvidence(database: Database, evidence: string): void {
  database.prepare(`INSERT INTO meta (key, value) VALUES ('damaged predecessor', ?)`).run(evidence)
}

/**
 * What an earlier process moved aside for this catalog, which it did not get as far as to note: a
 * catalog whose facts nobody has read is new. @throws SqliteError
 */
export function unnotedEvidence(database: Database, file: string): string | undefined {
  const known = database
    .prepare(`SELECT 1 FROM meta WHERE key IN ('rebuilt', 'damaged predecessor')`)
    .get()
  return known === undefined ? lastEvidence(file) : undefined
}

/** What was moved last, whatever the clock said then. */
function lastEvidence(file: string): string | undefined {
  const directory = dirname(file)
  const prefix = `${basename(file)}${INFIX}`
  const isLog = (name: string) => BESIDE.some(suffix => name.endsWith(suffix))
  const found = namesIn(directory)
    .filter(name => name.startsWith(prefix) && !isLog(name))
    .map(name => join(directory, name))
    .map(path => ({ path, movedMs: statSync(path).ctimeMs }))
  return found.sort((one, other) => one.movedMs - other.movedMs).at(-1)?.path
}

/** None where they may be used and not listed. */
function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

/** What is there already stays: it is of the same catalog. */
function moveLog(from: string, to: string): void {
  for (const suffix of BESIDE) if (existsSync(from + suffix)) renameSync(from + suffix, to + suffix)
}
