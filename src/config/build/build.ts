// Settings → Config: what follows from several keys together, and from the machine. Faults are
// noted, never thrown; a configuration with errors is built all the same, so that all of them are
// found at once.
import { hasLoopback } from '../../access/network.ts'
import type { RegistryHost } from '../../oci/reference.ts'
import { areSameAddress, isLoopback, type ListenAddress } from '../addresses.ts'
import { buildAccess } from './build-access.ts'
import { buildAuth } from './build-auth.ts'
import { buildPins } from './build-pins.ts'
import { checkQuotas } from './build-quotas.ts'
import { buildRepositories, type KnownNames } from './build-repositories.ts'
import { buildRetention } from './build-retention.ts'
import { buildTls } from './build-tls.ts'
import { type BuiltUpstreams, buildUpstreams } from './build-upstreams.ts'
import { canonicalHost, checkedHost, DOCKER_HUB, isLocalhost } from '../built-in.ts'
import type { Config, HttpConfig, ProxyEnvironment, StorageConfig, TlsConfig } from '../config.ts'
import type { Judge } from '../judge.ts'
import { judgeAdmin } from './judge-admin.ts'
import { judgeAnonymous } from './judge-anonymous.ts'
import { judgeExposed } from './judge-exposed.ts'
import { judgeLimits } from './judge-limits.ts'
import { judgeClientLimits } from './judge-client-limits.ts'
import { judgeProxies } from './judge-proxies.ts'
import { IMPORT_KEYS } from '../schema/import-schema.ts'
import { named } from '../schema/keys.ts'
import { HTTP_KEYS, type Settings } from '../schema/schema.ts'
import {
  STORAGE_KEYS,
  COLLECTION_KEYS,
  SCRUB_KEYS,
  UPLOAD_PURGING_KEYS,
} from '../schema/storage-schema.ts'
import { Secret } from '../secret.ts'
import { listSettings } from '../settings-list.ts'
import { closest } from '../suggest.ts'

/** Where a package puts the socket; without that directory, in the data directory. */
const RUN_DIRECTORY = '/run/entrepot'
const SOCKET_NAME = 'admin.sock'

export function buildConfig(judge: Judge, settings: Settings): Config {
  const built = buildUpstreams(judge, settings)
  const http = buildHttp(judge, settings)
  checkNames(judge, http, built)
  const defaultRegistry = buildDefault(judge, settings, built)
  const known = { ...built, defaultRegistry, ownNames: http.names }
  checkQuotas(judge, settings, known)
  const auth = buildAuth(judge, settings)
  const rules = buildAccess(judge, settings, { ...known, localPush: http.localPush, auth })
  judgeAnonymous(judge, settings, rules.access)
  judgeAdmin(judge, settings)
  judgeProxies(judge, settings)
  judgeClientLimits(judge, settings)
  judgeExposed(judge, Object.keys(settings.upstreams), { ...built, ...rules, http, auth })
  return deepFreeze({
    log: settings.log,
    audit: buildAudit(judge, settings),
    http,
    admin: {
      addr: buildAdminAddress(judge, settings),
      api: settings.admin.api,
      socket: socketPath(judge, settings),
    },
    memoryBytes: settings.memory,
    storage: buildStorage(judge, settings, known),
    defaultRegistry,
    ...built,
    repositories: buildRepositories(judge, settings, known),
    auth,
    ...rules,
    pins: buildPins(judge, settings, known),
    import: named(IMPORT_KEYS, settings.import),
    proxyEnvironment: buildProxyEnvironment(judge.surroundings.env),
    settings: listSettings(settings, judge.fileTexts),
  })
}

function buildAudit(judge: Judge, { audit: { output, pulls } }: Settings): Config['audit'] {
  const isFile = output !== undefined && output !== 'stdout' && output !== 'stderr'
  const fault = isFile ? judge.surroundings.whyNoLog(output) : undefined
  if (fault !== undefined)
    judge.note(['audit', 'output'], { message: `cannot write ${output}: ${fault}` })
  return output === undefined ? undefined : { output, pulls }
}

function buildHttp(judge: Judge, settings: Settings): HttpConfig {
  const { http } = settings
  const publicHost = http.host === undefined ? undefined : checkedHost(new URL(http.host).host)
  if (http.host !== undefined && new URL(http.host).pathname !== '/') {
    judge.note(['http', 'host'], {
      message: 'must have no path',
      suggestion: new URL(http.host).origin,
    })
  }
  const names = [...new Set(publicHost === undefined ? http.names : [publicHost, ...http.names])]
  const tls = buildTls(judge, settings)
  return {
    ...named(HTTP_KEYS, http),
    names,
    tls,
    localPush: localPush(settings, tls),
    hosts: allowedHosts(settings, names),
  }
}

/**
 * Where others are meant to come there may be a proxy on this machine, whose clients would pass for
 * programs of it.
 */
function localPush({ http }: Settings, tls: TlsConfig | undefined): HttpConfig['localPush'] {
  if (http.localpush !== undefined) return http.localpush ? 'on' : 'set to false'
  if (http.host !== undefined) return 'public name'
  if (http.trustedproxies.some(hasLoopback)) return 'proxy'
  const isForOthers = tls?.certificates.some(({ isForLoopback }) => !isForLoopback) === true
  return isForOthers ? 'certificate' : 'unsaid'
}

/** What the operator calls this edge elsewhere need not be listed again. */
function allowedHosts(
  { http, upstreams }: Settings,
  names: readonly RegistryHost[],
): HttpConfig['hosts'] {
  if (http.hosts.length === 0) return undefined
  const virtual = Object.values(upstreams).flatMap(({ virtualhosts }) => virtualhosts)
  return [...new Set([...http.hosts, ...names, ...virtual, ...http.anonymous])]
}

/** One name cannot mean this edge and an upstream, nor two upstreams. */
function checkNames(judge: Judge, { names }: HttpConfig, { upstreams }: BuiltUpstreams): void {
  const owners = new Map<RegistryHost, RegistryHost>()
  for (const { registry, virtualHosts } of upstreams) {
    if (names.includes(registry)) {
      judge.note(['upstreams', registry], {
        message: 'is a name of this edge (http.host, http.names)',
      })
    }
    for (const [index, host] of virtualHosts.entries()) {
      const owner = owners.get(host)
      const path = ['upstreams', registry, 'virtualhosts', index]
      if (owner !== undefined) judge.note(path, { message: `stands for ${owner} already` })
      owners.set(host, registry)
    }
  }
}

function buildAdminAddress(judge: Judge, { admin, http }: Settings): ListenAddress {
  if (areSameAddress(admin.addr, http.addr)) {
    judge.note(['admin', 'addr'], {
      message: 'is the address of http.addr; each listener needs its own',
    })
  } else if (!isLoopback(admin.addr)) {
    const message = 'is reached from other machines, and asks nobody for a password'
    judge.note(['admin', 'addr'], { severity: 'warning', message })
  }
  return admin.addr
}

function socketPath(judge: Judge, { admin, storage }: Settings): string {
  if (admin.socket !== undefined) return admin.socket
  if (judge.surroundings.isDirectory(RUN_DIRECTORY)) return `${RUN_DIRECTORY}/${SOCKET_NAME}`
  return `${storage.rootdirectory.replace(/\/+$/, '')}/${SOCKET_NAME}`
}

function buildStorage(judge: Judge, settings: Settings, known: KnownNames): StorageConfig {
  const { storage } = settings
  if (storage.maxsize.kind === 'bytes' && storage.maxsize.bytes === 0) {
    judge.note(['storage', 'maxsize'], { message: 'must be above 0' })
  }
  if (!storage.redirect.disable) {
    const message = 'has no effect: files have no address of their own'
    judge.note(['storage', 'redirect', 'disable'], { severity: 'warning', message })
  }
  const limits = named(STORAGE_KEYS, storage)
  judgeLimits(judge, limits, judge.surroundings.diskOf(storage.rootdirectory))
  return {
    ...limits,
    uploadPurging: named(UPLOAD_PURGING_KEYS, storage.maintenance.uploadpurging),
    retention: buildRetention(judge, settings, known),
    collection: named(COLLECTION_KEYS, storage.gc),
    scrub: named(SCRUB_KEYS, storage.scrub),
  }
}

function buildDefault(judge: Judge, settings: Settings, built: BuiltUpstreams): RegistryHost {
  const hosts = built.upstreams.map(({ registry }) => registry)
  const chosen = canonicalHost(settings.default ?? DOCKER_HUB)
  if (hosts.includes(chosen) || isLocalhost(chosen) || built.anyUpstream !== undefined)
    return chosen
  const [first] = hosts
  // Nobody chose it, and the upstream that would stand here was refused already.
  if (settings.default === undefined && hosts.length < Object.keys(settings.upstreams).length)
    return chosen
  if (settings.default === undefined && judge.isWritten(['default'])) return chosen
  if (settings.default === undefined) {
    const other = first === undefined ? '' : `"default: ${first}", or `
    const message = `docker.io is not among them, and names without a registry go there by default: write ${other}"default: localhost" for what is kept here, beside upstreams`
    judge.note(['upstreams'], { message })
  } else {
    judge.note(['default'], {
      message: 'is not under upstreams',
      suggestion: closest(chosen, hosts) ?? first,
    })
  }
  return chosen
}

/**
 * Lower case wins, as in curl; HTTP_PROXY in capitals counts, too, since this is no CGI program.
 */
function buildProxyEnvironment(env: Judge['surroundings']['env']): ProxyEnvironment {
  const first = (...names: string[]) =>
    names.map(name => env[name]).find(value => value !== undefined && value !== '')
  const secret = (value: string | undefined) =>
    value === undefined ? undefined : new Secret(value)
  return {
    httpsProxy: secret(first('https_proxy', 'HTTPS_PROXY')),
    httpProxy: secret(first('http_proxy', 'HTTP_PROXY')),
    noProxy: first('no_proxy', 'NO_PROXY') ?? '',
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const member of Object.values(value)) deepFreeze(member)
  return Object.freeze(value)
}
