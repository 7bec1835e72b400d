// Reads an inventory as its bytes come, a line at a time, and says at its end whose it is. Until
// then nothing of it may be believed: what comes last is the signature of all that came before.
import { createHash } from 'node:crypto'
import { bundleKeyFrom, isSignedBy, statementOf } from './bundle-key.ts'
import {
  type InventoryContent,
  type InventoryEnd,
  type InventoryHead,
  type InventoryImage,
  type InventoryLine,
  placeOfImage,
} from './inventory.ts'
import { contentFrom, fault, headFrom, imageFrom } from './inventory-lines.ts'
import { BundleFault } from './tar-pieces.ts'

/** A manifest may be in a thousand repositories, of 255 characters each. */
const LINE_MAX_BYTES = 1024 * 1024
const LINE_FEED = 0x0a

export class InventoryReader {
  readonly #hash = createHash('sha256')
  #rest: Buffer = Buffer.alloc(0)
  #head: InventoryHead | undefined
  #end: InventoryEnd | undefined
  #image = ''
  #content = ''
  readonly #counts = { images: 0, contents: 0, bytes: 0 }

  /** What it says of itself, once all has come. @throws BundleFault for one that is not whole */
  finish(): InventoryHead & InventoryEnd {
    if (this.#rest.length > 0 || this.#head === undefined || this.#end === undefined)
      throw new BundleFault('the inventory ends before its end', { isCut: true })
    return { ...this.#head, ...this.#end }
  }

  /** The lines that end in these bytes. @throws BundleFault */
  *push(bytes: Uint8Array): Generator<InventoryLine> {
    let rest = this.#rest.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#rest, bytes])
    for (let feed = rest.indexOf(LINE_FEED); feed !== -1; feed = rest.indexOf(LINE_FEED)) {
      const line = rest.subarray(0, feed + 1)
      rest = rest.subarray(feed + 1)
      yield this.#read(line)
    }
    if (rest.length > LINE_MAX_BYTES) throw fault('has a line that is too long')
    this.#rest = rest
  }

  #read(bytes: Buffer): InventoryLine {
    if (this.#end !== undefined) throw fault('goes on behind its signature')
    const line = parseLine(bytes)
    if ('end' in line && this.#head !== undefined)
      return this.#readEnd(line as unknown as InventoryEnd)
    this.#hash.update(bytes)
    if (this.#head === undefined) return (this.#head = headFrom(line))
    if ('image' in line) return this.#readImage(imageFrom(line))
    if ('content' in line) return this.#readContent(contentFrom(line))
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
    const sha256 = this.#hash.digest('hex')
    const { images, contents, bytes } = this.#counts
    const said = Object(line.end) as Partial<InventoryEnd['end']>
    if (line.sha256 !== sha256) throw fault('is not the one that was signed')
    if (said.images !== images || said.contents !== contents || said.bytes !== bytes)
      throw fault('is not what its end counts')
    const key = typeof line.key === 'string' ? bundleKeyFrom(line.key) : undefined
    const signature = Buffer.from(String(line.signature), 'base64')
    const isPlain = signature.toString('base64') === line.signature
    if (
      key === undefined ||
      !isPlain ||
      !isSignedBy(key, statementOf('inventory', sha256), signature)
    )
      throw fault('is not signed by the key that it names')
    this.#end = line
    return line
  }
}

function parseLine(bytes: Buffer): Record<string, unknown> {
  try {
    const line: unknown = JSON.parse(bytes.toString('utf8'))
    if (typeof line === 'object' && line !== null) return line as Record<string, unknown>
  } catch {}
  throw fault('has a line that is no JSON')
}
