// What an archive of another program has, as an import is planned: which manifests of it are
// published in which repositories, what they list, and what is left out. Walked once all of it is
// here and verified; the same bounds hold as for what an edge exports.
import { BundleFault } from '../../bundle/tar-pieces.ts'
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { type Manifest, parseManifest } from '../../oci/manifest.ts'
import { formatImage, type RepositoryKey, repositoryKey } from '../../oci/reference.ts'
import { asRecorded, INDEX_DEPTH_MAX, isBlob } from '../content/edges.ts'
import type { ArchiveContents } from './archive-contents.ts'
import type { ImageName } from './archive-names.ts'
import type { ImportPlan } from './import-plan.ts'

/** A tag that comes from an archive is as new as its import, by this edge's clock. */
export const ARCHIVES = 'archives'
/** Manifests in repositories: each is read for each of them. */
const WALKED_MAX = 200_000

interface PlannedManifest {
  readonly sizeBytes: number
  readonly mediaType: string
  readonly repositories: Set<RepositoryKey>
}

interface Step {
  readonly digest: Digest
  readonly mediaType: string
  readonly depth: number
}

export class ArchivePlan {
  readonly #contents: ArchiveContents
  readonly #images: { readonly image: string; readonly digest: Digest }[] = []
  readonly #manifests = new Map<Digest, PlannedManifest>()
  readonly #blobs = new Set<Digest>()
  /** How large they are, by who lists them. */
  readonly #leftOut = new Map<Digest, { readonly sizeBytes: number; readonly mediaType: string }>()
  #walked = 0

  constructor(contents: ArchiveContents) {
    this.#contents = contents
  }

  get images(): number {
    return this.#images.length
  }

  /** Platforms of an index, for example. */
  get leftOut(): number {
    return this.#leftOut.size
  }

  /** @throws BundleFault where not all of it is here */
  async addImage({ repository, tag }: ImageName, root: Omit<Step, 'depth'>): Promise<void> {
    const image = formatImage(repository, { kind: 'tag', tag })
    if (this.#images.some(each => each.image === image && each.digest !== root.digest))
      throw new BundleFault(`${image} is two images`)
    if (this.#images.some(each => each.image === image)) return
    await this.#walk(repositoryKey(repository), { ...root, depth: 0 })
    this.#images.push({ image, digest: root.digest })
  }

  /**
   * What is about a manifest of the plan goes where that is. False: it is about none.
   * @throws BundleFault as of images
   */
  async addReferrer(root: Omit<Step, 'depth'>): Promise<boolean> {
    const { subject } = parsed(await this.#contents.bytesOf(root.digest), root)
    const about = subject?.digest && this.#manifests.get(subject.digest)
    if (about === undefined) return false
    for (const key of about.repositories) await this.#walk(key, { ...root, depth: 0 })
    return true
  }

  /** All of it, as an inventory would say it. @throws BundleFault */
  async fill(plan: ImportPlan, nowMs: number): Promise<void> {
    plan.read({ entrepot: 'inventory', version: 1, edge: ARCHIVES })
    for (const each of this.#images) plan.read({ ...each, changedAtMs: nowMs })
    for (const [content, { sizeBytes: size, mediaType: type, repositories }] of this.#manifests)
      plan.read({ content, size, type, in: [...repositories] })
    // Nobody says of a manifest that it is a blob, but an attacker.
    const blobs = [...this.#blobs].filter(digest => !this.#manifests.has(digest))
    for (const content of blobs) plan.read({ content, size: this.#contents.sizeOf(content) ?? 0 })
    for (const [content, { sizeBytes: size, mediaType: type }] of this.#leftOut)
      if (!this.#manifests.has(content)) plan.read({ content, size, type, state: 'left out' })
    for (const [digest, { sizeBytes, mediaType }] of this.#manifests) {
      const bytes = await this.#contents.bytesOf(digest)
      plan.come(digest, sizeBytes)
      plan.list(asRecorded(parsed(bytes, { digest, mediaType }), digest, sizeBytes))
    }
    for (const digest of blobs) plan.come(digest, this.#contents.sizeOf(digest) ?? 0)
  }

  /** Without recursion: how deep indexes are in each other, the archive says. */
  async #walk(key: RepositoryKey, root: Step): Promise<void> {
    const steps = [root]
    for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
      const { digest, mediaType, depth } = step
      const sizeBytes = this.#contents.sizeOf(digest)
      if (sizeBytes === undefined)
        throw new BundleFault(`it names ${digest}, and does not bring it`)
      const known = this.#manifests.get(digest)
      if (known?.repositories.has(key) === true) continue
      if (depth > INDEX_DEPTH_MAX)
        throw new BundleFault(`indexes are in each other more than ${INDEX_DEPTH_MAX} deep`)
      if (++this.#walked > WALKED_MAX)
        throw new BundleFault(`it has more than ${WALKED_MAX} manifests: import fewer at once`)
      const manifest = parsed(await this.#contents.bytesOf(digest), step)
      const repositories = known?.repositories ?? new Set()
      repositories.add(key)
      this.#manifests.set(digest, { sizeBytes, mediaType, repositories })
      this.#requireBlobs(step, manifest, sizeBytes)
      steps.push(...this.#childrenOf(step, manifest))
    }
  }

  /** @throws BundleFault */
  #requireBlobs({ digest: parent }: Step, manifest: Manifest, sizeBytes: number): void {
    for (const edge of asRecorded(manifest, parent, sizeBytes).edges) {
      if (!isBlob(edge)) continue
      const here = this.#contents.sizeOf(edge.child)
      if (here === undefined)
        throw new BundleFault(`${parent} lists ${edge.child}, which it does not bring`)
      if (here !== edge.sizeBytes)
        throw new BundleFault(`${edge.child} has ${here} bytes, and ${edge.sizeBytes} by ${parent}`)
      this.#blobs.add(edge.child)
    }
  }

  /** Of an index what is here; image-spec lets a layout lack the rest. @throws BundleFault */
  #childrenOf({ digest: parent, depth }: Step, { manifests }: Manifest): Step[] {
    const steps: Step[] = []
    for (const { digest, mediaType, sizeBytes } of manifests) {
      if (digest === undefined) continue
      const here = this.#contents.sizeOf(digest)
      if (here === undefined) this.#leftOut.set(digest, { sizeBytes, mediaType })
      else if (here !== sizeBytes)
        throw new BundleFault(`${digest} has ${here} bytes, and ${sizeBytes} by ${parent}`)
      else steps.push({ digest, mediaType, depth: depth + 1 })
    }
    if (steps.length === 0 && manifests.length > 0)
      throw new BundleFault(`it brings nothing of what the index ${parent} lists`)
    return steps
  }
}

/** @throws BundleFault */
function parsed(
  bytes: Uint8Array,
  { digest, mediaType }: { readonly digest: Digest; readonly mediaType: string },
): Manifest {
  try {
    return parseManifest(bytes, mediaType)
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    throw new BundleFault(`${digest} is no manifest: ${error.message}`)
  }
}
