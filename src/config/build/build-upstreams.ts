// The operator's `upstreams` map → one list of canonical, complete upstreams, and the policy for
// "*".
import { nameFrom, type RegistryHost } from '../../oci/reference.ts'
import { buildAuthorities, buildClient, buildCredentials } from './build-credentials.ts'
import {
  builtInUrl,
  canonicalHost,
  checkedHost,
  DOCKER_HUB,
  isLocalhost,
  WELL_KNOWN_HOSTS,
} from '../built-in.ts'
import type { ProxyChoice, TagRule, UpstreamConfig, UpstreamPolicy } from '../config.ts'
import { covers, coversTag } from '../formats/globs.ts'
import type { Path } from '../findings.ts'
import { hostIn } from '../formats/formats.ts'
import { named } from '../schema/keys.ts'
import type { Judge } from '../judge.ts'
import type { Settings, UpstreamSettings } from '../schema/schema.ts'
import { editDistance } from '../suggest.ts'
import {
  CONNECTION_KEYS,
  DOWNLOAD_KEYS,
  FRESHNESS_KEYS,
  NAME_KEYS,
  NOT_FOR_ANY,
} from '../schema/upstream-schema.ts'

/** The key that opens every registry that a client names. */
const ANY_UPSTREAM = '*'
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
  const tagRules = buildTagRules(judge, path, keys)
  checkNames(judge, path, keys)
  const ca = buildAuthorities(judge, path, keys)
  return {
    freshness: { ...named(FRESHNESS_KEYS, ownOr(freshness, keys)), tagRules },
    downloads: named(DOWNLOAD_KEYS, keys),
    connection: { ...named(CONNECTION_KEYS, keys), ca, proxy: proxyChoice(keys.proxy) },
    names: named(NAME_KEYS, keys),
    credentials: buildCredentials(judge, path, keys),
  }
}

/** What the upstream says itself, and for the rest what holds for all. */
function ownOr<T extends object>(all: T, own: Partial<T>): T {
  const written = Object.entries(own).filter(([key, value]) => key in all && value !== undefined)
  return { ...all, ...Object.fromEntries(written) }
}

function buildAny(judge: Judge, path: Path, parts: PolicyParts): UpstreamPolicy {
  const { keys } = parts
  for (const key of NOT_FOR_ANY) {
    const value = keys[key]
    if (value === undefined || (Array.isArray(value) && value.length === 0)) continue
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
    quota: keys.quota,
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

function buildTagRules(judge: Judge, path: Path, { tags }: UpstreamSettings): readonly TagRule[] {
  const live: (TagRule | undefined)[] = []
  for (const [index, { match, ttl }] of tags.entries()) {
    const at = [...path, 'tags', index, 'match']
    const earlier = live.findIndex(
      each =>
        each !== undefined &&
        covers(each.repository, match.repository) &&
        coversTag(each.tag, match.tag),
    )
    const matches = checkGlob(judge, at, { registry: path[1], glob: match.repository })
    live.push(matches ? { ...match, ttlMs: ttl } : undefined)
    if (earlier === -1 || !matches) continue
    const before = judge.indexAsWritten([...path, 'tags'], earlier)
    const message = `is never reached: tags[${before}] matches all of it`
    judge.note(at, { severity: 'warning', message })
  }
  return tags.map(({ match, ttl }) => ({ ...match, ttlMs: ttl }))
}

function checkNames(judge: Judge, path: Path, { include, exclude }: UpstreamSettings): void {
  const excluding = checkPatterns(judge, [...path, 'exclude'], { globs: exclude, excluding: [] })
  checkPatterns(judge, [...path, 'include'], { globs: include, excluding })
}

/** A pattern, or undefined for one that matches nothing, and so covers nothing. */
type Checked = string | undefined

/** At most one note of each pattern that was written; a default is nobody's slip. */
function checkPatterns(
  judge: Judge,
  path: Path,
  { globs, excluding }: { globs: readonly string[]; excluding: readonly Checked[] },
): readonly Checked[] {
  const checked: Checked[] = []
  for (const [index, glob] of globs.entries()) {
    const at = [...path, index]
    const matches = checkGlob(judge, at, { registry: path[1], glob })
    const excluder = firstCovering(excluding, glob)
    const earlier = firstCovering(checked, glob)
    checked.push(matches ? glob : undefined)
    if (!matches || !judge.isWritten(at) || (excluder === -1 && earlier === -1)) continue
    const message =
      excluder === -1
        ? `has no effect: ${path.at(-1)}[${judge.indexAsWritten(path, earlier)}] matches all of it`
        : `has no effect: exclude[${judge.indexAsWritten([...path.slice(0, -1), 'exclude'], excluder)}] keeps all of it out`
    judge.note(at, { severity: 'warning', message })
  }
  return checked
}

function firstCovering(checked: readonly Checked[], glob: string): number {
  return checked.findIndex(each => each !== undefined && covers(each, glob))
}

/**
 * Patterns are over names inside the registry. Returns false, and tells, where one matches nothing.
 */
function checkGlob(
  judge: Judge,
  at: Path,
  { registry, glob }: { registry: string | number | undefined; glob: string },
): boolean {
  if (registry === DOCKER_HUB && !glob.includes('/') && glob !== '**') {
    const message = `matches nothing: names inside ${registry} have two components`
    judge.note(at, { severity: 'warning', message, suggestion: `library/${glob}` })
    return false
  }
  if (!glob.startsWith(`${registry}/`)) return true
  const message = `is matched against names inside ${registry}, without its host`
  judge.note(at, { message, suggestion: glob.slice(`${registry}/`.length) })
  return false
}

function proxyChoice(text: string | undefined): ProxyChoice {
  if (text === undefined) return { kind: 'environment' }
  return text === 'none' ? { kind: 'none' } : { kind: 'url', url: text }
}
