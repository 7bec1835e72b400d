// The push half of the registry double: uploads, manifests and deletes over what it has stored,
// honest about order, digests and absence, and about nothing that a client cannot see. It reads
// bodies as the engine does: not before it must, and to their end.
import { type Digest, digestAlgorithm, digestOf } from '../../../src/oci/digest.ts'
import { parseNamePath } from '../../../src/oci/endpoint.ts'
import { RegistryError } from '../../../src/oci/errors.ts'
import { rangeLength } from '../../../src/oci/range.ts'
import {
  LOCALHOST,
  parseRepositoryKey,
  type Repository,
  repositoryKey,
} from '../../../src/oci/reference.ts'
import {
  type UploadChunk,
  UploadOrderError,
  type UploadState,
} from '../../../src/registry/answers.ts'
import type { Registry } from '../../../src/registry/use-cases.ts'
import { pushDenied } from '../../../src/registry/refusals/push-refusal.ts'
import type { RepositoryPolicy } from '../../../src/registry/routing/repository-policy.ts'
import type { Route } from '../../../src/registry/routing/route.ts'

export interface StoredManifest {
  readonly bytes: Buffer
  readonly mediaType: string
}

export interface StoredRepository {
  readonly tags: Map<string, Digest>
  readonly manifests: Map<Digest, StoredManifest>
  readonly blobs: Map<Digest, Buffer>
  referrers: readonly unknown[]
}

type PushMethods = Pick<
  Registry,
  | 'policyOf'
  | 'routeFrom'
  | 'startUpload'
  | 'mountBlob'
  | 'uploadState'
  | 'appendUpload'
  | 'finishUpload'
  | 'cancelUpload'
  | 'pushManifest'
  | 'deleteManifest'
  | 'deleteBlob'
>

export interface Pushes extends PushMethods {
  /** How many uploads have neither become a blob nor been cancelled. */
  openUploads(): number
  /** Resolves when an upload has so many bytes, or more. */
  received(id: string, bytes: number): Promise<void>
}

export interface PushesDeps {
  readonly repositories: ReadonlyMap<string, StoredRepository>
  readonly storedIn: (repository: Repository) => StoredRepository
  readonly route: Route
  readonly policyOf: (repository: Repository) => RepositoryPolicy
  /** Notes the call and waits as the test says. */
  readonly enter: (call: string) => Promise<void>
}

interface Upload {
  readonly key: string
  readonly id: string
  bytes: Buffer
}

export function createPushes(deps: PushesDeps): Pushes {
  const { repositories, storedIn, route, policyOf } = deps
  const uploads = new Map<string, Upload>()
  const watchers = new Set<() => void>()
  let count = 0

  const enter = (call: string, repository: Repository) =>
    deps.enter(`${call} ${repositoryKey(repository)}`)

  function requirePush(repository: Repository): void {
    if (policyOf(repository).push === 'deny') throw pushDenied(repository)
  }

  function requireDelete(repository: Repository): void {
    if (!policyOf(repository).deletable) throw new RegistryError('UNSUPPORTED')
  }

  function find(repository: Repository, id: string): Upload {
    const upload = uploads.get(id)
    if (upload?.key === repositoryKey(repository)) return upload
    throw new RegistryError('BLOB_UPLOAD_UNKNOWN')
  }

  async function append(upload: Upload, { body, range, lengthBytes }: UploadChunk): Promise<void> {
    const startBytes = upload.bytes.length
    if (range !== undefined && range.first !== startBytes) {
      throw new UploadOrderError(`the upload goes on at byte ${startBytes}`, stateOf(upload))
    }
    const promised = range === undefined ? lengthBytes : rangeLength(range)
    if (lengthBytes !== undefined && lengthBytes !== promised)
      throw new RegistryError('SIZE_INVALID')
    for await (const piece of body) {
      upload.bytes = Buffer.concat([upload.bytes, piece])
      for (const look of watchers) look()
    }
    if (promised !== undefined && upload.bytes.length - startBytes !== promised) {
      throw new RegistryError('SIZE_INVALID')
    }
  }

  return {
    openUploads: () => uploads.size,
    received: (id, bytes) =>
      new Promise(resolve => {
        const look = () => {
          if ((uploads.get(id)?.bytes.length ?? 0) < bytes) return
          watchers.delete(look)
          resolve()
        }
        watchers.add(look)
        look()
      }),
    policyOf,
    routeFrom(target, from, host) {
      try {
        const endpoint = { kind: 'uploads', path: parseNamePath(from) } as const
        return route({ ...target, endpoint }, host).repository
      } catch {
        return undefined
      }
    },
    async startUpload(repository, { algorithm }) {
      await enter(`startUpload ${algorithm}`, repository)
      requirePush(repository)
      count += 1
      const upload = {
        key: repositoryKey(repository),
        id: `upload-${count}`,
        bytes: Buffer.alloc(0),
      }
      uploads.set(upload.id, upload)
      return stateOf(upload)
    },
    async mountBlob(repository, { digest, from, mayReadAny }) {
      await enter('mountBlob', repository)
      const isLocal = repository.registry === LOCALHOST
      const anywhere = isLocal
        ? [...repositories].filter(([key]) => key.startsWith('localhost/'))
        : []
      const holders = anywhere.filter(([, stored]) => stored.blobs.has(digest))
      const isReadable = async () => mayReadAny(holders.map(([key]) => parseRepositoryKey(key)))
      const source = from === undefined && (await isReadable()) ? holders[0]?.[1] : undefined
      const bytes = (from === undefined ? source : storedIn(from))?.blobs.get(digest)
      if (bytes === undefined) return undefined
      storedIn(repository).blobs.set(digest, bytes)
      return { digest, sizeBytes: bytes.length }
    },
    async uploadState(repository, id) {
      await enter('uploadState', repository)
      return stateOf(find(repository, id))
    },
    async appendUpload(repository, id, chunk) {
      await enter('appendUpload', repository)
      const upload = find(repository, id)
      await append(upload, chunk)
      return stateOf(upload)
    },
    async finishUpload(repository, id, { digest, chunk }) {
      await enter('finishUpload', repository)
      const upload = find(repository, id)
      await append(upload, chunk)
      uploads.delete(id)
      if (digestOf(upload.bytes, digestAlgorithm(digest)) !== digest) {
        throw new RegistryError('DIGEST_INVALID')
      }
      storedIn(repository).blobs.set(digest, upload.bytes)
      return { digest, sizeBytes: upload.bytes.length }
    },
    async cancelUpload(repository, id) {
      await enter('cancelUpload', repository)
      uploads.delete(find(repository, id).id)
    },
    async pushManifest(repository, { reference, tags, mediaType, bytes }) {
      await enter('pushManifest', repository)
      requirePush(repository)
      const algorithm = reference.kind === 'digest' ? digestAlgorithm(reference.digest) : 'sha256'
      const digest = digestOf(bytes, algorithm)
      if (reference.kind === 'digest' && reference.digest !== digest) {
        throw new RegistryError('DIGEST_INVALID')
      }
      const stored = storedIn(repository)
      stored.manifests.set(digest, { bytes: Buffer.from(bytes), mediaType })
      for (const tag of reference.kind === 'tag' ? [reference.tag] : tags)
        stored.tags.set(tag, digest)
      return { digest, subject: subjectOf(bytes), tags, warnings: [] }
    },
    async deleteManifest(repository, reference) {
      await enter('deleteManifest', repository)
      requireDelete(repository)
      const { tags, manifests } = storedIn(repository)
      const isThere =
        reference.kind === 'tag' ? tags.delete(reference.tag) : manifests.delete(reference.digest)
      if (!isThere) throw new RegistryError('MANIFEST_UNKNOWN')
      if (reference.kind === 'tag') return
      for (const [tag, digest] of tags) if (digest === reference.digest) tags.delete(tag)
    },
    async deleteBlob(repository, digest) {
      await enter('deleteBlob', repository)
      requireDelete(repository)
      if (!storedIn(repository).blobs.delete(digest)) throw new RegistryError('BLOB_UNKNOWN')
    },
  }
}

function stateOf({ id, bytes }: Upload): UploadState {
  return { id, sizeBytes: bytes.length }
}

function subjectOf(bytes: Uint8Array): Digest | undefined {
  try {
    return JSON.parse(Buffer.from(bytes).toString()).subject?.digest
  } catch {
    throw new RegistryError('MANIFEST_INVALID')
  }
}
