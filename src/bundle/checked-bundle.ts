// A bundle on its way to a file: passed on byte for byte, and checked on that way. No blob is
// passed on whole before its bytes were those of its digest, so what comes out is right, or cut.
import { createHash, type Hash } from 'node:crypto'
import { type Digest, digestAlgorithm } from '../oci/digest.ts'
import { InventoryReader } from './inventory-reader.ts'
import { digestOfName, INDEX_NAME, INVENTORY_NAME, LAYOUT_NAME, LAYOUT_TEXT } from './layout.ts'
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
  /** SHA-256 of its index; undefined before that has come. */
  #index: string | undefined
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
        if (piece.raw.some(byte => byte !== 0)) throw new BundleFault('something stands between')
        member?.finish()
        if (held !== undefined) yield held
        held = undefined
      }
      if (piece.kind === 'head') member = this.#checkOf(piece.member)
      if (piece.raw.length > 0) yield piece.raw
      if (piece.kind === 'padding') this.#verifiedBytes = position
      if (piece.kind === 'end') this.#isWhole = true
    }
    this.#verifiedBytes = position
  }

  #checkOf({ name, kind }: ReadMember): MemberCheck {
    if (kind !== 'file') throw new BundleFault(`${JSON.stringify(name)} is no file`)
    const digest = digestOfName(name)
    if (digest !== undefined) return checkBlob(digest)
    if (name === INVENTORY_NAME) return this.#checkInventory()
    if (name === INDEX_NAME) return hashed(sha256 => (this.#index = sha256))
    if (name === LAYOUT_NAME) return hashed(assertLayout)
    throw new BundleFault(`${JSON.stringify(name)} belongs into no bundle`)
  }

  #checkInventory(): MemberCheck {
    const reader = new InventoryReader()
    const whole = hashed(sha256 => (this.#inventory = sha256))
    return {
      update: bytes => {
        whole.update(bytes)
        for (const _ of reader.push(bytes));
      },
      finish: () => {
        if (reader.finish().index !== this.#index)
          throw new BundleFault(`${INDEX_NAME} is not the one that was signed`)
        whole.finish()
      },
    }
  }
}

interface MemberCheck {
  update(bytes: Uint8Array): void
  /** @throws BundleFault */
  finish(): void
}

/** `done` is given the SHA-256 of all bytes. */
function hashed(done: (sha256: string) => void): MemberCheck {
  const hash = createHash('sha256')
  return { update: bytes => void hash.update(bytes), finish: () => done(hash.digest('hex')) }
}

function assertLayout(sha256: string): void {
  if (sha256 !== createHash('sha256').update(LAYOUT_TEXT).digest('hex'))
    throw new BundleFault(`${LAYOUT_NAME} says something else than this version`)
}

function checkBlob(digest: Digest): MemberCheck {
  const algorithm = digestAlgorithm(digest)
  const hash: Hash = createHash(algorithm)
  return {
    update: bytes => void hash.update(bytes),
    finish: () => {
      if (`${algorithm}:${hash.digest('hex')}` !== digest) throw new RottenBlob(digest)
    },
  }
}
