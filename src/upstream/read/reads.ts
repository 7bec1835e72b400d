// What is asked of a namespace, as the Upstream port has it: each question with its lane, and with
// what a mirror's response is worth.
import type { Reference, RepositoryName } from '../../oci/reference.ts'
import type { Clock } from '../../registry/ports/clock.ts'
import type { Upstream } from '../../registry/ports/upstream.ts'
import { createBlobLocations } from './blob-locations.ts'
import { getBlob, headBlob } from './blobs.ts'
import type { Ask } from '../endpoint/endpoints.ts'
import { getManifest, headManifest } from './manifests.ts'
import type { ContentKey } from '../endpoint/mirror-trust.ts'
import type { NameRules } from '../name-rules.ts'
import type { Profile } from '../profiles.ts'
import { listReferrers } from './referrers.ts'
import { listTags } from './tags.ts'

export type Reads = Pick<
  Upstream,
  'headManifest' | 'getManifest' | 'headBlob' | 'getBlob' | 'listTags' | 'listReferrers'
>

export interface ReadParts {
  readonly ask: Ask
  readonly clock: Clock
  readonly profile: Omit<Profile, 'apiUrl'>
  readonly rules: NameRules
  /** Blobs will be asked for next. */
  readonly blobsAhead: () => void
}

export function createReads({ ask, clock, profile, rules, blobsAhead }: ReadParts): Reads {
  const { assertAllowed } = rules
  const locations = createBlobLocations()
  return {
    headManifest: async (name, reference, options) => {
      assertAllowed(name)
      const key = contentKey(name, reference)
      return ask(headManifest({ name, reference }, clock), { ...options, lane: 'api', key })
    },
    getManifest: async (name, reference, options = {}) => {
      assertAllowed(name)
      // The registry itself is asked by who checks what a push did, and needs no blobs.
      if (options.endpoints !== 'registry') blobsAhead()
      const key = contentKey(name, reference)
      return ask(getManifest({ name, reference }, clock), { ...options, lane: 'api', key })
    },
    headBlob: async (name, digest, options) => {
      assertAllowed(name)
      const work = headBlob({ name, digest }, clock, profile.headBlob)
      return ask(work, { ...options, lane: 'blob', key: digest })
    },
    getBlob: async (name, digest, request, options) => {
      assertAllowed(name)
      const work = getBlob({ name, digest }, request, { clock, locations })
      return ask(work, { ...options, lane: 'blob', key: digest })
    },
    listTags: async (name, options) => {
      assertAllowed(name)
      const suffices = ({ tags }: { tags: readonly unknown[] }) => tags.length > 0
      return ask(listTags(name, clock, profile.tagsPageMax), { ...options, lane: 'api', suffices })
    },
    listReferrers: async (name, digest, options) => {
      assertAllowed(name)
      // A mirror that does not know the subject says "nobody" as well.
      const suffices = ({ manifests }: { manifests: readonly unknown[] }) => manifests.length > 0
      const work = listReferrers({ name, digest }, clock, profile.referrersApi)
      return ask(work, { ...options, lane: 'api', suffices })
    },
  }
}

/** By digest it is the same content wherever it is. */
export function contentKey(name: RepositoryName, reference: Reference): ContentKey {
  return reference.kind === 'digest' ? reference.digest : `${name}:${reference.tag}`
}
