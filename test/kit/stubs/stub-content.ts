// What a stub registry holds: repositories with manifests, tags and blobs, in memory. Knows nothing
// of HTTP.
import type { Digest } from '../../../src/oci/digest.ts'
import type { Content } from '../content.ts'
import type { Descriptor, Document, Image } from '../image.ts'

export interface StubRepository {
  readonly manifests: Map<string, Document>
  /** In the order in which they were put. */
  readonly tags: Map<string, Digest>
  readonly blobs: Map<string, Content>
  /**
   * Every manifest that was put, again and again, in order; `tag` undefined for one put by its
   * digest.
   */
  readonly puts: { readonly tag: string | undefined; readonly digest: Digest }[]
}

export type StubContent = ReturnType<typeof createStubContent>

export function createStubContent() {
  const repositories = new Map<string, StubRepository>()

  /** Made when it is not there yet. */
  function repository(name: string): StubRepository {
    let found = repositories.get(name)
    if (found === undefined) {
      found = { manifests: new Map(), tags: new Map(), blobs: new Map(), puts: [] }
      repositories.set(name, found)
    }
    return found
  }

  /**
   * The image, what it names, and the manifests below it; `tag` may be undefined. An existing tag
   * moves.
   */
  function addImage(name: string, tag: string | undefined, image: Image): void {
    const into = repository(name)
    for (const child of image.children) addImage(name, undefined, child)
    into.manifests.set(image.manifest.digest, image.manifest)
    if (image.children.length === 0) into.blobs.set(image.config.digest, image.config)
    for (const blob of image.layers) into.blobs.set(blob.digest, blob)
    if (tag !== undefined) into.tags.set(tag, image.manifest.digest)
  }

  function manifest(name: string, reference: string): Document | undefined {
    const from = repositories.get(name)
    const digest = reference.includes(':') ? reference : from?.tags.get(reference)
    return digest === undefined ? undefined : from?.manifests.get(digest)
  }

  return {
    repositories,
    addImage,
    manifest,
    addDocument: (name: string, tag: string | undefined, document: Document): void => {
      const { manifests, tags, puts } = repository(name)
      manifests.set(document.digest, document)
      if (tag !== undefined) tags.set(tag, document.digest)
      puts.push({ tag, digest: document.digest })
    },
    addBlob: (name: string, blob: Content): void => {
      repository(name).blobs.set(blob.digest, blob)
    },
    tag: (name: string, tag: string, digest: Digest): void => {
      repository(name).tags.set(tag, digest)
    },
    deleteTag: (name: string, tag: string): void => {
      repositories.get(name)?.tags.delete(tag)
    },
    deleteManifest: (name: string, digest: string): void => {
      repositories.get(name)?.manifests.delete(digest)
    },
    deleteBlob: (name: string, digest: string): void => {
      repositories.get(name)?.blobs.delete(digest)
    },
    blob: (name: string, digest: string) => repositories.get(name)?.blobs.get(digest),
    referrers: (name: string, digest: string) => referrersIn(repositories.get(name), digest),
  }
}

function referrersIn(repository: StubRepository | undefined, digest: string): Descriptor[] {
  return [...(repository?.manifests.values() ?? [])].flatMap(
    ({ bytes, mediaType, digest: own }) => {
      const members = membersOf(bytes)
      if (members?.subject?.digest !== digest) return []
      const artifactType = members.artifactType ?? members.config?.mediaType
      return [
        {
          mediaType,
          digest: own,
          size: bytes.length,
          ...(artifactType === undefined ? {} : { artifactType }),
          ...(members.annotations === undefined ? {} : { annotations: members.annotations }),
        },
      ]
    },
  )
}

/** What a stub looks at in a manifest, as clients write it. */
export interface Members {
  readonly subject?: { readonly digest: string }
  readonly artifactType?: string
  readonly config?: { readonly digest: string; readonly mediaType?: string }
  readonly layers?: readonly { readonly digest: string }[]
  readonly manifests?: readonly { readonly digest: string }[]
  readonly annotations?: Readonly<Record<string, string>>
}

/** Undefined when the bytes are not JSON: a stub serves those, too. */
export function membersOf(bytes: Buffer): Members | undefined {
  try {
    return JSON.parse(bytes.toString()) as Members
  } catch {
    return undefined
  }
}
