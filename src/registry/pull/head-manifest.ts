// HEAD of a manifest, by tag or digest: as its GET without the bytes; a cold one costs one HEAD at
// the upstream (R44).
import type { Digest } from '../../oci/digest.ts'
import type { Repository, Tag } from '../../oci/reference.ts'
import type { ManifestAnswer, Source } from '../answers.ts'
import type { ManifestRequest } from '../use-cases.ts'
import {
  absentUnread,
  type HeadCaller,
  isForwarding,
  isPushing,
  orAbsent,
  readOptions,
} from './head-before-push.ts'
import {
  answer,
  assertDeliverable,
  failureOf,
  type ManifestContext,
  type ManifestDeps,
  repeatableHere,
  tagDetails,
  withoutBytes,
} from './manifest-delivery.ts'
import { offline } from './manifest-content.ts'
import { manifestKey } from '../negative-cache.ts'
import { UpstreamError } from '../ports/upstream.ts'
import { isAccepted, pullLocal, pullTag } from './pull-manifest.ts'
import { manifestNotFound, unlessUnread } from './unread.ts'
import { withClientErrors } from '../refusals/upstream-failure.ts'
import type { ResolvedTag } from './upstream-tags.ts'
import { usedBy } from '../reading/uses.ts'

type HeadContext = ManifestContext & { readonly caller: HeadCaller }

/** @throws RegistryError */
export async function headManifest(
  deps: ManifestDeps,
  repository: Repository,
  request: ManifestRequest,
): Promise<ManifestAnswer> {
  const { reference, mayPush } = request
  const caller = { ...deps, mayPush }
  const maybePush = isPushing(caller, repository)
  const isKept = maybePush && !isForwarding(caller, repository)
  const look = () => find(deps, repository, request)
  const head = isKept ? await headLeased(deps, repository, look) : await look()
  noteHeaded(deps, repository, { request, head })
  // Who has the image already asks no more than that of its tag. By digest it may be the look of a
  // push at what it need not send, and that is no use of it.
  if (!maybePush || reference.kind === 'tag')
    deps.uses.note(usedBy(repository, { reference, ...head }), deps.clock.nowMs())
  // What is not pushed because it is said to be here has to be here.
  return maybePush ? { ...head, repeatable: undefined } : head
}

/** What moves, or comes and goes, all the time is told of as it was found last. */
const LEASED_LOOKS_MAX = 3

/** An upstream has just told it, whoever asked: it says nothing of what is here. */
const FROM_ELSEWHERE: ReadonlySet<Source> = new Set(['miss', 'joined'])

/** What is here of it stays for the push. What is told of from elsewhere needs no lease. */
async function headLeased(
  { catalog, leases }: ManifestDeps,
  repository: Repository,
  look: () => Promise<ManifestAnswer>,
): Promise<ManifestAnswer> {
  for (let looks = 1; ; looks += 1) {
    const head = await look()
    const isHere = async () => (await catalog.findManifest(repository, head.digest)) !== undefined
    if (looks === LEASED_LOOKS_MAX) return head
    if (await isHere()) {
      await leases.offer(repository, head.digest)
      if (await isHere()) return head
    } else if (FROM_ELSEWHERE.has(head.source)) return head
    // What was here has left since.
  }
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
  return withClientErrors(repository, 'MANIFEST_UNKNOWN', async () => {
    const namespace = deps.namespaces.find(repository.registry)
    if (namespace === undefined) return headLocal(deps, repository, request)
    const { policies, clock, silent } = deps
    const caller = { policies, clock, silent, mayPush: request.mayPush }
    const context = { ...deps, namespace, caller, options: readOptions(caller, repository) }
    const { reference } = request
    return reference.kind === 'digest'
      ? headByDigest(context, repository, reference.digest)
      : headByTag(context, repository, { ...request, tag: reference.tag })
  })
}

/** As its GET, whose bytes are read; but whoever may push what cannot be read is to do so. */
async function headLocal(
  deps: ManifestDeps,
  repository: Repository,
  { reference, mayPush }: ManifestRequest,
): Promise<ManifestAnswer> {
  if (!isPushing({ ...deps, mayPush }, repository))
    return withoutBytes(await pullLocal(deps, repository, { reference }))
  // Where the catalog fails, nothing is known of what is here: that is no word of the disk.
  const find = async (digest: Digest) => {
    const recorded = await deps.catalog.findManifest(repository, digest)
    if (recorded === undefined) return undefined
    return deps.contents.read(recorded).catch((error: unknown) => {
      throw absentUnread(error, 'MANIFEST_UNKNOWN')
    })
  }
  return withoutBytes(await pullLocal(deps, repository, { reference, find }))
}

async function headByDigest(
  context: HeadContext,
  repository: Repository,
  digest: Digest,
): Promise<ManifestAnswer> {
  const { caller } = context
  const isEnough = !isForwarding(caller, repository) || context.namespace.policy.offline
  const { namespace } = context
  const state = { repository, namespace, missing: 'MANIFEST_UNKNOWN' } as const
  if (isEnough) return orAbsent(caller, state, () => headDigest(context, repository, { digest }))
  const here = await headHere(context, repository, { digest })
  return orAbsent(caller, { ...state, ...(here && { here }) }, () =>
    headUpstream(context, repository, digest),
  )
}

async function headByTag(
  context: HeadContext,
  repository: Repository,
  request: ManifestRequest & { tag: Tag },
): Promise<ManifestAnswer> {
  const { tag } = request
  const { caller } = context
  // Who pushes what the tag is said to be here would not push it.
  const mustAsk = isPushing(caller, repository)
  const ask = () => headTag(context, repository, { ...request, mustAsk })
  // Where nothing may be pushed, who asks for a tag that was pulled before is about to pull it
  // again, and hears of the outage.
  const isKnown = (await context.catalog.findTag(repository, tag)) !== undefined
  if (isKnown && !mustAsk) return ask()
  const { namespace } = context
  const state = { repository, namespace, missing: 'MANIFEST_UNKNOWN', isPatient: isKnown } as const
  return orAbsent(caller, state, ask)
}

/** As pullTag does it. */
async function headTag(
  context: HeadContext,
  repository: Repository,
  request: ManifestRequest & { tag: Tag; mustAsk: boolean },
): Promise<ManifestAnswer> {
  const { tags, namespace, options } = context
  const { tag, mustAsk } = request
  let resolved = await tags.resolve(repository, tag, {
    namespace,
    options,
    wantsBytes: false,
    mustAsk,
  })
  let head: ManifestAnswer | undefined
  while (head === undefined) {
    try {
      head = await headResolved(context, repository, resolved)
    } catch (error) {
      resolved = await tags.insteadOf(resolved, { repository, tag, namespace, options, error })
    }
  }
  if (isAccepted(request, head.mediaType)) return head
  return withoutBytes(await pullTag(context, repository, request))
}

async function headResolved(
  context: HeadContext,
  repository: Repository,
  resolved: ResolvedTag,
): Promise<ManifestAnswer> {
  const head =
    headConfirmed(resolved) ??
    (await headDigest(context, repository, {
      digest: resolved.digest,
      failure: failureOf(resolved),
    }))
  return { ...head, ...tagDetails(context, resolved, head.source) }
}

/** What came with the place that the tag points to; undefined when that was not enough. */
function headConfirmed(resolved: ResolvedTag): ManifestAnswer | undefined {
  const { kind, digest, source, warnings } = resolved
  if (kind === 'fetched') return withoutBytes(answer(resolved.content, source))
  return kind === 'confirmed'
    ? headAnswer({ digest, ...resolved.head, source, warnings })
    : undefined
}

async function headDigest(
  context: HeadContext,
  repository: Repository,
  { digest, failure }: { digest: Digest; failure?: UpstreamError | undefined },
): Promise<ManifestAnswer> {
  const here = await headHere(context, repository, { digest, failure })
  if (here !== undefined) return here
  const elsewhere = async () => {
    if (context.namespace.policy.offline) throw offline(repository, 'the manifest is not here')
    return headUpstream(context, repository, digest)
  }
  if (isPushing(context.caller, repository)) return elsewhere()
  return unlessUnread(context, manifestNotFound(context.catalog, repository, digest), elsewhere)
}

async function headUpstream(
  context: ManifestContext,
  repository: Repository,
  digest: Digest,
): Promise<ManifestAnswer> {
  const { contents, namespace, options, negative } = context
  const reference = { kind: 'digest', digest } as const
  try {
    const what = manifestKey(repository, reference)
    const response = await negative.ask(what, options?.endpoints, () =>
      namespace.upstream.headManifest(repository.name, reference, options),
    )
    const head =
      response.digest === digest ? headAnswer({ ...response, digest, source: 'miss' }) : undefined
    if (head !== undefined) return head
  } catch (error) {
    if (!(error instanceof UpstreamError) || error.failure !== 'unsupported') throw error
  }
  const { content, source } = await contents.get(repository, digest, context)
  return withoutBytes(answer(content, source))
}

async function headHere(
  context: ManifestContext,
  repository: Repository,
  { digest, failure }: { digest: Digest; failure?: UpstreamError | undefined },
): Promise<ManifestAnswer | undefined> {
  const { catalog, store } = context
  const recorded = await catalog.findManifest(repository, digest)
  if (recorded === undefined || (await store.find(digest)) === undefined) return undefined
  await assertDeliverable(context, repository, { recorded, failure })
  const repeatable = failure === undefined ? repeatableHere(context) : undefined
  const { mediaType, sizeBytes } = recorded
  return {
    digest,
    mediaType,
    sizeBytes,
    bytes: undefined,
    source: 'hit',
    ageMs: undefined,
    warnings: [],
    repeatable,
  }
}

/** Undefined when the upstream did not tell all that belongs to an answer. */
function headAnswer({
  digest,
  mediaType,
  sizeBytes,
  source,
  warnings,
}: {
  readonly digest: Digest
  readonly mediaType: string | undefined
  readonly sizeBytes: number | undefined
  readonly source: Source
  readonly warnings: readonly string[]
}): ManifestAnswer | undefined {
  if (mediaType === undefined || sizeBytes === undefined) return undefined
  return { digest, mediaType, sizeBytes, bytes: undefined, source, ageMs: undefined, warnings }
}
