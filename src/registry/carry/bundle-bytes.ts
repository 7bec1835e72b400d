// The bytes of a bundle, made from a plan: an archive of an OCI image layout, the same for the same
// plan, and so to be gone on with from any of its members. Blobs are read as they are sent, a piece
// at a time; nothing of them stays in memory.
import { createHash } from 'node:crypto'
import type { BundleSigner } from '../../bundle/bundle-key.ts'
import { writeInventory } from '../../bundle/inventory.ts'
import {
  blobName,
  INDEX_NAME,
  INVENTORY_NAME,
  LAYOUT_NAME,
  LAYOUT_TEXT,
  writeIndex,
} from '../../bundle/layout.ts'
import { paddingOf, TAR_END_BYTES, tarBytesOf, tarHead } from '../../bundle/tar-head.ts'
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { ExportPlan } from './plan.ts'
import { readBlob } from './read-blob.ts'

interface Member {
  readonly name: string
  readonly sizeBytes: number
  /** Where its head begins. */
  readonly from: number
  read(): AsyncIterable<Uint8Array>
}

export interface BundleDeps {
  readonly store: Pick<BlobStore, 'openRead'>
  readonly signer: BundleSigner
  readonly edge: string
}

export class BundleBytes {
  readonly #members: readonly Member[]
  readonly sizeBytes: number
  /** Its inventory's SHA-256: another one is another bundle. */
  readonly inventory: string

  private constructor(members: readonly Member[], sizeBytes: number, inventory: string) {
    this.#members = members
    this.sizeBytes = sizeBytes
    this.inventory = inventory
  }

  /** Nothing may be added to the plan any more. */
  static async of(plan: ExportPlan, deps: BundleDeps): Promise<BundleBytes> {
    const images = plan.layoutImages()
    const index = () => writeIndex(images)
    const ofIndex = await measure(index())
    const inventory = () =>
      writeInventory(
        {
          edge: deps.edge,
          index: ofIndex.sha256,
          images: plan.images(),
          contents: plan.contents(),
        },
        deps.signer,
      )
    const ofInventory = await measure(inventory())
    const members: Member[] = []
    let from = 0
    const add = (name: string, sizeBytes: number, read: Member['read']) => {
      members.push({ name, sizeBytes, from, read })
      from += tarBytesOf({ name, sizeBytes })
    }
    add(LAYOUT_NAME, LAYOUT_TEXT.length, () => eachOf([Buffer.from(LAYOUT_TEXT)]))
    add(INDEX_NAME, ofIndex.sizeBytes, () => eachOf(index()))
    add(INVENTORY_NAME, ofInventory.sizeBytes, inventory)
    for (const { digest, sizeBytes } of plan.brought())
      add(blobName(digest), sizeBytes, () => readBlob(deps.store, digest, { sizeBytes, gone }))
    return new BundleBytes(members, from + TAR_END_BYTES, ofInventory.sha256)
  }

  /**
   * From a place where a member begins, or its end does. A piece is good until the next one is
   * asked for.
   * @throws RegistryError RANGE_INVALID for another place, UNAVAILABLE for a blob that is gone
   */
  read(from: number): AsyncIterable<Uint8Array> {
    const end = this.sizeBytes - TAR_END_BYTES
    const at =
      from === end ? this.#members.length : this.#members.findIndex(each => each.from === from)
    if (at !== -1) return write(this.#members.slice(at))
    throw new RegistryError('RANGE_INVALID', 'no member of this bundle begins there')
  }
}

async function* write(members: readonly Member[]): AsyncGenerator<Uint8Array> {
  for (const member of members) {
    yield tarHead(member)
    yield* member.read()
    yield Buffer.alloc(paddingOf(member.sizeBytes))
  }
  yield Buffer.alloc(TAR_END_BYTES)
}

function gone(digest: Digest): RegistryError {
  const message = `${digest} is not on the disk any more: export again, which brings it from its upstream`
  return new RegistryError('UNAVAILABLE', message)
}

async function measure(pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>) {
  const hash = createHash('sha256')
  let sizeBytes = 0
  for await (const piece of pieces) {
    sizeBytes += piece.length
    hash.update(piece)
  }
  return { sizeBytes, sha256: hash.digest('hex') }
}

async function* eachOf(pieces: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* pieces
}
