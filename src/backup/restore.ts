// Brings a backup back, into a data directory that has nothing: all of it, or of some repositories
// what was pushed to them. What is brought back has its names once all of it is there.
import { chownSync, constants, mkdirSync, readdirSync, statSync } from 'node:fs'
import { copyFile, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { eachFew } from '../async/few-at-once.ts'
import { type BackupContent, SECRET_NAMES } from '../bundle/backup-list.ts'
import { markBroughtBack } from '../catalog/sqlite/snapshot/bring-back.ts'
import type { Digest } from '../oci/digest.ts'
import { parseManifest } from '../oci/manifest.ts'
import type { RepositoryKey } from '../oci/reference.ts'
import {
  ALGORITHMS,
  blobDirectory,
  blobPath,
  layoutUnder,
  RESTORING,
  WHOLE_MODE,
} from '../store/filesystem/layout.ts'
import { BackupError, orTold } from './backup-error.ts'
import { type FactLine, readFacts } from './facts-file.ts'
import {
  NewFile,
  OWNER_DIRECTORY,
  OWNER_FILE,
  piecesOf,
  syncDirectory,
  writeFile,
} from './files.ts'
import { CATALOG_NAME, FACTS_NAME, readBackup, SECRETS_NAME } from './read-backup.ts'
import type { BackupTarget } from './target.ts'

/** Files that are written at once. */
const AT_ONCE = 8

export interface Restoring {
  readonly target: BackupTarget
  /** Of the target. */
  readonly path: string
  /** The data directory. */
  readonly into: string
  /** Default: all, with the catalog. */
  readonly isWanted?: ((repository: RepositoryKey) => boolean) | undefined
  /** Content that has a fault: nobody is to be given it under its digest. */
  readonly leftOut: ReadonlySet<Digest>
  /** The catalog has one: it is built anew from the facts, as where it is not asked for. */
  readonly withoutCatalog: boolean
  /** Told of content that was copied. */
  readonly progress: (doneBytes: number) => void
}

export interface Restored {
  readonly contents: number
  readonly bytes: number
  readonly facts: number
  /** Names of files that stand there now. */
  readonly secrets: readonly string[]
}

/** What gets its name there, and beside it what an edge that ever ran there has: none of these. */
const BROUGHT_BACK: ReadonlySet<string> = new Set(['blobs', 'facts', CATALOG_NAME, ...SECRET_NAMES])

/**
 * @throws BackupError unless there is nothing in it but what a restore that was cut off has left
 */
export function assertEmpty(directory: string): void {
  const stat = statSync(directory, { throwIfNoEntry: false })
  if (stat === undefined) return
  const left = stat.isDirectory() ? readdirSync(directory) : ['']
  // While it is there, no edge starts: what is beside it was renamed from it.
  const isCutOff = left.includes(RESTORING)
  const isOurs = (name: string) => name === RESTORING || (isCutOff && BROUGHT_BACK.has(name))
  if (left.every(name => isOurs(name) || name === 'lost+found')) return
  throw new BackupError(
    `${directory} is not empty: a backup is brought back into a directory that has nothing. Move what is there away first`,
  )
}

/** What one that was cut off has left, the mark of it last. */
async function removeLeft(directory: string): Promise<void> {
  assertEmpty(directory)
  for (const name of readdirSync(directory))
    if (BROUGHT_BACK.has(name)) await rm(join(directory, name), { recursive: true })
  await rm(join(directory, RESTORING), { recursive: true, force: true })
}

/** What was verified. @throws BackupError */
export async function restoreBackup(restoring: Restoring): Promise<Restored> {
  const { into } = restoring
  return orTold(`${into} cannot be written`, async () => {
    await mkdir(into, { recursive: true, mode: OWNER_DIRECTORY })
    const inside = join(into, RESTORING)
    await removeLeft(into)
    await mkdir(inside, { mode: OWNER_DIRECTORY })
    const writing = new Writing(inside, statSync(into))
    const restored = await bringBack(restoring, writing)
    await writing.end()
    // The catalog last: without it nothing is taken for all of an edge.
    for (const name of readdirSync(inside).sort((a, b) => place(a) - place(b)))
      await rename(join(inside, name), join(into, name))
    await rm(inside, { recursive: true })
    await syncDirectory(into)
    return restored
  })
}

function place(name: string): number {
  return name === CATALOG_NAME ? 1 : 0
}

async function bringBack(restoring: Restoring, writing: Writing): Promise<Restored> {
  const { target, path, isWanted, leftOut, progress } = restoring
  const { edge, secrets } = await readBackup(path)
  const facts = join(path, FACTS_NAME)
  const wanted = isWanted && (await wantedBy(restoring, edge))
  let counted = 0
  await eachFew(readFacts(facts, edge), AT_ONCE, async line => {
    if (isWanted !== undefined && !isOf(line, isWanted)) return
    await writing.fact(line)
    counted += 1
  })
  let contents = 0
  let bytes = 0
  await eachFew(listed(path), AT_ONCE, async ({ content, size, state }) => {
    if (state !== undefined || leftOut.has(content) || wanted?.has(content) === false) return
    await writing.blob(content, target.pathOf(content))
    contents += 1
    progress((bytes += size))
  })
  // Of some repositories the facts say all, and another edge's counts and times are none of theirs.
  if (isWanted === undefined && !restoring.withoutCatalog)
    await writing.catalog(join(path, CATALOG_NAME), path)
  const own = isWanted === undefined ? secrets : []
  for (const { name } of own) await writing.secret(name, join(path, SECRETS_NAME, name))
  return { contents, bytes, facts: counted, secrets: own.map(({ name }) => name) }
}

/** The contents of a list as they are read. */
async function* listed(path: string): AsyncGenerator<BackupContent> {
  const waiting: BackupContent[] = []
  await readBackup(path, each => void waiting.push(each))
  yield* waiting
}

function isOf({ fact }: FactLine, isWanted: (repository: RepositoryKey) => boolean): boolean {
  return isWanted(fact.kind === 'delivery' ? (fact.key as RepositoryKey) : fact.repository)
}

/** What facts of these repositories tell of, and what that lists. */
async function wantedBy(
  { target, path, isWanted, leftOut }: Restoring,
  edge: string,
): Promise<ReadonlySet<Digest>> {
  const wanted = new Set<Digest>()
  const read = new Set<Digest>()
  const add = async (digest: Digest, mediaType: string): Promise<void> => {
    if (read.has(digest)) return
    read.add(digest)
    wanted.add(digest)
    if (leftOut.has(digest)) return
    const bytes = await readFile(target.pathOf(digest)).catch(() => undefined)
    if (bytes === undefined) return
    const { config, layers, manifests, named } = parseManifest(bytes, mediaType)
    for (const { digest: each } of [...layers, ...named.blobs, ...named.manifests])
      if (each !== undefined) wanted.add(each)
    if (config?.digest !== undefined) wanted.add(config.digest)
    for (const child of manifests)
      if (child.digest !== undefined) await add(child.digest, child.mediaType)
  }
  for await (const { fact } of readFacts(join(path, FACTS_NAME), edge))
    if (fact.kind === 'manifest' && isWanted?.(fact.repository) === true)
      await add(fact.digest, fact.mediaType)
  return wanted
}

/** A data directory that is being made, of the owner of the one that it will be. */
class Writing {
  readonly #root: string
  readonly #layout
  readonly #owner: { readonly uid: number; readonly gid: number }
  readonly #directories = new Set<string>()

  constructor(root: string, owner: { readonly uid: number; readonly gid: number }) {
    this.#root = root
    this.#layout = layoutUnder(root)
    this.#owner = owner
  }

  async fact({ name, text }: FactLine): Promise<void> {
    const path = join(this.#directory(this.#layout.facts), name)
    await writeFile(path, Buffer.from(text), WHOLE_MODE)
    this.#own(path)
  }

  /** By another name for the same blocks where the file system can do that. */
  async blob(digest: Digest, from: string): Promise<void> {
    this.#directory(this.#layout.blobs)
    for (const each of ALGORITHMS)
      if (digest.startsWith(each)) this.#directory(join(this.#layout.blobs, each))
    this.#directory(blobDirectory(this.#layout, digest))
    const path = blobPath(this.#layout, digest)
    await copyFile(from, path, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL)
    const handle = await open(path, constants.O_RDONLY)
    try {
      // As another file system has made it, it may be anybody's.
      await handle.chmod(WHOLE_MODE)
      await handle.sync()
    } finally {
      await handle.close()
    }
    this.#own(path)
  }

  /** `backup`: where it is from, for people. */
  async catalog(from: string, backup: string): Promise<void> {
    const path = join(this.#root, CATALOG_NAME)
    await this.#copy(from, path)
    markBroughtBack(path, `the backup ${backup}`)
    this.#own(path)
  }

  async secret(name: string, from: string): Promise<void> {
    const path = join(this.#root, name)
    await this.#copy(from, path)
    this.#own(path)
  }

  async end(): Promise<void> {
    for (const each of this.#directories) await syncDirectory(each)
    this.#own(this.#root)
  }

  async #copy(from: string, path: string): Promise<void> {
    const file = await NewFile.make(path)
    for await (const piece of piecesOf(from)) await file.append(piece)
    await file.finish(OWNER_FILE)
  }

  #directory(path: string): string {
    if (this.#directories.has(path)) return path
    mkdirSync(path, { recursive: true, mode: OWNER_DIRECTORY })
    this.#directories.add(path)
    this.#own(path)
    return path
  }

  /** Root brings it back for whoever runs the server. */
  #own(path: string): void {
    const { uid, gid } = this.#owner
    const found = statSync(path)
    if (found.uid !== uid || found.gid !== gid) chownSync(path, uid, gid)
  }
}
