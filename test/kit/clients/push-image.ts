// Images pushed into the registry room as clients do it: blobs, children, then the manifest.
import type { Digest } from '../../../src/oci/digest.ts'
import { parseReference, parseTag, type Repository } from '../../../src/oci/reference.ts'
import type { ManifestPushed } from '../../../src/registry/answers.ts'
import type { Registry } from '../../../src/registry/use-cases.ts'
import type { Document, Image } from '../image.ts'
import { pushWhole } from './upload-chunks.ts'

/** A manifest alone; under its digest when no reference is given. `tags`: those of the query. */
export function pushDocument(
  registry: Registry,
  repository: Repository,
  pushed: { document: Document; reference?: string; tags?: readonly string[] },
): Promise<ManifestPushed> {
  const { document, tags = [] } = pushed
  const { bytes, mediaType, digest } = document
  return registry.pushManifest(repository, {
    reference: parseReference(pushed.reference ?? digest),
    tags: tags.map(parseTag),
    mediaType,
    bytes,
  })
}

/** Everything of it. */
export async function pushImage(
  registry: Registry,
  repository: Repository,
  image: Image,
  reference?: string,
): Promise<Digest> {
  await pushParts(registry, repository, image)
  const document = image.manifest
  const named = reference === undefined ? { document } : { document, reference }
  return (await pushDocument(registry, repository, named)).digest
}

/** Everything that it lists. */
export async function pushParts(
  registry: Registry,
  repository: Repository,
  image: Image,
): Promise<void> {
  for (const child of image.children) await pushImage(registry, repository, child)
  if (image.children.length > 0) return
  for (const blob of [image.config, ...image.layers])
    await pushWhole(registry, repository, blob.bytes())
}

export const tagged = (name: string, accept: readonly string[] = []) => ({
  reference: { kind: 'tag', tag: parseTag(name) } as const,
  accept,
})

export const digested = (digest: Digest, accept: readonly string[] = []) => ({
  reference: { kind: 'digest', digest } as const,
  accept,
})
