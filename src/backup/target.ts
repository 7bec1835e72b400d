// Where backups lie (docs/storage-format.md, "Backups"): content once for all of them, and for each
// its list with what else it has, in a directory that has its name once all is there. What is left
// of one that was cut off is nothing to anybody, and goes with the next one.
import { existsSync, lstatSync, readdirSync } from 'node:fs'
import { link, lstat, mkdir, opendir, rename, rm, unlink } from 'node:fs/promises'
import { randomUUID } from 'node:crypto'
import { dirname, join } from 'node:path'
import { type Digest, digestFrom } from '../oci/digest.ts'
import {
  ALGORITHMS,
  blobDirectory,
  blobPath,
  layoutUnder,
  WHOLE_MODE,
} from '../store/filesystem/layout.ts'
import { BackupError, orTold } from './backup-error.ts'
import { isContent, NewFile, OWNER_DIRECTORY, syncDirectory, writeFile } from './files.ts'

/** By which a directory is known to be one. */
const MARK = 'entrepot-backup'
const MARK_TEXT = '{"version":1}\n'
/** Backups, and what is being written. */
const BACKUPS = 'backups'
const TEMPORARY = 'tmp'
const NAME = /^[0-9]{8}$/

/** Where content lies in a data directory, if it does. */
export function contentFile(dataDirectory: string, digest: Digest): string {
  return blobPath(layoutUnder(dataDirectory), digest)
}

export class BackupTarget {
  readonly root: string
  readonly #layout
  /** Names in these are not on the disk yet. */
  readonly #touched = new Set<string>()

  private constructor(root: string) {
    this.root = root
    this.#layout = layoutUnder(root)
  }

  /** One that is there. @throws BackupError */
  static find(root: string): BackupTarget {
    if (existsSync(join(root, MARK))) return new BackupTarget(root)
    throw new BackupError(`${root} is no directory of backups: it has no file ${MARK}`)
  }

  /** Makes it, where there is nothing. @throws BackupError for a directory of something else */
  static async open(root: string): Promise<BackupTarget> {
    return orTold(`${root} cannot be written`, async () => {
      await mkdir(root, { recursive: true, mode: OWNER_DIRECTORY })
      const target = new BackupTarget(root)
      if (!existsSync(join(root, MARK))) {
        if (readdirSync(root).some(name => name !== 'lost+found'))
          throw new BackupError(
            `${root} has files that are no backup: name an empty directory, or one that is not there yet`,
          )
        await mkdir(join(root, BACKUPS), { mode: OWNER_DIRECTORY })
        await writeFile(join(root, MARK), Buffer.from(MARK_TEXT))
        await syncDirectory(root)
      }
      await mkdir(join(root, BACKUPS), { recursive: true, mode: OWNER_DIRECTORY })
      return target
    })
  }

  /** Those that are whole, the newest last. @throws BackupError */
  backups(): readonly string[] {
    const directory = join(this.root, BACKUPS)
    if (!existsSync(directory)) return []
    return readdirSync(directory)
      .filter(name => NAME.test(name))
      .sort()
      .map(name => join(directory, name))
  }

  pathOf(digest: Digest): string {
    return blobPath(this.#layout, digest)
  }

  /** Nobody has looked at its bytes. */
  has(digest: Digest, sizeBytes: number): boolean {
    const found = lstatSync(this.pathOf(digest), { throwIfNoEntry: false })
    return found?.isFile() === true && found.size === sizeBytes
  }

  /** Where a new backup is written: what an earlier one has left there is gone. */
  async begin(): Promise<string> {
    const temporary = join(this.root, TEMPORARY)
    await rm(temporary, { recursive: true, force: true })
    const directory = join(temporary, 'backup')
    await mkdir(directory, { recursive: true, mode: OWNER_DIRECTORY })
    return directory
  }

  /** False, and nothing is there, where its bytes are others than the digest says. */
  async write(digest: Digest, pieces: AsyncIterable<Uint8Array>): Promise<boolean> {
    const path = join(this.root, TEMPORARY, randomUUID())
    const file = await NewFile.make(path)
    try {
      for await (const piece of pieces) await file.append(piece)
    } catch (error) {
      await file.close()
      await rm(path, { force: true })
      throw error
    }
    await file.finish(WHOLE_MODE)
    return this.#take(path, digest)
  }

  /**
   * The same by a second name for `from`, which is the same bytes on the same disk. `no link` where
   * that cannot be: over file systems, or by this user.
   */
  async link(digest: Digest, from: string): Promise<boolean | 'no link'> {
    const path = join(this.root, TEMPORARY, randomUUID())
    try {
      await link(from, path)
    } catch {
      return 'no link'
    }
    if ((await lstat(path)).isFile()) return this.#take(path, digest)
    await rm(path)
    return 'no link'
  }

  async #take(path: string, digest: Digest): Promise<boolean> {
    try {
      if (!(await isContent(path, digest))) {
        await rm(path, { force: true })
        return false
      }
      const directory = blobDirectory(this.#layout, digest)
      if (!existsSync(directory)) {
        await mkdir(directory, { recursive: true, mode: OWNER_DIRECTORY })
        for (const each of [dirname(directory), this.#layout.blobs, this.root])
          this.#touched.add(each)
      }
      await rename(path, this.pathOf(digest))
      this.#touched.add(directory)
      return true
    } catch (error) {
      await rm(path, { force: true })
      throw error
    }
  }

  /** What `begin` gave gets its name, behind all content. Returns where it is. */
  async finish(directory: string): Promise<string> {
    for (const each of this.#touched) await syncDirectory(each)
    this.#touched.clear()
    await syncDirectory(directory)
    const last = this.backups().at(-1) ?? '0'
    const number = String(Number(last.slice(-8)) + 1).padStart(8, '0')
    const path = join(this.root, BACKUPS, number)
    await rename(directory, path)
    await syncDirectory(join(this.root, BACKUPS))
    return path
  }

  /** `path`: of a backup. Its content stays until `sweep`. */
  async remove(path: string): Promise<void> {
    await rm(path, { recursive: true, force: true })
  }

  /** Content that no backup lists any more. Returns how much that was. */
  async sweep(isListed: (digest: Digest) => boolean): Promise<number> {
    let removed = 0
    for (const algorithm of ALGORITHMS) {
      const directory = join(this.#layout.blobs, algorithm)
      if (!existsSync(directory)) continue
      for (const prefix of readdirSync(directory)) {
        for await (const { name } of await opendir(join(directory, prefix))) {
          const digest = digestFrom(`${algorithm}:${name}`)
          if (digest === undefined || isListed(digest)) continue
          await unlink(this.pathOf(digest))
          removed += 1
        }
      }
    }
    return removed
  }
}
