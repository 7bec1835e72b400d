// Pushing without end, and what was acknowledged meanwhile: the judge of whether a crash lost any of it.
import { randomFillSync } from 'node:crypto'
import { digestOf } from '../../src/oci/digest.ts'
import { createPushClient, manifestOver, type PushClient } from './push-client.ts'
import type { Random } from './seeded.ts'

const LAYER_BYTES = [1_000, 200_000] as const

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
  /** Of these, blobs that no manifest lists which is there: only the catalog knows whose they are. */
  readonly #unlisted = new Set<string>()
  /** Paths of blobs by the path of the manifest that lists them. */
  readonly #listed = new Map<string, readonly string[]>()
  /** Paths that must not be there. */
  readonly #gone = new Set<string>()
  readonly #tags = new Map<string, TagState>()
  readonly #queued = new Set<string>()
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

  begun(repository: string, tag: string, digest: string): void {
    this.#tag(repository, tag).doubtful.add(digest)
  }

  blobAcknowledged(repository: string, digest: string): void {
    const path = blobPath(repository, digest)
    this.#paths.add(path)
    this.#unlisted.add(path)
    this.#counted()
  }

  manifestAcknowledged(
    repository: string,
    tag: string,
    { digest, blobs }: { digest: string; blobs: readonly string[] },
  ): void {
    const path = manifestPath(repository, digest)
    this.#paths.add(path)
    const listed = blobs.map(blob => blobPath(repository, blob))
    this.#listed.set(path, listed)
    for (const each of listed) this.#unlisted.delete(each)
    const state = this.#tag(repository, tag)
    state.acknowledged = digest
    state.doubtful.clear()
    if (!repository.startsWith('localhost/')) this.#queued.add(`${repository}@${digest}`)
    this.#counted()
  }

  /** From now on it may be there or not. */
  deleteBegun(repository: string, digest: string): void {
    const path = manifestPath(repository, digest)
    this.#paths.delete(path)
    for (const each of this.#listed.get(path) ?? []) this.#unlisted.add(each)
  }

  deleteAcknowledged(repository: string, digest: string): void {
    this.#gone.add(manifestPath(repository, digest))
    this.#counted()
  }

  /** The catalog was taken away: what it alone knew is not asked for any more. */
  catalogLost(): void {
    for (const path of this.#unlisted) this.#paths.delete(path)
    this.#unlisted.clear()
  }

  /** One sentence for each acknowledgement that the edge no longer knows of. */
  async findLost(url: string, adminUrl: string): Promise<readonly string[]> {
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
    const waiting = await queuedAt(adminUrl)
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
async function queuedAt(adminUrl: string): Promise<ReadonlySet<string>> {
  const response = await fetch(`${adminUrl}/api/v1/queue`)
  const { entries } = (await response.json()) as {
    readonly entries: readonly { readonly repository: string; readonly digest: string }[]
  }
  return new Set(entries.map(({ repository, digest }) => `${repository}@${digest}`))
}

export interface PushForever {
  readonly record: PushRecord
  /** Each on a connection and in repositories of its own, one under `localhost` and one that is queued. */
  readonly writers: number
  readonly random: Random
}

/** Pushes until `stop` or until the edge does not answer; `stop` resolves when every writer has ended. */
export function pushForever(url: string, options: PushForever): () => Promise<void> {
  let stopped = false
  const writers = Array.from({ length: options.writers }, async (_, writer) => {
    const client = createPushClient(url)
    try {
      let before: string | undefined
      for (let turn = 0; !stopped; turn += 1) {
        const isLocal = turn % 2 === 0
        const repository = `${isLocal ? 'localhost' : 'registry.test'}/team/w${writer}`
        const digest = await pushOne(client, repository, options)
        if (!isLocal) continue
        // The tag has moved on from it.
        if (before !== undefined && options.random.below(2) === 0)
          await deleteOne(client, repository, { digest: before, record: options.record })
        before = digest
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

/** A small image under the tag `latest`. @throws when the edge does not answer, or refuses */
async function pushOne(
  client: PushClient,
  repository: string,
  { record, random }: PushForever,
): Promise<string> {
  const layer = randomFillSync(Buffer.alloc(random.between(...LAYER_BYTES)))
  const config = Buffer.from(JSON.stringify({ layer: digestOf(layer) }))
  for (const blob of [layer, config]) {
    const { status, body } = await client.blob(repository, blob)
    if (status !== 201) throw new Error(`blob: ${status} ${body}`)
    record.blobAcknowledged(repository, digestOf(blob))
  }
  const manifest = manifestOver(config, [layer])
  record.begun(repository, 'latest', manifest.digest)
  const { status, body } = await client.manifest(repository, 'latest', manifest)
  if (status !== 201) throw new Error(`manifest: ${status} ${body}`)
  const blobs = [layer, config].map(blob => digestOf(blob))
  record.manifestAcknowledged(repository, 'latest', { digest: manifest.digest, blobs })
  return manifest.digest
}

/** @throws when the edge does not answer, or refuses */
async function deleteOne(
  client: PushClient,
  repository: string,
  { digest, record }: { digest: string; record: PushRecord },
): Promise<void> {
  record.deleteBegun(repository, digest)
  const { status, body } = await client.send('DELETE', manifestPath(repository, digest))
  if (status !== 202) throw new Error(`delete: ${status} ${body}`)
  record.deleteAcknowledged(repository, digest)
}
