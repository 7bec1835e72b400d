// A bundle on its way to a file: passed on byte for byte, and checked on that way. No blob is
// passed on whole before its bytes were those of its digest, so what comes out is right, or cut.
import { createHash, type Hash } from 'node:crypto'
import { type Digest, digestAlgorithm } from '../oci/digest.ts'
import { InventoryReader } from './inventory-reader.ts'
import { digestOfName, INDEX_NAME, INVENTORY_NAME, LAYOUT_NAME } from './layout.ts'
import { BundleFault, type ReadMember, tarPieces } from './tar-pieces.ts'

/** A blob whose bytes are not those of its digest. */
export class RottenBlob extends BundleFault {
  readonly digest: Digest

  constructor(digest: Digest) {
    super(`the bytes of ${digest} are others than its digest says`)
    this.name = 'RottenBlob'
    this.digest = digest
  }
}

/** Of one bundle, which may come in several stretches: each from the beginning of a member. */
export class CheckedBundle {
  #verifiedBytes = 0
  #inventory: string | undefined
  #isWhole = false

  /** So many bytes from its beginning are members that are whole, and right. */
  get verifiedBytes(): number {
    return this.#verifiedBytes
  }

  /** Its inventory's SHA-256, with its end. Undefined before all of it has come. */
  get inventory(): string | undefined {
    return this.#inventory
  }

  /** It has come to its end. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  /** The same bytes. @throws BundleFault, RottenBlob */
  async *pass(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let member: MemberCheck | undefined
    /** Of a member, its last piece: not passed on before it is known to be right. */
    let held: Uint8Array | undefined
    let position = this.#verifiedBytes
    for await (const piece of tarPieces(source)) {
      position += piece.raw.length
      if (piece.kind === 'bytes') {
        if (held !== undefined) yield held
        member?.update(piece.raw)
        held = piece.raw
        continue
      }
      if (piece.kind === 'padding') {
        this.#inventory = member?.finish() ?? this.#inventory
        if (held !== undefined) yield held
        held = undefined
      }
      if (piece.kind === 'head') member = checkOf(piece.member)
      if (piece.raw.length > 0) yield piece.raw
      if (piece.kind === 'padding') this.#verifiedBytes = position
      if (piece.kind === 'end') this.#isWhole = true
    }
    this.#verifiedBytes = position
  }
}

interface MemberCheck {
  update(bytes: Uint8Array): void
  /** @returns the inventory's SHA-256, of the inventory. @throws BundleFault */
  finish(): string | undefined
}

/** Undefined for what has nothing to be checked by. */
function checkOf({ name, kind }: ReadMember): MemberCheck | undefined {
  if (kind !== 'file') throw new BundleFault(`${JSON.stringify(name)} is no file`)
  if (name === INVENTORY_NAME) return checkInventory()
  const digest = digestOfName(name)
  if (digest !== undefined) return checkBlob(digest)
  if (name === LAYOUT_NAME || name === INDEX_NAME) return undefined
  throw new BundleFault(`${JSON.stringify(name)} belongs into no bundle`)
}

function checkInventory(): MemberCheck {
  const reader = new InventoryReader()
  const hash = createHash('sha256')
  return {
    update: bytes => {
      hash.update(bytes)
      for (const _ of reader.push(bytes));
    },
    finish: () => {
      reader.finish()
      return hash.digest('hex')
    },
  }
}

function checkBlob(digest: Digest): MemberCheck {
  const algorithm = digestAlgorithm(digest)
  const hash: Hash = createHash(algorithm)
  return {
    update: bytes => void hash.update(bytes),
    finish: () => {
      if (`${algorithm}:${hash.digest('hex')}` !== digest) throw new RottenBlob(digest)
      return undefined
    },
  }
}
