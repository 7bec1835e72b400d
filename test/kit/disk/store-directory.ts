// A directory for the file-system store, with its files looked at and laid by hand: crash states
// are nothing but files.
import { createHash } from 'node:crypto'
import { chmod, lstat, mkdir, readdir, readFile, unlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import type { Test } from 'tap'
import type { Digest } from '../../../src/oci/digest.ts'
import type { BlobStore } from '../../../src/registry/ports/blob-store.ts'
import type { KnownContent } from '../../../src/registry/ports/blob-store-content.ts'
import type { EngineEvent } from '../../../src/registry/ports/events.ts'
import type { FactStore } from '../../../src/registry/ports/facts.ts'
import {
  type FilesystemStoreOptions,
  openFilesystemStore,
} from '../../../src/store/filesystem/store.ts'
import { createManualClock, type ManualClock } from '../manual-clock.ts'

export interface StoreDirectory {
  readonly root: string
  readonly events: EngineEvent[]
  readonly clock: ManualClock
  /** What stores are told of content; nothing, unless a test puts it in. */
  readonly known: Map<Digest, KnownContent>
  /** What belongs to no repository any more. */
  readonly forgone: Set<Digest>
  /** As the next process opens it; `bootId` defaults to the same boot. */
  open(bootId?: string): Promise<BlobStore>
  /** `catalog`: the identity of the one beside them; defaults to the same. */
  openFacts(catalog?: string): Promise<FactStore>
  path(...names: string[]): string
  blobPath(digest: Digest): string
  /** `fills/<alg>-<hex>` followed by `suffix`. */
  partPath(digest: Digest, suffix?: string): string
  /** Writes a file, with the directories above it. */
  lay(path: string, content: string | Uint8Array): Promise<void>
  read(path: string): Promise<string>
  /** Permission bits. */
  mode(path: string): Promise<number>
  /** Every file that is not a directory, relative to the root, sorted. */
  files(): Promise<string[]>
}

/** Where the bytes of that digest lie. */
export function blobPath(root: string, digest: string): string {
  const [algorithm = '', hex = ''] = digest.split(':')
  return join(root, 'blobs', algorithm, hex.slice(0, 2), hex)
}

/** `root` defaults to a new directory that tap removes; `limits` to those of an edge. */
export function storeDirectory(
  t: Test,
  root: string = t.testdir(),
  limits: Pick<FilesystemStoreOptions, 'partsMax'> = {},
): StoreDirectory {
  const events: EngineEvent[] = []
  const clock = createManualClock(Date.now())
  const known: StoreDirectory['known'] = new Map()
  const forgone: StoreDirectory['forgone'] = new Set()
  const path = (...names: string[]) => join(root, ...names)
  const openBoth = (bootId = 'this boot', catalog = 'this catalog') =>
    openFilesystemStore({
      directory: root,
      note: event => events.push(event),
      bootId,
      clock,
      known: async digest => known.get(digest),
      isForgone: async digest => forgone.has(digest),
      catalog,
      ...limits,
    })
  return {
    root,
    events,
    clock,
    known,
    forgone,
    path,
    open: async bootId => (await openBoth(bootId)).blobs,
    openFacts: async catalog => (await openBoth(undefined, catalog)).facts,
    blobPath: digest => blobPath(root, digest),
    partPath: (digest, suffix = '') => path('fills', digest.replace(':', '-') + suffix),
    lay: async (file, content) => {
      await mkdir(dirname(file), { recursive: true })
      await chmod(file, 0o600).catch(() => {})
      await writeFile(file, content)
    },
    read: file => readFile(file, 'utf8'),
    mode: async file => (await lstat(file)).mode & 0o7777,
    files: async () => {
      const entries = await readdir(root, { recursive: true, withFileTypes: true })
      const files = entries.filter(entry => !entry.isDirectory())
      return files.map(entry => relative(root, join(entry.parentPath, entry.name))).sort()
    },
  }
}

/**
 * One store directory for all tests of a file, emptied before each: making and removing its five
 * hundred directories takes longer than most tests. Call it once with the file's own `t`, then once
 * in each test.
 */
export function sharedStoreDirectory(t: Test): () => Promise<StoreDirectory> {
  const root = t.testdir()
  return async () => {
    const directory = storeDirectory(t, root)
    for (const file of await directory.files()) await unlink(join(root, file))
    return directory
  }
}

/** The oracle is node's hash, not the product's own way of writing digests. */
export function digestBy(algorithm: 'sha256' | 'sha512', bytes: string | Uint8Array): Digest {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}` as Digest
}
