// A bundle as a directory: the image layout unpacked, for tools that read no archives. Each member
// gets its name once it is whole, and the index last, without which a directory is no layout.
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { CheckedBundle } from '../bundle/checked-bundle.ts'
import { INDEX_NAME } from '../bundle/layout.ts'
import { BundleFault, tarPieces } from '../bundle/tar-pieces.ts'
import type { BundleOutput, GoesOn } from './bundle-file.ts'
import { openOutput, type OutputFile } from './output-file.ts'

export class BundleDirectory implements BundleOutput {
  readonly #path: string
  #member: OutputFile | undefined
  #index: OutputFile | undefined

  constructor(path: string) {
    this.#path = path
  }

  /** What lies there of an earlier one is written over. */
  async goOn(): Promise<GoesOn> {
    return { from: 0, wasOther: false }
  }

  async take(pieces: AsyncIterable<Uint8Array>): Promise<void> {
    const check = new CheckedBundle()
    let isIndex = false
    for await (const piece of tarPieces(check.pass(pieces))) {
      switch (piece.kind) {
        case 'head':
          isIndex = piece.member.name === INDEX_NAME
          this.#member = await openMember(join(this.#path, piece.member.name))
          break
        case 'bytes':
          await this.#member?.append(piece.raw)
          break
        case 'padding':
          if (isIndex) this.#index = this.#member
          else await this.#member?.finish()
          this.#member = undefined
          break
        case 'end':
          break
      }
    }
    if (!check.isWhole) throw new BundleFault('it ends before its end', { isCut: true })
  }

  async close(): Promise<void> {
    await this.#member?.discard()
    await this.#index?.discard()
  }

  async finish(): Promise<void> {
    await this.#index?.finish()
  }
}

/** Its name was checked: there is no way out of the directory by it. */
async function openMember(path: string): Promise<OutputFile> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  return openOutput(path)
}
