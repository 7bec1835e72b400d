// The namespaces of the running process, made from the configuration and remade on a reload: part
// of the composition, because it joins config/, upstream/ and registry/.
import { readFile } from 'node:fs/promises'
import { LRUCache } from 'lru-cache'
import type { Config, ProxyChoice, ProxyEnvironment, UpstreamConfig } from '../config/config.ts'
import { LOCALHOST, type RegistryHost } from '../oci/reference.ts'
import type { Namespace, Namespaces } from '../registry/routing/namespaces.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'
import type { UpstreamHealth } from '../registry/ports/upstream.ts'
import { namesOfMachine, type OwnAddress, ownNameIn } from '../registry/routing/own-name.ts'
import { compileNames, createRoute, type Route, type Routed } from '../registry/routing/route.ts'
import { routeOptions } from './route-options.ts'
import { type LookupAll, lookupAll } from '../upstream/connect/connector.ts'
import { createLookUps, type LookUps } from '../upstream/connect/look-ups.ts'
import type { CredentialSource, UpstreamOptions } from '../upstream/options.ts'
import { createUpstream } from '../upstream/upstream.ts'

/**
 * Upstreams made because a client named them (`"*"`), at once: each costs connections and a
 * breaker.
 */
const NAMED_BY_CLIENTS_MAX = 256

export interface UpstreamsDeps {
  readonly clock: Clock
  readonly note: NoteEvent
  readonly random: () => number
  readonly version: string
  /** Default: the system's resolver. */
  readonly lookup?: LookupAll
}

interface OpenNamespace extends Namespace {
  close(): Promise<void>
}

export class Upstreams implements Namespaces {
  readonly #deps: UpstreamsDeps
  /** The same after a reload: the threads are. */
  readonly #lookUps: LookUps
  #config: Config
  #configured: ReadonlyMap<RegistryHost, OpenNamespace> = new Map()
  #route: Route
  readonly #named = new LRUCache<RegistryHost, OpenNamespace>({ max: NAMED_BY_CLIENTS_MAX })

  constructor(config: Config, deps: UpstreamsDeps) {
    this.#deps = deps
    this.#lookUps = createLookUps(deps.lookup ?? lookupAll, deps.clock)
    this.#config = config
    this.#route = createRoute(routeOptions(config))
    this.#configured = this.#openAll(config)
  }

  find(registry: RegistryHost): Namespace | undefined {
    return this.#configured.get(registry) ?? this.#named.get(registry) ?? this.#openNamed(registry)
  }

  get allShare(): boolean {
    const { anyUpstream, upstreams } = this.#config
    return anyUpstream === undefined && upstreams.every(({ downloads }) => !downloads.private)
  }

  list(): readonly Namespace[] {
    return [...this.#configured.values(), ...this.#named.values()]
  }

  route(...asked: Parameters<Route>): Routed {
    return this.#route(...asked)
  }

  /** See registry/routing/own-name.ts. */
  ownNameIn(text: string, { port, hostname }: OwnAddress): string | undefined {
    const certified = this.#config.http.tls?.certificates.flatMap(({ names }) => names)
    const machineNames = namesOfMachine(hostname, certified)
    return ownNameIn(text, { ...routeOptions(this.#config), machineNames }, port)
  }

  /**
   * Requests and downloads under way go on with the upstreams that they began with. Those are not
   * closed but let go, like the ones that clients name and that fall out of the table: their
   * connections end when nobody has used them for a while.
   */
  replace(config: Config): void {
    const configured = this.#openAll(config)
    this.#config = config
    this.#configured = configured
    this.#route = createRoute(routeOptions(config))
    this.#named.clear()
  }

  /** Cuts what is under way at the upstreams of now. */
  async close(): Promise<void> {
    const open = [...this.#configured.values(), ...this.#named.values()]
    this.#named.clear()
    await Promise.all(open.map(namespace => namespace.close()))
  }

  #openAll(config: Config): ReadonlyMap<RegistryHost, OpenNamespace> {
    const { proxyEnvironment } = config
    return new Map(
      config.upstreams.map(each => {
        const opened = this.#open(each, proxyEnvironment)
        const before = this.#sameBefore(each)
        return [each.registry, before === undefined ? opened : remembering(opened, before)]
      }),
    )
  }

  /** How the upstream was until a reload, if it is at the same address still. */
  #sameBefore({ registry, url }: UpstreamConfig): UpstreamHealth | undefined {
    const before = this.#config.upstreams.find(each => each.registry === registry)
    return before?.url === url ? this.#configured.get(registry)?.upstream.health() : undefined
  }

  #openNamed(registry: RegistryHost): Namespace | undefined {
    const policy = this.#config.anyUpstream
    if (policy === undefined || registry === LOCALHOST) return undefined
    const config = {
      ...policy,
      namedByClient: true,
      registry,
      url: `https://${registry}`,
      plainHttp: false,
      basePath: '',
      mirrors: [],
      client: undefined,
      quota: undefined,
      virtualHosts: [],
    } as const
    const namespace = this.#open(config, this.#config.proxyEnvironment)
    this.#named.set(registry, namespace)
    return namespace
  }

  #open(
    config: UpstreamConfig & { readonly namedByClient?: true },
    proxyEnvironment: ProxyEnvironment,
  ): OpenNamespace {
    const options = {
      ...upstreamOptions(config, proxyEnvironment, this.#deps.version),
      // Its address is checked like any untrusted one: nobody but a client has named it.
      namedByClient: config.namedByClient === true,
    }
    const { configured, named } = this.#lookUps
    const lookup = options.namedByClient ? named : configured
    const upstream = createUpstream(options, { ...this.#deps, lookup })
    const { freshness, downloads, connection } = config
    return {
      ...downloads,
      upstream,
      policy: freshness,
      namedByClient: options.namedByClient,
      shares: config.namedByClient !== true && !downloads.private,
      connections: connection.connections,
      close: () => upstream.close(),
    }
  }
}

/**
 * Until somebody has asked it anew, the last that is known of an upstream is what was known before
 * the reload. It is asked as if new.
 */
function remembering(namespace: OpenNamespace, before: UpstreamHealth): OpenNamespace {
  const { upstream } = namespace
  const health = (): UpstreamHealth => {
    const now = upstream.health()
    if (now.lastFinding !== undefined) return now
    const { lastFinding, lastFailure, rateLimitRemaining } = before
    return { ...now, lastFinding, lastFailure, rateLimitRemaining }
  }
  return { ...namespace, upstream: { ...upstream, health } }
}

function upstreamOptions(
  config: UpstreamConfig,
  environment: ProxyEnvironment,
  version: string,
): UpstreamOptions {
  const { connection, client } = config
  const { ca, proxy, ...settings } = connection
  return {
    ...settings,
    registry: config.registry,
    url: new URL(config.basePath === '' ? config.url : `${config.url}/v2/${config.basePath}`),
    mirrors: config.mirrors.map(mirror => new URL(mirror)),
    credentials: credentialSource(config),
    plainHttp: config.plainHttp,
    ...(ca === undefined ? {} : { caPem: ca }),
    ...(client === undefined
      ? {}
      : { client: { certificatePem: client.certificate, keyPem: client.key.reveal() } }),
    ...proxyOptions(proxy, config.url, environment),
    allows: compileNames(config.names),
    userAgent: `entrepot/${version}`,
  }
}

function credentialSource({ credentials }: UpstreamConfig): CredentialSource {
  switch (credentials.kind) {
    case 'anonymous':
      return { kind: 'anonymous' }
    case 'password':
      return {
        kind: 'basic',
        username: credentials.username,
        password: () => credentials.password.reveal(),
      }
    case 'docker config':
      return {
        kind: 'docker-config',
        readText: () => readFile(credentials.path, 'utf8'),
        environment: credentials.environment,
      }
    case 'helper':
      return { kind: 'helper', name: credentials.name, environment: credentials.environment }
  }
}

/** HTTPS_PROXY for https upstreams, HTTP_PROXY for the others, as every client reads them. */
export function proxyOptions(
  proxy: ProxyChoice,
  url: string,
  environment: ProxyEnvironment,
): Pick<UpstreamOptions, 'proxy'> {
  if (proxy.kind === 'none') return {}
  if (proxy.kind === 'url') return { proxy: { url: proxy.url } }
  const secret = url.startsWith('https:') ? environment.httpsProxy : environment.httpProxy
  return secret === undefined
    ? {}
    : { proxy: { url: secret.reveal(), noProxy: environment.noProxy } }
}
