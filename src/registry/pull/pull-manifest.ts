// GET of a manifest, by tag or digest: finds the namespace, resolves the tag, gets the bytes from
// here or from the upstream, makes sure that it may be delivered, and answers. Where a tag points
// is found by resolve-tag.ts, the bytes were verified by whoever brought them
// (manifest-content.ts), and HEAD is in head-manifest.ts.
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { accepts, DOCKER_LIST, OCI_INDEX, OCI_MANIFEST } from '../../oci/media-type.ts'
import { formatReference, type Repository, type Tag } from '../../oci/reference.ts'
import type { ManifestAnswer } from '../answers.ts'
import type { ManifestRequest } from '../use-cases.ts'
import { alwaysFrom } from './freshness.ts'
import type { ManifestContent } from './manifest-content.ts'
import {
  answer,
  assertDeliverable,
  failureOf,
  type ManifestContext,
  type ManifestDeps,
  repeatableHere,
  tagDetails,
} from './manifest-delivery.ts'
import { withClientErrors } from '../refusals/upstream-failure.ts'
import { usedBy } from '../reading/uses.ts'
import type { ResolvedTag } from './upstream-tags.ts'

/** What a client without a choice of platform is given from a Docker manifest list (R39). */
const PLATFORM_WITHOUT_CHOICE = 'linux/amd64'

/** @throws RegistryError */
export async function pullManifest(
  deps: ManifestDeps,
  repository: Repository,
  request: ManifestRequest,
): Promise<ManifestAnswer> {
  const { reference } = request
  const pulled = await withClientErrors(repository, 'MANIFEST_UNKNOWN', async () => {
    const namespace = deps.namespaces.find(repository.registry)
    if (namespace === undefined) return pullLocal(deps, repository, request)
    const context = { ...deps, namespace }
    return reference.kind === 'tag'
      ? pullTag(context, repository, { ...request, tag: reference.tag })
      : pullDigest(context, repository, { ...request, digest: reference.digest })
  })
  deps.uses.note(usedBy(repository, { reference, ...pulled }), deps.clock.nowMs())
  return pulled
}

/**
 * What the tag points to, as far as the client can read it.
 * @throws UpstreamError, RegistryError
 */
export async function pullTag(
  context: ManifestContext,
  repository: Repository,
  request: ManifestRequest & { tag: Tag },
): Promise<ManifestAnswer> {
  const { tags, namespace, options } = context
  const { tag } = request
  let resolved = await tags.resolve(repository, tag, { namespace, options, wantsBytes: true })
  for (;;) {
    try {
      return await pullResolved(context, repository, { request, resolved })
    } catch (error) {
      resolved = await tags.insteadOf(resolved, { repository, tag, namespace, options, error })
    }
  }
}

async function pullResolved(
  context: ManifestContext,
  repository: Repository,
  { request, resolved }: { request: ManifestRequest; resolved: ResolvedTag },
): Promise<ManifestAnswer> {
  const { content, source } =
    resolved.kind === 'fetched'
      ? resolved
      : await context.contents.get(repository, resolved.digest, context)
  const chosen = await negotiate(context, repository, { content, request })
  const failure = failureOf(resolved)
  await assertDeliverable(context, repository, { recorded: chosen.recorded, failure })
  if (failure === undefined) noteServed(context, repository, { request, content: chosen })
  return { ...answer(chosen, source), ...tagDetails(context, resolved, source) }
}

async function pullDigest(
  context: ManifestContext,
  repository: Repository,
  request: ManifestRequest & { digest: Digest },
): Promise<ManifestAnswer> {
  const { content, source } = await context.contents.get(repository, request.digest, context)
  await assertDeliverable(context, repository, content)
  noteServed(context, repository, { request, content })
  const repeatable = source === 'hit' ? repeatableHere(context) : undefined
  return { ...answer(content, source), repeatable }
}

function noteServed(
  { prefetch, namespace }: ManifestContext,
  repository: Repository,
  { request: { client }, content }: { request: ManifestRequest; content: ManifestContent },
): void {
  if (client === undefined) return
  prefetch.served({ repository, namespace, client, manifest: content.recorded })
}

interface LocalRequest extends Pick<ManifestRequest, 'reference'> {
  readonly find?: (digest: Digest) => Promise<ManifestContent | undefined>
}

/**
 * What is kept at this edge and comes from nowhere else. `find`: as ManifestContents.here, which is
 * the default.
 * @throws RegistryError, StoreError
 */
export async function pullLocal(
  deps: ManifestDeps,
  repository: Repository,
  { reference, find = digest => deps.contents.here(repository, digest) }: LocalRequest,
): Promise<ManifestAnswer> {
  const tag =
    reference.kind === 'tag' ? await deps.catalog.findTag(repository, reference.tag) : undefined
  const digest = reference.kind === 'digest' ? reference.digest : tag?.digest
  const content = digest === undefined ? undefined : await find(digest)
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
  const { mediaType, edges } = content.recorded
  if (isAccepted(request, mediaType)) return content
  const child = edges.find(
    edge => edge.kind === 'manifest' && edge.platform === PLATFORM_WITHOUT_CHOICE,
  )
  if (mediaType === DOCKER_LIST && child !== undefined) {
    return (await context.contents.get(repository, child.child, context)).content
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
