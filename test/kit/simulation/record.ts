// What clients of a simulation were told, and what follows from it: the judge, who knows nothing of
// how an edge does it. Of what two do at once it expects only what holds in either order, and of
// what was cut off nothing.
import type { Digest } from '../../../src/oci/digest.ts'
import { type Repository, repositoryKey } from '../../../src/oci/reference.ts'
import type { Image } from '../image.ts'
import { blobsOf, BYTES, TAGS } from './images.ts'

/** For so long nothing that a pusher was told is there may turn out not to be. */
export const LEASED_MS = 50 * 60_000

/** A promise that was broken. */
export class Broken extends Error {
  constructor(what: string) {
    super(what)
    this.name = 'Broken'
  }
}

/** An image whose push was answered, and whose delete was not asked for. */
export interface Held {
  readonly repository: Repository
  readonly image: Image
  /** When its push began. */
  readonly since: number
}

interface Touched {
  open: number
  last: number
}

interface TagState {
  /** Where it may point; undefined among them: nowhere. Absent: nobody knows. */
  values: ReadonlySet<Digest | undefined> | undefined
  open: number
  generation: number
}

export class AcknowledgedRecord {
  #now = 0
  #held = new Map<string, Held>()
  readonly #touched = new Map<string, Touched>()
  readonly #tags = new Map<string, TagState>()
  readonly #told = new Map<string, number>()
  /** By what is listed: manifests that list it, which end what was promised of it. */
  readonly #listed = new Map<string, Touched>()

  /** A moment later than all before. */
  now(): number {
    this.#now += 1
    return this.#now
  }

  /** What was under way has no end now: it may have happened, or not. */
  crashed(): void {
    for (const touched of [...this.#touched.values(), ...this.#listed.values()]) {
      if (touched.open > 0) touched.last = this.now()
      touched.open = 0
    }
    for (const tag of this.#tags.values()) {
      if (tag.open > 0) tag.generation += 1
      tag.open = 0
    }
  }

  /** Whoever may push to the repository is told that it has this. */
  told(repository: Repository, digest: Digest, asked: { since: number; atMs: number }): void {
    const key = at(repository, digest)
    const isOver = wasOpen(this.#listed.get(key), asked.since)
    if (isOver || this.#isTouched(key, asked.since)) return
    this.#told.set(key, asked.atMs)
  }

  wasTold(repository: Repository, digest: Digest, nowMs: number): boolean {
    const atMs = this.#told.get(at(repository, digest))
    return atMs !== undefined && nowMs - atMs < LEASED_MS
  }

  /**
   * Returns what tells what it may rely on, and what is to be called when it has ended. A manifest
   * of somebody else that lists the same ends what was promised before.
   */
  manifestBegun(repository: Repository, image: Image, nowMs: number) {
    const listed = listedBy(image)
    const since = this.now()
    const told = listed.filter(digest => this.wasTold(repository, digest, nowMs))
    const relied = () =>
      told.filter(digest => {
        const { open = 0, last = 0 } = this.#listed.get(at(repository, digest)) ?? {}
        return open === 1 && last < since
      })
    for (const digest of listed) {
      const key = at(repository, digest)
      this.#told.delete(key)
      const coming = this.#listed.get(key) ?? { open: 0, last: 0 }
      this.#listed.set(key, coming)
      coming.open += 1
    }
    const ended = () => {
      for (const digest of listed) {
        const key = at(repository, digest)
        const coming = this.#listed.get(key)
        if (coming === undefined) continue
        coming.open = Math.max(0, coming.open - 1)
        coming.last = this.now()
        this.#told.delete(key)
      }
    }
    return { relied, ended }
  }

  /** A delete of it is asked for. Returns what is to be called when that has ended. */
  deleteBegun(repository: Repository, digest: Digest): () => void {
    const key = at(repository, digest)
    const touched = this.#touched.get(key) ?? { open: 0, last: 0 }
    this.#touched.set(key, touched)
    touched.open += 1
    this.#told.delete(key)
    this.#held.delete(key)
    return () => {
      touched.open = Math.max(0, touched.open - 1)
      touched.last = this.now()
    }
  }

  /** Has a delete of it been under way since then? */
  wasDeleted(repository: Repository, digest: Digest, since: number): boolean {
    return this.#isTouched(at(repository, digest), since)
  }

  /** The push that began then was answered. */
  pushed(repository: Repository, image: Image, since: number): void {
    const key = at(repository, image.manifest.digest)
    if (this.#isTouched(key, since)) return
    this.#held.set(key, {
      repository,
      image,
      since: Math.max(since, this.#held.get(key)?.since ?? 0),
    })
  }

  held(repository: Repository, digest: Digest): Held | undefined {
    return this.#held.get(at(repository, digest))
  }

  get allHeld(): readonly Held[] {
    return [...this.#held.values()]
  }

  /** Of one that is held: is this blob of it to be there? */
  holdsBlob(held: Held, digest: Digest): boolean {
    const { repository, image, since } = held
    if (this.held(repository, image.manifest.digest) !== held) return false
    return !this.#isTouched(at(repository, digest), since)
  }

  /** The tag may point there from now on. Returns what is to be called when that was answered. */
  tagBegun(repository: Repository, tag: string, to: Digest | undefined) {
    const state = this.#tag(repository, tag)
    state.open += 1
    state.generation += 1
    if (state.values !== undefined) state.values = new Set([...state.values, to])
    const { generation } = state
    return (isDone: boolean) => {
      state.open = Math.max(0, state.open - 1)
      if (isDone && state.open === 0 && state.generation === generation)
        state.values = new Set([to])
    }
  }

  /** All of it may go: nothing that came before is promised any more. */
  clearingBegun(repository: Repository): () => void {
    const ended = [...BYTES.keys()].map(digest => this.deleteBegun(repository, digest))
    const known = this.tagsUnknown(repository)
    return () => {
      for (const end of [...ended, known]) end()
    }
  }

  /**
   * Nobody can tell where these point, until one is pushed again once what is returned was called.
   */
  tagsUnknown(repository: Repository): () => void {
    const states = TAGS.map(tag => this.#tag(repository, tag))
    const forget = (more: 1 | -1) => {
      for (const state of states) {
        state.open = Math.max(0, state.open + more)
        state.generation += 1
        state.values = undefined
      }
    }
    forget(1)
    return () => forget(-1)
  }

  /** Tags that may point to it. */
  tagsTo(repository: Repository, digest: Digest): readonly string[] {
    const prefix = `${repositoryKey(repository)} `
    return [...this.#tags]
      .filter(([key, { values }]) => key.startsWith(prefix) && values?.has(digest) === true)
      .map(([key]) => key.slice(prefix.length))
  }

  /** Somebody asks where it points; what is returned takes the answer. @throws Broken */
  tagAsked(repository: Repository, tag: string): (answer: Digest | undefined) => void {
    const state = this.#tag(repository, tag)
    const { generation, values } = state
    const wasOpen = state.open > 0
    return answer => {
      if (wasOpen || values === undefined || state.generation !== generation) return
      if (values.has(answer)) return
      const may = [...values].map(each => each ?? 'nowhere').join(' or ')
      throw new Broken(
        `${repositoryKey(repository)}:${tag} points to ${answer ?? 'nowhere'}, not to ${may}`,
      )
    }
  }

  #tag(repository: Repository, tag: string): TagState {
    const key = at(repository, tag)
    const state = this.#tags.get(key) ?? { values: new Set([undefined]), open: 0, generation: 0 }
    this.#tags.set(key, state)
    return state
  }

  #isTouched(key: string, since: number): boolean {
    return wasOpen(this.#touched.get(key), since)
  }
}

function wasOpen(touched: Touched | undefined, since: number): boolean {
  return touched !== undefined && (touched.open > 0 || touched.last > since)
}

/** Of the manifest itself. */
export function listedBy(image: Image): readonly Digest[] {
  return [
    ...image.children.map(({ manifest }) => manifest.digest),
    ...blobsOf(image).map(({ digest }) => digest),
  ]
}

function at(repository: Repository, what: string): string {
  return `${repositoryKey(repository)} ${what}`
}
