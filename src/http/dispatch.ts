// From a request to the handler of its endpoint, in the order of error precedence that the protocol page fixes: syntax, route and
// method, grammar, access, namespace; what follows is the handlers'.
import { type Access, ANONYMOUS, type AccessRequest } from '../access/access.ts'
import { type Endpoint, parseTarget, type Target } from '../oci/endpoint.ts'
import { RegistryError } from '../oci/errors.ts'
import { formatReference, repositoryKey } from '../oci/reference.ts'
import type { Registry, Routed } from '../registry/answers.ts'
import { checkSyntax } from './admit.ts'
import type { Answer } from './answer.ts'
import { answerBlob } from './blob.ts'
import { answerCatalog } from './catalog.ts'
import type { NamedContext } from './context.ts'
import type { Exchange } from './exchange.ts'
import { answerManifest } from './manifest.ts'
import { answerExtensions, answerLivez, answerPing } from './ping.ts'
import { answerReferrers } from './referrers.ts'
import { answerTags } from './tags.ts'
import { allowedMethods, isKnownMethod, refuseMethod, refuseUnknownMethod } from './write.ts'

export interface DispatchDeps {
  readonly registry: Registry
  readonly access: Access
  /** Throws RegistryError UNAVAILABLE when this process has too much to do; not asked for pings. */
  readonly checkCapacity: () => void
}

/** @throws RegistryError for what the client may know, and whatever else went wrong. */
export async function dispatch(exchange: Exchange, deps: DispatchDeps): Promise<Answer> {
  const { request, record } = exchange
  const method = request.method ?? ''
  const headOnly = method === 'HEAD'
  checkSyntax(request)
  if (!isKnownMethod(method)) return refuseUnknownMethod()
  if (isLivez(request.url) && (headOnly || method === 'GET')) {
    record.endpoint = 'livez'
    return answerLivez()
  }
  const target = parseTarget(request.url ?? '')
  const { endpoint } = target
  record.endpoint = endpoint.kind
  if ('path' in endpoint) record.repository = endpoint.path
  record.reference = referenceOf(endpoint)
  if (!allowedMethods(endpoint.kind).includes(method)) return refuseMethod(method, endpoint.kind)
  if (endpoint.kind === 'ping') return answerPing()
  if (endpoint.kind === 'extension') return answerExtensions()
  deps.checkCapacity()

  const common = { exchange, registry: deps.registry, target, headOnly }
  if (endpoint.kind === 'catalog') {
    const anonymously = decide(deps.access, 'catalog')
    return answerCatalog({ ...common, anonymously })
  }
  const { routed, anonymously } = routeAllowed(deps, target, request.headers.host)
  record.repository = repositoryKey(routed.repository)
  record.namespace = routed.namespace
  return answerNamed({ ...common, routed, anonymously }, endpoint)
}

type NamedEndpoint = Exclude<Endpoint, { kind: 'ping' | 'extension' | 'catalog' }>

function answerNamed(context: NamedContext, endpoint: NamedEndpoint): Answer | Promise<Answer> {
  switch (endpoint.kind) {
    case 'manifest':
      return answerManifest(context, endpoint)
    case 'blob':
      return answerBlob(context, endpoint)
    case 'tags':
      return answerTags(context)
    case 'referrers':
      return answerReferrers(context, endpoint)
    case 'uploads':
    case 'upload':
      return refuseMethod(context.exchange.request.method ?? '', endpoint.kind)
  }
}

/** Access is decided before it is told that a name leads nowhere (R178). */
function routeAllowed(
  { registry, access }: DispatchDeps,
  target: Target,
  host: string | undefined,
): { readonly routed: Routed; readonly anonymously: boolean } {
  let routed: Routed
  try {
    routed = registry.route(target, host)
  } catch (error) {
    decide(access, 'unrouted')
    throw error
  }
  return { routed, anonymously: decide(access, routed.repository) }
}

/** @returns whether the answer may be read anonymously too. @throws RegistryError DENIED */
function decide(access: Access, resource: AccessRequest['resource']): boolean {
  const action = resource === 'catalog' ? 'list' : 'pull'
  const decision = access.decide({ principal: ANONYMOUS, resource, action })
  if (decision.kind === 'denied') throw new RegistryError('DENIED', decision.reason)
  return decision.anonymously
}

function referenceOf(endpoint: Endpoint): string | undefined {
  if ('reference' in endpoint) return formatReference(endpoint.reference)
  return 'digest' in endpoint ? endpoint.digest : undefined
}

function isLivez(target: string | undefined): boolean {
  return target === '/livez' || target?.startsWith('/livez?') === true
}
