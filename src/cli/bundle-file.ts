// Where a bundle goes: a file, or volumes, that appear when they are whole, or standard output. It
// is checked on its way, and what an earlier command has left of the same bundle is checked and
// kept.
import { CheckedBundle } from '../bundle/checked-bundle.ts'
import { BundleFault } from '../bundle/tar-pieces.ts'
import type { CliContext } from './context.ts'
import { hasPart, openOutput, type Output } from './output-file.ts'
import { Volumes, type VolumesOptions } from './volumes.ts'

export interface BundleOutput {
  /** `inventory`: of the bundle. Resolves to the byte from which on it is still to come. */
  goOn(inventory: string): Promise<number>
  /** @throws RottenBlob, BundleFault; CliError where it cannot be written */
  take(pieces: AsyncIterable<Uint8Array>): Promise<void>
  /** It is not whole. */
  close(): Promise<void>
  finish(): Promise<void>
}

export class BundleFile implements BundleOutput {
  readonly #output: Output
  readonly #hasLeft: boolean
  #check = new CheckedBundle()

  private constructor(output: Output, hasLeft: boolean) {
    this.#output = output
    this.#hasLeft = hasLeft
  }

  /** `-`: standard output. @throws CliError where it cannot be written */
  static async open(
    path: string,
    { context, split }: { context: CliContext; split: VolumesOptions | undefined },
  ): Promise<BundleFile> {
    if (path === '-') return new BundleFile(pipeTo(context), false)
    if (split !== undefined) {
      const volumes = new Volumes(path, split)
      return new BundleFile(volumes, volumes.hasLeft)
    }
    const hasLeft = hasPart(path)
    return new BundleFile(await openOutput(path, { goOn: hasLeft }), hasLeft)
  }

  async goOn(inventory: string): Promise<number> {
    if (this.#hasLeft) this.#check = (await checkLeft(this.#output, inventory)) ?? this.#check
    const { verifiedBytes } = this.#check
    await this.#output.cutTo(verifiedBytes)
    return verifiedBytes
  }

  async take(pieces: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const piece of this.#check.pass(pieces)) await this.#output.append(piece)
    if (!this.#check.isWhole) throw new BundleFault('it ends before its end', { isCut: true })
  }

  close(): Promise<void> {
    return this.#output.close()
  }

  finish(): Promise<void> {
    return this.#output.finish()
  }
}

/** Undefined where it is of another bundle. Where it ends, or is damaged, it is gone on with. */
async function checkLeft(output: Output, inventory: string): Promise<CheckedBundle | undefined> {
  const check = new CheckedBundle()
  try {
    for await (const _ of check.pass(output.left()));
  } catch (error) {
    if (!(error instanceof BundleFault)) throw error
  }
  return check.inventory === inventory && !check.isWhole ? check : undefined
}

function pipeTo({ stdout }: CliContext): Output {
  const nothing = async () => {}
  return {
    left: async function* () {},
    cutTo: nothing,
    append: async piece => void stdout.write(piece),
    finish: nothing,
    close: nothing,
  }
}
