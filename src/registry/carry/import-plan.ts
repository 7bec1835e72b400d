// What a bundle says that it brings, as its inventory and then its manifests tell it: what is to
// come, to which repositories it belongs, and in which order it is published. In memory while the
// import runs, with bounds: no bundle makes more of it than they say.
import type {
  InventoryContent,
  InventoryHead,
  InventoryImage,
  InventoryLine,
} from '../../bundle/inventory.ts'
import { partsOfImage } from '../../bundle/inventory.ts'
import { BundleFault } from '../../bundle/tar-pieces.ts'
import { type Digest, digestFrom } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { MANIFEST_LIMIT_BYTES } from '../../oci/manifest.ts'
import {
  parseRepositoryKey,
  type Repository,
  type RepositoryKey,
  repositoryKey,
  type Tag,
  tagFrom,
} from '../../oci/reference.ts'
import { isListed } from '../content/edges.ts'
import type { RecordedManifest } from '../ports/catalog-content.ts'
import type { Order } from '../ports/order.ts'

/** As of exports; some 500 bytes each. */
const CONTENTS_MAX = 200_000
const IMAGES_MAX = 200_000
/**
 * All that manifests list, once for each repository that they are in; some 50 bytes each. Looked at
 * twice, so it bounds the work as well: about a second of it.
 */
const LINKS_MAX = 2_000_000
/** Of names, each of 255 characters at most. */
const REPOSITORIES_MAX = 100_000

export interface PlannedImage {
  /** Canonical. */
  readonly image: string
  readonly repository: Repository
  /** Undefined: no tag leads to it. */
  readonly tag: Tag | undefined
  readonly digest: Digest
  readonly order: Order | undefined
  readonly changedAtMs: number | undefined
}

export interface ExpectedContent {
  readonly digest: Digest
  readonly sizeBytes: number
  /** Of manifests alone. */
  readonly mediaType: string | undefined
  readonly state: InventoryContent['state']
  /** Of a blob, once a manifest listed it. */
  readonly repositories: Set<RepositoryKey>
  /** Of a manifest that has come: what it lists. */
  children: readonly Digest[]
  hasCome: boolean
}

export class ImportPlan {
  readonly #images: PlannedImage[] = []
  readonly #contents = new Map<Digest, ExpectedContent>()
  readonly #keys = new Map<string, RepositoryKey>()
  #head: InventoryHead | undefined
  #links = 0

  /** A line of the inventory. @throws BundleFault */
  read(line: InventoryLine): void {
    if ('entrepot' in line) this.#head = line
    else if ('image' in line) this.#addImage(line)
    else if ('content' in line) this.#addContent(line)
  }

  /** Whose bundle it is. */
  get edge(): string {
    return this.#head?.edge ?? ''
  }

  get images(): readonly PlannedImage[] {
    return this.#images
  }

  /** Undefined for what it does not name. */
  find(digest: Digest): ExpectedContent | undefined {
    return this.#contents.get(digest)
  }

  /** All that it names, whether it brings it or not. */
  digests(): Iterable<Digest> {
    return this.#contents.keys()
  }

  /** What has to be here already. */
  *supposed(): Generator<ExpectedContent> {
    for (const each of this.#contents.values()) if (each.state === 'supposed') yield each
  }

  /** An index lists it, and nobody asked for it. */
  isLeftOut(digest: Digest): boolean {
    return this.#contents.get(digest)?.state === 'left out'
  }

  /** What comes now, once. @throws BundleFault */
  come(digest: Digest, sizeBytes: number): ExpectedContent {
    const expected = this.#contents.get(digest)
    if (expected === undefined || expected.state !== undefined)
      throw new BundleFault(`the inventory does not say that it brings ${digest}`)
    if (expected.hasCome) throw new BundleFault(`${digest} comes twice`)
    if (expected.sizeBytes !== sizeBytes)
      throw new BundleFault(
        `${digest} has ${sizeBytes} bytes, and ${expected.sizeBytes} by the inventory`,
      )
    if (expected.repositories.size === 0)
      throw new BundleFault(`no manifest that came before ${digest} lists it`)
    expected.hasCome = true
    return expected
  }

  /** What a manifest lists that has come. @throws BundleFault */
  list({ digest, edges }: RecordedManifest): void {
    const parent = this.#contents.get(digest)
    if (parent === undefined) return
    const children = new Set<Digest>()
    for (const edge of edges) {
      const child = this.#contents.get(edge.child)
      if (child === undefined) {
        if (!isListed(edge)) continue
        throw new BundleFault(`${digest} lists ${edge.child}, which the inventory does not name`)
      }
      if (edge.kind !== 'subject') children.add(child.digest)
    }
    this.#count(children.size * (1 + parent.repositories.size))
    parent.children = [...children]
    // Of manifests that is said once all have come: parents may be behind their children.
    for (const each of children) {
      const child = this.#contents.get(each)
      if (child?.mediaType === undefined) addAll(child?.repositories, parent.repositories)
    }
  }

  /**
   * All has come: its manifests, brought or supposed, children before their parents; by now each
   * repository is said that has one.
   * @throws BundleFault where something is missing
   */
  async finish(pause: () => Promise<void>): Promise<readonly ExpectedContent[]> {
    for (const { digest, hasCome, state } of this.#contents.values())
      if (!hasCome && state === undefined)
        throw new BundleFault(`it ends without ${digest}, which its inventory names`)
    for (const { digest } of this.#images) {
      const content = this.#contents.get(digest)
      if (content?.mediaType === undefined || content.state === 'left out')
        throw new BundleFault(`an image leads to ${digest}, which is no manifest of it`)
    }
    return this.#manifests(pause)
  }

  async #manifests(pause: () => Promise<void>): Promise<readonly ExpectedContent[]> {
    const ordered: ExpectedContent[] = []
    const seen = new Set<Digest>()
    for (const root of this.#contents.values()) this.#walk(root, { seen, ordered })
    for (const parent of ordered.toReversed()) {
      await pause()
      for (const digest of parent.children) {
        const child = this.#contents.get(digest)
        if (child?.mediaType === undefined) continue
        // A parent may have got more of them by its own.
        this.#count(parent.repositories.size)
        addAll(child.repositories, parent.repositories)
      }
    }
    return ordered
  }

  /** Without recursion: how deep indexes are in each other, the bundle says. */
  #walk(
    root: ExpectedContent,
    { seen, ordered }: { seen: Set<Digest>; ordered: ExpectedContent[] },
  ) {
    const stack = [{ content: root, at: 0 }]
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const { content } = top
      const isToDo = content.mediaType !== undefined && content.state !== 'left out'
      if (!isToDo || (top.at === 0 && seen.has(content.digest))) {
        stack.pop()
        continue
      }
      seen.add(content.digest)
      const child = content.children[top.at]
      top.at += 1
      if (child === undefined) {
        ordered.push(content)
        stack.pop()
        continue
      }
      const below = this.#contents.get(child)
      if (below !== undefined && !seen.has(child)) stack.push({ content: below, at: 0 })
    }
  }

  #addImage({ image, digest, order, changedAtMs }: InventoryImage): void {
    if (this.#images.length === IMAGES_MAX) throw tooMuch('images', IMAGES_MAX)
    const said = partsOfImage(image)
    const repository = parseRepositoryKey(this.#key(said.name))
    const tag = tagFrom(said.tag)
    if (said.digest === undefined ? tag === undefined : digestFrom(said.digest) !== digest)
      throw new BundleFault(`${JSON.stringify(image.slice(0, 300))} is no name of an image`)
    this.#images.push({
      image,
      repository,
      tag,
      digest,
      order,
      changedAtMs,
    })
  }

  #addContent({ content: digest, size, type, in: repositories = [], state }: InventoryContent) {
    if (this.#contents.size === CONTENTS_MAX) throw tooMuch('manifests and blobs', CONTENTS_MAX)
    if (type !== undefined && size > MANIFEST_LIMIT_BYTES)
      throw new BundleFault(`the manifest ${digest} is larger than any that is kept`)
    const expected: ExpectedContent = {
      digest,
      sizeBytes: size,
      mediaType: type,
      state,
      repositories: new Set(),
      children: [],
      hasCome: false,
    }
    if (type !== undefined) {
      this.#count(repositories.length)
      for (const key of repositories) expected.repositories.add(this.#key(key))
    }
    this.#contents.set(digest, expected)
  }

  #count(links: number): void {
    this.#links += links
    if (this.#links > LINKS_MAX) throw tooMuch('links', LINKS_MAX)
  }

  /** One text for all that name it. @throws BundleFault */
  #key(text: string): RepositoryKey {
    const known = this.#keys.get(text)
    if (known !== undefined) return known
    const key = keyFrom(text)
    if (key === undefined)
      throw new BundleFault(`${JSON.stringify(text.slice(0, 300))} is no name of a repository`)
    if (this.#keys.size === REPOSITORIES_MAX) throw tooMuch('repositories', REPOSITORIES_MAX)
    this.#keys.set(text, key)
    return key
  }
}

function addAll(to: Set<RepositoryKey> | undefined, keys: Iterable<RepositoryKey>): void {
  for (const key of keys) to?.add(key)
}

function keyFrom(text: string): RepositoryKey | undefined {
  try {
    const key = repositoryKey(parseRepositoryKey(text))
    return key === text ? key : undefined
  } catch (error) {
    if (error instanceof RegistryError) return undefined
    throw error
  }
}

function tooMuch(what: string, most: number): BundleFault {
  return new BundleFault(`it has more than ${most} ${what}: export fewer images at once`)
}
