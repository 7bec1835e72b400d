// A registry as a model: what it holds, and what becomes of each request on its way. It takes only
// what fits together, as registries do, and remembers where each tag pointed. For tests of whoever
// writes to upstreams; requests over sockets are the stub registry's.
import { type Digest, digestAlgorithm, digestOf } from '../../../src/oci/digest.ts'
import { parseManifest } from '../../../src/oci/manifest.ts'
import { referrersTag } from '../../../src/oci/referrers-tag.ts'
import { formatReference, type Reference, type RepositoryName } from '../../../src/oci/reference.ts'
import type { BlobSource, ManifestSource } from '../../../src/registry/ports/upstream-content.ts'
import type { Upstream } from '../../../src/registry/ports/upstream.ts'
import { UpstreamError } from '../../../src/registry/ports/upstream.ts'
import { unlessAborted } from '../../../src/async/aborting.ts'
import { DOCKER_IO } from '../engine.ts'

export interface ModelCall {
  readonly does:
    | 'head manifest'
    | 'get manifest'
    | 'put manifest'
    | 'head blob'
    | 'push blob'
    | 'mount'
  readonly name: RepositoryName
  /** Of a manifest as a client writes it: a tag or a digest. */
  readonly reference: string
}

/** What becomes of a request. Nothing given: it arrives at once and its answer does, too. */
export interface Fate {
  /** It is carried out when this resolves, whether or not anybody still waits for the answer. */
  readonly arrives?: Promise<unknown>
  /** It is never carried out; this is the answer. */
  readonly error?: UpstreamError
  /**
   * The caller is told that there was no answer: when it was carried out (`cut`), or when this
   * resolves, if that is sooner. Or else what this rejects with, as a proxy before the registry may
   * answer.
   */
  readonly told?: 'cut' | Promise<unknown>
}

export interface ModelRepository {
  readonly blobs: Map<Digest, Uint8Array>
  readonly manifests: Map<Digest, { readonly bytes: Uint8Array; readonly mediaType: string }>
  readonly tags: Map<string, Digest>
  /** Where each tag pointed, one after the other; the same twice in a row counts once. */
  readonly histories: Map<string, Digest[]>
  /** In the order of their first coming. */
  readonly order: Digest[]
}

export interface UpstreamModel {
  readonly upstream: Upstream
  repository(name: string): ModelRepository
  /** Of each request, asked once when it is sent. */
  fate: (call: ModelCall) => Fate
  /** Manifests that it does not take. */
  readonly refused: Set<Digest>
  /** All, in the order in which they were sent. */
  readonly calls: ModelCall[]
  /** `calls` as one word each and what they were about; without reads when `writes`. */
  told(only?: 'writes'): string[]
}

export function createUpstreamModel(): UpstreamModel {
  const repositories = new Map<string, ModelRepository>()
  const model: UpstreamModel = {
    upstream: undefined as unknown as Upstream,
    repository: name => {
      const known = repositories.get(name)
      if (known !== undefined) return known
      const made = emptyRepository()
      repositories.set(name, made)
      return made
    },
    fate: () => ({}),
    refused: new Set(),
    calls: [],
    told: only =>
      model.calls
        .filter(({ does }) => only === undefined || !/^(?:head|get)/.test(does))
        .map(({ does, reference }) => `${does} ${reference}`),
  }
  return Object.assign(model, { upstream: upstreamOf(model) })
}

function emptyRepository(): ModelRepository {
  return {
    blobs: new Map(),
    manifests: new Map(),
    tags: new Map(),
    histories: new Map(),
    order: [],
  }
}

function upstreamOf(model: UpstreamModel): Upstream {
  const notAsked = async (): Promise<never> => {
    throw new Error('nobody asks for this here')
  }

  async function send<T>(
    call: ModelCall,
    signal: AbortSignal | undefined,
    work: (repository: ModelRepository) => T,
  ): Promise<T> {
    signal?.throwIfAborted()
    model.calls.push(call)
    const { arrives, error, told } = model.fate(call)
    const carriedOut = (arrives ?? Promise.resolve()).then(() => {
      if (error !== undefined) throw error
      return work(model.repository(call.name))
    })
    const lost = told instanceof Promise ? told.then(() => Promise.reject(noAnswer())) : undefined
    const answered = lost === undefined ? carriedOut : Promise.race([carriedOut, lost])
    carriedOut.catch(() => {})
    lost?.catch(() => {})
    const answer = await (signal === undefined ? answered : unlessAborted(answered, signal))
    if (told === 'cut') throw noAnswer()
    return answer
  }

  const manifestCall = (does: ModelCall['does'], name: RepositoryName, reference: Reference) => {
    return { does, name, reference: formatReference(reference) }
  }

  return {
    registry: DOCKER_IO,
    hasMirrors: false,
    distrust: () => false,
    letNextThrough: () => {},
    forgetTokens: () => {},
    headManifest: (name, reference, { signal } = {}) =>
      send(manifestCall('head manifest', name, reference), signal, repository => {
        const { digest, mediaType, bytes } = findManifest(repository, reference)
        return { digest, mediaType, sizeBytes: bytes.length, warnings: [] }
      }),
    getManifest: (name, reference, { signal } = {}) =>
      send(manifestCall('get manifest', name, reference), signal, repository => {
        const { digest, mediaType, bytes } = findManifest(repository, reference)
        return { bytes, mediaType, declaredDigest: digest, warnings: [] }
      }),
    headBlob: (name, digest, { signal } = {}) =>
      send({ does: 'head blob', name, reference: digest }, signal, ({ blobs }) => {
        const bytes = blobs.get(digest)
        if (bytes === undefined) throw notFound()
        return { sizeBytes: bytes.length }
      }),
    mountBlob: (name, digest, from, signal) =>
      send({ does: 'mount', name, reference: digest }, signal, repository => {
        const bytes = model.repository(from).blobs.get(digest)
        if (bytes !== undefined) repository.blobs.set(digest, bytes)
        return bytes !== undefined
      }),
    pushBlob: async (name, source, signal) => {
      const bytes = await collect(source)
      await send({ does: 'push blob', name, reference: source.digest }, signal, ({ blobs }) => {
        if (digestOf(bytes, digestAlgorithm(source.digest)) !== source.digest) {
          throw new UpstreamError('rejected', 'other bytes', {
            status: 400,
            code: 'DIGEST_INVALID',
          })
        }
        blobs.set(source.digest, bytes)
      })
    },
    putManifest: (name, reference, source, signal) =>
      send(manifestCall('put manifest', name, reference), signal, repository => {
        takeManifest(model, repository, { reference, source })
        return { subject: undefined }
      }),
    getBlob: notAsked,
    listTags: notAsked,
    // Without the referrers API: the list is whatever is under its tag.
    listReferrers: async (name, subject) => {
      const { tags, manifests } = model.repository(name)
      const digest = tags.get(referrersTag(subject))
      const list = digest === undefined ? undefined : manifests.get(digest)
      if (list === undefined) return { manifests: [], byTag: true }
      const { manifests: listed } = JSON.parse(Buffer.from(list.bytes).toString()) as {
        manifests: unknown[]
      }
      return { manifests: listed, byTag: true }
    },
    streamBlob: notAsked,
    health: () => {
      throw new Error('nobody asks for health here')
    },
  }
}

function findManifest({ manifests, tags }: ModelRepository, reference: Reference) {
  const digest = reference.kind === 'tag' ? tags.get(reference.tag) : reference.digest
  const manifest = digest === undefined ? undefined : manifests.get(digest)
  if (digest === undefined || manifest === undefined) throw notFound()
  return { digest, ...manifest }
}

function takeManifest(
  { refused }: UpstreamModel,
  repository: ModelRepository,
  { reference, source }: { reference: Reference; source: ManifestSource },
): void {
  const { digest, bytes, mediaType } = source
  const { manifests, tags, histories, order } = repository
  const asked = reference.kind === 'digest' ? reference.digest : digest
  if (digestOf(bytes, digestAlgorithm(asked)) !== asked)
    throw refusal('DIGEST_INVALID', 'other bytes')
  if (refused.has(digest)) throw refusal('MANIFEST_INVALID', 'this one is not wanted')
  const lacking = listedBy(bytes, mediaType).find(
    each => !repository.blobs.has(each) && !manifests.has(each),
  )
  if (lacking !== undefined) throw refusal('MANIFEST_BLOB_UNKNOWN', `${lacking} is not here`)
  if (!manifests.has(digest)) order.push(digest)
  manifests.set(digest, { bytes, mediaType })
  if (reference.kind === 'digest') return
  const history = histories.get(reference.tag) ?? []
  if (history.at(-1) !== digest) history.push(digest)
  histories.set(reference.tag, history)
  tags.set(reference.tag, digest)
}

function listedBy(bytes: Uint8Array, mediaType: string): Digest[] {
  const { manifests, config, layers } = parseManifest(bytes, mediaType)
  return [...manifests, ...(config === undefined ? [] : [config]), ...layers]
    .filter(({ urls }) => urls.length === 0)
    .map(({ digest }) => digest)
    .filter(digest => digest !== undefined)
}

async function collect(source: BlobSource): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source.read()) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function notFound(): UpstreamError {
  return new UpstreamError('not-found', 'this registry has no such thing', { status: 404 })
}

function refusal(
  code: 'DIGEST_INVALID' | 'MANIFEST_INVALID' | 'MANIFEST_BLOB_UNKNOWN',
  sanitizedMessage: string,
): UpstreamError {
  return new UpstreamError('rejected', 'the registry refused it', {
    status: 400,
    code,
    sanitizedMessage,
  })
}

/** A connection that broke, or a time limit: nobody knows what became of the request. */
export function noAnswer(): UpstreamError {
  return new UpstreamError('unavailable', 'the connection broke')
}
