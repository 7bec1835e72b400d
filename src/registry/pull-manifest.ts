// end-3: a manifest by tag or digest, whole or its head alone. Decides where it may come from; the bytes were verified by
// whoever brought them (manifest-content.ts), and where a tag points by resolve-tag.ts.
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import { accepts, DOCKER_LIST, OCI_INDEX, OCI_MANIFEST } from '../oci/media-type.ts'
import { formatReference, type Repository, repositoryKey, type Tag } from '../oci/reference.ts'
import type { ManifestAnswer, ManifestRequest, Source } from './answers.ts'
import { isComplete } from './completeness.ts'
import type { ManifestContent, ManifestContents } from './manifest-content.ts'
import type { Namespace, Namespaces } from './namespaces.ts'
import type { NegativeCache } from './negative-cache.ts'
import type { BlobStore } from './ports/blob-store.ts'
import type { Catalog, ManifestFact } from './ports/catalog.ts'
import type { Clock } from './ports/clock.ts'
import { UpstreamError } from './ports/upstream.ts'
import { isOnlyKnown, type ResolvedTag, type TagResolver } from './resolve-tag.ts'
import { telling } from './upstream-failure.ts'

/** What a client without a choice of platform is given from a Docker manifest list (R39). */
const DEFAULT_PLATFORM = 'linux/amd64'

export interface PullManifestDeps {
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly clock: Clock
  readonly namespaces: Namespaces
  readonly negative: NegativeCache
  readonly contents: ManifestContents
  readonly tags: TagResolver
}

/** @throws RegistryError */
export async function pullManifest(
  deps: PullManifestDeps,
  repository: Repository,
  request: ManifestRequest,
): Promise<ManifestAnswer> {
  return telling(repository, 'MANIFEST_UNKNOWN', async () => {
    const namespace = deps.namespaces.find(repository.registry)
    if (namespace === undefined) return local(deps, repository, request)
    const { reference } = request
    if (reference.kind === 'tag')
      return pullTagged({ ...deps, namespace }, repository, { ...request, tag: reference.tag })
    const { content, source } = await get({ ...deps, namespace }, repository, reference.digest)
    await assertDeliverable({ ...deps, namespace }, repository, content.fact)
    return answer(content, source)
  })
}

/** As pullManifest without the bytes; a cold one costs one HEAD at the upstream (R44). @throws RegistryError */
export async function headManifest(
  deps: PullManifestDeps,
  repository: Repository,
  request: ManifestRequest,
): Promise<ManifestAnswer> {
  return telling(repository, 'MANIFEST_UNKNOWN', async () => {
    const namespace = deps.namespaces.find(repository.registry)
    if (namespace === undefined) return withoutBytes(await local(deps, repository, request))
    const context = { ...deps, namespace }
    const { reference } = request
    if (reference.kind === 'digest') return headDigest(context, repository, reference.digest)
    const { tag } = reference
    const head = await resolving(context, repository, { tag, wantsBytes: false }, resolved =>
      headResolved(context, repository, resolved),
    )
    if (isAccepted(request, head.mediaType)) return head
    return withoutBytes(await pullTagged(context, repository, { ...request, tag }))
  })
}

type Context = PullManifestDeps & { readonly namespace: Namespace }

async function pullTagged(
  context: Context,
  repository: Repository,
  request: ManifestRequest & { tag: Tag },
): Promise<ManifestAnswer> {
  const { tag } = request
  return resolving(context, repository, { tag, wantsBytes: true }, async resolved => {
    const found =
      resolved.content === undefined
        ? await get(context, repository, resolved.digest, resolved.head !== undefined)
        : { content: resolved.content, source: resolved.source }
    const chosen = await negotiate(context, repository, { content: found.content, request })
    await assertDeliverable(context, repository, chosen.fact, resolved.failure)
    return { ...answer(chosen, found.source), ...tagStory(context, resolved, found.source) }
  })
}

/**
 * Finds out where the tag points and gives that to `use`. What was only known here may be gone upstream before its document came: then
 * the upstream is asked where the tag points now.
 */
async function resolving(
  context: Context,
  repository: Repository,
  { tag, wantsBytes }: { tag: Tag; wantsBytes: boolean },
  use: (resolved: ResolvedTag) => Promise<ManifestAnswer>,
): Promise<ManifestAnswer> {
  const { tags, namespace } = context
  const resolved = await tags.resolve(repository, tag, { namespace, wantsBytes })
  try {
    return await use(resolved)
  } catch (error) {
    const isGone = error instanceof UpstreamError && error.failure === 'not-found'
    if (!isGone || !isOnlyKnown(resolved)) throw error
    return use(await tags.fetch(repository, tag, namespace))
  }
}

/** Age, source and warnings that a tag's answer carries. */
function tagStory(
  deps: PullManifestDeps,
  resolved: ResolvedTag,
  source: Source,
): Pick<ManifestAnswer, 'source' | 'ageMs' | 'warnings'> {
  return {
    source: resolved.source === 'stale' ? 'stale' : source,
    ageMs: Math.max(0, deps.clock.nowMs() - resolved.checkedAtMs),
    warnings: resolved.warnings,
  }
}

async function get(
  context: Context,
  repository: Repository,
  digest: Digest,
  confirmed = false,
): Promise<{ content: ManifestContent; source: Source }> {
  const { contents, namespace } = context
  if (!namespace.policy.offline) return contents.get(repository, digest, { namespace, confirmed })
  const here = await contents.here(repository, digest)
  if (here === undefined) throw offline(repository, 'the manifest is not here')
  return { content: here, source: 'hit' }
}

async function headDigest(
  context: Context,
  repository: Repository,
  digest: Digest,
  failure?: UpstreamError,
): Promise<ManifestAnswer> {
  const here = await headHere(context, repository, { digest, failure })
  if (here !== undefined) return here
  if (context.namespace.policy.offline) {
    throw offline(repository, 'the manifest is not here')
  }
  const key = `${repositoryKey(repository)} ${digest}`
  context.negative.check(key)
  try {
    const head = await context.namespace.upstream.headManifest(repository.name, {
      kind: 'digest',
      digest,
    })
    const { mediaType, sizeBytes, warnings } = head
    if (head.digest === digest && mediaType !== undefined && sizeBytes !== undefined) {
      return {
        digest,
        mediaType,
        sizeBytes,
        bytes: undefined,
        source: 'miss',
        ageMs: undefined,
        warnings,
      }
    }
  } catch (error) {
    context.negative.note(key, error)
    if (!(error instanceof UpstreamError) || error.failure !== 'unsupported') throw error
  }
  const { content, source } = await get(context, repository, digest)
  return withoutBytes(answer(content, source))
}

async function headHere(
  context: Context,
  repository: Repository,
  { digest, failure }: { digest: Digest; failure: UpstreamError | undefined },
): Promise<ManifestAnswer | undefined> {
  const { catalog, store } = context
  const fact = await catalog.findManifest(repository, digest)
  if (fact === undefined || (await store.find(digest)) === undefined) return undefined
  await assertDeliverable(context, repository, fact, failure)
  const { mediaType, sizeBytes } = fact
  return {
    digest,
    mediaType,
    sizeBytes,
    bytes: undefined,
    source: 'hit',
    ageMs: undefined,
    warnings: [],
  }
}

async function headResolved(
  context: Context,
  repository: Repository,
  resolved: ResolvedTag,
): Promise<ManifestAnswer> {
  const found = await headOf(context, repository, resolved)
  return { ...found, ...tagStory(context, resolved, found.source) }
}

async function headOf(
  context: Context,
  repository: Repository,
  { digest, content, head, source, warnings, failure }: ResolvedTag,
): Promise<ManifestAnswer> {
  if (content !== undefined) return withoutBytes(answer(content, source))
  if (head?.mediaType === undefined || head.sizeBytes === undefined)
    return headDigest(context, repository, digest, failure)
  const { mediaType, sizeBytes } = head
  return { digest, mediaType, sizeBytes, bytes: undefined, source, ageMs: undefined, warnings }
}

/** What is kept at this edge and comes from nowhere else. */
async function local(
  deps: PullManifestDeps,
  repository: Repository,
  request: ManifestRequest,
): Promise<ManifestAnswer> {
  const { reference } = request
  const tag =
    reference.kind === 'tag' ? await deps.catalog.findTag(repository, reference.tag) : undefined
  const digest = reference.kind === 'digest' ? reference.digest : tag?.digest
  const content = digest === undefined ? undefined : await deps.contents.here(repository, digest)
  if (content === undefined) throw notKeptHere(repository, formatReference(reference))
  return answer(content, 'local')
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
 * Refuses what could not be delivered whole because nobody can be asked for the rest (R91): `failure` says why not, or the namespace
 * is offline. @throws UpstreamError, RegistryError
 */
async function assertDeliverable(
  context: Context,
  repository: Repository,
  fact: ManifestFact,
  failure?: UpstreamError,
): Promise<void> {
  if (failure === undefined && !context.namespace.policy.offline) return
  if (await isComplete(context, repository, fact)) return
  throw failure ?? offline(repository, 'not everything that this manifest names is here')
}

/** The configuration forbids asking: said as it is, not as if the registry had been asked. */
function offline(repository: Repository, what: string): RegistryError {
  return new RegistryError(
    'MANIFEST_UNKNOWN',
    `${repository.registry} is configured offline, and ${what}`,
  )
}

/** The stored document, or what distribution gives to a client that cannot read it (R39). @throws RegistryError */
async function negotiate(
  context: Context,
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
function isAccepted(request: ManifestRequest, mediaType: string): boolean {
  const negotiated =
    mediaType === OCI_INDEX || mediaType === OCI_MANIFEST || mediaType === DOCKER_LIST
  return !negotiated || accepts(request.accept, mediaType)
}

function answer({ fact, bytes, warnings }: ManifestContent, source: Source): ManifestAnswer {
  const { digest, mediaType, sizeBytes } = fact
  return { digest, mediaType, sizeBytes, bytes, source, ageMs: undefined, warnings }
}

function withoutBytes(whole: ManifestAnswer): ManifestAnswer {
  return { ...whole, bytes: undefined }
}
