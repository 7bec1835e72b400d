// A file that a command writes: under another name until it is whole and on the disk, so that
// nothing that was cut looks like it. What is left of one can be gone on with.
import { constants, existsSync } from 'node:fs'
import { access, type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { CliError, EXIT_CODES } from './context.ts'

/** Written at once: the disk has few calls, and memory stays small. */
const BATCH_BYTES = 1024 * 1024
/** Of its owner alone: what rules hide from others is in it as well. */
const MODE = 0o600

/** Under which it is written. */
export function partOf(path: string): string {
  return `${path}.part`
}

export function hasPart(path: string): boolean {
  return existsSync(partOf(path))
}

/**
 * Where it is to be written can be: known before much is done for it.
 * @throws CliError
 */
export async function assertWritable(path: string): Promise<void> {
  await orTold(path, () => access(dirname(path), constants.W_OK))
}

export interface Output {
  /** What an earlier command has left, from its beginning. */
  left(): AsyncIterable<Uint8Array>
  /** Forgets what stands behind so many bytes; what is appended next comes there. */
  cutTo(bytes: number): Promise<void>
  /** `piece` is not to be changed any more. @throws CliError where it cannot be written */
  append(piece: Uint8Array): Promise<void>
  /** It gets its name, once it is on the disk. @throws CliError */
  finish(): Promise<void>
  /** Its part stays, to be gone on with. */
  close(): Promise<void>
}

/** A new one, or with `goOn` what an earlier command has left. @throws CliError */
export async function openOutput(path: string, { goOn = false } = {}): Promise<OutputFile> {
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
  const part = partOf(path)
  const flags = O_RDWR | O_CREAT | O_NOFOLLOW | (goOn ? 0 : O_EXCL)
  const handle = await orTold(part, async () => {
    // Whoever may write to the directory could have left one there, or a link.
    if (!goOn) await rm(part, { force: true })
    return open(part, flags, MODE)
  })
  return new OutputFile(path, handle)
}

export class OutputFile implements Output {
  readonly #path: string
  readonly #handle: FileHandle
  /** Of what is written. */
  #position = 0
  #batch: Uint8Array[] = []
  #batchBytes = 0
  #writing: Promise<void> = Promise.resolve()

  /** Its handle is closed by one of `finish`, `close` and `discard`. */
  constructor(path: string, handle: FileHandle) {
    this.#path = path
    this.#handle = handle
  }

  left(): AsyncIterable<Uint8Array> {
    const options = { start: 0, autoClose: false, highWaterMark: BATCH_BYTES }
    return this.#handle.createReadStream(options)
  }

  async cutTo(bytes: number): Promise<void> {
    this.#position = bytes
    await this.#told(() => this.#handle.truncate(bytes))
  }

  async append(piece: Uint8Array): Promise<void> {
    this.#batch.push(piece)
    this.#batchBytes += piece.length
    if (this.#batchBytes >= BATCH_BYTES) await this.#handOn()
  }

  async finish(): Promise<void> {
    await this.#flush()
    await this.#told(async () => {
      await this.#handle.sync()
      await this.#handle.close()
      await rename(partOf(this.#path), this.#path)
      const directory = await open(dirname(this.#path), constants.O_RDONLY)
      await directory.sync().finally(() => directory.close())
    })
  }

  async close(): Promise<void> {
    // What came before a failure need not come again.
    await this.#flush().catch(() => {})
    await this.#handle.close()
  }

  /** Its part goes as well. */
  async discard(): Promise<void> {
    await this.#writing.catch(() => {})
    await this.#handle.close()
    await rm(partOf(this.#path), { force: true })
  }

  /** One batch is written while the next one comes. */
  async #handOn(): Promise<void> {
    const batch = this.#batch
    const bytes = this.#batchBytes
    this.#batch = []
    this.#batchBytes = 0
    await this.#writing
    if (bytes > 0) this.#writing = this.#write(batch, bytes)
    // Told by whoever waits for it.
    this.#writing.catch(() => {})
  }

  async #flush(): Promise<void> {
    await this.#handOn()
    await this.#writing
  }

  /** As they are: to put them together first takes as long as to write them. */
  async #write(batch: readonly Uint8Array[], bytes: number): Promise<void> {
    await this.#told(async () => {
      const { bytesWritten } = await this.#handle.writev(batch, this.#position)
      this.#position += bytesWritten
      if (bytesWritten < bytes) await this.#writeAll(Buffer.concat(batch).subarray(bytesWritten))
    })
  }

  async #writeAll(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const rest = bytes.length - at
      const { bytesWritten } = await this.#handle.write(bytes, at, rest, this.#position)
      at += bytesWritten
      this.#position += bytesWritten
    }
  }

  #told<T>(act: () => Promise<T>): Promise<T> {
    return orTold(partOf(this.#path), act)
  }
}

async function orTold<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    throw new CliError(EXIT_CODES.failed, `${path} cannot be written: ${WHY[code] ?? code}`)
  }
}

const WHY: Readonly<Record<string, string>> = {
  ENOSPC: 'its file system is full',
  EDQUOT: 'its file system gives no more',
  EFBIG: 'its file system takes no files so large: use --split',
  ENOENT: 'its directory is not there',
  EACCES: 'this user may not',
  EROFS: 'its file system is read-only',
  EISDIR: 'it is a directory',
  ELOOP: 'it is a link, and none is written through',
}
