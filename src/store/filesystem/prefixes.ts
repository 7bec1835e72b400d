// The 256 directories in which the blobs of one algorithm lie: made together, so that publishing a
// blob need not make one and sync its parent, and before the first blob of that algorithm: many
// edges never see any but sha256.
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { DigestAlgorithm } from '../../oci/digest.ts'
import { StoreError } from '../../registry/ports/store-error.ts'
import { syncDirectory } from './disk.ts'
import { errnoOf } from './disk-error.ts'
import { algorithmDirectory, DIRECTORY_MODE, type Layout, prefixNames } from './layout.ts'

export class Prefixes {
  readonly #layout: Layout
  readonly #ready = new Map<DigestAlgorithm, Promise<void>>()

  constructor(layout: Layout) {
    this.#layout = layout
  }

  /** @throws StoreError io when one of those that are there is a file or a link */
  async check(algorithm: DigestAlgorithm): Promise<void> {
    await this.#present(algorithm)
  }

  /**
   * They are there and durable. Looked at once; one that fails is tried again by the next blob.
   * @throws the system's error; StoreError io as `check` does
   */
  ready(algorithm: DigestAlgorithm): Promise<void> {
    const known = this.#ready.get(algorithm)
    if (known !== undefined) return known
    const making = this.#make(algorithm)
    this.#ready.set(algorithm, making)
    making.catch(() => this.#ready.delete(algorithm))
    return making
  }

  async #make(algorithm: DigestAlgorithm): Promise<void> {
    const present = await this.#present(algorithm)
    const parent = algorithmDirectory(this.#layout, algorithm)
    const missing = prefixNames().filter(name => !present.has(name))
    await Promise.all(missing.map(name => makeDirectory(join(parent, name))))
    // Also where none was missing: an earlier process may have been killed before this.
    await syncDirectory(parent)
  }

  async #present(algorithm: DigestAlgorithm): Promise<ReadonlySet<string>> {
    const parent = algorithmDirectory(this.#layout, algorithm)
    const entries = await readdir(parent, { withFileTypes: true })
    const prefixes = new Set(prefixNames())
    const wrong = entries.find(entry => prefixes.has(entry.name) && !entry.isDirectory())
    if (wrong !== undefined) throw notADirectory(join(parent, wrong.name))
    return new Set(entries.map(({ name }) => name))
  }
}

/** No effect when it is there. */
export async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, DIRECTORY_MODE)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
  }
}

export function notADirectory(path: string): StoreError {
  const hint = `move it away; to keep the data elsewhere, let storage.rootdirectory point there`
  return new StoreError('io', `${path} is a file or a link, not a directory`, { hint })
}
