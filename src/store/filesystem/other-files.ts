// What the data directory takes beside blobs, parts and uploads: catalog, facts, what is in `tmp/`,
// directories, and what files have on disk beyond their length. Measured now and then, since nobody
// writes much of it; whoever asks in between is told what was found.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { eachFew } from '../../async/few-at-once.ts'
import { type Disk, FILES_AT_ONCE, orStoreError } from './disk.ts'
import type { FilesystemFacts } from './facts.ts'
import { ALGORITHMS, algorithmDirectory, SIDECAR_SUFFIX } from './layout.ts'
import { partTakesBytes } from './growing/parts.ts'
import { type MeasuredFile, measureFile } from './measure-file.ts'

const isSidecar = (path: string): boolean => path.endsWith(SIDECAR_SUFFIX)

/** For what is many and changes little: directories, and facts, of which a new one counts. */
const WHOLE_EVERY_MS = 60 * 60 * 1000

export class OtherFiles {
  readonly #disk: Disk
  readonly #facts: FilesystemFacts
  #smallBytes = 0
  #directoryBytes = 0
  #wholeAtMs: number | undefined
  #measuring: Promise<void> | undefined

  constructor(disk: Disk, facts: FilesystemFacts) {
    this.#disk = disk
    this.#facts = facts
  }

  /** As it was measured last. */
  get bytes(): number {
    return this.#smallBytes + this.#directoryBytes + this.#facts.takenBytes
  }

  /**
   * Its cost does not grow with blobs or facts, but once an hour and at first.
   * @throws StoreError io
   */
  measure(): Promise<void> {
    this.#measuring ??= this.#measure().finally(() => {
      this.#measuring = undefined
    })
    return this.#measuring
  }

  async #measure(): Promise<void> {
    await this.measureSmall()
    const { clock } = this.#disk
    const isDue =
      this.#wholeAtMs === undefined || clock.monotonicMs() - this.#wholeAtMs >= WHOLE_EVERY_MS
    if (!isDue) return
    await this.#facts.measure()
    this.#directoryBytes = await orStoreError(this.#disk, 'measure directories', () =>
      this.#sum(this.#directories(), ({ takenBytes }) => takenBytes),
    )
    this.#wholeAtMs = clock.monotonicMs()
  }

  /** All but what is many. @throws StoreError io */
  async measureSmall(): Promise<void> {
    const { root, temporary, fills, uploads, quarantine } = this.#disk.layout
    this.#smallBytes = await orStoreError(this.#disk, 'measure the data directory', async () => {
      const whole = await this.#filesIn([root, temporary])
      const parts = await this.#filesIn([fills])
      const beyond = await this.#filesIn([uploads, quarantine])
      const wholeBytes = await this.#sum(whole, ({ takenBytes }) => takenBytes)
      // Their lengths are counted by who writes them, of parts also the last block and the sidecar.
      // A part with holes takes less than its length.
      const ofPartsBytes = await this.#sum(parts, ({ path, lengthBytes, takenBytes }) =>
        isSidecar(path) ? 0 : Math.max(0, takenBytes - partTakesBytes(lengthBytes)),
      )
      const beyondBytes = await this.#sum(beyond, ({ path, lengthBytes, takenBytes }) =>
        isSidecar(path) ? takenBytes : Math.max(0, takenBytes - lengthBytes),
      )
      return wholeBytes + ofPartsBytes + beyondBytes
    })
  }

  async #filesIn(directories: readonly string[]): Promise<readonly string[]> {
    const entries = await Promise.all(
      directories.map(directory => readdir(directory, { withFileTypes: true })),
    )
    return entries
      .flat()
      .filter(entry => !entry.isDirectory())
      .map(({ parentPath, name }) => join(parentPath, name))
  }

  async *#directories(): AsyncGenerator<string> {
    const { layout } = this.#disk
    const { root, blobs, fills, uploads, facts, temporary, quarantine } = layout
    yield* [root, blobs, fills, uploads, facts, temporary, quarantine]
    for (const algorithm of ALGORITHMS) {
      const directory = algorithmDirectory(layout, algorithm)
      yield directory
      for (const name of await readdir(directory)) yield join(directory, name)
    }
  }

  async #sum(
    paths: Iterable<string> | AsyncIterable<string>,
    bytesOf: (file: MeasuredFile) => number,
  ): Promise<number> {
    let sum = 0
    await eachFew(paths, FILES_AT_ONCE, async path => {
      const file = await measureFile(path)
      if (file !== undefined) sum += bytesOf(file)
    })
    return sum
  }
}
