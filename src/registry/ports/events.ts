// What the engine tells about itself while it works: one closed union that observe/ turns into
// metrics and log lines. Events carry values only; nothing secret, no client input that was not
// parsed.
import type { Digest } from '../../oci/digest.ts'
import type { RegistryHost, Repository, RepositoryKey, Tag } from '../../oci/reference.ts'
import type { LeaveReason } from './catalog-space.ts'
import type { StoreFailure, WantedRoom } from './store-error.ts'
import type { Carrier } from './outbox.ts'
import type { TakingMode } from './push-modes.ts'
import type { UpstreamFailure } from './upstream.ts'

/** What an upstream request was for; a closed label set. `ping`: of `/v2/`. */
export type UpstreamCall = 'manifest' | 'blob' | 'tags' | 'referrers' | 'token' | 'push' | 'ping'

/**
 * How a fill ended. `uncached`: passed on to its readers but not kept, because the disk was full.
 */
export type FillOutcome = 'stored' | 'uncached' | 'corrupt' | 'failed' | 'abandoned'

/** `room`: there was none left. `quota`: more was here than its quota allows. */
export type EvictedFor = 'room' | 'quota'

/**
 * What became of content that a scrub found damaged. `mended`: its bytes were right, and could not
 * be read. `forgotten`: it is fetched when it is next asked for. `broken`: it was pushed, or is a
 * manifest whose layers are here, and nobody has it.
 */
export type Healing = 'mended' | 'refetched' | 'forgotten' | 'broken'

export type EngineEvent =
  | {
      readonly kind: 'upstream request'
      readonly registry: RegistryHost
      readonly call: UpstreamCall
      /** HTTP status, or the failure when there was none. */
      readonly outcome: number | UpstreamFailure
      readonly durationMs: number
    }
  | { readonly kind: 'upstream bytes'; readonly registry: RegistryHost; readonly bytes: number }
  | {
      readonly kind: 'upstream breaker'
      readonly registry: RegistryHost
      readonly state: 'closed' | 'half-open' | 'open'
      readonly reason: string
      readonly hint: string | undefined
    }
  | {
      readonly kind: 'upstream rate limit'
      readonly registry: RegistryHost
      readonly remaining: number
    }
  | {
      readonly kind: 'fill started'
      readonly repository: Repository
      readonly digest: Digest
      /** Bytes that an earlier attempt had left on disk. */
      readonly resumedBytes: number
    }
  | {
      readonly kind: 'fill ended'
      readonly repository: Repository
      readonly digest: Digest
      readonly outcome: FillOutcome
      readonly sizeBytes: number
      readonly durationMs: number
      /** Only when it failed; safe for the log. */
      readonly reason: string | undefined
      readonly hint: string | undefined
    }
  | {
      /**
       * Of a blob that is fetched before anybody asks for it. `started`; `used`: the client came;
       * `cancelled`: nobody came while it was on its way; `unused`: nor after it was here.
       */
      readonly kind: 'prefetch'
      readonly repository: Repository
      readonly digest: Digest
      readonly step: 'started' | 'used' | 'cancelled' | 'unused'
      /** Of it here by then. */
      readonly bytes: number
    }
  | {
      readonly kind: 'storage failed'
      readonly failure: StoreFailure
      readonly reason: string
      readonly hint: string | undefined
      /** A push was refused for it. Default false. */
      readonly isPush?: boolean
      /** As StoreError has it. */
      readonly room?: WantedRoom | undefined
    }
  | {
      readonly kind: 'evicted'
      readonly why: EvictedFor
      readonly images: number
      /** Files of blobs and manifests that are gone. */
      readonly blobs: number
      /** That the disk has back. */
      readonly bytes: number
      /** Of the images: since the last use of that which was used last. Undefined without any. */
      readonly youngestAgeMs: number | undefined
      /** The shortest of these since the start; Infinity while no image has left. */
      readonly shortestAgeMs: number
    }
  | {
      /** Files were removed, after which the disk has so many bytes more. */
      readonly kind: 'left'
      readonly reason: LeaveReason
      readonly files: number
      readonly bytes: number
    }
  | {
      /** There is no room, and nothing that may leave for it. */
      readonly kind: 'nothing evictable'
      /** Of content that is not kept, but in use, pinned, or within a floor. */
      readonly cachedBytes: number
      readonly keptBytes: number
      /** Of unfinished uploads. */
      readonly uploadsBytes: number
      readonly largest: { readonly repository: RepositoryKey; readonly bytes: number } | undefined
    }
  | {
      /** Nothing is answered until that is done. `bytes`: how long the file is. */
      readonly kind: 'catalog is being brought up to date'
      readonly from: number
      readonly to: number
      readonly bytes: number
    }
  | {
      /** Its file had an earlier format at the start; there is no way back without a backup. */
      readonly kind: 'catalog brought up to date'
      readonly from: number
      readonly to: number
    }
  | {
      /** What the catalog said of so much content was wrong: how often it is needed. */
      readonly kind: 'miscounted'
      readonly contents: number
    }
  | {
      /** So much of what is here was read once more, to verify it. */
      readonly kind: 'reread'
      readonly blobs: number
      readonly bytes: number
    }
  | {
      /** It was not what its digest says. */
      readonly kind: 'damaged'
      readonly digest: Digest
      readonly became: Healing
      /** What was found, and which images it breaks. */
      readonly reason: string
    }
  | {
      /** One has ended; `refused`: also where the command went away. */
      readonly kind: 'import'
      readonly outcome: 'imported' | 'refused' | 'cancelled'
      readonly dryRun: boolean
      readonly images: number
      /** Manifests and blobs that were not here. */
      readonly written: number
      readonly writtenBytes: number
      readonly hereBytes: number
      readonly durationMs: number
      /** Of one that imported nothing. */
      readonly reason?: string
    }
  | { readonly kind: 'content lied'; readonly registry: RegistryHost; readonly what: string }
  | {
      /** It gave wrong content, and is not asked for some time. */
      readonly kind: 'mirror left out'
      readonly registry: RegistryHost
      readonly mirror: string
    }
  | {
      /** The upstream's tag points to another digest than before; the edge knows by now. */
      readonly kind: 'tag moved'
      readonly repository: Repository
      readonly tag: Tag
      readonly from: Digest
      readonly to: Digest
    }
  | {
      readonly kind: 'served stale'
      readonly repository: Repository
      readonly ageMs: number
      readonly reason: string
    }
  | {
      /** A manifest or blob that a client pushed was acknowledged. */
      readonly kind: 'pushed'
      readonly repository: Repository
      readonly what: 'manifest' | 'blob'
      readonly mode: TakingMode
      readonly sizeBytes: number
    }
  | {
      readonly kind: 'delivery'
      readonly carrier: Carrier
      readonly id: number
      readonly key: string
      readonly outcome: 'delivered' | 'retried' | 'parked'
      readonly attempts: number
      readonly durationMs: number
      /** When it did not succeed; safe for the log. */
      readonly reason: string | undefined
      readonly hint: string | undefined
    }
  | {
      /** What the operator's policies let go from a repository, or would have let go. */
      readonly kind: 'retained'
      readonly repository: Repository
      readonly tags: number
      readonly manifests: number
      /** That nothing else needs. */
      readonly bytes: number
      /** The first of them, with why: `localhost/app:v1: no line of keeptags names it`. */
      readonly first: readonly string[]
      readonly dryRun: boolean
    }
  | {
      /** It has more tags or manifests than are judged at once, and was left alone. */
      readonly kind: 'too much to retain'
      readonly repository: Repository
      readonly limit: number
    }
  | {
      /** Facts say more than the catalog knows, and so it was left alone. */
      readonly kind: 'too unclear to retain'
      /** Undefined: any of them, since a fact cannot be read. */
      readonly repository: Repository | undefined
    }
  | {
      /** Abandoned uploads that were removed, or would have been. */
      readonly kind: 'uploads purged'
      /** `room`, `places`: there was none, and nobody had gone on with them for a while. */
      readonly why: 'age' | 'room' | 'places'
      readonly sessions: number
      readonly bytes: number
      readonly dryRun: boolean
    }

/** MUST NOT throw and MUST NOT block. */
export type NoteEvent = (event: EngineEvent) => void
