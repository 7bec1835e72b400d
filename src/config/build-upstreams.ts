// The operator's `upstreams` map → one list of canonical, complete upstreams, and the policy for "*".
import type { NamePatterns } from '../oci/name-glob.ts'
import { nameFrom, type RegistryHost } from '../oci/reference.ts'
import { buildAuthorities, buildClient, buildCredentials } from './build-credentials.ts'
import {
  builtInUrl,
  canonicalHost,
  checkedHost,
  DOCKER_HUB,
  isLocalhost,
  WELL_KNOWN_HOSTS,
} from './built-in.ts'
import type { ProxyChoice, TagRule, UpstreamConfig, UpstreamPolicy } from './config.ts'
import { covers, coversTag } from './covers.ts'
import type { Path } from './findings.ts'
import { hostIn } from './formats.ts'
import type { Judge } from './judge.ts'
import type { Settings, UpstreamSettings } from './schema.ts'
import { editDistance } from './suggest.ts'

/** The key that opens every registry that a client names. */
const ANY_UPSTREAM = '*'
/** They say where one registry is and who the edge is there, which makes no sense for all of them. */
const NOT_FOR_ANY = [
  'url',
  'basepath',
  'http',
  'username',
  'password',
  'passwordfile',
  'client',
] as const satisfies readonly (keyof UpstreamSettings)[]
const NOT_FOR_ANY_LISTS = ['mirrors', 'virtualhosts'] as const

export interface BuiltUpstreams {
  readonly upstreams: readonly UpstreamConfig[]
  readonly anyUpstream: UpstreamPolicy | undefined
}

export function buildUpstreams(judge: Judge, settings: Settings): BuiltUpstreams {
  const upstreams = new Map<RegistryHost, UpstreamConfig>()
  let anyUpstream: UpstreamPolicy | undefined
  for (const [key, keys] of Object.entries(settings.upstreams)) {
    const path = ['upstreams', key]
    if (key === ANY_UPSTREAM) {
      anyUpstream = buildAny(judge, path, { keys, freshness: settings.freshness })
      continue
    }
    const registry = readHost(judge, path, key)
    if (registry === undefined) continue
    if (upstreams.has(registry))
      judge.note(path, { message: `is ${registry}, which is listed already` })
    const policy = buildPolicy(judge, path, { keys, freshness: settings.freshness })
    upstreams.set(registry, buildUpstream(judge, path, { registry, keys, policy }))
  }
  return { upstreams: [...upstreams.values()], anyUpstream }
}

function readHost(judge: Judge, path: Path, key: string): RegistryHost | undefined {
  const host = checkedHost(key)
  if (host === undefined) {
    const meant = hostIn(key)
    judge.note(path, {
      message: 'is no registry host, such as ghcr.io or 10.0.0.1:5000',
      suggestion: meant === key ? undefined : meant,
    })
    return undefined
  }
  if (isLocalhost(host)) {
    const message =
      'is reserved for what is kept at this edge; write 127.0.0.1 for a registry on this machine'
    judge.note(path, { message, suggestion: host.replace('localhost', '127.0.0.1') })
    return undefined
  }
  const registry = canonicalHost(host)
  const slip = WELL_KNOWN_HOSTS.find(known => editDistance(known, registry) === 1)
  if (slip !== undefined && !WELL_KNOWN_HOSTS.includes(registry)) {
    const message = `is not ${slip}; if you mean another registry, all is well`
    judge.note(path, { severity: 'warning', message, suggestion: slip })
  } else if (!/[.:]/.test(registry)) {
    const message = 'has no dot and no port: clients take such a name for a user of Docker Hub'
    const suggestion = WELL_KNOWN_HOSTS.find(known => known.startsWith(`${registry}.`))
    judge.note(path, { severity: 'warning', message, suggestion })
  }
  return registry
}

interface PolicyParts {
  readonly keys: UpstreamSettings
  readonly freshness: Settings['freshness']
}

function buildPolicy(judge: Judge, path: Path, { keys, freshness }: PolicyParts): UpstreamPolicy {
  return {
    ttlMs: keys.ttl ?? freshness.ttl,
    maxStaleMs: keys.maxstale ?? freshness.maxstale,
    offline: keys.offline ?? freshness.offline,
    tagRules: buildTagRules(judge, path, keys),
    ...buildNames(judge, path, keys),
    ca: buildAuthorities(judge, path, keys),
    proxy: proxyChoice(keys.proxy),
    credentials: buildCredentials(judge, path, keys),
    realms: keys.realms,
    privateAddresses: keys.privateaddresses,
    connections: keys.connections,
    fills: keys.fills,
    prefetch: keys.prefetch,
    private: keys.private,
  }
}

function buildAny(judge: Judge, path: Path, parts: PolicyParts): UpstreamPolicy {
  const { keys } = parts
  const forbidden = [
    ...NOT_FOR_ANY.filter(key => keys[key] !== undefined),
    ...NOT_FOR_ANY_LISTS.filter(key => keys[key].length > 0),
  ]
  for (const key of forbidden) {
    judge.note([...path, key], { message: 'is for one registry; list that registry by its host' })
  }
  if (keys.privateaddresses) {
    const message = 'lets every client make this edge connect to machines inside the site'
    judge.note([...path, 'privateaddresses'], { severity: 'warning', message })
  }
  const policy = buildPolicy(judge, path, parts)
  return policy.credentials.kind === 'password'
    ? { ...policy, credentials: { kind: 'anonymous' } }
    : policy
}

interface UpstreamParts {
  readonly registry: RegistryHost
  readonly keys: UpstreamSettings
  readonly policy: UpstreamPolicy
}

function buildUpstream(
  judge: Judge,
  path: Path,
  { registry, keys, policy }: UpstreamParts,
): UpstreamConfig {
  const url = buildUrl(judge, path, { registry, keys })
  const plainHttp = url.startsWith('http:')
  if (plainHttp && policy.credentials.kind !== 'anonymous') {
    const message =
      'sends its credentials over plain HTTP, where everybody on the way can read them'
    judge.note(path, { severity: 'warning', message })
  }
  return {
    ...policy,
    registry,
    url,
    plainHttp,
    basePath: buildBasePath(judge, path, keys.basepath),
    mirrors: keys.mirrors.filter((mirror, index) =>
      isBase(judge, [...path, 'mirrors', index], mirror),
    ),
    client: buildClient(judge, path, keys),
    virtualHosts: keys.virtualhosts,
  }
}

function buildUrl(judge: Judge, path: Path, parts: Omit<UpstreamParts, 'policy'>): string {
  const { registry, keys } = parts
  const url = keys.url ?? builtInUrl(registry, keys.http === true)
  const key = [...path, 'url']
  if (keys.url !== undefined) isBase(judge, key, url)
  if (keys.http === true && url.startsWith('https:')) {
    judge.note([...path, 'http'], {
      message: 'says plain HTTP, and url is https; drop one of them',
    })
  }
  if (keys.http === false && url.startsWith('http:')) {
    const suggestion = url.replace('http:', 'https:')
    judge.note(key, { message: 'is plain HTTP, and http is false', suggestion })
  }
  return url
}

/** `/v2/` is added here; what comes after it is basepath. */
function isBase(judge: Judge, path: Path, url: string): boolean {
  const [, base, rest] = /^(.*?)\/v2(?:\/(.*))?$/.exec(url) ?? []
  if (base === undefined) return true
  const more = rest === undefined ? '' : `; ${rest} goes into basepath`
  judge.note(path, { message: `is written without /v2${more}`, suggestion: base })
  return false
}

function buildBasePath(judge: Judge, path: Path, text: string | undefined): string {
  const basePath = (text ?? '').replace(/^\/+|\/+$/g, '')
  if (basePath === '' || nameFrom(basePath) !== undefined) return basePath
  judge.note([...path, 'basepath'], {
    message: 'must be the beginning of a repository name, such as proxy/dockerhub',
  })
  return ''
}

function buildTagRules(judge: Judge, path: Path, keys: UpstreamSettings): readonly TagRule[] {
  return keys.tags.map(({ match, ttl }, index) => {
    const earlier = keys.tags
      .slice(0, index)
      .findIndex(
        each =>
          covers(each.match.repository, match.repository) && coversTag(each.match.tag, match.tag),
      )
    if (earlier !== -1) {
      const message = `is never reached: tags[${earlier}] matches all of it`
      judge.note([...path, 'tags', index, 'match'], { severity: 'warning', message })
    }
    checkGlobs(judge, [...path, 'tags', index, 'match'], [match.repository])
    return { ...match, ttlMs: ttl }
  })
}

function buildNames(judge: Judge, path: Path, keys: UpstreamSettings): NamePatterns {
  const { include, exclude } = keys
  const lists = { include, exclude } as const
  for (const [list, globs] of Object.entries(lists)) {
    checkGlobs(judge, [...path, list], globs)
    for (const [index, glob] of globs.entries()) {
      const earlier = globs.slice(0, index).findIndex(each => covers(each, glob))
      const excluding = list === 'include' ? exclude.findIndex(each => covers(each, glob)) : -1
      const message =
        excluding !== -1
          ? `has no effect: exclude[${excluding}] keeps all of it out`
          : `has no effect: ${list}[${earlier}] matches all of it`
      if (earlier === -1 && excluding === -1) continue
      judge.note([...path, list, index], { severity: 'warning', message })
    }
  }
  return lists
}

/** Patterns are over names inside the registry; with its host in front they would never match. */
function checkGlobs(judge: Judge, path: Path, globs: readonly string[]): readonly string[] {
  const registry = String(path[1])
  for (const [index, glob] of globs.entries()) {
    const at = path.at(-1) === 'match' ? path : [...path, index]
    if (registry === DOCKER_HUB && !glob.includes('/') && glob !== '**') {
      const message = `matches nothing: names inside ${registry} have two components`
      judge.note(at, { severity: 'warning', message, suggestion: `library/${glob}` })
    }
    if (!glob.startsWith(`${registry}/`)) continue
    const suggestion = glob.slice(registry.length + 1)
    judge.note(at, {
      message: `is matched against names inside ${registry}, without its host`,
      suggestion,
    })
  }
  return globs
}

function proxyChoice(text: string | undefined): ProxyChoice {
  if (text === undefined) return { kind: 'environment' }
  return text === 'none' ? { kind: 'none' } : { kind: 'url', url: text }
}
