// What access says against a request, as an error: with what a client is to show, as
// `WWW-Authenticate` has it (R129), and where it gets that: at the edge itself, by the scheme and
// name that it came by (R130).
import type { IncomingMessage } from 'node:http'
import {
  type Access,
  type Challenge,
  type NamesForCaller,
  type Refusal,
  REFUSAL_CODES,
} from '../access/access.ts'
import { OWN_SERVICE } from '../access/accounts.ts'
import { isLoopbackName } from '../access/loopback.ts'
import { isOneOf } from '../access/door.ts'
import { grantName } from '../access/grants.ts'
import { ENDPOINTS, type Target } from '../oci/endpoint.ts'
import { RegistryError } from '../oci/errors.ts'
import { quote } from '../oci/header-list.ts'
import type { Repository } from '../oci/reference.ts'
import type { Exchange } from './exchange.ts'
import { type Caller, hostOf, schemeOf } from './proxies/callers.ts'

/** What was asked, as far as it is known. */
export interface Asked {
  readonly exchange: Pick<Exchange, 'request' | 'caller' | 'principal'>
  readonly target?: Target | undefined
  /** Where the target leads, or would. */
  readonly repository?: Repository | undefined
}

interface Refused extends Pick<Asked, 'target' | 'repository'> {
  readonly request: IncomingMessage
  readonly caller: Caller
  readonly names: NamesForCaller
}

/** `access`: that refuses it. */
export function refusedBy(
  refusal: Refusal,
  access: Pick<Access, 'namesFor'>,
  { exchange, target, repository }: Asked,
): RegistryError {
  const { kind, reason } = refusal
  const code = REFUSAL_CODES[kind]
  switch (kind) {
    case 'denied':
      return new RegistryError(code, reason)
    case 'unauthorized': {
      const { request, caller, principal } = exchange
      const names = access.namesFor(principal)
      const refused = { request, caller, names, target, repository }
      return new RegistryError(code, reason, {
        challenge: challengeText(refusal.challenge, refused),
      })
    }
    case 'busy':
    case 'away':
    case 'limited':
      return new RegistryError(code, reason, { retryAfterSeconds: refusal.retryAfterSeconds })
  }
}

/** Basic is not offered beside Bearer: dockerd without a login takes it for a demand. */
function challengeText(challenge: Challenge, refused: Refused): string {
  const { request, target, repository } = refused
  const { realm } = challenge
  if (challenge.kind === 'basic' || target?.endpoint.kind === 'token')
    return `Basic realm=${quote(realm)}`
  const { server } = challenge
  const parameters = {
    realm: server?.realm ?? `${originOf(refused)}${ENDPOINTS.token.route}`,
    service: server?.service ?? OWN_SERVICE,
    scope:
      target &&
      scopeOf(target, request.method ?? '', path =>
        server && repository ? grantName(repository, path, server) : path,
      ),
    error: challenge.error,
  }
  const written = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined ? [] : `${name}=${quote(value)}`,
  )
  return `Bearer ${written.join(',')}`
}

/**
 * Where no proxy is believed, never in plain HTTP if whoever passes it on says that its client
 * speaks TLS: passwords would go so. Nothing else of what is said follows, and only to who said it.
 */
function originOf(refused: Refused): string {
  const { request, caller } = refused
  const origin = calledOrigin(refused)
  const isAnybodys = caller.by.trusted.length === 0 && isForwardedTls(request)
  return isAnybodys ? origin.replace(/^http:/, 'https:') : origin
}

/**
 * As clients call this edge. What calls it by a name that is not known is told the public one, lest
 * who forges a name sends others' credentials there; and so is whoever calls by a loopback name,
 * which a proxy writes by itself and which is the client's own machine, and is no program of here.
 */
function calledOrigin({ request, caller, names: { url, hosts, isHere } }: Refused): string {
  const host = hostOf(request, caller)
  const own = schemeOf(request, caller)
  if (url === undefined) return `${own}://${host ?? ''}`
  const { host: publicHost, protocol, origin } = new URL(url)
  if (host === undefined || host.toLowerCase() === publicHost) return origin
  if (isLoopbackName(host)) return isHere ? `${own}://${host}` : origin
  if (!isOneOf(host, hosts)) return origin
  // Whatever speaks TLS for the public name does so for the others.
  return own === 'https' || caller.scheme !== undefined
    ? `${own}://${host}`
    : `${protocol}//${host}`
}

const TLS_FORWARDED = {
  'x-forwarded-proto': /^\s*https\s*(?:,|$)/i,
  'x-forwarded-scheme': /^\s*https\s*$/i,
  'x-forwarded-ssl': /^\s*on\s*$/i,
  'front-end-https': /^\s*on\s*$/i,
  forwarded: /^[^,]*\bproto="?https\b/i,
} as const

/** Whoever writes one of these without TLS harms only itself. */
function isForwardedTls({ headers }: IncomingMessage): boolean {
  return Object.entries(TLS_FORWARDED).some(([name, says]) =>
    says.test(String(headers[name] ?? '')),
  )
}

/** By the names that the client uses (R133), where `nameOf` has no other. */
function scopeOf(
  { endpoint }: Target,
  method: string,
  nameOf: (path: string) => string,
): string | undefined {
  if (endpoint.kind === 'catalog') return 'registry:catalog:*'
  if (!('path' in endpoint)) return undefined
  return `repository:${nameOf(endpoint.path)}:${actionsOf(endpoint.kind, method)}`
}

function actionsOf(kind: Target['endpoint']['kind'], method: string): string {
  if (kind === 'uploads' || kind === 'upload' || method === 'PUT') return 'pull,push'
  return method === 'DELETE' ? 'delete' : 'pull'
}
