// Pushing without end, and what was acknowledged meanwhile: the judge of whether a crash lost any
// of it.
import { randomFillSync } from 'node:crypto'
import { digestOf } from '../../../src/oci/digest.ts'
import {
  createPushClient,
  manifestOver,
  type PushClient,
  type SmallManifest,
} from './push-client.ts'
import type { Random } from '../seeded.ts'

const LAYER_BYTES = [1_000, 200_000] as const
/** Of each repository, to be pushed again. */
const DELETED_MAX = 8

export interface SmallImage {
  readonly blobs: readonly Buffer[]
  readonly manifest: SmallManifest
}

/** The edge that is asked what it still knows. */
export interface AskedEdge {
  readonly url: string
  /** As of EdgeProcess. */
  readonly askAdmin: (path: string) => Promise<unknown>
}

interface TagState {
  /** The last one that was acknowledged. */
  acknowledged: string | undefined
  /** Begun since, never answered: may have taken effect. */
  readonly doubtful: Set<string>
}

/** Everything that an edge said 201 to. */
export class PushRecord {
  /** Paths that must be there: blobs and manifests by digest. */
  readonly #paths = new Set<string>()
  /**
   * Of these, blobs that no manifest lists which is there: only the catalog knows whose they are.
   */
  readonly #unlisted = new Set<string>()
  /** Paths of blobs by the path of the manifest that lists them. */
  readonly #listed = new Map<string, readonly string[]>()
  /** Paths that must not be there. */
  readonly #gone = new Set<string>()
  readonly #tags = new Map<string, TagState>()
  readonly #queued = new Set<string>()
  /** By repository: what was deleted last. */
  readonly #deleted = new Map<string, SmallImage[]>()
  readonly #watchers = new Set<() => void>()
  #count = 0

  /** Acknowledgements so far. */
  get count(): number {
    return this.#count
  }

  /** Resolves when there are so many. */
  async reaches(count: number): Promise<void> {
    while (this.#count < count)
      await new Promise<void>(resolve => this.#watchers.add(() => resolve()))
  }

  /**
   * From now on it may be there or not, also when it was deleted before. `tag`: none when it is
   * pushed by its digest.
   */
  begun(repository: string, tag: string | undefined, digest: string): void {
    if (tag !== undefined) this.#tag(repository, tag).doubtful.add(digest)
    this.#gone.delete(manifestPath(repository, digest))
  }

  /** From now on it may be there or not, also when it was deleted with its image before. */
  blobBegun(repository: string, digest: string): void {
    this.#gone.delete(blobPath(repository, digest))
  }

  blobAcknowledged(repository: string, digest: string): void {
    const path = blobPath(repository, digest)
    this.#paths.add(path)
    this.#unlisted.add(path)
    this.#counted()
  }

  manifestAcknowledged(
    repository: string,
    tag: string | undefined,
    { digest, blobs }: { digest: string; blobs: readonly string[] },
  ): void {
    const path = manifestPath(repository, digest)
    this.#paths.add(path)
    const listed = blobs.map(blob => blobPath(repository, blob))
    this.#listed.set(path, listed)
    for (const each of listed) this.#unlisted.delete(each)
    if (tag !== undefined) {
      const state = this.#tag(repository, tag)
      state.acknowledged = digest
      state.doubtful.clear()
    }
    if (!repository.startsWith('localhost/')) this.#queued.add(`${repository}@${digest}`)
    this.#counted()
  }

  /** From now on it may be there or not. */
  deleteBegun(repository: string, digest: string): void {
    const path = manifestPath(repository, digest)
    this.#paths.delete(path)
    // Nothing else lists them: they go with it.
    for (const each of this.#listed.get(path) ?? []) this.#paths.delete(each)
    this.#queued.delete(`${repository}@${digest}`)
  }

  deleteAcknowledged(repository: string, image: SmallImage): void {
    const path = manifestPath(repository, image.manifest.digest)
    for (const each of [path, ...(this.#listed.get(path) ?? [])]) this.#gone.add(each)
    const deleted = this.#deleted.get(repository) ?? []
    this.#deleted.set(repository, [...deleted, image].slice(-DELETED_MAX))
    this.#counted()
  }

  /**
   * One that was deleted here, in this or an earlier run; undefined while there is none. Not given
   * twice until it is deleted again.
   */
  takeDeleted(repository: string, random: Random): SmallImage | undefined {
    const deleted = this.#deleted.get(repository) ?? []
    const [taken] = deleted.splice(random.below(Math.max(1, deleted.length)), 1)
    return taken
  }

  /** The catalog was taken away: what it alone knew is not asked for any more. */
  catalogLost(): void {
    for (const path of this.#unlisted) this.#paths.delete(path)
    this.#unlisted.clear()
  }

  /** One sentence for each acknowledgement that the edge no longer knows of. */
  async findLost({ url, askAdmin }: AskedEdge): Promise<readonly string[]> {
    const client = createPushClient(url)
    const lost: string[] = []
    for (const path of this.#paths) {
      const { status } = await client.send('HEAD', path)
      if (status !== 200) lost.push(`${path}: ${status}`)
    }
    for (const path of this.#gone) {
      const { status } = await client.send('HEAD', path)
      if (status !== 404) lost.push(`${path}: ${status} after its delete`)
    }
    for (const [key, { acknowledged, doubtful }] of this.#tags) {
      const { status, headers } = await client.send('HEAD', key)
      const digest = String(headers['docker-content-digest'])
      const known = status === 200 && (digest === acknowledged || doubtful.has(digest))
      if (!known && acknowledged !== undefined) lost.push(`${key}: ${status} ${digest}`)
      // What took effect without an answer is where the tag is now.
      if (known && digest !== acknowledged) this.#settle(key, digest)
    }
    client.close()
    const waiting = await queuedAt(askAdmin)
    for (const entry of this.#queued)
      if (!waiting.has(entry)) lost.push(`${entry}: not in the queue`)
    return lost
  }

  #settle(key: string, digest: string): void {
    const state = this.#tags.get(key)
    if (state === undefined) return
    state.acknowledged = digest
    state.doubtful.clear()
  }

  #tag(repository: string, tag: string): TagState {
    const key = `/v2/${repository}/manifests/${tag}`
    const state = this.#tags.get(key) ?? { acknowledged: undefined, doubtful: new Set() }
    this.#tags.set(key, state)
    return state
  }

  #counted(): void {
    this.#count += 1
    const watchers = [...this.#watchers]
    this.#watchers.clear()
    for (const watch of watchers) watch()
  }
}

function blobPath(repository: string, digest: string): string {
  return `/v2/${repository}/blobs/${digest}`
}

function manifestPath(repository: string, digest: string): string {
  return `/v2/${repository}/manifests/${digest}`
}

/** `repository@digest` of everything that waits to be delivered. */
async function queuedAt(askAdmin: AskedEdge['askAdmin']): Promise<ReadonlySet<string>> {
  const { entries } = (await askAdmin('/queue')) as {
    readonly entries: readonly { readonly repository: string; readonly digest: string }[]
  }
  return new Set(entries.map(({ repository, digest }) => `${repository}@${digest}`))
}

export interface PushForever {
  readonly record: PushRecord
  /**
   * Each on a connection and in repositories of its own, one under `localhost` and one that is
   * queued.
   */
  readonly writers: number
  readonly random: Random
}

/**
 * Pushes until `stop` or until the edge does not answer; `stop` resolves when every writer has
 * ended.
 */
export function pushForever(url: string, options: PushForever): () => Promise<void> {
  let stopped = false
  const writers = Array.from({ length: options.writers }, async (_, writer) => {
    const client = createPushClient(url)
    const before = new Map<string, SmallImage>()
    try {
      for (let turn = 0; !stopped; turn += 1) {
        const repository = `${turn % 2 === 0 ? 'localhost' : 'registry.test'}/team/w${writer}`
        await pushNext(client, { repository, before }, options)
      }
    } catch {
      // The edge is gone: what was not answered was not acknowledged.
    } finally {
      client.close()
    }
  })
  return async () => {
    stopped = true
    await Promise.all(writers)
  }
}

/**
 * A new image, or one that was deleted before; then perhaps a delete of what it is not.
 * @throws as pushOne
 */
async function pushNext(
  client: PushClient,
  { repository, before }: { repository: string; before: Map<string, SmallImage> },
  options: PushForever,
): Promise<void> {
  const { record, random } = options
  const again = random.below(2) === 0 ? record.takeDeleted(repository, random) : undefined
  const image = again ?? newImage(random)
  const tag = again === undefined || random.below(3) > 0 ? 'latest' : undefined
  await pushOne(client, { repository, tag, image }, record)
  // The tag has moved on from the one, and never came to the other.
  const left = tag === undefined ? image : before.get(repository)
  if (left !== undefined && random.below(2) === 0)
    await deleteOne(client, { repository, image: left }, record)
  if (tag !== undefined) before.set(repository, image)
}

function newImage(random: Random): SmallImage {
  const layer = randomFillSync(Buffer.alloc(random.between(...LAYER_BYTES)))
  const config = Buffer.from(JSON.stringify({ layer: digestOf(layer) }))
  return { blobs: [layer, config], manifest: manifestOver(config, [layer]) }
}

interface Pushed {
  readonly repository: string
  /** By digest when there is none. */
  readonly tag: string | undefined
  readonly image: SmallImage
}

/** @throws when the edge does not answer, or refuses */
async function pushOne(
  client: PushClient,
  { repository, tag, image: { blobs, manifest } }: Pushed,
  record: PushRecord,
): Promise<void> {
  for (const blob of blobs) {
    record.blobBegun(repository, digestOf(blob))
    const { status, body } = await client.blob(repository, blob)
    if (status !== 201) throw new Error(`blob: ${status} ${body}`)
    record.blobAcknowledged(repository, digestOf(blob))
  }
  const { digest } = manifest
  record.begun(repository, tag, digest)
  const { status, body } = await client.manifest(repository, tag ?? digest, manifest)
  if (status !== 201) throw new Error(`manifest: ${status} ${body}`)
  const digests = blobs.map(blob => digestOf(blob))
  record.manifestAcknowledged(repository, tag, { digest, blobs: digests })
}

/** @throws when the edge does not answer, or refuses */
async function deleteOne(
  client: PushClient,
  { repository, image }: { repository: string; image: SmallImage },
  record: PushRecord,
): Promise<void> {
  const { digest } = image.manifest
  record.deleteBegun(repository, digest)
  const { status, body } = await client.send('DELETE', manifestPath(repository, digest))
  if (status !== 202) throw new Error(`delete: ${status} ${body}`)
  record.deleteAcknowledged(repository, image)
}
