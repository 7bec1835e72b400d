// What an upstream is made from: its slice of the configuration, values only. Files, environment
// and defaults of the well-known registries are resolved before (config/, profiles.ts).
import type { RegistryHost, RepositoryName } from '../oci/reference.ts'
import type { HelperEnvironment } from './auth/credential-helper.ts'

/**
 * Who the edge is towards this registry. Secrets are functions, so that they are read when needed,
 * can change while the process runs, and never stand in a configuration that is printed (R195).
 */
export type CredentialSource =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'basic'; readonly username: string; readonly password: () => string }
  /**
   * Docker's config.json; `readText` gives its text, and is asked again when the registry refuses
   * what it gave.
   */
  | {
      readonly kind: 'docker-config'
      readonly readText: () => Promise<string>
      /** Of the helpers that it names. */
      readonly environment: HelperEnvironment
    }
  /** A program `docker-credential-<name>` on the PATH. */
  | { readonly kind: 'helper'; readonly name: string; readonly environment: HelperEnvironment }

/** All in milliseconds. */
export interface TimeLimits {
  readonly connectMs: number
  readonly headersMs: number
  /**
   * Between two pieces of a body that is being asked for. A large blob has no limit in all (R150).
   */
  readonly bodyIdleMs: number
  /**
   * From the call to the first byte of a blob or the last of a manifest, over all retries, tokens
   * and redirects (R149).
   */
  readonly chainMs: number
}

export const TIME_LIMITS: TimeLimits = {
  // R150 allows 10 s, but the client's 30 s must hold a second attempt and a second endpoint.
  connectMs: 5_000,
  // Slow registries need several seconds for a large index; more than 15 s means that nobody is
  // working on it.
  headersMs: 15_000,
  bodyIdleMs: 30_000,
  // R149: clients give up on headers after 30 s (R18), and the edge needs some of that itself.
  chainMs: 24_000,
}

export interface UpstreamOptions {
  readonly registry: RegistryHost
  /** The authoritative endpoint. A path is put before `/v2/` (R164). No user-info. */
  readonly url: URL
  /** Asked in this order before `url`, with `?ns=`; what they lack or refuse is asked of `url`. */
  readonly mirrors: readonly URL[]
  readonly credentials: CredentialSource
  /**
   * Hosts, with or without a port, that may see credentials as token servers, and may have private
   * addresses.
   */
  readonly realms: readonly string[]
  /**
   * Redirects and realms may lead to private addresses of any host. Never needed for `url` and
   * `mirrors` themselves.
   */
  readonly privateAddresses: boolean
  /**
   * `url` comes from a client's request (the upstream `"*"`), not from the operator: its address is
   * checked like that of any other host that no operator named. Default false: `url` and `mirrors`
   * may have any address.
   */
  readonly namedByClient?: boolean
  /** `url` may be http; without it an http `url` is a mistake. */
  readonly plainHttp: boolean
  /** Trusted besides the system's authorities. */
  readonly caPem?: string
  /** Shown to `url` and `mirrors` only. */
  readonly client?: { readonly certificatePem: string; readonly keyPem: string }
  /** An HTTP proxy for everything that `noProxy` (NO_PROXY's grammar) does not except. */
  readonly proxy?: { readonly url?: string; readonly noProxy?: string }
  /** Connections at once to each host, for blobs and again for the rest; at least 1. */
  readonly connections: number
  /** Names that it has for this edge, as the operator's patterns say. */
  readonly allows: (name: RepositoryName) => boolean
  readonly userAgent: string
  readonly timeLimits?: Partial<TimeLimits>
}
