// Kept facts on disk: one file per identity in `facts/`, replaced by rename
// (docs/storage-format.md, "Facts"). What a fact says is fact-text.ts; which is written when is the
// registry's.
import { lstat, opendir, unlink } from 'node:fs/promises'
import { BLOCK_BYTES, onDiskBytes } from '../../registry/ports/blob-store.ts'
import type {
  FactIdentity,
  FactOptions,
  FactStore,
  ListedFact,
} from '../../registry/ports/facts.ts'
import { FACT_LIMIT_BYTES, factName, formatFact, isFactName, parseFact } from '../fact-text.ts'
import { DirectorySync } from './directory-sync.ts'
import { type Disk, orStoreError } from './disk.ts'
import { diskError, errnoOf, ignoreMissing, isFull } from './disk-error.ts'
import { factPath, WHOLE_MODE } from './layout.ts'
import { measureFiles } from './measure-file.ts'
import { readSmallFile, replaceFile } from './small-file.ts'
import { Turns } from '../../async/turns.ts'

/**
 * Facts whose names begin alike wait for each other, which bounds the files that are open at once
 * to sixteen.
 */
const TURN_LENGTH = 1

/** When they are listed: keeps the thread pool busy; a fact is small. */
const READ_AT_ONCE = 32

/** What a file in `facts/` turned out to be. */
type Found =
  | { readonly kind: 'fact'; readonly fact: ListedFact }
  | { readonly kind: 'unreadable'; readonly why: string }
  | { readonly kind: 'gone' }

export interface FactsOptions {
  /** The identity of the one that is told the same. */
  readonly catalog: string
  /** Gives room back that is kept for what takes content away; false where there is none. */
  readonly giveRoom: () => Promise<boolean>
}

export class FilesystemFacts implements FactStore {
  readonly #disk: Disk
  readonly #turns = new Turns()
  readonly #directory: DirectorySync
  readonly #catalog: string
  readonly #giveRoom: FactsOptions['giveRoom']
  #failedChanges = 0
  #unreadable = 0
  #takenBytes = 0

  /** The directories are there. */
  constructor(disk: Disk, { catalog, giveRoom }: FactsOptions) {
    this.#disk = disk
    this.#catalog = catalog
    this.#giveRoom = giveRoom
    this.#directory = new DirectorySync(disk.layout.facts)
  }

  get failures(): number {
    return this.#failedChanges + this.#unreadable
  }

  /**
   * What all of them take on disk: as it was measured, and what came and went since. One that took
   * another's place counts beside it until then.
   */
  get takenBytes(): number {
    return this.#takenBytes
  }

  /** Looks at each. @throws StoreError io */
  async measure(): Promise<void> {
    this.#takenBytes = await orStoreError(this.#disk, 'measure the kept facts', () =>
      measureFiles(this.#disk.layout.facts),
    )
  }

  async write(
    facts: readonly ListedFact[],
    { takesAway = false }: FactOptions = {},
  ): Promise<void> {
    // Of two with one identity the later one.
    const texts = new Map(
      facts.map(fact => [factName(fact), formatFact(fact, this.#catalog)] as const),
    )
    await this.#change('write a kept fact', [...texts.keys()], async (name, path) => {
      const text = texts.get(name) ?? ''
      const replace = () => replaceFile(this.#disk, path, { text, synced: true, mode: WHOLE_MODE })
      // By another file: none is synced twice.
      await replace().catch(async (error: unknown) => {
        if (!takesAway || !isFull(error) || !(await this.#giveRoom())) throw error
        await replace()
      })
      this.#directory.touch()
      this.#takenBytes += onDiskBytes(Buffer.byteLength(text))
    })
  }

  async remove(identities: readonly FactIdentity[]): Promise<void> {
    const names = new Set(identities.map(factName))
    await this.#change('remove a kept fact', [...names], async (_name, path) => {
      const isRemoved = await unlink(path).then(() => true, ignoreMissing)
      if (!isRemoved) return
      this.#directory.touch()
      this.#takenBytes = Math.max(0, this.#takenBytes - BLOCK_BYTES)
    })
  }

  async has(identity: FactIdentity): Promise<boolean> {
    const path = factPath(this.#disk.layout, factName(identity))
    return orStoreError(
      this.#disk,
      'look for a kept fact',
      async () => (await lstat(path).catch(ignoreMissing)) !== undefined,
    )
  }

  async find(identity: FactIdentity): Promise<ListedFact | 'unreadable' | undefined> {
    const found = await orStoreError(this.#disk, 'read a kept fact', () =>
      this.#read(factName(identity)),
    )
    if (found.kind === 'fact') return found.fact
    return found.kind === 'gone' ? undefined : 'unreadable'
  }

  async *list(): AsyncGenerator<ListedFact | 'unreadable'> {
    const { layout } = this.#disk
    try {
      let names: string[] = []
      for await (const { name } of await opendir(layout.facts, { bufferSize: 256 })) {
        if (isFactName(name)) names.push(name)
        if (names.length < READ_AT_ONCE) continue
        yield* await this.#readAll(names)
        names = []
      }
      yield* await this.#readAll(names)
    } catch (error) {
      throw diskError(error, { doing: 'list the kept facts', root: layout.root })
    }
  }

  /**
   * Turns are taken before anything is waited for: of two calls the later one comes later for every
   * name.
   */
  async #change(
    doing: string,
    names: readonly string[],
    step: (name: string, path: string) => Promise<void>,
  ): Promise<void> {
    const changes = names.map(name =>
      this.#turns.take(name.slice(0, TURN_LENGTH), () =>
        step(name, factPath(this.#disk.layout, name)),
      ),
    )
    await orStoreError(this.#disk, doing, async () => {
      // All of them, so that nothing is still being written when this call has failed.
      await Promise.allSettled(changes)
      await Promise.all(changes)
      await this.#directory.settle()
    }).catch((error: unknown) => {
      this.#failedChanges += 1
      throw error
    })
  }

  async #readAll(names: readonly string[]): Promise<readonly (ListedFact | 'unreadable')[]> {
    const all = await Promise.all(
      names.map(async name => ({ name, found: await this.#read(name) })),
    )
    return all.flatMap(({ name, found }) => {
      if (found.kind === 'unreadable') this.#tell(name, found.why)
      if (found.kind === 'gone') return []
      return [found.kind === 'fact' ? found.fact : found.kind]
    })
  }

  async #read(name: string): Promise<Found> {
    const path = factPath(this.#disk.layout, name)
    try {
      const text = await readSmallFile(path, FACT_LIMIT_BYTES)
      const fact = text === undefined ? undefined : parseFact(name, text, this.#catalog)
      if (fact !== undefined) return { kind: 'fact', fact }
      const isGone = (await lstat(path).catch(ignoreMissing)) === undefined
      return isGone ? { kind: 'gone' } : { kind: 'unreadable', why: 'is not one' }
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === undefined) throw error
      return { kind: 'unreadable', why: `could not be read: ${errno}` }
    }
  }

  #tell(name: string, why: string): void {
    const { note, layout } = this.#disk
    this.#unreadable += 1
    note({
      kind: 'storage failed',
      failure: 'corrupt',
      reason: `the kept fact ${factPath(layout, name)} ${why}`,
      hint: 'bring the file back from a backup, or push again what is missing; then remove the file',
    })
  }
}
