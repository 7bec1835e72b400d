// Inventories that a command is given: of what is somewhere else already.
import { createReadStream } from 'node:fs'
import { InventoryReader } from '../bundle/inventory-reader.ts'
import { INVENTORY_NAME } from '../bundle/layout.ts'
import { BundleFault, tarPieces } from '../bundle/tar-pieces.ts'
import { CliError, EXIT_CODES } from './context.ts'

/** What tells an archive from lines of JSON: the name of its first member. */
const LINE_BEGINS = 0x7b

/**
 * Is this content there, by any of them? Each is an inventory, or a bundle that has one.
 * @throws CliError for what is none, or cannot be read
 */
export async function readThere(files: readonly string[]): Promise<(digest: string) => boolean> {
  const there = new Set<string>()
  for (const file of files) await addThere(file, there)
  return digest => there.has(digest)
}

async function addThere(file: string, there: Set<string>): Promise<void> {
  const reader = new InventoryReader()
  try {
    // What one bundle supposed to be there is there, or that one could not be used.
    for await (const piece of inventoryIn(file))
      for (const line of reader.push(piece))
        if ('content' in line && line.state !== 'left out') there.add(line.content)
    reader.finish()
  } catch (error) {
    const why = error instanceof BundleFault ? error.message : 'it cannot be read'
    throw new CliError(EXIT_CODES.failed, `--since ${file}: ${why}`)
  }
}

/** Its bytes, of the inventory alone. @throws BundleFault; the system's errors */
async function* inventoryIn(file: string): AsyncGenerator<Uint8Array> {
  const first = createReadStream(file, { end: 0 }) as AsyncIterable<Buffer>
  let isText = false
  for await (const [byte] of first) isText = byte === LINE_BEGINS
  if (isText) return yield* createReadStream(file)
  let isInventory = false
  for await (const piece of tarPieces(createReadStream(file))) {
    if (piece.kind === 'bytes' && isInventory) yield piece.raw
    if (piece.kind === 'padding' && isInventory) return
    if (piece.kind === 'head') isInventory = piece.member.name === INVENTORY_NAME
  }
  throw new BundleFault('there is no inventory in it')
}

/** What it says of itself. */
export type CheckedEnd = ReturnType<InventoryReader['finish']>

/** The same bytes. @throws CliError for what is cut, or not right */
export async function* checkedInventory(
  pieces: AsyncIterable<Uint8Array>,
  done: (end: CheckedEnd) => void,
): AsyncGenerator<Uint8Array> {
  const reader = new InventoryReader()
  try {
    for await (const piece of pieces) {
      for (const _ of reader.push(piece));
      yield piece
    }
    done(reader.finish())
  } catch (error) {
    if (!(error instanceof BundleFault)) throw error
    throw new CliError(EXIT_CODES.failed, `nothing was written: ${error.message}`)
  }
}
