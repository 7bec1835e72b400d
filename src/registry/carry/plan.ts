// What an export will write, gathered before its first byte: so its size is known, it can be gone
// on with at any member, and what is missing is told before a file is begun.
import type { InventoryContent, InventoryImage } from '../../bundle/inventory.ts'
import { placeOfImage } from '../../bundle/inventory.ts'
import type { LayoutImage } from '../../bundle/layout.ts'
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { RepositoryKey } from '../../oci/reference.ts'
import type { Held } from './held.ts'

/** In memory while the export runs, some 500 bytes each: more images are another export. */
const CONTENTS_MAX = 200_000

export interface PlannedContent {
  readonly digest: Digest
  /** The first that needs it, for people. */
  readonly image: string
  readonly sizeBytes: number
  /** Of manifests alone. */
  readonly mediaType?: string | undefined
  readonly subject?: Digest | undefined
  readonly isKept?: boolean
}

/** Still to be had. */
export interface PlannedBlob extends PlannedContent {
  /** Whose manifests list it: whoever gets the bundle reads it in each of these. */
  readonly repositories: ReadonlySet<RepositoryKey>
}

interface Planned extends PlannedContent {
  readonly repositories: Set<RepositoryKey>
}

export class ExportPlan {
  readonly #held: Held
  readonly #images = new Map<string, InventoryImage>()
  readonly #contents = new Map<Digest, Planned>()
  readonly #leftOut = new Map<Digest, InventoryContent>()
  readonly #supposed = new Set<Digest>()
  readonly #holding = new Set<Digest>()

  constructor(held: Held) {
    this.#held = held
  }

  has(digest: Digest): boolean {
    return this.#contents.has(digest)
  }

  /** From now on these do not leave, whether they are here yet or not. */
  hold(digests: Iterable<Digest>): void {
    const fresh = [...new Set(digests)].filter(each => !this.#holding.has(each))
    if (fresh.length === 0) return
    for (const each of fresh) this.#holding.add(each)
    this.#held.hold(fresh)
  }

  /** Of all that is held. */
  end(): void {
    this.#held.release(this.#holding)
    this.#holding.clear()
  }

  addImage(image: InventoryImage): void {
    this.#images.set(image.image, image)
  }

  /** @throws RegistryError where that is too much */
  addContent(repository: RepositoryKey, content: PlannedContent): void {
    const { digest } = content
    const known = this.#contents.get(digest)
    known?.repositories.add(repository)
    if (known !== undefined) return
    if (this.#contents.size === CONTENTS_MAX) throw tooMuch()
    this.#contents.set(digest, { ...content, repositories: new Set([repository]) })
  }

  /** Whoever gets the bundle has these: they are named in it, and not brought. */
  suppose(digests: Iterable<Digest>): void {
    for (const digest of digests) if (this.has(digest)) this.#supposed.add(digest)
  }

  /** All that the images are made of. */
  digests(): readonly Digest[] {
    return [...this.#contents.keys()]
  }

  /** Blobs that the bundle is to bring. */
  wantedBlobs(): readonly PlannedBlob[] {
    return [...this.#contents.values()].filter(
      each => !isManifest(each) && !this.#supposed.has(each.digest),
    )
  }

  /** What a blob turned out to be, once it is here. */
  found(digest: Digest, as: { readonly sizeBytes: number; readonly isKept: boolean }): void {
    const planned = this.#contents.get(digest)
    if (planned !== undefined) this.#contents.set(digest, { ...planned, ...as })
  }

  /** Undefined for what is not planned. */
  find(digest: Digest): PlannedContent | undefined {
    return this.#contents.get(digest)
  }

  /** An index lists it, and nobody asked for it. */
  leaveOut(content: Digest, { size, type }: { size: number; type: string }): void {
    this.#leftOut.set(content, { content, size, type, state: 'left out' })
  }

  get counts() {
    const contents = [...this.#contents.values()]
    return {
      images: this.#images.size,
      manifests: contents.filter(isManifest).length,
      blobs: contents.filter(each => !isManifest(each)).length,
      supposed: this.#supposed.size,
      leftOut: [...this.#leftOut.keys()].filter(each => !this.has(each)).length,
    }
  }

  /** In the order of the inventory. */
  images(): readonly InventoryImage[] {
    const places = new Map([...this.#images.keys()].map(each => [each, placeOfImage(each)]))
    return [...this.#images.values()].sort((a, b) =>
      (places.get(a.image) ?? '') < (places.get(b.image) ?? '') ? -1 : 1,
    )
  }

  /** In the order of the inventory: also what an index lists that nobody asked for. */
  *contents(): Generator<InventoryContent> {
    const leftOut = [...this.#leftOut.keys()].filter(each => !this.has(each))
    for (const digest of [...this.#contents.keys(), ...leftOut].sort()) {
      const planned = this.#contents.get(digest)
      const left = this.#leftOut.get(digest)
      if (planned !== undefined)
        yield { ...contentLine(planned), ...(this.#supposed.has(digest) && SUPPOSED) }
      else if (left !== undefined) yield left
    }
  }

  /** What the bundle's index tells of: images by name, then what is about them and has none. */
  layoutImages(): readonly LayoutImage[] {
    const named = this.images().map(({ image: name, digest }) => ({ digest, name }))
    const byName = new Set(named.map(({ digest }) => digest))
    const unnamed = this.#sorted()
      .filter(each => each.subject !== undefined && !byName.has(each.digest))
      .map(({ digest, subject }) => ({ digest, subject, name: undefined }))
    return [...named, ...unnamed].map(image => {
      const { sizeBytes = 0, mediaType = '' } = this.#contents.get(image.digest) ?? {}
      return { ...image, sizeBytes, mediaType }
    })
  }

  /** What the bundle brings: manifests, then blobs, each by digest. */
  brought(): readonly PlannedContent[] {
    const sorted = this.#sorted().filter(({ digest }) => !this.#supposed.has(digest))
    return [...sorted.filter(isManifest), ...sorted.filter(each => !isManifest(each))]
  }

  #sorted(): readonly Planned[] {
    return [...this.#contents.values()].sort((a, b) => (a.digest < b.digest ? -1 : 1))
  }
}

const SUPPOSED = { state: 'supposed' } as const

function isManifest({ mediaType }: PlannedContent): boolean {
  return mediaType !== undefined
}

function contentLine({ digest, sizeBytes, mediaType, ...rest }: Planned): InventoryContent {
  const { subject, isKept = false, repositories } = rest
  return {
    content: digest,
    size: sizeBytes,
    ...(mediaType !== undefined && { type: mediaType, in: [...repositories].sort() }),
    ...(subject !== undefined && { subject }),
    ...(isKept && { kept: true as const }),
  }
}

function tooMuch(): RegistryError {
  const message = `one export takes ${CONTENTS_MAX} manifests and blobs at most: make several, of fewer images each`
  return new RegistryError('TOOMANYREQUESTS', message)
}
