// What an upstream is made from: its slice of the configuration, values only. Files, environment
// and defaults of the well-known registries are resolved before (config/, profiles.ts).
import type { RegistryHost, RepositoryName } from '../oci/reference.ts'
import type { HelperEnvironment } from './auth/credential-helper.ts'
import type { HostSettings } from './connect/address-policy.ts'
import type { TlsSettings } from './connect/connector.ts'
import type { PoolSettings, TimeLimits } from './connect/dispatcher.ts'

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

/**
 * What one part alone is given, as the operator set it, is said there: `HostSettings` for one.
 */
export interface UpstreamOptions extends HostSettings, TlsSettings, PoolSettings {
  readonly registry: RegistryHost
  /** The authoritative endpoint. A path is put before `/v2/` (R164). No user-info. */
  readonly url: URL
  /** Asked in this order before `url`, with `?ns=`; what they lack or refuse is asked of `url`. */
  readonly mirrors: readonly URL[]
  readonly credentials: CredentialSource
  /**
   * `url` comes from a client's request (the upstream `"*"`), not from the operator: its address is
   * checked like that of any other host that no operator named. Default false: `url` and `mirrors`
   * may have any address.
   */
  readonly namedByClient?: boolean
  /** `url` may be http; without it an http `url` is a mistake. */
  readonly plainHttp: boolean
  /** Names that it has for this edge, as the operator's patterns say. */
  readonly allows: (name: RepositoryName) => boolean
  readonly userAgent: string
  readonly timeLimits?: Partial<TimeLimits>
}
