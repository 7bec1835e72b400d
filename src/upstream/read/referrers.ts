// Who refers to a manifest: by the referrers API, or by the fallback tag where a registry has none
// (R77). "Nobody" is a response of the registry only: whatever else goes wrong is an error, or
// clients would take it for "no signature" (R78). That the API does not answer is true of the
// question at hand, and of a repository only after it was asked about a manifest that it has:
// anybody can name a digest.
import type { Digest } from '../../oci/digest.ts'
import { MANIFEST_LIMIT_BYTES } from '../../oci/manifest.ts'
import { OCI_INDEX, parseMediaType } from '../../oci/media-type.ts'
import type { RepositoryName } from '../../oci/reference.ts'
import { referrersTag } from '../../oci/referrers-tag.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { UpstreamReferrers } from '../../registry/ports/upstream-content.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import { responseError, isObject } from '../connect/response-errors.ts'
import { type Endpoint, isRegistryThere } from '../endpoint/endpoint.ts'
import { requestAt, type Work } from '../endpoint/endpoints.ts'
import { getManifest, headManifest } from './manifests.ts'
import { readPages } from './pages.ts'
import type { LackSaidBy } from '../endpoint/referrers-support.ts'
import type { RegistryResponse } from '../endpoint/session.ts'
import { isNotRegistry, notRegistryError } from '../connect/not-a-registry.ts'

/** As many as the descriptors of an index (R186). */
const REFERRERS_MAX = 10_000
/**
 * Of all pages of one list, which is held whole: 10,000 descriptors with some annotations, or fewer
 * with many.
 */
const REFERRERS_MAX_BYTES = 8 * 1024 * 1024

/**
 * A backend that is broken is left out, or another one asked, within this; and a client waits for
 * it.
 */
const ASK_AGAIN_MS = 500

export interface ReferrersWanted {
  readonly name: RepositoryName
  readonly digest: Digest
}

/** `hasApi`: false where the registry is known to lack the API. */
export function listReferrers(
  wanted: ReferrersWanted,
  clock: Clock,
  hasApi: boolean,
): Work<UpstreamReferrers> {
  return async (endpoint, deadline) => {
    const { name } = wanted
    const { referrers } = endpoint.capabilities
    const triesApi = hasApi && referrers.mayHave(name, clock.monotonicMs())
    const found = triesApi
      ? await askApi(endpoint, wanted, { clock, signal: deadline.signal })
      : ({ lack: 'known' } as const)
    if ('manifests' in found) {
      referrers.seen(name)
      return found
    }
    const listed = await fromTag(wanted, clock)(endpoint, deadline)
    if (referrers.wasSeen) return listed
    const { lack } = found
    const isNews = lack === 'registry' || lack === 'anybody'
    if (isNews && (await isSubjectThere(wanted, clock)(endpoint, deadline)))
      referrers.lacks(name, lack, clock.monotonicMs())
    return { ...listed, byTag: true }
  }
}

interface Lack {
  /** `once`: too young to be remembered. */
  readonly lack: LackSaidBy | 'once'
}

/**
 * What anything may answer is believed when it has lasted, or a moment later is the same: one
 * broken backend of an ingress is to hide nothing. Not where the API is known to be.
 * @throws UpstreamError
 */
async function askApi(
  endpoint: Endpoint,
  wanted: ReferrersWanted,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<UpstreamReferrers | Lack> {
  const { referrers } = endpoint.capabilities
  const { name } = wanted
  const first = await fromApi(endpoint, wanted, { clock, signal })
  if (!(first instanceof UpstreamError)) return first
  if (!(await isRegistryThere(endpoint, signal))) throw first
  const isLasting = referrers.isLasting(name, clock.monotonicMs())
  if (isLasting && !referrers.wasSeenOf(name)) return { lack: 'anybody' }
  await clock.sleep(ASK_AGAIN_MS, signal)
  const again = await fromApi(endpoint, wanted, { clock, signal })
  if (!(again instanceof UpstreamError)) return again
  if (referrers.wasSeenOf(name) || !(await isRegistryThere(endpoint, signal))) throw again
  return { lack: 'once' }
}

/** False also when that cannot be found out: then the API is asked again the next time. */
function isSubjectThere({ name, digest }: ReferrersWanted, clock: Clock): Work<boolean> {
  const reference = { kind: 'digest', digest } as const
  return async (endpoint, deadline) => {
    try {
      await headManifest({ name, reference }, clock)(endpoint, deadline)
      return true
    } catch (error) {
      if (error instanceof UpstreamError) return false
      throw error
    }
  }
}

/**
 * An error: what many registries without the API answer, and everything else as well.
 * @throws UpstreamError
 */
async function fromApi(
  endpoint: Endpoint,
  { name, digest }: ReferrersWanted,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<UpstreamReferrers | Lack | UpstreamError> {
  const at = requestAt(endpoint, name, `referrers/${digest}`)
  const headers = { accept: OCI_INDEX }
  const request = { call: 'referrers', lane: 'api', method: 'GET', ...at, headers } as const
  const failure = (response: RegistryResponse): Promise<UpstreamError> =>
    responseError(response, {
      what: 'referrers',
      nowMs: clock.nowMs(),
      redirected: response.redirected,
    })

  const first = await orNotRegistry(endpoint.send(request, signal))
  if (first instanceof UpstreamError) return first
  if (first.status !== 200) {
    const error = await failure(first)
    if (error.failure === 'not-found' && !error.repositoryUnknown) return { lack: 'registry' }
    if (error.failure === 'unsupported' && error.code !== undefined) return { lack: 'registry' }
    if (error.failure === 'unsupported') return notRegistryError(error.message, first.status)
    if (isNotRegistry(error)) return error
    throw error
  }
  const mediaType = parseMediaType(first.headers.first('content-type'))
  if (mediaType !== OCI_INDEX) {
    await first.body.drain()
    const text = `${first.url.host} answered 200 with ${mediaType} for referrers`
    return notRegistryError(text, first.status)
  }
  const manifests: unknown[] = []
  const pages = { signal, failure, maxBytes: REFERRERS_MAX_BYTES }
  for await (const { document } of readPages(endpoint, request, first, pages)) {
    manifests.push(...descriptorsIn(document, endpoint))
    if (manifests.length > REFERRERS_MAX) throw tooMany(endpoint)
  }
  return { manifests }
}

async function orNotRegistry(
  sent: Promise<RegistryResponse>,
): Promise<RegistryResponse | UpstreamError> {
  try {
    return await sent
  } catch (error) {
    if (isNotRegistry(error)) return error
    throw error
  }
}

function fromTag({ name, digest }: ReferrersWanted, clock: Clock): Work<UpstreamReferrers> {
  const reference = { kind: 'tag', tag: referrersTag(digest) } as const
  return async (endpoint, deadline) => {
    try {
      const { bytes, mediaType } = await getManifest({ name, reference }, clock)(endpoint, deadline)
      return { manifests: indexDescriptors(bytes, mediaType, endpoint) }
    } catch (error) {
      const isNone =
        error instanceof UpstreamError && error.failure === 'not-found' && !error.repositoryUnknown
      if (isNone) return { manifests: [] }
      throw error
    }
  }
}

function indexDescriptors(bytes: Uint8Array, mediaType: string, endpoint: Endpoint): unknown[] {
  if (mediaType !== OCI_INDEX || bytes.length > MANIFEST_LIMIT_BYTES) throw noIndex(endpoint)
  let document: unknown
  try {
    document = JSON.parse(Buffer.from(bytes).toString())
  } catch {
    throw noIndex(endpoint)
  }
  if (!isObject(document)) throw noIndex(endpoint)
  const descriptors = descriptorsIn(document, endpoint)
  if (descriptors.length > REFERRERS_MAX) throw tooMany(endpoint)
  return descriptors
}

function descriptorsIn(document: Record<string, unknown>, endpoint: Endpoint): unknown[] {
  const { manifests } = document
  if (manifests === null) return []
  if (!Array.isArray(manifests) || !manifests.every(isObject)) throw noIndex(endpoint)
  return manifests
}

function noIndex({ url }: Endpoint): UpstreamError {
  return new UpstreamError('invalid', `${url.host} sent referrers that are no image index`)
}

function tooMany({ url }: Endpoint): UpstreamError {
  return new UpstreamError('invalid', `${url.host} lists more than ${REFERRERS_MAX} referrers`)
}
