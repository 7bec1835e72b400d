// The referrers of which the manifests are here, as descriptors: read from disk a few at a time,
// one list of a repository after the other, and no manifest is held longer than it takes to
// describe it. A list may have thousands.
import type { Digest } from '../../oci/digest.ts'
import { parseManifest, type ReferrerDescriptor, referrerDescriptor } from '../../oci/manifest.ts'
import { type Repository, repositoryKey } from '../../oci/reference.ts'
import { mapFew } from '../../async/few-at-once.ts'
import { Turns } from '../../async/turns.ts'
import type { ManifestContent, ManifestContents } from './manifest-content.ts'

/** Each is an open file, and up to 4 MiB. */
const READ_AT_ONCE = 4
/**
 * Of one list. What comes beyond is listed without its annotations, which its manifest has as well.
 */
export const LOCAL_LIST_BYTES = 4 * 1024 * 1024

export class LocalReferrers {
  readonly #contents: Pick<ManifestContents, 'here'>
  readonly #turns = new Turns()

  constructor(contents: Pick<ManifestContents, 'here'>) {
    this.#contents = contents
  }

  /** Of those whose manifests are here. */
  describe(
    repository: Repository,
    referrers: readonly Digest[],
  ): Promise<readonly ReferrerDescriptor[]> {
    if (referrers.length === 0) return Promise.resolve([])
    return this.#turns.take(repositoryKey(repository), async () => {
      let listedBytes = 0
      const described = await mapFew(referrers, READ_AT_ONCE, async each => {
        const content = await this.#contents.here(repository, each)
        if (content === undefined) return undefined
        const descriptor = describe(content)
        listedBytes += JSON.stringify(descriptor).length
        return listedBytes > LOCAL_LIST_BYTES ? withoutAnnotations(descriptor) : descriptor
      })
      return described.filter(each => each !== undefined)
    })
  }
}

function describe({ fact, bytes }: ManifestContent): ReferrerDescriptor {
  return referrerDescriptor(parseManifest(bytes, fact.mediaType), fact.digest, bytes.length)
}

function withoutAnnotations(descriptor: ReferrerDescriptor): ReferrerDescriptor {
  const { annotations, ...rest } = descriptor
  return annotations === undefined ? descriptor : rest
}
