// What an operator wants to stay under any pressure: selectors out of the configuration, which a
// reload replaces, and those of `entrepot pin`, which the catalog has. Says of an image whether it
// is pinned and by what, at the pace of somebody who chooses among many. Who takes things away
// asks; nothing is held by a pin that nobody asks about.
import { boundedCache } from '../../async/bounded-cache.ts'
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import {
  type Repository,
  type RepositoryKey,
  repositoryKey,
  type Tag,
} from '../../oci/reference.ts'
import type { Epochs } from '../epochs.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import {
  compileSelector,
  formatSelector,
  type Matcher,
  type Selector,
  selectorFrom,
} from './selectors.ts'
import { INDEX_DEPTH_MAX } from '../content/edges.ts'
import { rowsOf } from '../pacing/pages.ts'
import { Pieces } from '../pacing/pieces.ts'
import type { RecordedTag } from '../ports/catalog-tags.ts'

/** Whose tags were looked up a moment ago: those that images are chosen among, one by one. */
const REMEMBERED_MAX = 1_000
/**
 * What is recorded by its digest alone moves no epoch: a child that came, a signature. It is young
 * for longer than this.
 */
const REMEMBERED_FOR_MS = 10_000
/** Each is compared with every tag of a repository that it is about. */
const PINS_MAX = 1_000

/** By the text of its selector. */
export interface Pin {
  readonly selector: Selector
  readonly from: 'configuration' | 'command'
}

export interface PinsDeps {
  readonly catalog: Pick<
    Catalog,
    'listPins' | 'pin' | 'unpin' | 'listTags' | 'findManifest' | 'listReferrers'
  >
  readonly clock: Pick<Clock, 'nowMs' | 'monotonicMs'>
  /** Bumped by every write to `catalog`. Absent: nothing is remembered. */
  readonly epochs?: Epochs | undefined
}

type Compiled = Pin & { readonly matcher: Matcher }

interface Remembered {
  readonly stamp: number
  readonly atMs: number
  readonly held: ReadonlyMap<Digest, Pin>
}

export class Pins {
  readonly #deps: PinsDeps
  readonly #remembered = boundedCache<Remembered, RepositoryKey>(REMEMBERED_MAX)
  #changes = 0
  #configured: readonly Compiled[] = []
  #commanded: readonly Compiled[] = []
  #byDigest: ReadonlyMap<Digest, Pin> = new Map()

  constructor(deps: PinsDeps) {
    this.#deps = deps
  }

  /** Those of the configuration first, each list in the order of its making. */
  list(): readonly Pin[] {
    return this.#all().map(({ selector, from }) => ({ selector, from }))
  }

  /** What the configuration says from now on. */
  replaceConfigured(selectors: readonly Selector[]): void {
    this.#configured = selectors.map(selector => compiled(selector, 'configuration'))
    this.#changed()
  }

  /** Those that the catalog has. Until then, only those of the configuration hold. */
  async load(): Promise<void> {
    const recorded = await this.#deps.catalog.listPins()
    // What a later version wrote may be none here; it is left alone.
    const selectors = recorded
      .map(({ body }) => selectorFrom(body))
      .filter(each => each !== undefined)
    this.#commanded = selectors.map(selector => compiled(selector, 'command'))
    this.#changed()
  }

  /**
   * Durable when it resolves. False, and no effect, when it is pinned already by a command.
   * @throws RegistryError TOOMANYREQUESTS; StoreError
   */
  async pin(selector: Selector): Promise<boolean> {
    const name = formatSelector(selector)
    if (this.#commanded.some(each => formatSelector(each.selector) === name)) return false
    if (this.#commanded.length >= PINS_MAX) throw tooMany()
    const body = JSON.stringify(selector)
    await this.#deps.catalog.pin({ name, body, atMs: this.#deps.clock.nowMs() })
    await this.load()
    return true
  }

  /** Durable when it resolves. False when no command pinned it. @throws StoreError */
  async unpin(selector: Selector): Promise<boolean> {
    const name = formatSelector(selector)
    const isPinned = this.#commanded.some(each => formatSelector(each.selector) === name)
    await this.#deps.catalog.unpin(name)
    await this.load()
    return isPinned
  }

  /** Grows whenever there are other pins than before. */
  get changes(): number {
    return this.#changes
  }

  /**
   * Manifests of the repository that pins hold, but for those that are about content alone; `all`
   * where one is about all of it. Some of them may not be here.
   * @throws StoreError
   */
  async listHeld(repository: Repository): Promise<'all' | readonly Digest[]> {
    const key = repositoryKey(repository)
    const about = this.#all().filter(
      ({ selector, matcher }) => selector.kind !== 'content' && matcher.isAbout(key),
    )
    if (about.some(({ selector }) => selector.kind === 'repositories')) return 'all'
    return about.length === 0 ? [] : [...(await this.#look(repository, about)).keys()]
  }

  /**
   * The pin that is about this content by its digest: it stays, whatever lists it, and whatever
   * becomes of that.
   */
  findContent(digest: Digest): Pin | undefined {
    return this.#byDigest.get(digest)
  }

  /** For which `findContent` finds one. */
  digests(): ReadonlySet<Digest> {
    return new Set(this.#byDigest.keys())
  }

  /**
   * Undefined when no pin holds this manifest in this repository: by itself, by a tag that leads to
   * it, as a child of an index that is held, or as a referrer of what is held. Not by what it
   * lists: who knows the digest of a pinned blob could have all that he likes stay.
   * @throws StoreError
   */
  async find(repository: Repository, digest: Digest): Promise<Pin | undefined> {
    const about = this.#about(repository)
    const whole = about.find(({ matcher }) => matcher.hasDigest(digest))
    if (whole !== undefined || about.length === 0) return whole
    return (await this.#heldIn(repository, about)).get(digest)
  }

  /**
   * As `find`, or by what it lists: where the manifest is deleted, a blob that is pinned would go
   * from the repository with it. @throws StoreError
   */
  async findWithListed(repository: Repository, digest: Digest): Promise<Pin | undefined> {
    const held = await this.find(repository, digest)
    if (held !== undefined) return held
    const byDigest = this.#about(repository).filter(({ selector }) => 'digest' in selector)
    if (byDigest.length === 0) return undefined
    const manifest = await this.#deps.catalog.findManifest(repository, digest)
    const lists = manifest?.edges.filter(({ kind }) => kind !== 'subject') ?? []
    return byDigest.find(({ matcher }) => lists.some(({ child }) => matcher.hasDigest(child)))
  }

  #about(repository: Repository): readonly Compiled[] {
    const key = repositoryKey(repository)
    return this.#all().filter(({ matcher }) => matcher.isAbout(key))
  }

  #all(): readonly Compiled[] {
    return [...this.#configured, ...this.#commanded]
  }

  /** They are others from now on. */
  #changed(): void {
    this.#changes += 1
    this.#remembered.clear()
    this.#byDigest = new Map(
      this.#all().flatMap(pin => ('digest' in pin.selector ? [[pin.selector.digest, pin]] : [])),
    )
  }

  async #heldIn(
    repository: Repository,
    about: readonly Compiled[],
  ): Promise<ReadonlyMap<Digest, Pin>> {
    const { epochs, clock } = this.#deps
    const key = repositoryKey(repository)
    const stamp = epochs?.stampOf(epochs.slotOf(key)) ?? 0
    const known = this.#remembered.get(key)
    const atMs = clock.monotonicMs()
    if (known?.stamp === stamp && atMs - known.atMs < REMEMBERED_FOR_MS) return known.held
    const changes = this.#changes
    const held = await this.#look(repository, about)
    // It may be what earlier pins hold: whoever asked before they changed is told, and nobody else.
    if (epochs !== undefined && changes === this.#changes)
      this.#remembered.set(key, { stamp, atMs, held })
    return held
  }

  async #look(
    repository: Repository,
    about: readonly Compiled[],
  ): Promise<ReadonlyMap<Digest, Pin>> {
    const held = new Map<Digest, Pin>()
    for (const pin of about) {
      const { selector } = pin
      if (selector.kind === 'manifest' || selector.kind === 'content')
        held.set(selector.digest, pin)
    }
    const byTags = about.filter(({ selector }) => selector.kind === 'tags')
    const tags = rowsOf<RecordedTag, Tag>(
      page => this.#deps.catalog.listTags(repository, page),
      ({ tag }) => tag,
    )
    if (byTags.length > 0)
      for await (const { tag, digest } of tags) {
        const pin = byTags.find(({ matcher }) => matcher.hasTag(tag))
        if (pin !== undefined && !held.has(digest)) held.set(digest, pin)
      }
    // An index may list an index, and a signature may be signed.
    let level = [...held]
    for (let depth = 0; depth < INDEX_DEPTH_MAX && level.length > 0; depth += 1)
      level = await this.#below(repository, { level, held })
    return held
  }

  /** Adds children and referrers of `level` to `held`; gives those that are new. */
  async #below(
    repository: Repository,
    { level, held }: { level: readonly [Digest, Pin][]; held: Map<Digest, Pin> },
  ): Promise<[Digest, Pin][]> {
    const { catalog } = this.#deps
    const next: [Digest, Pin][] = []
    const pieces = new Pieces()
    for (const [digest, pin] of level) {
      const manifest = await catalog.findManifest(repository, digest)
      const children = manifest?.edges.filter(({ kind }) => kind === 'manifest') ?? []
      const referrers = await catalog.listReferrers(repository, digest)
      await pieces.done(1 + (manifest?.edges.length ?? 0) + referrers.length)
      for (const each of [...children.map(({ child }) => child), ...referrers]) {
        if (held.has(each)) continue
        held.set(each, pin)
        next.push([each, pin])
      }
    }
    return next
  }
}

function compiled(selector: Selector, from: Pin['from']): Compiled {
  return { selector, from, matcher: compileSelector(selector) }
}

function tooMany(): RegistryError {
  const message = `there are ${PINS_MAX} pins: take some away, or use patterns that say more`
  return new RegistryError('TOOMANYREQUESTS', message)
}
