// Files of a backup, and of what is brought back from one: on the disk when they are said to be
// there, and not to be had by others.
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { BackedUpFile } from '../bundle/backup-list.ts'
import { digestAlgorithm, digestHex, type Digest } from '../oci/digest.ts'

export const OWNER_FILE = 0o600
export const OWNER_DIRECTORY = 0o700

const PIECE_BYTES = 1024 * 1024
/** Written at once: lines are short. */
const BATCH_BYTES = 256 * 1024

/** Of a file that is there. @throws the system's error */
export async function sumOf(path: string): Promise<BackedUpFile> {
  const hash = createHash('sha256')
  let size = 0
  for await (const piece of piecesOf(path)) {
    size += piece.length
    hash.update(piece)
  }
  return { size, sha256: hash.digest('hex') }
}

/** Are its bytes those of the digest? @throws the system's error */
export async function isContent(path: string, digest: Digest): Promise<boolean> {
  const hash = createHash(digestAlgorithm(digest))
  for await (const piece of piecesOf(path)) hash.update(piece)
  return hash.digest('hex') === digestHex(digest)
}

/** Not through a link, whose target is anybody's. @throws the system's error */
export async function* piecesOf(path: string): AsyncGenerator<Buffer> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  yield* handle.createReadStream({ highWaterMark: PIECE_BYTES })
}

/** What it is made of is on the disk. @throws the system's error */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  await handle.sync().finally(() => handle.close())
}

/** A new file that grows: closed by one of `finish` and `close`. */
export class NewFile {
  readonly #handle: FileHandle
  readonly #hash = createHash('sha256')
  #batch: Uint8Array[] = []
  #batchBytes = 0
  #size = 0

  private constructor(handle: FileHandle) {
    this.#handle = handle
  }

  /** @throws the system's error, also where one is there */
  static async make(path: string, mode = OWNER_FILE): Promise<NewFile> {
    return new NewFile(await open(path, 'wx', mode))
  }

  /** `bytes` may be written over afterwards. */
  async append(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes)
    this.#size += bytes.length
    this.#batch.push(Buffer.from(bytes))
    this.#batchBytes += bytes.length
    if (this.#batchBytes >= BATCH_BYTES) await this.#flush()
  }

  /** It is on the disk, with this mode. */
  async finish(mode = OWNER_FILE): Promise<BackedUpFile> {
    try {
      await this.#flush()
      await this.#handle.chmod(mode)
      await this.#handle.sync()
    } finally {
      await this.#handle.close()
    }
    return { size: this.#size, sha256: this.#hash.digest('hex') }
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.concat(this.#batch)
    this.#batch = []
    this.#batchBytes = 0
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await this.#handle.write(bytes, at)
      at += bytesWritten
    }
  }
}

/** All of it. @throws the system's error */
export async function writeFile(
  path: string,
  bytes: Uint8Array,
  mode = OWNER_FILE,
): Promise<BackedUpFile> {
  const file = await NewFile.make(path)
  await file.append(bytes)
  return file.finish(mode)
}
