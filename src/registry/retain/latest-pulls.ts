// When what a tag leads to was pulled last: by any tag, by its digest, or one of the manifests that
// it lists. Who pins digests never asks for a tag, and keeps by each pull what the tag stands for.
import type { Digest } from '../../oci/digest.ts'

export interface PulledManifest {
  /** As itself; undefined: never. */
  readonly pulledAtMs: number | undefined
  readonly children: readonly Digest[]
}

const NOT_HERE: PulledManifest = { pulledAtMs: undefined, children: [] }

export class LatestPulls {
  readonly #find: (digest: Digest) => Promise<PulledManifest | undefined>
  readonly #found = new Map<Digest, PulledManifest>()
  readonly #latest = new Map<Digest, number | undefined>()

  /** `find` is asked once for each; undefined: it is not here. */
  constructor(find: (digest: Digest) => Promise<PulledManifest | undefined>) {
    this.#find = find
  }

  /** Undefined: never. Without recursion: indexes may list indexes as deep as anybody likes. */
  async of(first: Digest): Promise<number | undefined> {
    const path = [first]
    for (let digest = path.at(-1); digest !== undefined; digest = path.at(-1)) {
      const known = this.#found.get(digest)
      if (known === undefined) {
        const found = (await this.#find(digest)) ?? NOT_HERE
        this.#found.set(digest, found)
        for (const child of found.children) if (!this.#found.has(child)) path.push(child)
      } else {
        path.pop()
        if (!this.#latest.has(digest)) this.#latest.set(digest, this.#latestOf(known))
      }
    }
    return this.#latest.get(first)
  }

  #latestOf({ pulledAtMs, children }: PulledManifest): number | undefined {
    let latestMs = pulledAtMs
    for (const child of children) latestMs = laterOf(latestMs, this.#latest.get(child))
    return latestMs
  }
}

/** The one that there is, if there is but one. */
export function laterOf(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return Math.max(a, b)
}
