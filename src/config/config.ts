// The configuration as the parts of the program receive it: frozen, parsed, every default filled
// in. Made by loadConfig only. Each part gets its slice, never the whole.
import type { LogLevel } from '../observe/log-levels.ts'
import type { AccessRule } from '../access/rule.ts'
import type { RegistryHost } from '../oci/reference.ts'
import type { ListenAddress } from './addresses.ts'
import type { Selector } from '../registry/pins/selectors.ts'
import type { Place } from './findings.ts'
import type { IMPORT_KEYS } from './schema/import-schema.ts'
import type { Named } from './schema/keys.ts'
import type { PROVIDER_KEYS } from './schema/oidc-schema.ts'
import type { RULE_KEYS } from './schema/repository-schema.ts'
import type { KEEP_LINE_KEYS, POLICY_KEYS, RETENTION_KEYS } from './schema/retention-schema.ts'
import type { HTTP_KEYS, Settings, UpstreamSettings } from './schema/schema.ts'
import type {
  STORAGE_KEYS,
  COLLECTION_KEYS,
  SCRUB_KEYS,
  UPLOAD_PURGING_KEYS,
} from './schema/storage-schema.ts'
import type { Secret } from './secret.ts'
import type {
  CONNECTION_KEYS,
  DOWNLOAD_KEYS,
  FRESHNESS_KEYS,
  NAME_KEYS,
} from './schema/upstream-schema.ts'

export interface Config {
  readonly log: { readonly level: LogLevel }
  /** Undefined: there is no audit log. */
  readonly audit: AuditConfig | undefined
  readonly http: HttpConfig
  readonly admin: {
    readonly addr: ListenAddress
    /** Of the operator's API for other machines. Undefined: it is on the socket alone. */
    readonly api: ListenAddress | undefined
    /** Path of the Unix socket. */
    readonly socket: string
  }
  /** For answers that are given from memory, by all threads together; 0: none. */
  readonly memoryBytes: number
  readonly storage: StorageConfig
  /** The namespace of names that carry none; `localhost` or one of `upstreams`. */
  readonly defaultRegistry: RegistryHost
  /** In the operator's order; hosts are canonical and occur once. */
  readonly upstreams: readonly UpstreamConfig[]
  /** The opt-in `"*"`: any registry that a client names. Undefined: only those of `upstreams`. */
  readonly anyUpstream: UpstreamPolicy | undefined
  /** First match wins; the built-in rules stand at the end, so that one always does. */
  readonly repositories: readonly RepositoryRule[]
  /** Undefined: there are no accounts, and nobody is asked for a login. */
  readonly auth: AuthConfig | undefined
  /** Who may do what: the first that is about it decides. Empty: there are no rules. */
  readonly access: readonly AccessRule[]
  /** Where each of them was written, in the same order. */
  readonly accessPlaces: readonly (Place | undefined)[]
  /** What stays under any pressure. */
  readonly pins: readonly Selector[]
  readonly import: ImportConfig
  /** What the environment says about HTTP proxies, for upstreams whose proxy is `environment`. */
  readonly proxyEnvironment: ProxyEnvironment
  /** Every key with its value, for comparing and showing; secrets stay secret. */
  readonly settings: readonly Setting[]
}

/** `trustedKeys`: one of them is to have signed what is imported. Empty: anybody. */
export type ImportConfig = Named<typeof IMPORT_KEYS>

export interface AuditConfig {
  /** `stdout`, `stderr`, or the path of a file. */
  readonly output: string
  readonly pulls: boolean
}

export interface AuthConfig {
  /** As it stands between quotes in a challenge. */
  readonly realm: string
  /** Accounts in a file, as it was when the configuration was read: without a fault. */
  readonly file: { readonly path: string; readonly text: Secret } | undefined
  /** Whose tokens say who somebody is and what they may; it stands alone. */
  readonly token: TokenServerConfig | undefined
  /** Whose tokens are good here, too; the first that a token fits says who it is. */
  readonly providers: readonly ProviderConfig[]
  /** Names of accounts by that of the group. */
  readonly groups: Readonly<Record<string, readonly string[]>>
  /** Of the accounts in the file. */
  readonly names: readonly string[]
}

/** Of somebody else. `roots`: PEM of one certificate each; `pem`: of a public key. */
export interface TokenServerConfig {
  readonly realm: string
  readonly service: string
  readonly issuer: string
  readonly roots: readonly string[]
  readonly keys: readonly { readonly kid: string; readonly pem: string }[]
  readonly algorithms: readonly string[]
}

/** `claims`: values that are good, by the claim that a token has to have. */
export interface ProviderConfig extends Omit<Named<typeof PROVIDER_KEYS>, 'ca'> {
  readonly name: string
  readonly claims: Readonly<Record<string, readonly string[]>>
  /** PEM text of certificates to trust beside the usual ones. */
  readonly ca: string | undefined
}

type JudgedHttpKey = 'names' | 'hosts' | 'localPush' | 'tls'

/** `publicUrl`: without a slash at its end, when clients do not see `addr`. */
export interface HttpConfig extends Omit<Named<typeof HTTP_KEYS>, JudgedHttpKey> {
  /** Names of this edge that mean `localhost`, that of `publicUrl` among them. */
  readonly names: readonly RegistryHost[]
  /** Undefined: plain HTTP. */
  readonly tls: TlsConfig | undefined
  /**
   * May programs of this machine write without an account? `on`: so it is set; `unsaid`: where they
   * can be told from others; else why they may not.
   */
  readonly localPush: 'on' | 'unsaid' | 'set to false' | 'public name' | 'proxy' | 'certificate'
  /**
   * Names that requests may call this edge by, beside loopback ones; in lower case, with a port
   * where it counts. Undefined: any.
   */
  readonly hosts: readonly string[] | undefined
}

type TlsSettings = Exclude<Settings['http']['tls'], undefined>

export interface TlsConfig {
  /** The first one is for whoever names none of the others. */
  readonly certificates: readonly CertifiedKey[]
  readonly minimumVersion: 'TLSv1.2' | 'TLSv1.3'
  /** Undefined: no certificate of a client is asked for. */
  readonly clients: ClientCertificatesConfig | undefined
}

export interface ClientCertificatesConfig {
  readonly authorities: readonly { readonly file: string; readonly text: string }[]
  /** The first of these that a certificate has says its names. */
  readonly fields: TlsSettings['clientnames']
}

/** Of a certificate. Wall clock. */
export interface Expiry {
  readonly expiresAtMs: number
  /** From then on people are told to renew it. */
  readonly renewAtMs: number
}

/** A certificate with its key, as their files were when they were read. */
export interface CertifiedKey extends Expiry {
  readonly certificateFile: string
  readonly keyFile: string
  /** PEM, the server's first. */
  readonly certificate: string
  /** PEM. */
  readonly key: Secret
  /** It is for this machine's loopback names and addresses alone. */
  readonly isForLoopback: boolean
  /** Names, also those with a pattern, and IPv4 addresses that it is for; in lower case. */
  readonly names: readonly string[]
}

/**
 * `rootDirectory`: as written, a relative path starts at the working directory. `maxSize`: a share
 * is one of the file system that holds it.
 */
export interface StorageConfig extends Named<typeof STORAGE_KEYS> {
  /** `ageMs`: since the last byte; Infinity: never abandoned. */
  readonly uploadPurging: UploadPurgingConfig
  readonly collection: Named<typeof COLLECTION_KEYS>
  readonly scrub: Named<typeof SCRUB_KEYS>
  readonly retention: RetentionConfig
}

/** First match wins; where no policy does, everything stays. */
export interface RetentionConfig extends Omit<Named<typeof RETENTION_KEYS>, 'policies'> {
  readonly policies: readonly RetentionPolicyConfig[]
}

/** `repositories`: globs over `host/name`, `**` for all. */
interface RetentionPolicyConfig extends Omit<Named<typeof POLICY_KEYS>, 'keeptags'> {
  readonly keepTags: readonly Named<typeof KEEP_LINE_KEYS>[]
}

export type UploadPurgingConfig = Named<typeof UPLOAD_PURGING_KEYS>

/**
 * What clients may do with repositories beyond pulling. `match`: glob over `host/name`, `**` for
 * all. `deletable` undefined: under `localhost` only.
 */
export type RepositoryRule = Named<typeof RULE_KEYS>

export interface TagRule {
  /** Glob over the repository's name inside its registry; `**` for all. */
  readonly repository: string
  /** Glob over the tag. */
  readonly tag: string
  readonly ttlMs: number
}

/** What holds for an upstream wherever it is: a slice for each part that is given one. */
export interface UpstreamPolicy {
  readonly freshness: Named<typeof FRESHNESS_KEYS> & {
    /** First match wins. */
    readonly tagRules: readonly TagRule[]
  }
  readonly downloads: Named<typeof DOWNLOAD_KEYS>
  readonly connection: Named<typeof CONNECTION_KEYS> & {
    /** PEM text of certificates to trust beside the usual ones. */
    readonly ca: string | undefined
    readonly proxy: ProxyChoice
  }
  readonly names: Named<typeof NAME_KEYS>
  readonly credentials: UpstreamCredentials
}

export interface UpstreamConfig extends UpstreamPolicy {
  readonly registry: RegistryHost
  /** No slash at its end; a path in it comes before `/v2/`. */
  readonly url: string
  /** `url` is http. */
  readonly plainHttp: boolean
  /**
   * Comes after `/v2/`, before the repository's name; without slashes at its ends. Empty: nothing.
   */
  readonly basePath: string
  /** URLs, tried in this order before `url`, without the credentials. */
  readonly mirrors: readonly string[]
  /** For mutual TLS; both PEM. */
  readonly client: { readonly certificate: string; readonly key: Secret } | undefined
  readonly quota: UpstreamSettings['quota']
  /** Host names of this edge that stand for this upstream. */
  readonly virtualHosts: readonly RegistryHost[]
}

export type ProxyChoice =
  | { readonly kind: 'environment' }
  | { readonly kind: 'none' }
  | { readonly kind: 'url'; readonly url: string }

export type UpstreamCredentials =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'password'; readonly username: string; readonly password: Secret }
  /** A docker `config.json`; read it when needed, it changes. */
  | {
      readonly kind: 'docker config'
      readonly path: string
      readonly environment: HelperEnvironment
    }
  /** The name after `docker-credential-`. */
  | { readonly kind: 'helper'; readonly name: string; readonly environment: HelperEnvironment }

/** What helpers see of the environment. A function, because there are secrets in it. */
export type HelperEnvironment = () => Readonly<Record<string, string>>

/** URLs are secrets because people write passwords into them. */
export interface ProxyEnvironment {
  readonly httpsProxy: Secret | undefined
  readonly httpProxy: Secret | undefined
  /** As written: hosts, suffixes and addresses, separated by commas; empty for none. */
  readonly noProxy: string
}

export interface Setting {
  /** `['upstreams', 'docker.io', 'ttl']` */
  readonly path: readonly string[]
  /** As the file would have it; `[secret]` for secrets. */
  readonly text: string
  /** Takes effect on a reload. */
  readonly reloadable: boolean
  /** The value with everything that hangs on it, such as the content of a file, for comparing. */
  readonly content: Secret
}
