// Blobs of another length than is known: the bytes decide. A file that was cut or has grown since it was verified is no blob, and is moved
// out of the way; when they are right, what was written down is wrong. Asked by a look at the length that everybody makes anyway, so that
// what is in order costs no read.
import { type Digest, digestAlgorithm, finishDigest, startDigest } from '../../oci/digest.ts'
import type { FindKnown } from '../../registry/ports/blob-store.ts'
import { attempt, type Disk } from './disk.ts'
import { hashBytes } from './hash-file.ts'
import { blobPath } from './layout.ts'
import type { Quarantine } from './quarantine.ts'
import { type OpenedFile, openRegularFile } from './read-handle.ts'

export interface DoubtParts {
  readonly disk: Disk
  readonly quarantine: Quarantine
  readonly known: FindKnown
}

export class Doubt {
  readonly #parts: DoubtParts
  /** A crowd that asks for the same blob waits for one reading of it. */
  readonly #judged = new Map<Digest, Promise<boolean>>()

  constructor(parts: DoubtParts) {
    this.#parts = parts
  }

  /**
   * Is a file of `sizeBytes` the blob, as far as its length says, or else its bytes? `declaredBytes` counts where nothing is known.
   * Whoever is told no finds no file there, or another one. @throws StoreError io
   */
  async isBlob(
    { digest, sizeBytes }: { readonly digest: Digest; readonly sizeBytes: number },
    declaredBytes: number | undefined,
  ): Promise<boolean> {
    const expectedBytes = (await this.#parts.known(digest))?.sizeBytes ?? declaredBytes
    if (expectedBytes === undefined || expectedBytes === sizeBytes) return true
    return await this.#judge(digest)
  }

  async #judge(digest: Digest): Promise<boolean> {
    const running = this.#judged.get(digest)
    if (running !== undefined) return await running
    const judging = this.#readThrough(digest)
    this.#judged.set(digest, judging)
    try {
      return await judging
    } finally {
      this.#judged.delete(digest)
    }
  }

  async #readThrough(digest: Digest): Promise<boolean> {
    const { disk, quarantine } = this.#parts
    return await attempt(disk, `read ${digest}`, async () => {
      const opened = await openRegularFile(blobPath(disk.layout, digest))
      if (opened === undefined) return false
      try {
        if (await isRight(opened, digest)) return true
        await quarantine.take(digest, opened.identity)
        return false
      } finally {
        await opened.file.close()
      }
    })
  }
}

async function isRight({ file, sizeBytes }: OpenedFile, digest: Digest): Promise<boolean> {
  const algorithm = digestAlgorithm(digest)
  const hash = startDigest(algorithm)
  await hashBytes(hash, file, sizeBytes)
  return finishDigest(hash, algorithm) === digest
}
