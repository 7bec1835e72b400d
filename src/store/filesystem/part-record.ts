// What a running fill writes down about its part: the sidecar as it is kept up to date. Its format is sidecar.ts.
import type { Digest } from '../../oci/digest.ts'
import type { FillExpectation } from '../../registry/ports/blob-store.ts'
import { type Disk, removeFile } from './disk.ts'
import { sidecarPath } from './layout.ts'
import { writeSidecar } from './sidecar.ts'

const NOTHING_SAID: FillExpectation = { sizeBytes: undefined, validator: undefined }

export class PartRecord {
  expected: FillExpectation | undefined
  /** This many bytes of the part are durable. Only ever raised after the sync that makes it true. */
  syncedBytes: number
  readonly #disk: Disk
  readonly #digest: Digest
  #writes: Promise<void> = Promise.resolve()

  constructor(
    disk: Disk,
    digest: Digest,
    found: { expected: FillExpectation | undefined; syncedBytes: number },
  ) {
    this.#disk = disk
    this.#digest = digest
    this.expected = found.expected
    this.syncedBytes = found.syncedBytes
  }

  /** One write after another. That one fails costs a resume after a restart, so it fails nothing: never rejects. */
  async write(durable: boolean): Promise<void> {
    const write = this.#writes.then(async () => {
      const { expected = NOTHING_SAID, syncedBytes } = this
      const sidecar = { expected, bootId: this.#disk.bootId, syncedBytes }
      await writeSidecar(this.#disk, this.#digest, { sidecar, durable })
    })
    this.#writes = write.catch(() => {})
    await this.#writes
  }

  /** Resolves when no write is running. */
  async settled(): Promise<void> {
    await this.#writes
  }

  /** Forgets everything, on disk too. @throws the system's error */
  async remove(): Promise<void> {
    await this.#writes
    this.expected = undefined
    this.syncedBytes = 0
    await removeFile(sidecarPath(this.#disk.layout, this.#digest))
  }
}
