// A Registry over fixed content in memory, for tests of what speaks to clients. It keeps the
// contract of answers.ts, counts what is opened and closed, and lets a test put itself between a
// reader and its bytes.
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { RegistryError } from '../../../src/oci/errors.ts'
import type { ByteRange } from '../../../src/oci/range.ts'
import {
  LOCALHOST,
  parseRepositoryKey,
  type RegistryHost,
  type Repository,
  repositoryKey,
} from '../../../src/oci/reference.ts'
import type {
  BlobAnswer,
  BlobFile,
  BlobHead,
  ManifestAnswer,
  Repeatable,
  Source,
} from '../../../src/registry/answers.ts'
import type { ListPage, ManifestRequest, Registry } from '../../../src/registry/use-cases.ts'
import { DENIED, type RepositoryPolicy } from '../../../src/registry/routing/repository-policy.ts'
import type { Used } from '../../../src/registry/ports/catalog-uses.ts'
import { createRoute } from '../../../src/registry/routing/route.ts'
import {
  createPushes,
  type Pushes,
  type StoredRepository,
  type StoredManifest,
} from './pushes-double.ts'

/**
 * Takes the place of reading from memory: gets the range and the signal, yields what the client is
 * to be sent.
 */
export type ReadBlob = (
  bytes: Buffer,
  range: ByteRange,
  signal: AbortSignal,
) => AsyncIterable<Uint8Array>

export interface RegistryDouble extends Registry, Pushes {
  addManifest(key: string, manifest: StoredManifest & { readonly tag?: string }): Digest
  addBlob(key: string, bytes: Buffer): Digest
  setReferrers(key: string, manifests: readonly unknown[]): void
  /** What the calls so far were: `pullBlob docker.io/a/b`. */
  readonly calls: string[]
  /** Blobs opened, and closed, so far. */
  opened: number
  closed: number
  /** Resolves when every opened blob is closed, and at least one was opened. */
  drained(): Promise<void>
  source: Source
  ageMs: number | undefined
  warnings: readonly string[]
  /** Of every manifest and blob. Default undefined: nothing is remembered. */
  repeatable: Repeatable | undefined
  /** What was used from memory, once for each time. */
  readonly used: Used[]
  /** What `notePull` was told: `docker.io/a/b sha256:… 127.0.0.1`. */
  readonly pulled: string[]
  filtered: boolean
  /** Runs before each call answers; may throw or wait. */
  before: (call: string) => Promise<void>
  readBlob: ReadBlob
  /** Behind every blob. Default undefined. */
  file: BlobFile | undefined
  /** Is every blob open from somebody who asked before? Default false. */
  isOpen: boolean
  /** Default: everything under `localhost`, nothing elsewhere. */
  policy: (repository: Repository) => RepositoryPolicy
}

const CHUNK_BYTES = 64 * 1024
/** As the engine has it. */
const LISTED_AT_ONCE = 100

/** `chunkBytes`: how much a read yields at once. */
export function readFromMemory(chunkBytes = CHUNK_BYTES): ReadBlob {
  return async function* read(bytes, range, signal) {
    for (let at = range.first; at <= range.last; at += chunkBytes) {
      signal.throwIfAborted()
      yield new Uint8Array(bytes.subarray(at, Math.min(at + chunkBytes, range.last + 1)))
    }
  }
}

function defaultPolicy({ registry }: Repository): RepositoryPolicy {
  const isLocal = registry === LOCALHOST
  return {
    ...DENIED,
    push: isLocal ? 'store' : 'deny',
    deletable: isLocal,
  }
}

export function createRegistryDouble(): RegistryDouble {
  const repositories = new Map<string, StoredRepository>()
  const route = createRoute({
    defaultRegistry: 'docker.io' as RegistryHost,
    upstreams: new Set(['docker.io', 'quay.io'] as RegistryHost[]),
    aliases: new Map([['registry-1.docker.io', 'docker.io' as RegistryHost]]),
    ownNames: new Set(),
    virtualHosts: new Map(),
    anyUpstream: false,
  })

  function storedIn(repository: Repository): StoredRepository {
    const key = repositoryKey(repository)
    const stored = repositories.get(key) ?? {
      tags: new Map(),
      manifests: new Map(),
      blobs: new Map(),
      referrers: [],
    }
    repositories.set(key, stored)
    return stored
  }

  function findManifest(
    repository: Repository,
    { reference }: ManifestRequest,
    withBytes: boolean,
  ): ManifestAnswer {
    const stored = storedIn(repository)
    const digest = reference.kind === 'digest' ? reference.digest : stored.tags.get(reference.tag)
    const manifest = digest === undefined ? undefined : stored.manifests.get(digest)
    if (digest === undefined || manifest === undefined) throw new RegistryError('MANIFEST_UNKNOWN')
    return {
      digest,
      mediaType: manifest.mediaType,
      sizeBytes: manifest.bytes.length,
      bytes: withBytes ? manifest.bytes : undefined,
      source: double.source,
      ageMs: reference.kind === 'tag' ? double.ageMs : undefined,
      warnings: double.warnings,
      repeatable: double.repeatable,
    }
  }

  function findBlob(repository: Repository, digest: Digest): Buffer {
    const bytes = storedIn(repository).blobs.get(digest)
    if (bytes === undefined) throw new RegistryError('BLOB_UNKNOWN')
    return bytes
  }

  function blobHead(digest: Digest, bytes: Buffer): BlobHead {
    return {
      digest,
      sizeBytes: bytes.length,
      source: double.source,
      repeatable: double.repeatable,
    }
  }

  function openBlob(digest: Digest, bytes: Buffer): BlobAnswer {
    double.opened += 1
    let closed = false
    return {
      ...blobHead(digest, bytes),
      file: double.file,
      read: ({ first, last }, signal, from = first) =>
        double.readBlob(bytes, { first: from, last }, signal),
      async close() {
        if (closed) throw new Error('closed twice')
        closed = true
        double.closed += 1
        for (const look of watchers) look()
      },
    }
  }

  async function enter(call: string): Promise<void> {
    double.calls.push(call)
    await double.before(call)
  }

  function pageOf(all: readonly string[], page: ListPage) {
    const rest = all.filter(entry => page.after === undefined || entry > page.after).sort()
    return { entries: rest.slice(0, page.limit), more: rest.length > page.limit }
  }

  const pushes = createPushes({
    repositories,
    storedIn,
    route,
    policyOf: repository => double.policy(repository),
    enter,
  })
  const watchers = new Set<() => void>()
  const double: RegistryDouble = {
    drained: () =>
      new Promise(resolve => {
        const look = () => {
          if (double.opened === 0 || double.opened > double.closed) return
          watchers.delete(look)
          resolve()
        }
        watchers.add(look)
        look()
      }),
    calls: [],
    opened: 0,
    closed: 0,
    source: 'hit',
    ageMs: 1_500,
    warnings: [],
    repeatable: undefined,
    used: [],
    pulled: [],
    filtered: false,
    before: async () => {},
    readBlob: readFromMemory(),
    file: undefined,
    isOpen: false,
    policy: defaultPolicy,
    addManifest(key, manifest) {
      const digest = digestOf(manifest.bytes)
      const stored = storedIn(parseRepositoryKey(key))
      stored.manifests.set(digest, manifest)
      if (manifest.tag !== undefined) stored.tags.set(manifest.tag, digest)
      return digest
    },
    addBlob(key, bytes) {
      const digest = digestOf(bytes)
      storedIn(parseRepositoryKey(key)).blobs.set(digest, bytes)
      return digest
    },
    setReferrers(key, manifests) {
      storedIn(parseRepositoryKey(key)).referrers = manifests
    },
    ...pushes,
    route,
    async headManifest(repository, request) {
      await enter(`headManifest ${repositoryKey(repository)}`)
      return findManifest(repository, request, false)
    },
    async pullManifest(repository, request) {
      await enter(`pullManifest ${repositoryKey(repository)}`)
      return findManifest(repository, request, true)
    },
    async headBlob(repository, digest) {
      await enter(`headBlob ${repositoryKey(repository)}`)
      return blobHead(digest, findBlob(repository, digest))
    },
    async pullBlob(repository, digest) {
      await enter(`pullBlob ${repositoryKey(repository)}`)
      return openBlob(digest, findBlob(repository, digest))
    },
    findOpen(repository, digest) {
      return double.isOpen ? openBlob(digest, findBlob(repository, digest)) : undefined
    },
    async readWholeBlob(repository, digest, { maxBytes }) {
      await enter(`readWholeBlob ${repositoryKey(repository)}`)
      const bytes = findBlob(repository, digest)
      if (bytes.length > maxBytes || double.repeatable === undefined) return undefined
      return { ...blobHead(digest, bytes), bytes }
    },
    createNoteUse: used => () => void double.used.push(used),
    noteUses: uses => void double.used.push(...uses),
    noteRead: () => {},
    notePull: (repository, digest, client) =>
      void double.pulled.push(`${repositoryKey(repository)} ${digest} ${client}`),
    async listTags(repository, page) {
      await enter(`listTags ${repositoryKey(repository)}`)
      const { tags } = storedIn(repository)
      if (tags.size === 0) throw new RegistryError('NAME_UNKNOWN')
      const { entries, more } = pageOf([...tags.keys()], page)
      return { tags: entries, more, source: double.source, warnings: double.warnings }
    },
    async listReferrers(repository) {
      await enter(`listReferrers ${repositoryKey(repository)}`)
      const { referrers: manifests } = storedIn(repository)
      return {
        manifests,
        filtered: double.filtered,
        source: double.source,
        warnings: double.warnings,
      }
    },
    async listRepositories(page) {
      await enter('listRepositories')
      const limit = Math.min(page.limit, LISTED_AT_ONCE)
      const { entries, more } = pageOf([...repositories.keys()], { ...page, limit })
      return { repositories: entries, next: more ? entries.at(-1) : undefined }
    },
  }
  return double
}
