// What running exports and backups read, or will: it does not leave meanwhile, whatever lets it go.
// In memory alone: they end with their process, and hold nothing after a crash.
import type { Digest } from '../../oci/digest.ts'
import type { Repository } from '../../oci/reference.ts'
import type { RegistryDeps } from '../running-registry.ts'

export class Held {
  readonly #times = new Map<Digest, number>()
  #changes = 0
  #holdsOfAll = 0

  /** May its file go? What of it is let go meanwhile leaves afterwards. */
  keepsFile(digest: Digest): boolean {
    return this.#holdsOfAll > 0 || this.has(digest)
  }

  /** Every file that is here or comes, until the function that is returned is called, once. */
  holdFiles(): () => void {
    this.#holdsOfAll += 1
    return () => {
      this.#holdsOfAll -= 1
    }
  }

  has(digest: Digest): boolean {
    return this.#times.has(digest)
  }

  digests(): readonly Digest[] {
    return [...this.#times.keys()]
  }

  /** Another number whenever something else is held. */
  get changes(): number {
    return this.#changes
  }

  hold(digests: Iterable<Digest>): void {
    this.#changes += 1
    for (const digest of digests) this.#times.set(digest, (this.#times.get(digest) ?? 0) + 1)
  }

  /** Of what was held, as often as it was. */
  release(digests: Iterable<Digest>): void {
    this.#changes += 1
    for (const digest of digests) {
      const times = (this.#times.get(digest) ?? 0) - 1
      if (times > 0) this.#times.set(digest, times)
      else this.#times.delete(digest)
    }
  }
}

type AskedPins = NonNullable<RegistryDeps['pins']>

/** What operators pinned, and what is held: asked about by whoever takes something away. */
export function pinsAndHeld(pins: AskedPins, held: Held): AskedPins {
  const find = (digest: Digest) => (held.has(digest) ? heldPin(digest) : undefined)
  let digests: ReadonlySet<Digest> = new Set()
  let changes = -1
  return {
    // What is held for a while is asked about each time, and no run is to begin anew for it.
    get changes() {
      return pins.changes
    },
    digests: () => {
      if (changes === pins.changes + held.changes) return digests
      changes = pins.changes + held.changes
      digests = new Set([...pins.digests(), ...held.digests()])
      return digests
    },
    findContent: digest => find(digest) ?? pins.findContent(digest),
    find: async (repository: Repository, digest) =>
      find(digest) ?? (await pins.find(repository, digest)),
    findWithListed: async (repository, digest) =>
      find(digest) ?? (await pins.findWithListed(repository, digest)),
  }
}

/** As if an operator had pinned it for as long. */
function heldPin(digest: Digest) {
  return { selector: { kind: 'content', digest }, from: 'command' } as const
}
