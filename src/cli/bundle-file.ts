// Where a bundle goes: a file, or volumes, that appear when they are whole, or standard output. It
// is checked on its way, and what an earlier command has left of the same bundle is checked and
// kept.
import { CheckedBundle } from '../bundle/checked-bundle.ts'
import { BundleFault } from '../bundle/tar-pieces.ts'
import type { CliContext } from './context.ts'
import { hasPart, openOutput, type Output } from './output-file.ts'
import { Volumes, type VolumesOptions } from './volumes.ts'

export interface GoesOn {
  /** The byte from which on the bundle is still to come. */
  readonly from: number
  /** What an earlier command has left is of another one, and is gone. */
  readonly wasOther: boolean
}

export interface BundleOutput {
  /** `inventory`: of the bundle. */
  goOn(inventory: string): Promise<GoesOn>
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

  async goOn(inventory: string): Promise<GoesOn> {
    const left = this.#hasLeft ? await checkLeft(this.#output) : undefined
    const isSame = left?.inventory === inventory
    if (left !== undefined && isSame && !left.isWhole) this.#check = left
    const { verifiedBytes: from } = this.#check
    await this.#output.cutTo(from)
    return { from, wasOther: left?.inventory !== undefined && !isSame }
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

/** Up to where it ends, or is damaged. */
async function checkLeft(output: Output): Promise<CheckedBundle> {
  const check = new CheckedBundle()
  try {
    for await (const _ of check.pass(output.left()));
  } catch (error) {
    if (!(error instanceof BundleFault)) throw error
  }
  return check
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
