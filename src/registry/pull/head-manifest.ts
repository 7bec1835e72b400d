// HEAD of a manifest, by tag or digest: as its GET without the bytes; a cold one costs one HEAD at
// the upstream (R44).
import type { Digest } from '../../oci/digest.ts'
import type { Repository, Tag } from '../../oci/reference.ts'
import type { ManifestAnswer, ManifestRequest } from '../answers.ts'
import {
  type Asker,
  isForwarding,
  isPushing,
  orAbsent,
  readOptions,
} from '../push/head-before-push.ts'
import {
  answer,
  assertDeliverable,
  get,
  type ManifestContext,
  type ManifestDeps,
  offline,
  repeatableHere,
  resolving,
  tagStory,
  withoutBytes,
} from './manifest-delivery.ts'
import { manifestKey } from '../negative-cache.ts'
import { UpstreamError } from '../ports/upstream.ts'
import { isAccepted, local, pullTagged } from './pull-manifest.ts'
import type { ResolvedTag } from './resolved-tag.ts'
import { telling } from '../upstream-failure.ts'

/** @throws RegistryError */
export async function headManifest(
  deps: ManifestDeps,
  repository: Repository,
  request: ManifestRequest,
): Promise<ManifestAnswer> {
  const head = await find(deps, repository, request)
  noteHeaded(deps, repository, { request, head })
  // What is not pushed because it is said to be here has to be here.
  return isPushing({ ...deps, mayPush: request.mayPush }, repository)
    ? { ...head, repeatable: undefined }
    : head
}

/**
 * Of what is here for sure nothing is to be fetched; of what an upstream that failed has said
 * before, nothing can be.
 */
function noteHeaded(
  { namespaces, prefetch }: ManifestDeps,
  repository: Repository,
  { request: { client }, head }: { request: ManifestRequest; head: ManifestAnswer },
): void {
  const { digest, source, repeatable } = head
  if (client === undefined || repeatable !== undefined || source === 'stale') return
  const namespace = namespaces.find(repository.registry)
  if (namespace !== undefined) prefetch.headed({ repository, namespace, client, digest })
}

function find(
  deps: ManifestDeps,
  repository: Repository,
  request: ManifestRequest,
): Promise<ManifestAnswer> {
  return telling(repository, 'MANIFEST_UNKNOWN', async () => {
    const namespace = deps.namespaces.find(repository.registry)
    if (namespace === undefined) return withoutBytes(await local(deps, repository, request))
    const { policies, clock, silent } = deps
    const asker = { policies, clock, silent, mayPush: request.mayPush }
    const context = { ...deps, namespace, options: readOptions(asker, repository) }
    const { reference } = request
    return reference.kind === 'digest'
      ? headByDigest(context, repository, { digest: reference.digest, asker })
      : headByTag(context, repository, { ...request, tag: reference.tag, asker })
  })
}

async function headByDigest(
  context: ManifestContext,
  repository: Repository,
  { digest, asker }: { digest: Digest; asker: Asker },
): Promise<ManifestAnswer> {
  const isEnough = !isForwarding(asker, repository) || context.namespace.policy.offline
  const { namespace } = context
  const state = { repository, namespace, missing: 'MANIFEST_UNKNOWN' } as const
  if (isEnough) return orAbsent(asker, state, () => headDigest(context, repository, digest))
  const here = await headHere(context, repository, { digest, failure: undefined })
  return orAbsent(asker, { ...state, ...(here && { here }) }, () =>
    headUpstream(context, repository, digest),
  )
}

async function headByTag(
  context: ManifestContext,
  repository: Repository,
  request: ManifestRequest & { tag: Tag; asker: Asker },
): Promise<ManifestAnswer> {
  const { tag, asker } = request
  // Who pushes what the tag is said to be here would not push it.
  const mustAsk = isPushing(asker, repository)
  const ask = async () => {
    const head = await resolving(context, repository, { tag, wantsBytes: false, mustAsk }, found =>
      headResolved(context, repository, found),
    )
    if (isAccepted(request, head.mediaType)) return head
    return withoutBytes(await pullTagged(context, repository, request))
  }
  // Where nothing may be pushed, who asks for a tag that was pulled before is about to pull it
  // again, and hears of the outage.
  const isKnown = (await context.catalog.findTag(repository, tag)) !== undefined
  if (isKnown && !mustAsk) return ask()
  const { namespace } = context
  const state = { repository, namespace, missing: 'MANIFEST_UNKNOWN', isPatient: isKnown } as const
  return orAbsent(asker, state, ask)
}

async function headDigest(
  context: ManifestContext,
  repository: Repository,
  digest: Digest,
  failure?: UpstreamError,
): Promise<ManifestAnswer> {
  const here = await headHere(context, repository, { digest, failure })
  if (here !== undefined) return here
  if (context.namespace.policy.offline) {
    throw offline(repository, 'the manifest is not here')
  }
  return headUpstream(context, repository, digest)
}

async function headUpstream(
  context: ManifestContext,
  repository: Repository,
  digest: Digest,
): Promise<ManifestAnswer> {
  const { options } = context
  const { upstream } = context.namespace
  const reference = { kind: 'digest', digest } as const
  try {
    const head = await context.negative.ask(manifestKey(repository, reference), () =>
      upstream.headManifest(repository.name, reference, options),
    )
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
    if (!(error instanceof UpstreamError) || error.failure !== 'unsupported') throw error
  }
  const { content, source } = await get(context, repository, digest)
  return withoutBytes(answer(content, source))
}

async function headHere(
  context: ManifestContext,
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
    repeatable: failure === undefined ? repeatableHere(context) : undefined,
  }
}

async function headResolved(
  context: ManifestContext,
  repository: Repository,
  resolved: ResolvedTag,
): Promise<ManifestAnswer> {
  const found = await headOf(context, repository, resolved)
  return { ...found, ...tagStory(context, resolved, found.source) }
}

async function headOf(
  context: ManifestContext,
  repository: Repository,
  { digest, content, head, source, warnings, failure }: ResolvedTag,
): Promise<ManifestAnswer> {
  if (content !== undefined) return withoutBytes(answer(content, source))
  if (head?.mediaType === undefined || head.sizeBytes === undefined)
    return headDigest(context, repository, digest, failure)
  const { mediaType, sizeBytes } = head
  return { digest, mediaType, sizeBytes, bytes: undefined, source, ageMs: undefined, warnings }
}
