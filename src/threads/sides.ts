// What the coordinating thread and an HTTP thread call each other for and tell each other: the two
// sides of other-thread.ts.
import type {
  FoundLogin,
  IssuedToken,
  LoginAttempt,
  TokenRequest,
  Verified,
} from '../access/accounts.ts'
import type { AccessSettings } from '../access/local-access.ts'
import type { ClientLimitSettings } from '../http/clients/client-limits.ts'
import type { ProxySettings } from '../http/proxies/callers.ts'
import type { TlsOptions } from '../http/tls/tls.ts'
import type { Digest } from '../oci/digest.ts'
import type { ByteRange } from '../oci/range.ts'
import type { Repository } from '../oci/reference.ts'
import type { LogLevel } from '../observe/log-levels.ts'
import type { MetricsSnapshot } from '../observe/merged-metrics.ts'
import type {
  BlobHead,
  BlobPushed,
  Sendable,
  UploadChunk,
  UploadState,
} from '../registry/answers.ts'
import type { CountedUses } from '../registry/ports/catalog-uses.ts'
import type { Registry } from '../registry/use-cases.ts'
import type { RepositoryRule } from '../registry/routing/repository-policies.ts'
import type { RouteOptions } from '../registry/routing/route.ts'
import type { OtherThread } from './other-thread.ts'

/** Methods of the registry that take values and give values. */
export const VALUE_METHODS = [
  'headManifest',
  'pullManifest',
  'headBlob',
  'listTags',
  'listReferrers',
  'listRepositories',
  'startUpload',
  'uploadState',
  'cancelUpload',
  'pushManifest',
  'deleteManifest',
  'deleteBlob',
  'readWholeBlob',
] as const satisfies readonly (keyof Registry)[]
export type ValueMethod = (typeof VALUE_METHODS)[number]

type ValueMethods = {
  readonly [Method in ValueMethod]: {
    readonly request: Parameters<Registry[Method]>
    readonly result: Awaited<ReturnType<Registry[Method]>>
  }
}

/**
 * A blob that the coordinator holds open for an HTTP thread, until `closeBlob` or that thread's
 * end.
 */
export interface LentBlob extends BlobHead {
  readonly isShareable: boolean
  readonly lease: number
  /**
   * Of its file; undefined when it has none. Valid in every thread for as long as the blob is held.
   */
  readonly descriptor: number | undefined
  /** As BlobFile.readyBytes; 0 when it has no file. */
  readonly readyBytes: number
  /** Everywhere. */
  readonly isProven: boolean
}

export interface CrossingChunk extends Pick<UploadChunk, 'range' | 'lengthBytes'> {
  /** The stream of the body; undefined when there is none. */
  readonly body: number | undefined
}

/** Writes to one upload. */
interface UploadWrite {
  readonly repository: Repository
  readonly id: string
  readonly chunk: CrossingChunk
}

type RegistryMethods = ValueMethods & {
  readonly pullBlob: {
    readonly request: { readonly repository: Repository; readonly digest: Digest }
    readonly result: LentBlob
  }
  /** As BlobFile.until. */
  readonly untilBlob: {
    readonly request: { readonly lease: number; readonly position: number; readonly last: number }
    readonly result: Sendable
  }
  /** As BlobAnswer.read, as a stream. */
  readonly readBlob: {
    readonly request: {
      readonly lease: number
      readonly range: ByteRange
      readonly from: number | undefined
    }
    readonly result: number
  }
  readonly appendUpload: { readonly request: UploadWrite; readonly result: UploadState }
  readonly finishUpload: {
    readonly request: UploadWrite & { readonly digest: Digest }
    readonly result: BlobPushed
  }
  readonly mountBlob: {
    readonly request: {
      readonly repository: Repository
      readonly digest: Digest
      readonly from: Repository | undefined
      /** For `mayReadAny`. */
      readonly mount: number
    }
    readonly result: BlobPushed | undefined
  }
}

export interface RegistrySide {
  readonly methods: RegistryMethods
  readonly notes: {
    /** The lease is over. */
    readonly closeBlob: number
    /** As Registry.noteUses. */
    readonly used: readonly CountedUses[]
    /** As Registry.noteRead. */
    readonly reads: { readonly repository: Repository; readonly digest: Digest }
    /** As Registry.notePull. */
    readonly pulled: {
      readonly repository: Repository
      readonly digest: Digest
      readonly client: string
    }
  }
}

/** A place among the bodies that are sent, by a number that the thread chose. */
export interface PlacesSide {
  readonly methods: {
    readonly takePlace: {
      readonly request: { readonly place: number; readonly client: string }
      readonly result: undefined
    }
  }
  readonly notes: {
    /** Also of one whose taking was taken back: it may have been there already. */
    readonly leavePlace: number
    /** One that the thread took by itself is free, and somebody waits. */
    readonly placeFreed: undefined
    /** Those that it took by itself, by client; told about once a second while anybody waits. */
    readonly placesHeld: ReadonlyMap<string, number>
  }
}

/** As Accounts. */
export interface AccountsSide {
  readonly methods: {
    readonly verify: {
      readonly request: LoginAttempt
      readonly result: FoundLogin<Verified>
    }
    readonly readToken: { readonly request: string; readonly result: FoundLogin }
    readonly issueToken: { readonly request: TokenRequest; readonly result: IssuedToken }
  }
}

export interface CoordinatorSide {
  readonly methods: RegistrySide['methods'] & PlacesSide['methods'] & AccountsSide['methods']
  readonly notes: RegistrySide['notes'] &
    PlacesSide['notes'] & {
      /** Whole log lines, as they are to be written. */
      readonly log: string
      /** The same of the audit log. */
      readonly audit: string
      /** What was counted for the metrics since the thread began. */
      readonly counted: MetricsSnapshot
    }
}

/** Where to listen: beside the others, on a port that is known by now. */
export interface ThreadAddress {
  readonly host: string
  readonly port: number
}

/** What a thread makes its rules and its log of: what a reload may change. */
export interface ThreadSettings {
  readonly route: RouteOptions
  readonly repositories: readonly RepositoryRule[]
  readonly access: AccessSettings
  readonly proxies: ProxySettings
  /** Undefined: there are none. */
  readonly clientLimits: ClientLimitSettings | undefined
  /** Undefined: plain HTTP, which it is as long as the process runs. */
  readonly tls: TlsOptions | undefined
  /** Of all this: see access/revision.ts. */
  readonly revision: number
  readonly logLevel: LogLevel
}

interface Plain<Request> {
  readonly request: Request
  readonly result: undefined
}

export interface HttpThreadSide {
  readonly methods: {
    /** Takes connections from now on. */
    readonly listen: Plain<ThreadAddress>
    readonly replace: Plain<ThreadSettings>
    /** Takes no more connections; resolves when the last answer has gone out, or was cut. */
    readonly drain: Plain<{ readonly timeoutMs: number }>
    /** Resolves as soon as it comes to it. */
    readonly ping: Plain<undefined>
    /** What was counted for the metrics since the thread began. */
    readonly count: { readonly request: undefined; readonly result: MetricsSnapshot }
    /** Resolves once it has told, by `used`, of all that it has given. */
    readonly tellUses: Plain<undefined>
    /** May who asked for this mount read one of these? */
    readonly mayReadAny: {
      readonly request: { readonly mount: number; readonly repositories: readonly Repository[] }
      readonly result: boolean
    }
  }
  readonly notes: {
    /** So many requests wait for a place, of this thread's share. */
    readonly othersWait: number
    /** Session tickets are sealed with these from now on. */
    readonly ticketKeys: Uint8Array
    /** Its file is about to be removed: nobody keeps it open for who asks next. */
    readonly closeOpen: Digest
  }
}

/** The coordinating thread, as an HTTP thread calls it. */
export type CoordinatorThread = OtherThread<CoordinatorSide, HttpThreadSide>

/** A further HTTP thread, as the coordinating thread calls it. */
export type HttpThread = OtherThread<HttpThreadSide, CoordinatorSide>
