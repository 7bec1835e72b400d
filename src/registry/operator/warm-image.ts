// `pull`: brings an image into the cache by the same way that clients take, telling of its
// progress.
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { parseManifest } from '../../oci/manifest.ts'
import { formatImage, type Reference, type Repository } from '../../oci/reference.ts'
import type { ManifestAnswer, Source } from '../answers.ts'
import { asRecorded, INDEX_DEPTH_MAX, isBlob, isListed } from '../content/edges.ts'
import type { Edge } from '../ports/catalog-content.ts'
import { nameImage } from './find-image.ts'
import type { OperatorDeps } from './operator-deps.ts'

export interface WarmRequest {
  readonly image: string
  /**
   * `linux/amd64`, or with a variant `linux/arm64/v8`; empty means all. Ignored for what is no
   * index.
   */
  readonly platforms: readonly string[]
}

export type WarmEvent =
  | {
      readonly kind: 'manifest'
      readonly image: string
      readonly digest: string
      readonly source: Source
    }
  | {
      readonly kind: 'blob'
      readonly digest: string
      readonly sizeBytes: number
      readonly doneBytes: number
      readonly source: Source
    }
  | {
      readonly kind: 'done'
      readonly image: string
      readonly digest: string
      readonly blobs: number
      readonly bytes: number
    }

/** @throws RegistryError what a client would be told */
export async function* warmImage(
  deps: OperatorDeps,
  request: WarmRequest,
  signal: AbortSignal,
): AsyncGenerator<WarmEvent> {
  const { repository, reference } = nameImage(deps, request.image)
  const blobs = new Map<Digest, Edge>()
  let root: ManifestAnswer | undefined
  for await (const { image, manifest } of pullManifests(deps, {
    ...request,
    repository,
    reference,
  })) {
    root ??= manifest
    yield { kind: 'manifest', image, digest: manifest.digest, source: manifest.source }
    for (const edge of edgesOf(manifest)) if (isBlob(edge)) blobs.set(edge.child, edge)
  }
  let bytes = 0
  for (const digest of blobs.keys()) {
    for await (const event of pullOne(deps, repository, { digest, signal })) {
      if (event.doneBytes === event.sizeBytes) bytes += event.sizeBytes
      yield event
    }
  }
  const digest = root?.digest ?? ''
  yield {
    kind: 'done',
    image: formatImage(repository, reference),
    digest,
    blobs: blobs.size,
    bytes,
  }
}

interface Wanted {
  readonly repository: Repository
  readonly reference: Reference
  readonly platforms: readonly string[]
}

/**
 * The manifest and, of an index, the wanted children; each once, however often it is listed.
 * @throws RegistryError when no child is wanted
 */
async function* pullManifests(
  deps: OperatorDeps,
  { repository, reference: root, platforms }: Wanted,
): AsyncGenerator<{ image: string; manifest: ManifestAnswer }> {
  const seen = new Set<Digest>()
  let level: readonly Reference[] = [root]
  for (let depth = 0; depth <= INDEX_DEPTH_MAX && level.length > 0; depth += 1) {
    const next: Reference[] = []
    for (const reference of level) {
      const manifest = await deps.registry.pullManifest(repository, { reference, accept: [] })
      yield { image: formatImage(repository, reference), manifest }
      for (const { child: digest } of chooseChildren(manifest, platforms)) {
        if (!seen.has(digest)) next.push({ kind: 'digest', digest })
        seen.add(digest)
      }
    }
    level = next
  }
}

/** @throws RegistryError when none is of these platforms */
function chooseChildren(manifest: ManifestAnswer, platforms: readonly string[]): readonly Edge[] {
  const children = edgesOf(manifest).filter(edge => edge.kind === 'manifest' && isListed(edge))
  if (children.length === 0 || platforms.length === 0) return children
  const chosen = children.filter(child => platforms.some(platform => isPlatform(child, platform)))
  if (chosen.length > 0) return chosen
  const offered = children.map(child => child.platform).filter(platform => platform !== undefined)
  throw new RegistryError(
    'MANIFEST_UNKNOWN',
    `none of its platforms was asked for; it has ${offered.join(', ')}`,
  )
}

/** The blob, until it is here. @throws RegistryError what a client would be told */
export async function* pullOne(
  deps: Pick<OperatorDeps, 'registry' | 'store'>,
  repository: Repository,
  { digest, signal }: { digest: Digest; signal: AbortSignal },
): AsyncGenerator<Extract<WarmEvent, { kind: 'blob' }>> {
  const answer = await deps.registry.pullBlob(repository, digest)
  const { sizeBytes, source } = answer
  try {
    yield { kind: 'blob', digest, sizeBytes, doneBytes: 0, source }
    if (source === 'hit' || source === 'local') {
      if (sizeBytes > 0) yield { kind: 'blob', digest, sizeBytes, doneBytes: sizeBytes, source }
      return
    }
    if (sizeBytes === 0) return
    let doneBytes = 0
    for await (const chunk of answer.read({ first: 0, last: sizeBytes - 1 }, signal)) {
      doneBytes += chunk.length
      yield { kind: 'blob', digest, sizeBytes, doneBytes, source }
    }
  } finally {
    await answer.close()
  }
  await deps.registry.settled(digest)
  if ((await deps.store.find(digest)) !== undefined) return
  throw new RegistryError(
    'UNAVAILABLE',
    `${digest} was fetched but could not be kept: the log of the server says why`,
  )
}

function edgesOf(manifest: ManifestAnswer): readonly Edge[] {
  const { bytes, mediaType, digest } = manifest
  return bytes === undefined
    ? []
    : asRecorded(parseManifest(bytes, mediaType), digest, bytes.length).edges
}

/** `linux/arm64` means all of its variants, and `linux/arm64/v8` that one. */
export function isPlatform(
  { platform = '' }: { readonly platform: string | undefined },
  wanted: string,
): boolean {
  return platform === wanted || platform.startsWith(`${wanted}/`)
}
