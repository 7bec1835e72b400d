// Reads an inventory as its bytes come, a line at a time: each is one that an inventory has, in its
// order, and as many as its end counts. Whose it is, signed-lines.ts says; until its end nothing of
// it may be believed.
import {
  type InventoryContent,
  type InventoryEnd,
  type InventoryHead,
  type InventoryImage,
  type InventoryLine,
  placeOfImage,
} from './inventory.ts'
import { contentFrom, fault, headFrom, imageFrom } from './inventory-lines.ts'
import { SignedLines } from './signed-lines.ts'

export class InventoryReader {
  readonly #lines = new SignedLines('inventory')
  #head: InventoryHead | undefined
  #image = ''
  #content = ''
  readonly #counts = { images: 0, contents: 0, bytes: 0 }

  /** What it says of itself, once all has come. @throws BundleFault for one that is not whole */
  finish(): InventoryHead & InventoryEnd {
    const end = this.#lines.finish() as InventoryEnd
    return { ...(this.#head as InventoryHead), ...end }
  }

  /** The lines that end in these bytes. @throws BundleFault */
  *push(bytes: Uint8Array): Generator<InventoryLine> {
    for (const line of this.#lines.push(bytes)) yield this.#read(line)
  }

  #read(line: object): InventoryLine {
    if (this.#lines.isAtEnd) return this.#readEnd(line as InventoryEnd)
    if (this.#head === undefined) return (this.#head = headFrom(line as Line))
    if ('image' in line) return this.#readImage(imageFrom(line as Line))
    if ('content' in line) return this.#readContent(contentFrom(line as Line))
    throw fault('has a line that nobody knows')
  }

  #readImage(line: InventoryImage): InventoryImage {
    const place = placeOfImage(line.image)
    if (this.#content !== '' || place <= this.#image) throw fault('is not in its order')
    this.#image = place
    this.#counts.images += 1
    return line
  }

  #readContent(line: InventoryContent): InventoryContent {
    const { content, size, state } = line
    if (content <= this.#content) throw fault('is not in its order')
    this.#content = content
    this.#counts.contents += 1
    if (state === undefined) this.#counts.bytes += size
    return line
  }

  #readEnd(line: InventoryEnd): InventoryEnd {
    const { images, contents, bytes } = this.#counts
    const said = Object(line.end) as Partial<InventoryEnd['end']>
    if (said.images === images && said.contents === contents && said.bytes === bytes) return line
    throw fault('is not what its end counts')
  }
}

type Line = Parameters<typeof headFrom>[0]
