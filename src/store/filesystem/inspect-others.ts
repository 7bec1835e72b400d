// All that lies in a data directory beside content: parts and uploads with their sidecars, facts by
// their modes, what is left over, what is strange. Looks, and changes nothing.
import { lstat } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { OddFile } from '../../registry/ports/inspected-files.ts'
import { FACT_LIMIT_BYTES, isFactName, parseFact } from '../fact-text.ts'
import { errnoOf } from './disk-error.ts'
import { parseSidecar } from './growing/sidecar.ts'
import { parseUploadSidecar } from './growing/upload-sidecar.ts'
import { type Inspecting, kindOf, modes, namesIn, noteStrange, owners } from './inspect-blobs.ts'
import { fillEntry, SIDECAR_SUFFIX, uploadEntry } from './layout.ts'
import { readSmallFile } from './small-file.ts'

/** As long as a sidecar of either kind may be. */
const SIDECAR_LIMIT_BYTES = 8 * 1024
const OWNER_MODE = 0o600
const FACT_MODE = 0o440
const OTHERS = 0o077
const WORLD = 0o007
const OWNER_READS = 0o400
const PERMISSIONS = 0o777

/** In the root directory; `true`: a file that is the owner's alone. */
const ROOT_NAMES = new Map([
  ...['blobs', 'fills', 'uploads', 'facts', 'tmp', 'quarantine'].map(
    name => [name, false] as const,
  ),
  ...['catalog.db', 'catalog.db-wal', 'catalog.db-shm', 'lock.db'].map(
    name => [name, true] as const,
  ),
  ...['tokens.json', 'robots.json', 'bundle-key.json'].map(name => [name, true] as const),
  ...['admin.sock'].map(name => [name, false] as const),
])
const PREDECESSOR = /^catalog\.db\.damaged-/
const SPARE = /^catalog\.spare(?:-[2-4])?$/
const REPLACED = /^(?:tokens|robots|bundle-key)\.json\.(?:new|before)$/

/** How many files there were. */
export async function inspectOthers(inspecting: Inspecting): Promise<number> {
  const { layout } = inspecting
  let files = await inspectRoot(inspecting)
  files += await inspectGrowing(inspecting, layout.fills, FILLS)
  files += await inspectGrowing(inspecting, layout.uploads, UPLOADS)
  files += await inspectFacts(inspecting)
  for (const name of await namesIn(inspecting, layout.temporary)) {
    files += 1
    tell(inspecting, join(layout.temporary, name), { kind: 'leftover', detail: 'never renamed' })
  }
  for (const name of await namesIn(inspecting, layout.quarantine)) {
    files += 1
    tell(inspecting, join(layout.quarantine, name), {
      kind: 'quarantined',
      detail: name.endsWith('-kept') ? 'it was pushed here, or may have been' : 'it was pulled',
    })
  }
  return files
}

async function inspectRoot(inspecting: Inspecting): Promise<number> {
  const { root } = inspecting.layout
  let files = 0
  for (const name of await namesIn(inspecting, root)) {
    files += 1
    const path = join(root, name)
    if (PREDECESSOR.test(name)) tell(inspecting, path, { kind: 'damaged predecessor', detail: '' })
    else if (REPLACED.test(name))
      tell(inspecting, path, { kind: 'leftover', detail: 'never renamed' })
    else if (ROOT_NAMES.has(name) || SPARE.test(name))
      await inspectModes(inspecting, path, (ROOT_NAMES.get(name) ?? true) ? OTHERS : WORLD)
    else noteStrange(inspecting, path)
  }
  return files
}

/** `closed`: bits that nobody may have. Undefined when it is gone. */
async function inspectModes(inspecting: Inspecting, path: string, closed: number) {
  const stats = await lstatOrTell(inspecting, path)
  if (stats === undefined) return undefined
  const mode = stats.mode & PERMISSIONS
  if ((mode & closed) !== 0 && !stats.isSocket()) {
    const right = closed === OTHERS ? OWNER_MODE : mode & ~closed
    tell(inspecting, path, { kind: 'mode', detail: modes(mode, right) })
  }
  if (stats.uid !== inspecting.owner)
    tell(inspecting, path, { kind: 'owner', detail: owners(stats.uid, inspecting.owner) })
  return stats
}

async function inspectFacts(inspecting: Inspecting): Promise<number> {
  const { facts } = inspecting.layout
  let files = 0
  for (const name of await namesIn(inspecting, facts)) {
    files += 1
    const path = join(facts, name)
    if (isFactName(name)) await inspectFact(inspecting, path, name)
    else noteStrange(inspecting, path)
  }
  return files
}

async function inspectFact(inspecting: Inspecting, path: string, name: string): Promise<void> {
  const stats = await inspectModes(inspecting, path, WORLD)
  if (stats === undefined) return
  const { mode } = stats
  if (stats.isFile() && (mode & OWNER_READS) === 0)
    tell(inspecting, path, { kind: 'mode', detail: modes(mode & PERMISSIONS, FACT_MODE) })
  const isReadable = await isFact(path, name)
  // Gone by now: something else was told.
  if (isReadable || (await lstatOrTell(inspecting, path)) === undefined) return
  tell(inspecting, path, { kind: 'fact unreadable', detail: '' })
}

/** Under which catalog it was told makes no difference. */
async function isFact(path: string, name: string): Promise<boolean> {
  try {
    const text = await readSmallFile(path, FACT_LIMIT_BYTES)
    return text !== undefined && parseFact(name, text, '') !== undefined
  } catch (error) {
    if (errnoOf(error) === undefined) throw error
    return false
  }
}

interface Growing {
  readonly kind: 'part of no use' | 'upload of no use'
  /** The name without the sidecar's suffix; undefined for a name that is not ours. */
  stem(name: string): string | undefined
  isReadable(sidecar: string): boolean
}

const withoutSuffix = (name: string) =>
  name.endsWith(SIDECAR_SUFFIX) ? name.slice(0, -SIDECAR_SUFFIX.length) : name

const FILLS: Growing = {
  kind: 'part of no use',
  stem: name => (fillEntry(name) === undefined ? undefined : withoutSuffix(name)),
  isReadable: text => parseSidecar(text) !== undefined,
}

const UPLOADS: Growing = {
  kind: 'upload of no use',
  stem: name => (uploadEntry(name) === undefined ? undefined : withoutSuffix(name)),
  isReadable: text => parseUploadSidecar(text) !== undefined,
}

/** Names come in order: a file, and behind it its sidecar. */
async function inspectGrowing(
  inspecting: Inspecting,
  directory: string,
  growing: Growing,
): Promise<number> {
  const names = await namesIn(inspecting, directory)
  const all = new Set(names)
  for (const name of names) {
    const path = join(directory, name)
    const stem = growing.stem(name)
    const stats = stem === undefined ? undefined : await lstatOrTell(inspecting, path)
    if (stem === undefined) {
      tell(inspecting, path, { kind: 'leftover', detail: 'it is nothing that an edge writes' })
      continue
    }
    if (stats === undefined) continue
    if (!stats.isFile()) tell(inspecting, path, { kind: growing.kind, detail: kindOf(stats) })
    else if (name !== stem) {
      if (!all.has(stem)) tell(inspecting, path, { kind: growing.kind, detail: 'a sidecar alone' })
    } else
      await inspectSidecar(inspecting, path, { growing, isThere: all.has(name + SIDECAR_SUFFIX) })
  }
  return names.length
}

async function inspectSidecar(
  inspecting: Inspecting,
  path: string,
  { growing, isThere }: { readonly growing: Growing; readonly isThere: boolean },
): Promise<void> {
  const { kind } = growing
  if (!isThere) return tell(inspecting, path, { kind, detail: 'it has no sidecar' })
  try {
    const text = await readSmallFile(path + SIDECAR_SUFFIX, SIDECAR_LIMIT_BYTES)
    if (text !== undefined && growing.isReadable(text)) return
    tell(inspecting, path, { kind, detail: 'its sidecar cannot be understood' })
  } catch (error) {
    tellErrno(inspecting, path + SIDECAR_SUFFIX, error)
  }
}

async function lstatOrTell(inspecting: Inspecting, path: string) {
  try {
    return await lstat(path)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') tellErrno(inspecting, path, error)
    return undefined
  }
}

function tellErrno(inspecting: Inspecting, path: string, error: unknown): void {
  const errno = errnoOf(error)
  if (errno === undefined) throw error
  tell(inspecting, path, { kind: 'unreadable', detail: errno })
}

function tell(
  { layout, note }: Inspecting,
  path: string,
  odd: Pick<OddFile, 'kind' | 'detail'>,
): void {
  note({ ...odd, path: relative(layout.root, path) })
}
