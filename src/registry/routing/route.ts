// Where a request's name leads: host header, path prefix and `ns` become one canonical repository
// (R26–R34). Pure. From here on nothing depends on how the client spelled the name.
import picomatch from 'picomatch'
import type { NamePath, Target } from '../../oci/endpoint.ts'
import { RegistryError } from '../../oci/errors.ts'
import { NAME_GLOB, type NamePatterns } from '../../oci/name-glob.ts'
import {
  assertKeyLength,
  hostFrom,
  LOCALHOST,
  parseName,
  type RegistryHost,
  type Repository,
  type RepositoryName,
} from '../../oci/reference.ts'

const DOCKER_HUB = 'docker.io' as RegistryHost

export interface RouteOptions {
  /** The namespace of names that carry none. */
  readonly defaultRegistry: RegistryHost
  /** Configured upstreams, canonical names. */
  readonly upstreams: ReadonlySet<RegistryHost>
  /** Other spellings: `index.docker.io` → `docker.io`. */
  readonly aliases: ReadonlyMap<string, RegistryHost>
  /**
   * Host names, with or without port, under which clients know this edge: they mean `localhost`.
   */
  readonly ownNames: ReadonlySet<string>
  /** `Host` header values that stand for an upstream. */
  readonly virtualHosts: ReadonlyMap<string, RegistryHost>
  /** Any host that a client names is an upstream (the `"*"` entry). */
  readonly anyUpstream: boolean
  /** Default: none is kept out. */
  readonly names?: NamesOptions
}

/** `any`: for registries that only a client names. */
export interface NamesOptions {
  readonly byRegistry: ReadonlyMap<RegistryHost, NamePatterns>
  readonly any: NamePatterns | undefined
}

/** Where a request's name leads, and how to write names back to this client. */
export interface Routed {
  readonly repository: Repository
  /** The name as the client wrote it: goes into `name` of tag lists. */
  readonly spelled: string
  /**
   * What stands before `/v2` and after it in this client's URLs: `/docker.io/v2/library/alpine`.
   * For Location and Link (R29).
   */
  readonly urlPrefix: string
  /** The value for `OCI-Namespace`, when `ns` chose the upstream (R32). */
  readonly namespace: string | undefined
}

/**
 * `anywhere`: as if each registry was configured and no name kept out, so that what is said by it
 * tells of neither.
 */
export type Route = (target: Target, host: string | undefined, how?: 'anywhere') => Routed

type IsExcluded = (registry: RegistryHost, name: RepositoryName) => boolean

interface Routes extends RouteOptions {
  readonly isExcluded: IsExcluded
  readonly isAnywhere: boolean
}

/**
 * @returns a function that throws RegistryError NAME_UNKNOWN or NAME_INVALID and touches nothing.
 */
export function createRoute(options: RouteOptions): Route {
  const isExcluded = options.names === undefined ? () => false : compileExcluded(options.names)
  const routes: Routes = { ...options, isExcluded, isAnywhere: false }
  const anywhere: Routes = {
    ...options,
    upstreams: new Set([...options.upstreams, ...options.aliases.values()]),
    anyUpstream: true,
    isExcluded: () => false,
    isAnywhere: true,
  }
  return (target, host, how) => route(how === 'anywhere' ? anywhere : routes, target, host)
}

function route(options: Routes, target: Target, host: string | undefined): Routed {
  const path = pathOf(target)
  const urlPrefix = target.leading === undefined ? `/v2/${path}` : `/${target.leading}/v2/${path}`
  const namespace = target.query.get('ns') ?? undefined
  const { registry, name } = resolve(options, { path, leading: target.leading, namespace, host })
  const repository = { registry, name: parseName(name) }
  assertKeyLength(repository)
  if (options.isExcluded(registry, repository.name)) {
    throw new RegistryError(
      'NAME_UNKNOWN',
      `${name} is kept out of this edge by include or exclude of ${registry} in the configuration`,
    )
  }
  return {
    repository,
    spelled: path,
    urlPrefix,
    namespace: namespace === undefined ? undefined : registry,
  }
}

interface Spelling {
  readonly path: NamePath
  readonly leading: string | undefined
  readonly namespace: string | undefined
  readonly host: string | undefined
}

/** `ns` first, then a prefix, then the virtual host, then the default (R26). */
function resolve(options: Routes, spelling: Spelling): { registry: RegistryHost; name: string } {
  const { path, leading, namespace, host } = spelling
  const prefix = splitPrefix(path)
  if (namespace !== undefined) {
    const registry = known(options, namespace)
    // A prefix that means the same upstream is only another way to say it; any other is part of the
    // name (R28).
    const same = prefix !== undefined && canonical(options, prefix.host) === registry
    return named(registry, same ? prefix.rest : path)
  }
  if (leading !== undefined) return named(known(options, leading), path)
  if (prefix !== undefined && isHostLike(options, prefix.host)) {
    return named(known(options, prefix.host), prefix.rest)
  }
  const virtual = host === undefined ? undefined : options.virtualHosts.get(host.toLowerCase())
  if (virtual !== undefined) return named(virtual, path)
  // Mirror clients always write `library/`, so one bare component was never meant for the default
  // upstream.
  return path.includes('/')
    ? { registry: options.defaultRegistry, name: path }
    : { registry: LOCALHOST, name: path }
}

/** On Docker Hub, and nowhere else, one component means `library/` (R31). */
function named(registry: RegistryHost, name: string): { registry: RegistryHost; name: string } {
  return {
    registry,
    name: registry === DOCKER_HUB && !name.includes('/') ? `library/${name}` : name,
  }
}

function splitPrefix(path: string): { host: string; rest: string } | undefined {
  const slash = path.indexOf('/')
  return slash === -1 ? undefined : { host: path.slice(0, slash), rest: path.slice(slash + 1) }
}

/**
 * As every client's reference grammar has it: a first component with a dot or a port, or
 * `localhost`, is a host.
 */
function isHostLike(options: RouteOptions, component: string): boolean {
  return /[.:]/.test(component) || canonical(options, component) !== undefined
}

/**
 * @throws RegistryError NAME_UNKNOWN: an upstream that nobody configured is never dialled (R26).
 */
function known(options: Routes, host: string): RegistryHost {
  const registry = canonical(options, host) ?? (options.isAnywhere ? hostFrom(host) : undefined)
  if (registry !== undefined) return registry
  throw new RegistryError(
    'NAME_UNKNOWN',
    `${hostFrom(host) ?? 'this host'} is not an upstream of this edge; add it under upstreams in the configuration, or to http.names if it is this edge`,
  )
}

function canonical(options: RouteOptions, text: string): RegistryHost | undefined {
  const host = hostFrom(text)
  if (host === undefined) return undefined
  const bare = withoutHttpsPort(host)
  const listed = findListed(options, host) ?? findListed(options, bare)
  if (listed !== undefined || !options.anyUpstream) return listed
  return [bare, host].find(registry => /[.:]/.test(registry))
}

/** What the configuration knows by exactly this name. */
function findListed(options: RouteOptions, host: RegistryHost): RegistryHost | undefined {
  if (host === LOCALHOST || host.startsWith('localhost:') || options.ownNames.has(host))
    return LOCALHOST
  const registry = options.aliases.get(host) ?? host
  return options.upstreams.has(registry) ? registry : undefined
}

/** Registries speak HTTPS, so with its port a host is the same one (R27). */
function withoutHttpsPort(host: RegistryHost): RegistryHost {
  return hostFrom(host.replace(/:443$/, '')) ?? host
}

function pathOf(target: Target): NamePath {
  if ('path' in target.endpoint) return target.endpoint.path
  throw new RegistryError('NAME_INVALID', 'this request names no repository')
}

/**
 * Names that the operator keeps out (`include`, `exclude`): they lead nowhere, whoever asks for
 * what, and whatever of them is here (R254). What is this edge's own is no upstream's.
 */
function compileExcluded({ byRegistry, any }: NamesOptions): IsExcluded {
  const compiled = new Map(
    [...byRegistry].map(([registry, each]) => [registry, compileNames(each)]),
  )
  const others = any === undefined ? () => true : compileNames(any)
  return (registry, name) => registry !== LOCALHOST && !(compiled.get(registry) ?? others)(name)
}

/** Which names the patterns let through. */
export function compileNames({
  include,
  exclude,
}: NamePatterns): (name: RepositoryName) => boolean {
  const isIncluded = include.length === 0 ? () => true : picomatch([...include], NAME_GLOB)
  const isExcluded = exclude.length === 0 ? () => false : picomatch([...exclude], NAME_GLOB)
  return name => isIncluded(name) && !isExcluded(name)
}
