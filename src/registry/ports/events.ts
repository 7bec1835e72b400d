// What the engine tells about itself while it works: one closed union that observe/ turns into
// metrics and log lines. Events carry values only; nothing secret, no client input that was not
// parsed.
import type { Digest } from '../../oci/digest.ts'
import type { RegistryHost, Repository, Tag } from '../../oci/reference.ts'
import type { StoreFailure, WantedRoom } from './store-error.ts'
import type { Carrier } from './outbox.ts'
import type { TakingMode } from './push-modes.ts'
import type { UpstreamFailure } from './upstream.ts'

/** What an upstream request was for; a closed label set. */
/** `ping`: of `/v2/`. */
export type UpstreamCall = 'manifest' | 'blob' | 'tags' | 'referrers' | 'token' | 'push' | 'ping'

/**
 * How a fill ended. `uncached`: passed on to its readers but not kept, because the disk was full.
 */
export type FillOutcome = 'stored' | 'uncached' | 'corrupt' | 'failed' | 'abandoned'

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
      /** Its file had an earlier format at the start; there is no way back without a backup. */
      readonly kind: 'catalog brought up to date'
      readonly from: number
      readonly to: number
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
      /** Abandoned uploads that were removed, or would have been. */
      readonly kind: 'uploads purged'
      readonly sessions: number
      readonly bytes: number
      readonly dryRun: boolean
    }

/** MUST NOT throw and MUST NOT block. */
export type NoteEvent = (event: EngineEvent) => void
