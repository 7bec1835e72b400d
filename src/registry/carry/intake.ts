// How what an import brings gets here: whatever is not here yet is stored, as what a client
// uploads, and what is here is passed over. Nothing of it has a name by that.
import type { Hash } from 'node:crypto'
import { RottenBlob } from '../../bundle/checked-bundle.ts'
import { type Digest, digestAlgorithm, finishDigest, startDigest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { Repository } from '../../oci/reference.ts'
import type { OperatorDeps } from '../operator/operator-deps.ts'
import type { StoredBlob } from '../ports/blob-store-content.ts'
import type { ImportCounts } from './import-answers.ts'
import { isHere } from './import-rights.ts'
import { requireRight } from './read-member.ts'

export type IntakeDeps = Pick<OperatorDeps, 'registry' | 'catalog' | 'store'>

export interface Taken {
  readonly home: Repository
  /** Can it be read already where it is to be? */
  readonly isGiven: () => Promise<boolean>
  readonly body: AsyncIterable<Uint8Array>
}

export class Intake {
  readonly #deps: IntakeDeps
  readonly #dryRun: boolean
  readonly counts: ImportCounts = { images: 0, written: 0, writtenBytes: 0, hereBytes: 0 }

  constructor(deps: IntakeDeps, { dryRun }: { readonly dryRun: boolean }) {
    this.#deps = deps
    this.#dryRun = dryRun
  }

  /**
   * Whatever of it is not here is stored, pending in the repository; what is, and not given there,
   * is hashed all the same; in a dry run all is. The body of the rest is not read.
   * @throws RottenBlob, RegistryError, StoreError; what the body throws
   */
  async take(blob: StoredBlob, { home, isGiven, body }: Taken): Promise<void> {
    if (await isHere(this.#deps, blob)) {
      if (!(await isGiven())) await requireRight(blob.digest, body)
      return this.#count(blob, 'here')
    }
    if (this.#dryRun) await requireRight(blob.digest, body)
    else await this.#store(home, { ...blob, body })
    this.#count(blob, 'written')
  }

  /** Of that one, once it is here: its bytes, which were right when they came. */
  async bytesOf(digest: Digest): Promise<Uint8Array> {
    const bytes = await this.#deps.store.readVerified(digest)
    if (bytes !== undefined) return bytes
    throw new RegistryError('MANIFEST_UNKNOWN', `${digest} is gone again: import it once more`)
  }

  async #store(
    home: Repository,
    { digest, ...blob }: StoredBlob & { readonly body: AsyncIterable<Uint8Array> },
  ): Promise<void> {
    const algorithm = digestAlgorithm(digest)
    try {
      await this.#deps.registry.importing.blob(home, { ...blob, algorithm, digest: () => digest })
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'DIGEST_INVALID')
        throw new RottenBlob(digest)
      throw error
    }
  }

  /** What its bytes hash to is not known before they have come. @throws as `take` */
  async takeUnknown(sizeBytes: number, { home, body }: Omit<Taken, 'isGiven'>): Promise<Digest> {
    const algorithm = 'sha256'
    const hash = startDigest(algorithm)
    const hashed = hashing(body, hash)
    let digest: Digest | undefined
    if (this.#dryRun) for await (const _ of hashed);
    else {
      const known = () => (digest ??= finishDigest(hash, algorithm))
      await this.#deps.registry.importing.blob(home, {
        algorithm,
        digest: known,
        sizeBytes,
        body: hashed,
      })
    }
    digest ??= finishDigest(hash, algorithm)
    this.#count({ digest, sizeBytes }, 'written')
    return digest
  }

  #count({ sizeBytes }: StoredBlob, what: 'here' | 'written'): void {
    if (what === 'here') this.counts.hereBytes += sizeBytes
    else {
      this.counts.written += 1
      this.counts.writtenBytes += sizeBytes
    }
  }
}

async function* hashing(body: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const piece of body) {
    hash.update(piece)
    yield piece
  }
}
