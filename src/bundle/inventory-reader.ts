// Reads an inventory as its bytes come, a line at a time, and says at its end whose it is. Until
// then nothing of it may be believed: what comes last is the signature of all that came before.
import { createHash } from 'node:crypto'
import { type Digest, digestFrom } from '../oci/digest.ts'
import { bundleKeyFrom, isSignedBy, statementOf } from './bundle-key.ts'
import {
  INVENTORY_VERSION,
  type InventoryContent,
  type InventoryEnd,
  type InventoryHead,
  type InventoryImage,
  type InventoryLine,
  placeOfImage,
} from './inventory.ts'
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
    if ('end' in line && this.#head !== undefined) return this.#readEnd(line as InventoryEnd)
    this.#hash.update(bytes)
    if (this.#head === undefined) return this.#readHead(line)
    if ('image' in line) return this.#readImage(line as InventoryImage)
    if ('content' in line) return this.#readContent(line as InventoryContent)
    throw fault('has a line that nobody knows')
  }

  #readHead(line: object): InventoryHead {
    const head = line as InventoryHead
    if (head.entrepot !== 'inventory') throw fault('is none: its first line says so')
    if (head.version !== INVENTORY_VERSION)
      throw fault(`has version ${String(head.version)}; a newer entrepot reads it`)
    if (typeof head.edge !== 'string') throw fault('does not say whose it is')
    this.#head = head
    return head
  }

  #readImage(line: InventoryImage): InventoryImage {
    const { image, digest } = line
    if (typeof image !== 'string' || !isDigest(digest)) throw fault('has an image without a digest')
    const place = placeOfImage(image)
    if (this.#content !== '' || place <= this.#image) throw fault('is not in its order')
    this.#image = place
    this.#counts.images += 1
    return line
  }

  #readContent(line: InventoryContent): InventoryContent {
    const { content, size, state } = line
    if (!isDigest(content) || !Number.isSafeInteger(size) || size < 0)
      throw fault('has content without a digest or a size')
    if (content <= this.#content) throw fault('is not in its order')
    this.#content = content
    this.#counts.contents += 1
    if (state === undefined) this.#counts.bytes += size
    return line
  }

  #readEnd(line: InventoryEnd): InventoryEnd {
    const sha256 = this.#hash.digest('hex')
    const { images, contents, bytes } = this.#counts
    const said = line.end
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

function parseLine(bytes: Buffer): object {
  try {
    const line: unknown = JSON.parse(bytes.toString('utf8'))
    if (typeof line === 'object' && line !== null) return line
  } catch {}
  throw fault('has a line that is no JSON')
}

function isDigest(value: unknown): value is Digest {
  return typeof value === 'string' && digestFrom(value) !== undefined
}

function fault(what: string): BundleFault {
  return new BundleFault(`the inventory ${what}`)
}
