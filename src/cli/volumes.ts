// A bundle in volumes, for media that are smaller than it: FILE.001, FILE.002 and so on, each with
// its name once it is whole, and FILE.sums last, which says of each what it is to be.
import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { basename } from 'node:path'
import { type SignedSums, sumsEnd, sumsOf, type Volume } from '../bundle/sums.ts'
import { CliError, EXIT_CODES } from './context.ts'
import { hasPart, openOutput, type Output, type OutputFile, partOf } from './output-file.ts'

/** As many as three digits name. */
const VOLUMES_MAX = 999

export interface VolumesOptions {
  /** Of each but the last. */
  readonly volumeBytes: number
  /** The sums, by their SHA-256. */
  readonly sign: (sha256: string) => Promise<SignedSums>
}

export class Volumes implements Output {
  readonly #path: string
  readonly #options: VolumesOptions
  #open: OutputFile | undefined
  /** Of the one that is written, from 0. */
  #at = 0
  /** In it. */
  #bytes = 0

  constructor(path: string, options: VolumesOptions) {
    this.#path = path
    this.#options = options
  }

  /** Is there anything that an earlier command has left? */
  get hasLeft(): boolean {
    return this.#whole() > 0 || hasPart(this.#nameOf(0))
  }

  async *left(): AsyncGenerator<Uint8Array> {
    const whole = this.#whole()
    for (let at = 0; at < whole; at += 1) yield* createReadStream(this.#nameOf(at))
    if (hasPart(this.#nameOf(whole))) yield* createReadStream(partOf(this.#nameOf(whole)))
  }

  async cutTo(bytes: number): Promise<void> {
    const { volumeBytes } = this.#options
    this.#at = Math.floor(bytes / volumeBytes)
    this.#bytes = bytes % volumeBytes
    // From then on they are no bundle, before they are another one.
    await rm(this.#sums, { force: true })
    for (let at = this.#at + 1; existsSync(this.#nameOf(at)); at += 1) await rm(this.#nameOf(at))
    const name = this.#nameOf(this.#at)
    if (existsSync(name)) await rename(name, partOf(name))
    if (this.#bytes === 0) return
    this.#open = await openOutput(name, { goOn: true })
    await this.#open.cutTo(this.#bytes)
  }

  async append(piece: Uint8Array): Promise<void> {
    const { volumeBytes } = this.#options
    for (let rest = piece; rest.length > 0; ) {
      this.#open ??= await openOutput(this.#nameOf(this.#at))
      const own = rest.subarray(0, volumeBytes - this.#bytes)
      await this.#open.append(own)
      this.#bytes += own.length
      rest = rest.subarray(own.length)
      if (this.#bytes === volumeBytes) await this.#next()
    }
  }

  async finish(): Promise<void> {
    if (this.#open !== undefined) await this.#next()
    const volumes: Volume[] = []
    for (let at = 0; at < this.#at; at += 1) volumes.push(await sumOf(this.#nameOf(at)))
    const { text, sha256 } = sumsOf(volumes)
    const sums = await openOutput(this.#sums)
    await sums.append(Buffer.from(text + sumsEnd(await this.#options.sign(sha256))))
    await sums.finish()
  }

  async close(): Promise<void> {
    await this.#open?.close()
  }

  async #next(): Promise<void> {
    await this.#open?.finish()
    this.#open = undefined
    this.#at += 1
    this.#bytes = 0
  }

  /** How many follow each other from the first one on. */
  #whole(): number {
    let at = 0
    while (at < VOLUMES_MAX && existsSync(this.#nameOf(at))) at += 1
    return at
  }

  get #sums(): string {
    return `${this.#path}.sums`
  }

  /** @throws CliError */
  #nameOf(at: number): string {
    if (at < VOLUMES_MAX) return `${this.#path}.${String(at + 1).padStart(3, '0')}`
    throw new CliError(
      EXIT_CODES.failed,
      `there would be more than ${VOLUMES_MAX} volumes: --split in larger ones`,
    )
  }
}

/** Read back: what stands on the medium counts. */
export async function sumOf(file: string): Promise<Volume> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  for await (const piece of createReadStream(file) as AsyncIterable<Buffer>) {
    hash.update(piece)
    sizeBytes += piece.length
  }
  return { name: basename(file), sizeBytes, sha256: hash.digest('hex') }
}
