// How much pins hold, for operators. That takes a look at every image that one is about: so it is
// counted when somebody asks, beside the traffic, and told again for a while. What several
// repositories share counts for each, as in all that is told of repositories.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { within } from '../../async/within.ts'
import type { Digest } from '../../oci/digest.ts'
import { parseRepositoryKey, type RepositoryKey } from '../../oci/reference.ts'
import type { Pins } from './pins.ts'
import { onDiskBytes } from '../ports/blob-store.ts'
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import { eachRepository } from '../space/repository-bytes.ts'

/** A look at 10^5 images takes some seconds, in pieces; whoever pins something is told anew. */
export const COUNTED_FOR_MS = 10 * 60_000
/** Whoever asks first does not wait longer for it. */
const WAIT_MS = 1_000

export interface PinnedBytesDeps {
  readonly catalog: Pick<Catalog, 'listRepositoryBytes' | 'findNeed' | 'findContent' | 'findMember'>
  readonly pins: Pick<Pins, 'list' | 'listHeld' | 'changes'>
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>
}

interface Counted {
  readonly bytes: number
  /** Of the pins, when it was begun. */
  readonly changes: number
  readonly atMs: number
}

export class PinnedBytes {
  readonly #deps: PinnedBytesDeps
  #counted: Counted | undefined
  #counting: Promise<void> | undefined

  constructor(deps: PinnedBytesDeps) {
    this.#deps = deps
  }

  /** In whole blocks, as of COUNTED_FOR_MS ago or later. Undefined while it is being counted. */
  async read(): Promise<number | undefined> {
    const { pins, clock } = this.#deps
    if (pins.list().length === 0) return 0
    const last = this.#last()
    if (last !== undefined && clock.monotonicMs() - last.atMs < COUNTED_FOR_MS) return last.bytes
    // What cannot be read now is tried again by who asks next.
    this.#counting ??= this.#count().catch(() => {})
    if (last === undefined) await within(clock, WAIT_MS, this.#counting)
    return this.#last()?.bytes
  }

  /** Undefined where it is about other pins. */
  #last(): Counted | undefined {
    return this.#counted?.changes === this.#deps.pins.changes ? this.#counted : undefined
  }

  async #count(): Promise<void> {
    const { pins, catalog, clock } = this.#deps
    const { changes } = pins
    try {
      const contents = pins
        .list()
        .flatMap(({ selector }) => (selector.kind === 'content' ? [selector.digest] : []))
      let bytes = await this.#bytesOf(contents)
      for await (const { repository, bytes: ofAll } of eachRepository(catalog)) {
        await nextTurn()
        const held = await pins.listHeld(parseRepositoryKey(repository))
        if (held === 'all') bytes += ofAll
        else bytes += await this.#bytesOf(await this.#membersOf(repository, held))
      }
      this.#counted = { bytes, changes, atMs: clock.monotonicMs() }
    } finally {
      this.#counting = undefined
    }
  }

  async #membersOf(key: RepositoryKey, held: readonly Digest[]): Promise<readonly Digest[]> {
    const repository = parseRepositoryKey(key)
    const members: Digest[] = []
    for (const digest of held)
      if ((await this.#deps.catalog.findMember(repository, digest)) !== undefined)
        members.push(digest)
    return members
  }

  /** What is here of them and of what they need, each once. */
  async #bytesOf(roots: readonly Digest[]): Promise<number> {
    const { catalog } = this.#deps
    const sizes = new Map<Digest, number>()
    for (const root of roots) {
      const content = await catalog.findContent(root)
      if (content !== undefined) sizes.set(root, content.sizeBytes)
    }
    // Grows while it is gone through: children of an index need something themselves.
    for (const digest of sizes.keys()) {
      const { lists = [] } = (await catalog.findNeed(digest)) ?? {}
      for (const child of lists) {
        const content = sizes.has(child) ? undefined : await catalog.findContent(child)
        if (content !== undefined) sizes.set(child, content.sizeBytes)
      }
      await nextTurn()
    }
    return sizes.values().reduce((sum, size) => sum + onDiskBytes(size), 0)
  }
}
