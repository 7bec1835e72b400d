// Fetches ahead what a client is about to ask for: with an image's manifest its config and layers,
// with an index the child that was asked for before. Clients ask for a few blobs at a time;
// upstreams bound each connection, so that all at once are there sooner. It uses only what nobody
// needs, places, room and upstreams that are well, and it stops when nobody comes (ADR 0021).
import { type BoundedCache, boundedCache } from '../../async/bounded-cache.ts'
import type { Digest } from '../../oci/digest.ts'
import { type Repository, type RepositoryKey, repositoryKey } from '../../oci/reference.ts'
import type { Fills } from '../fill/fills.ts'
import { type Headed, HeadedManifests } from './headed-manifests.ts'
import type { ManifestContents } from './manifest-content.ts'
import type { Namespace, Namespaces } from '../routing/namespaces.ts'
import type { BlobStore } from '../ports/blob-store.ts'
import type { RecordedManifest } from '../ports/catalog-content.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { NoteEvent } from '../ports/events.ts'
import type { BlobAnswer } from '../answers.ts'
import { imageKey, mayPrefetch, PlatformChoices, ManifestOnlyReaders } from './prefetch-rules.ts'
import { PrefetchFills } from './prefetch-fills.ts'
import { ImagePrefetch, PrefetchTable } from './prefetch-images.ts'
import type { SpaceLedger } from '../space/ledger.ts'

/**
 * Without a sign of a pull for so long, nobody comes. Clients ask for the first blob within a round
 * trip of the manifest, and for the next one as soon as another has ended; what takes them longer,
 * a slow disk or a policy that looks at a signature in between, takes seconds.
 */
const PATIENCE_MS = 5_000
/** How long an image is remembered whose blobs are begun only with the first that is asked for. */
const REMEMBERED_MS = 60_000
/**
 * An image of which everything was here is not looked at again for so long: its manifest may be
 * asked for all the time.
 */
const WHOLE_MS = 60_000
const WHOLE_MAX = 10_000

export interface PrefetchDeps {
  readonly store: BlobStore
  readonly catalog: Catalog
  readonly namespaces: Namespaces
  readonly clock: Clock
  readonly note: NoteEvent
  readonly fills: Fills
  readonly contents: ManifestContents
  readonly space: SpaceLedger
}

interface Served {
  readonly repository: Repository
  readonly namespace: Namespace
  /** Tells clients apart. */
  readonly client: string
}

/** A manifest was given to a client. */
export interface ManifestServed extends Served {
  readonly manifest: RecordedManifest
}

/** The same by somebody who remembers what it was given before. */
export interface DigestServed extends Served {
  readonly digest: Digest
}

/** A client that reads a blob of an image that may be fetched ahead. */
export interface ImageReading {
  /** The blob was fetched ahead, and this is the client that it was fetched for. */
  readonly isFirst: boolean
  /** The client has read, or left. No effect the second time. */
  end(): void
}

export class Prefetch {
  readonly #clock: Clock
  readonly #catalog: Catalog
  readonly #contents: ManifestContents
  readonly #table = new PrefetchTable()
  readonly #fills: PrefetchFills
  readonly #choices = new PlatformChoices()
  readonly #manifestOnly = new ManifestOnlyReaders()
  /** Whose they are. */
  readonly #whole: BoundedCache<RepositoryKey>
  readonly #headed: HeadedManifests
  readonly #stop = new AbortController()

  constructor(deps: PrefetchDeps) {
    const { clock } = deps
    this.#clock = clock
    this.#catalog = deps.catalog
    this.#contents = deps.contents
    this.#fills = new PrefetchFills({
      ...deps,
      table: this.#table,
      nothingToDo: image => {
        if (!image.isPulled) this.#whole.set(image.key, repositoryKey(image.repository))
        this.#end(image)
      },
    })
    const nowMs = () => clock.monotonicMs()
    this.#whole = boundedCache(WHOLE_MAX, { ttlMs: WHOLE_MS, nowMs })
    this.#headed = new HeadedManifests({
      ...deps,
      expected: ({ repository, client }, index) => {
        this.#choices.indexServed(repository, index)
        return this.#choices.expected(repository, client, index)
      },
    })
  }

  /**
   * A client was told of this manifest, and may ask for nothing more. Returns at once and never
   * throws.
   */
  headed(headed: Headed): void {
    this.#headed.add(headed)
  }

  /** Returns at once and never throws; what is to be fetched is looked for later. */
  served(served: ManifestServed): void {
    const { repository, namespace, client, manifest } = served
    if (this.#stop.signal.aborted || !mayPrefetch(namespace)) return
    if (manifest.edges.some(edge => edge.kind === 'manifest')) {
      this.#choices.indexServed(repository, manifest)
      this.#expectChild(served)
      return
    }
    const child = this.#choices.childOf(repository, manifest.digest)
    if (child?.platform !== undefined) this.#choices.chosen(repository, client, child.platform)
    this.#expectBlobs(served)
  }

  /**
   * As `served`. The catalog is asked only where what the manifest lists is not known to be here or
   * on its way.
   */
  servedAgain({ digest, ...served }: DigestServed): void {
    const { repository, namespace, client } = served
    if (this.#stop.signal.aborted || !mayPrefetch(namespace)) return
    if (this.#isKnown(imageKey(repository, digest), client)) return
    this.#catalog.findManifest(repository, digest).then(
      manifest => {
        if (manifest !== undefined) this.served({ ...served, manifest })
      },
      // It was given for what is here; nobody waits for the rest.
      () => {},
    )
  }

  /**
   * A client reads a blob: the rest of its image is wanted meanwhile. Undefined when it is none of
   * an image that is remembered.
   */
  reading(repository: Repository, digest: Digest): ImageReading | undefined {
    const images = this.#table.withBlob(repository, digest)
    if (images === undefined) return undefined
    let isFirst = false
    for (const image of images) {
      image.readers += 1
      isFirst = this.#fills.use(image, digest) || isFirst
      if (!image.isPulled) this.#pull(image)
      // The client fetches it by itself.
      image.drop(digest)
    }
    this.#fills.begin()
    let isOver = false
    return {
      isFirst,
      end: () => {
        if (isOver) return
        isOver = true
        for (const image of images) {
          image.readers -= 1
          image.lastSignMs = this.#clock.monotonicMs()
        }
      },
    }
  }

  /** Content of these repositories may be gone: nothing of theirs is known to be here any more. */
  forget(isMeant: (key: RepositoryKey) => boolean): void {
    const meant = [...this.#whole].filter(([, repository]) => isMeant(repository))
    for (const [key] of meant) this.#whole.delete(key)
  }

  /** Begins nothing any more. What was begun are fills like others, and end with them. */
  stop(): void {
    this.#headed.stop()
    this.#fills.stop()
    this.#stop.abort(new Error('this edge is stopping'))
  }

  /**
   * Its first blob was asked for: the others are needed soon, and those of its siblings in the
   * index are not.
   */
  #pull(image: ImagePrefetch): void {
    image.isPulled = true
    this.#manifestOnly.delete(image.repository, image.clients)
    if (!image.isStarted) image.start()
    // After that, so that a layer that they share goes on.
    for (const sibling of this.#table.siblings(image)) if (!sibling.isPulled) this.#end(sibling)
  }

  /** Nothing is to be done for one more client of this image. */
  #isKnown(key: string, client: string): boolean {
    const known = this.#table.find(key)
    known?.givenTo(client)
    return known !== undefined || this.#whole.has(key)
  }

  #expectBlobs({ repository, namespace, client, manifest }: ManifestServed): void {
    if (this.#isKnown(imageKey(repository, manifest.digest), client)) return
    const child = this.#choices.childOf(repository, manifest.digest)
    const served = { repository, namespace, manifest, index: child?.index }
    const image = new ImagePrefetch(served, this.#clock.monotonicMs())
    image.givenTo(client)
    // Whoever reads several children of an index, or what is beside its images, does not mean to
    // pull them all.
    const isOneOfMany =
      child !== undefined &&
      (child.platform === undefined || this.#table.siblings(image).length > 0)
    if (image.blobs.length === 0 || !this.#remember(image)) return
    if (!isOneOfMany && !this.#manifestOnly.has(repository, client)) image.start()
    void this.#watch(image)
    this.#fills.begin()
  }

  /** In the place of one that may only have been looked at, where there is no other. */
  #remember(image: ImagePrefetch): boolean {
    if (this.#table.add(image)) return true
    const idle = this.#table.oldestIdle()
    if (idle === undefined) return false
    this.#end(idle)
    return this.#table.add(image)
  }

  #expectChild({ repository, namespace, client, manifest }: ManifestServed): void {
    if (this.#manifestOnly.has(repository, client)) return
    const child = this.#choices.expected(repository, client, manifest)
    if (child === undefined || this.#isKnown(imageKey(repository, child.child), client)) return
    this.#contents.get(repository, child.child, { namespace }).then(
      ({ content }) =>
        this.#expectBlobs({ repository, namespace, client, manifest: content.recorded }),
      // The client that asks for it is told.
      () => {},
    )
  }

  /** Ends the image when nobody comes, or comes no more. */
  async #watch(image: ImagePrefetch): Promise<void> {
    try {
      while (!image.isEnded) {
        const patienceMs = image.isStarted ? PATIENCE_MS : REMEMBERED_MS
        const quietMs = image.readers > 0 ? 0 : this.#clock.monotonicMs() - image.lastSignMs
        if (quietMs >= patienceMs) return this.#leave(image)
        await this.#clock.sleep(Math.min(PATIENCE_MS, patienceMs - quietMs), this.#stop.signal)
      }
    } catch {
      // This edge is stopping.
    }
  }

  #leave(image: ImagePrefetch): void {
    const wasInVain = !image.isPulled && image.begun.size > 0
    if (wasInVain) this.#manifestOnly.add(image.repository, image.clients)
    this.#end(image)
  }

  #end(image: ImagePrefetch): void {
    if (image.isEnded) return
    image.isEnded = true
    image.pending = []
    this.#table.delete(image)
    this.#fills.giveUp(image)
  }
}

/** The client's answer, whose end is the end of its reading. */
export function readAs(reading: ImageReading | undefined, answer: BlobAnswer): BlobAnswer {
  if (reading === undefined) return answer
  // What was fetched for this very client was not saved by being here.
  const source = reading.isFirst && answer.source === 'hit' ? 'miss' : answer.source
  const repeatable = source === answer.source ? answer.repeatable : undefined
  const close = async () => {
    reading.end()
    await answer.close()
  }
  return { ...answer, source, repeatable, close, isShareable: false }
}
