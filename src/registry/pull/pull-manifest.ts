// GET of a manifest, by tag or digest. Decides what may be given; the bytes were verified by
// whoever brought them (manifest-content.ts), where a tag points is found by resolve-tag.ts, and
// HEAD is in head-manifest.ts.
import { RegistryError } from '../../oci/errors.ts'
import { accepts, DOCKER_LIST, OCI_INDEX, OCI_MANIFEST } from '../../oci/media-type.ts'
import { formatReference, type Repository, type Tag } from '../../oci/reference.ts'
import type { ManifestAnswer, ManifestRequest } from '../answers.ts'
import { alwaysFrom } from './freshness.ts'
import type { ManifestContent } from './manifest-content.ts'
import {
  answer,
  assertDeliverable,
  get,
  type ManifestContext,
  type ManifestDeps,
  repeatableHere,
  resolving,
  tagStory,
} from './manifest-delivery.ts'
import { telling } from '../upstream-failure.ts'

/** What a client without a choice of platform is given from a Docker manifest list (R39). */
const DEFAULT_PLATFORM = 'linux/amd64'

/** @throws RegistryError */
export async function pullManifest(
  deps: ManifestDeps,
  repository: Repository,
  request: ManifestRequest,
): Promise<ManifestAnswer> {
  return telling(repository, 'MANIFEST_UNKNOWN', async () => {
    const namespace = deps.namespaces.find(repository.registry)
    if (namespace === undefined) return local(deps, repository, request)
    const { reference } = request
    if (reference.kind === 'tag')
      return pullTagged({ ...deps, namespace }, repository, { ...request, tag: reference.tag })
    const context = { ...deps, namespace }
    const { content, source } = await get(context, repository, reference.digest)
    await assertDeliverable(context, repository, content.fact)
    noteServed(context, repository, { request, content })
    const repeatable = source === 'hit' ? repeatableHere(context) : undefined
    return { ...answer(content, source), repeatable }
  })
}

/**
 * What the tag points to, as far as the client can read it.
 * @throws UpstreamError, RegistryError
 */
export async function pullTagged(
  context: ManifestContext,
  repository: Repository,
  request: ManifestRequest & { tag: Tag },
): Promise<ManifestAnswer> {
  const { tag } = request
  return resolving(context, repository, { tag, wantsBytes: true }, async resolved => {
    const found =
      resolved.content === undefined
        ? await get(context, repository, resolved.digest)
        : { content: resolved.content, source: resolved.source }
    const chosen = await negotiate(context, repository, { content: found.content, request })
    await assertDeliverable(context, repository, chosen.fact, resolved.failure)
    if (resolved.failure === undefined)
      noteServed(context, repository, { request, content: chosen })
    return { ...answer(chosen, found.source), ...tagStory(context, resolved, found.source) }
  })
}

function noteServed(
  { prefetch, namespace }: ManifestContext,
  repository: Repository,
  { request: { client }, content }: { request: ManifestRequest; content: ManifestContent },
): void {
  if (client === undefined) return
  prefetch.served({ repository, namespace, client, manifest: content.fact })
}

/** What is kept at this edge and comes from nowhere else. @throws RegistryError */
export async function local(
  deps: ManifestDeps,
  repository: Repository,
  request: ManifestRequest,
): Promise<ManifestAnswer> {
  const { reference } = request
  const tag =
    reference.kind === 'tag' ? await deps.catalog.findTag(repository, reference.tag) : undefined
  const digest = reference.kind === 'digest' ? reference.digest : tag?.digest
  const content = digest === undefined ? undefined : await deps.contents.here(repository, digest)
  if (content === undefined) throw notKeptHere(repository, formatReference(reference))
  return { ...answer(content, 'local'), repeatable: alwaysFrom() }
}

/** Names the other way to write the name, since a bare one never means Docker Hub here. */
function notKeptHere(repository: Repository, reference: string): RegistryError {
  const { name } = repository
  const hint = name.includes('/')
    ? ''
    : `; for Docker Hub's ${name} write docker.io/library/${name}`
  return new RegistryError(
    'MANIFEST_UNKNOWN',
    `localhost/${name} has no ${reference} at this edge${hint}`,
  )
}

/**
 * The stored document, or what distribution gives to a client that cannot read it (R39).
 * @throws RegistryError
 */
async function negotiate(
  context: ManifestContext,
  repository: Repository,
  { content, request }: { content: ManifestContent; request: ManifestRequest },
): Promise<ManifestContent> {
  const { mediaType, edges } = content.fact
  if (isAccepted(request, mediaType)) return content
  const child = edges.find(edge => edge.kind === 'manifest' && edge.platform === DEFAULT_PLATFORM)
  if (mediaType === DOCKER_LIST && child !== undefined) {
    return (await get(context, repository, child.child)).content
  }
  throw new RegistryError(
    'MANIFEST_UNKNOWN',
    `this tag is a ${mediaType}, which the request's Accept header does not list`,
  )
}

/** Docker's single manifests are given whatever was listed, as distribution does. */
export function isAccepted(request: ManifestRequest, mediaType: string): boolean {
  const negotiated =
    mediaType === OCI_INDEX || mediaType === OCI_MANIFEST || mediaType === DOCKER_LIST
  return !negotiated || accepts(request.accept, mediaType)
}
