// Blobs of another length than is known: the bytes decide. A file that was cut or has grown since
// it was verified is no blob, and is moved out of the way; when they are right, what was written
// down is wrong. What is given is the file that was judged, and no other one. Asked by a look at
// the length that everybody makes anyway, so that what is in order costs no read.
import { type Digest, digestAlgorithm, finishDigest, startDigest } from '../../oci/digest.ts'
import {
  type FindKnown,
  type Looked,
  type StoredBlob,
  UNKNOWN,
} from '../../registry/ports/blob-store-content.ts'
import type { BadPlaces } from './bad-places.ts'
import { type Disk, orStoreError } from './disk.ts'
import { hashBytes } from './hash-file.ts'
import { blobPath } from './layout.ts'
import { findBlob } from './list-blobs.ts'
import type { Quarantine } from './quarantine.ts'
import { isSameFile, type OpenedFile, openRegularFile } from './read-handle.ts'

export interface LengthCheckParts {
  readonly disk: Disk
  readonly quarantine: Quarantine
  readonly bad: BadPlaces
  readonly known: FindKnown
}

/**
 * At a file of another length than recorded: a pull or a push may have put another one in its place
 * meanwhile, and again.
 */
const LOOKS_MAX = 3

/** The file whose bytes were right; it may be another one than that which was asked about. */
type RightFile = Pick<OpenedFile, 'sizeBytes' | 'identity'>

export class LengthCheck {
  readonly #parts: LengthCheckParts
  /** A crowd that asks for the same blob waits for one reading of it. */
  readonly #judged = new Map<Digest, Promise<RightFile | undefined>>()

  constructor(parts: LengthCheckParts) {
    this.#parts = parts
  }

  /**
   * The blob as it lies there. `declaredBytes` counts where nothing is known of its length.
   * @throws StoreError io
   */
  async look(digest: Digest, declaredBytes: number | undefined): Promise<Looked> {
    const { disk, bad } = this.#parts
    for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
      if (await bad.isFailing(digest)) return UNKNOWN
      const found = await orStoreError(disk, `look for ${digest}`, () =>
        disk.unreadable.orUnknown(digest, () => findBlob(disk.layout, digest)),
      )
      if (found === UNKNOWN) return UNKNOWN
      if (found === undefined) return 'none'
      const judged = await this.#judge(found, declaredBytes)
      if (judged === 'as known') return found
      if (judged !== undefined) return { digest, sizeBytes: judged.sizeBytes }
    }
    return UNKNOWN
  }

  /** What may be given to somebody. @throws StoreError io */
  async find(digest: Digest, declaredBytes: number | undefined): Promise<StoredBlob | undefined> {
    const found = await this.look(digest, declaredBytes)
    return found === 'none' || found === UNKNOWN ? undefined : found
  }

  /** The same, open; to be closed by the caller. @throws StoreError io */
  async open(digest: Digest, declaredBytes: number | undefined): Promise<OpenedFile | undefined> {
    const { disk } = this.#parts
    const path = blobPath(disk.layout, digest)
    for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
      const opened = await orStoreError(disk, `open ${digest}`, () =>
        disk.unreadable.orNone(digest, () => openRegularFile(path)),
      )
      if (opened === undefined || (await this.#isBlob(digest, opened, declaredBytes))) return opened
    }
    return undefined
  }

  /** Closes the file unless it is. */
  async #isBlob(
    digest: Digest,
    { file, sizeBytes, identity }: OpenedFile,
    declaredBytes: number | undefined,
  ): Promise<boolean> {
    let isBlob = false
    try {
      const judged = await this.#judge({ digest, sizeBytes }, declaredBytes)
      isBlob =
        judged === 'as known' || (judged !== undefined && isSameFile(judged.identity, identity))
      return isBlob
    } finally {
      if (!isBlob) await file.close()
    }
  }

  /**
   * Is a file of this length the blob, as far as that says, or else which file is, by its bytes?
   * Undefined: none was there, or one that is wrong and has been moved away; there may be another
   * one by now.
   */
  async #judge(
    { digest, sizeBytes }: StoredBlob,
    declaredBytes: number | undefined,
  ): Promise<'as known' | RightFile | undefined> {
    const expectedBytes = (await this.#parts.known(digest))?.sizeBytes ?? declaredBytes
    if (expectedBytes === undefined || expectedBytes === sizeBytes) return 'as known'
    return await this.#shared(digest)
  }

  async #shared(digest: Digest): Promise<RightFile | undefined> {
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

  async #readThrough(digest: Digest): Promise<RightFile | undefined> {
    const { disk, quarantine, bad } = this.#parts
    return await orStoreError(disk, `read ${digest}`, async () => {
      const opened = await openRegularFile(blobPath(disk.layout, digest))
      if (opened === undefined) return undefined
      const { sizeBytes, identity } = opened
      try {
        const is = await bad.wholeOrNone(digest, opened, () => isRight(opened, digest))
        if (is === true) return { sizeBytes, identity }
        if (is === false) await quarantine.take(digest, identity)
        return undefined
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
