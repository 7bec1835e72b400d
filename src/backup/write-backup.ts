// Writes a backup of an edge into a target: what is pushed there already stays, what is new is read
// and checked, and the list that says what is in it comes last.
import { join } from 'node:path'
import { mkdir } from 'node:fs/promises'
import { mapFew } from '../async/few-at-once.ts'
import {
  type BackedUpFile,
  type BackupContent,
  BackupListWriter,
  type SecretName,
} from '../bundle/backup-list.ts'
import type { SignedSums } from '../bundle/sums.ts'
import type { Digest } from '../oci/digest.ts'
import type { ListedFact } from '../registry/ports/facts.ts'
import { BackupError, orTold } from './backup-error.ts'
import { factLine } from './facts-file.ts'
import { NewFile, OWNER_DIRECTORY, syncDirectory, writeFile } from './files.ts'
import { CATALOG_NAME, FACTS_NAME, LIST_NAME, readBackup, SECRETS_NAME } from './read-backup.ts'
import type { BackupTarget } from './target.ts'

/** Content that is copied at once. */
const AT_ONCE = 8
/** What is listed at once: its lines wait until all of it was copied. */
const LISTED_AT_ONCE = 64

export interface OwnFile {
  readonly name: SecretName
  readonly bytes: Uint8Array
}

/** An edge, as it was when the backup began. */
export interface BackupSource {
  /** Identity of its catalog. */
  readonly edge: string
  readonly of: 'kept' | 'all'
  readonly secrets: readonly OwnFile[]
  catalog(): AsyncIterable<Uint8Array>
  /** `undefined` for each that cannot be read. */
  facts(): AsyncIterable<ListedFact | undefined>
  /** By digest. */
  contents(): AsyncIterable<BackupContent>
  /** @throws GoneContent; what else it throws ends the backup */
  blob(content: BackupContent): AsyncIterable<Uint8Array>
  /** Where it lies on this machine, if it may be there. */
  fileOf(digest: Digest): string | undefined
  sign(sha256: string): Promise<SignedSums>
}

/** It is not to be had: the rest is. */
export class GoneContent extends Error {}

export interface WritingBackup {
  readonly target: BackupTarget
  readonly source: BackupSource
  /** How many backups are there afterwards. */
  readonly keep: number
  /** What was pushed and is not in the backup: it has rotted, or is not to be had. */
  readonly lost: (content: BackupContent, why: 'gone' | 'rotten') => Promise<void>
  /** Content that is there by now. Resolves when it may go on. */
  readonly progress: (doneBytes: number) => Promise<void>
}

export interface WrittenBackup {
  readonly path: string
  readonly contents: number
  readonly bytes: number
  /** Of these, what was not in the target before. */
  readonly newContents: number
  readonly newBytes: number
  /** Of the new, what is the same file as that of the edge. */
  readonly linked: number
  /** What was pushed, and could not be had as it was. */
  readonly lost: number
  /** Cached content that left meanwhile, or has rotted: it can be pulled again. */
  readonly leftOut: number
  readonly facts: number
  readonly unreadableFacts: number
  readonly catalogBytes: number
}

/** @throws BackupError; what the source throws. Then nothing of it counts. */
export function writeBackup(writing: WritingBackup): Promise<WrittenBackup> {
  return orTold(`${writing.target.root} cannot be written`, async () => {
    const written = await write(writing)
    await tidyTarget(writing)
    return written
  })
}

async function write(writing: WritingBackup): Promise<WrittenBackup> {
  const { target, source } = writing
  const { edge, of } = source
  const directory = await target.begin()
  const catalog = await copy(source.catalog(), join(directory, CATALOG_NAME))
  const { count, unreadable, file: facts } = await writeFacts(source, join(directory, FACTS_NAME))
  const secrets = await writeSecrets(source.secrets, join(directory, SECRETS_NAME))
  const list = new BackupListWriter()
  const out = await NewFile.make(join(directory, LIST_NAME))
  try {
    await out.append(list.head({ edge, of, catalog, facts: { ...facts, count }, secrets }))
    const copied = await copyContents(writing, each => out.append(list.content(each)))
    await out.append(await list.end(sha256 => source.sign(sha256)))
    await out.finish()
    const path = await target.finish(directory)
    const { size: catalogBytes } = catalog
    return { path, ...copied, facts: count, unreadableFacts: unreadable, catalogBytes }
  } catch (error) {
    await out.close().catch(() => {})
    throw error
  }
}

async function copy(pieces: AsyncIterable<Uint8Array>, path: string): Promise<BackedUpFile> {
  const file = await NewFile.make(path)
  for await (const piece of pieces) await file.append(piece)
  return file.finish()
}

async function writeFacts(source: BackupSource, path: string) {
  const out = await NewFile.make(path)
  let count = 0
  let unreadable = 0
  for await (const fact of source.facts()) {
    if (fact === undefined) unreadable += 1
    else {
      count += 1
      await out.append(Buffer.from(factLine(fact, source.edge)))
    }
  }
  return { count, unreadable, file: await out.finish() }
}

async function writeSecrets(secrets: readonly OwnFile[], directory: string) {
  if (secrets.length === 0) return []
  await mkdir(directory, { mode: OWNER_DIRECTORY })
  const written = await mapFew(secrets, 1, async ({ name, bytes }) => ({
    name,
    ...(await writeFile(join(directory, name), bytes)),
  }))
  await syncDirectory(directory)
  return written
}

type Copied = 'there' | 'written' | 'linked' | 'lost' | 'left out'

async function copyContents(
  writing: WritingBackup,
  list: (content: BackupContent) => Promise<void>,
) {
  const counts = {
    contents: 0,
    bytes: 0,
    newContents: 0,
    newBytes: 0,
    linked: 0,
    lost: 0,
    leftOut: 0,
  }
  let doneBytes = 0
  for await (const batch of batchesOf(writing.source.contents())) {
    const all = await mapFew(batch, AT_ONCE, async content => {
      const copied = await copyContent(writing, content)
      await writing.progress((doneBytes += content.size))
      return { content, copied }
    })
    for (const { content, copied } of all) {
      if (copied === 'left out') counts.leftOut += 1
      else await list(copied === 'lost' ? { ...content, state: 'missing' } : content)
      count(counts, copied, content.size)
    }
  }
  return counts
}

function count(
  counts: Record<'contents' | 'bytes' | 'newContents' | 'newBytes' | 'linked' | 'lost', number>,
  copied: Copied,
  size: number,
): void {
  if (copied === 'lost') counts.lost += 1
  if (copied === 'lost' || copied === 'left out') return
  counts.contents += 1
  counts.bytes += size
  if (copied === 'there') return
  counts.newContents += 1
  counts.newBytes += size
  if (copied === 'linked') counts.linked += 1
}

async function* batchesOf(
  contents: AsyncIterable<BackupContent>,
): AsyncGenerator<readonly BackupContent[]> {
  let batch: BackupContent[] = []
  for await (const each of contents) {
    batch.push(each)
    if (batch.length < LISTED_AT_ONCE) continue
    yield batch
    batch = []
  }
  yield batch
}

async function copyContent(writing: WritingBackup, content: BackupContent): Promise<Copied> {
  const { target, source, lost } = writing
  const { content: digest, size } = content
  if (target.has(digest, size)) return 'there'
  const file = source.fileOf(digest)
  const linked = file === undefined ? 'no link' : await target.link(digest, file)
  if (linked === true) return 'linked'
  let why: 'gone' | 'rotten' = 'rotten'
  try {
    // Also what a link has shown to be wrong: it may be another edge's directory.
    if (await target.write(digest, source.blob(content))) return 'written'
  } catch (error) {
    if (!(error instanceof GoneContent)) throw error
    why = 'gone'
  }
  await lost(content, why)
  return content.kept === true ? 'lost' : 'left out'
}

/** What is behind those that are kept goes, with content that is in none of them. */
async function tidyTarget({ target, keep }: Pick<WritingBackup, 'target' | 'keep'>): Promise<void> {
  const all = target.backups()
  const listed = new Set<Digest>()
  for (const path of all.slice(-keep))
    try {
      await readBackup(path, ({ content }) => void listed.add(content))
    } catch (error) {
      if (!(error instanceof BackupError)) throw error
      // Nobody knows what it had: nothing goes.
      return
    }
  for (const path of all.slice(0, -keep)) await target.remove(path)
  await target.sweep(digest => listed.has(digest))
}
