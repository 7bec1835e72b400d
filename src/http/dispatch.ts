// From a request to the handler of its endpoint, in the order of error precedence that the protocol
// page fixes: syntax, route and method, grammar, access, namespace, policy; what follows is the
// handlers'.
import type { Access, AccessRequest, Refusal } from '../access/access.ts'
import { type Endpoint, parseTarget, type Target } from '../oci/endpoint.ts'
import { type ErrorCode, RegistryError } from '../oci/errors.ts'
import { formatReference, type Repository, repositoryKey } from '../oci/reference.ts'
import type { Routed } from '../registry/routing/route.ts'
import type { Registry } from '../registry/use-cases.ts'
import { undeletable } from '../registry/delete/delete-refusal.ts'
import type { Clock } from '../registry/ports/clock.ts'
import { pushDenied } from '../registry/refusals/push-refusal.ts'
import { checkSyntax } from './admit.ts'
import type { Answer } from './answer.ts'
import { answerCatalog } from './endpoints/catalog.ts'
import type { Context, NamedContext } from './context.ts'
import { errorAnswer } from './error-response.ts'
import type { Exchange, RequestRecord } from './exchange.ts'
import type { MemoryBudget } from './body/memory-budget.ts'
import { isKnownMethod, methodsOf, refuseMethod, refuseUnknownMethod } from './methods.ts'
import { answerExtensions, answerLivez, answerPing } from './endpoints/ping.ts'
import { giveToken } from './endpoints/token.ts'
import { planOf, type Plan } from './plan.ts'
import type { PrincipalSources } from './principal.ts'
import { hostOf } from './proxies/callers.ts'
import type { Cursors } from './cursor.ts'
import { type Asked, refusedBy } from './refusals.ts'
import type { TakePlace } from './places/place.ts'

export interface DispatchDeps extends PrincipalSources {
  readonly registry: Registry
  readonly access: Access
  readonly clock: Clock
  readonly memory: MemoryBudget
  /** For bodies of blobs. */
  readonly takePlace: TakePlace
  readonly cursors: Cursors
  /** Throws RegistryError UNAVAILABLE when this process has too much to do; not asked for pings. */
  readonly checkCapacity: () => void
  /** Throws RegistryError TOOMANYREQUESTS when the account has too much under way. */
  readonly limitAccount: Context['limitAccount']
}

/** @throws RegistryError for what the client may know, and whatever else went wrong. */
export async function dispatch(exchange: Exchange, deps: DispatchDeps): Promise<Answer> {
  const { request, caller, principal, record } = exchange
  const { access } = deps
  const { method = '', url = '' } = request
  const headOnly = method === 'HEAD'
  const isRead = headOnly || method === 'GET'
  checkSyntax(request, caller)
  if (!isKnownMethod(method)) return refuseUnknownMethod(url)
  if (isLivez(url) && isRead) {
    record.endpoint = 'livez'
    return answerLivez()
  }
  record.isJudged = true
  if (!access.revision.isHeld) await access.revision.untilHeld()
  refuseIf(access.admit(principal), access, { exchange })
  const target = targetOf(url, method)
  const { endpoint } = target
  noteEndpoint(record, endpoint)
  if (!methodsOf(endpoint.kind).includes(method)) return refuseMethod(method, endpoint.kind)
  if (endpoint.kind === 'ping' || endpoint.kind === 'extension') {
    await untilKnown(access, () => access.identify(principal))
    refuseIf(access.judgeCredentials(principal, 'ping'), access, { exchange, target })
    return endpoint.kind === 'ping' ? answerPing() : answerExtensions()
  }
  if (endpoint.kind === 'token') {
    deps.checkCapacity()
    return giveToken(exchange, { ...deps, target })
  }
  // Some clients send what a login has left to whatever they read as well (crane): that is nobody's
  // login, and costs them nothing.
  if (!isRead) refuseIf(access.judgeCredentials(principal, 'write'), access, { exchange, target })
  deps.checkCapacity()
  const context: Context = { ...deps, exchange, target, headOnly }
  if (endpoint.kind === 'catalog') return listRepositories(context)
  return carryOut(context, planOf({ endpoint, request, target }))
}

/** Again where other rules came into force meanwhile. */
async function listRepositories(context: Context): Promise<Answer> {
  for (;;) {
    const decidedBy = await meet(context, 'pull')
    decide(context, { resource: 'catalog', action: 'list' })
    const answer = await answerCatalog(context)
    if (decidedBy === context.access.revision.newest) return answer
  }
}

/** @throws RegistryError */
function refuseIf(refusal: Refusal | undefined, access: Access, asked: Asked): void {
  if (refusal !== undefined) throw refusedBy(refusal, access, asked)
}

/**
 * What can be no tag is told to who wants to push it. Whoever asks for it asks for a manifest that
 * is not here: so the released conformance suites want it, and a client that probes takes 404 for
 * an answer and 400 for its own mistake (R284).
 */
function targetOf(url: string, method: string): Target {
  try {
    return parseTarget(url)
  } catch (error) {
    const notTag = error instanceof RegistryError && error.code === 'TAG_INVALID'
    if (method === 'PUT' || !notTag) throw error
    throw new RegistryError('MANIFEST_UNKNOWN', error.message, { cause: error })
  }
}

async function carryOut(context: Context, plan: Plan): Promise<Answer> {
  const { action, moves, handle } = plan
  const { access, headOnly } = context
  // A HEAD may begin a push, and is told other things then.
  const about = action === 'pull' && !headOnly ? 'pull' : 'pull or push'
  let decidedBy = await meet(context, about)
  const { routed, anonymously } = routeAllowed(context, plan)
  const { record, hot } = context.exchange
  record.repository = repositoryKey(routed.repository)
  hot?.about(routed.repository)
  record.namespace = routed.namespace
  let isStillAnonymous = anonymously
  const decideAgain = async () => {
    if (decidedBy === access.revision.newest) return
    decidedBy = await meet(context, about)
    isStillAnonymous = decide(context, { resource: routed.repository, action, moves })
  }
  const named = { ...context, routed, anonymously, decideAgain }
  const refused = refuseByPolicy(named, action)
  if (refused !== undefined) return refused
  const answer = await handle(named)
  // A write is done by now.
  if (action !== 'pull') return answer
  await orGiveUp(answer, decideAgain)
  if (isStillAnonymous === anonymously) return answer
  // It says to caches whom they may give it to, by what held before.
  await giveUp(answer)
  return carryOut(context, plan)
}

/** What is needed to decide, by what holds now: of which revision that is. */
async function meet(context: Context, about: 'pull' | 'pull or push'): Promise<number> {
  const { access, target, exchange } = context
  const { principal } = exchange
  const decidedBy = await untilKnown(access, () => access.meet(principal, about))
  // A reload may have shut the door on whoever waited.
  refuseIf(access.admit(principal), access, { exchange, target })
  context.limitAccount()
  return decidedBy
}

/** What `find` found out is of one revision, and of the one that holds then: which. */
async function untilKnown(
  { revision }: Access,
  find: () => Promise<void> | undefined,
): Promise<number> {
  for (;;) {
    await revision.untilHeld()
    const { held } = revision
    await find()
    if (held === revision.newest) return held
  }
}

/** Where `check` throws, nobody is given the answer. */
async function orGiveUp(answer: Answer, check: () => Promise<void>): Promise<void> {
  try {
    await check()
  } catch (error) {
    await giveUp(answer)
    throw error
  }
}

async function giveUp({ body }: Answer): Promise<void> {
  if (body.kind === 'blob') await body.blob.close()
}

/** Access is decided before it is told that a name leads nowhere (R178). */
function routeAllowed(
  context: Context,
  { action, moves }: Plan,
): { readonly routed: Routed; readonly anonymously: boolean } {
  const { registry, target, exchange } = context
  let routed: Routed
  try {
    routed = registry.route(target, hostOf(exchange.request, exchange.caller))
  } catch (error) {
    decide(context, { resource: 'unrouted', asIf: routedAsIf(context), action, moves })
    throw error
  }
  const anonymously = decide(context, { resource: routed.repository, action, moves })
  return { routed, anonymously }
}

/**
 * @returns whether the answer may be read anonymously too.
 * @throws RegistryError DENIED, or what is told of what is not there
 */
function decide(context: Context, request: Omit<AccessRequest, 'principal'>): boolean {
  const { access, target, exchange } = context
  const decision = access.decide({ ...request, principal: exchange.principal })
  if (decision.kind === 'allowed') return decision.anonymously
  if ('by' in decision) exchange.record.deniedBy = decision.by
  if (decision.kind !== 'hidden') {
    const { resource, asIf } = request
    const repository = typeof resource === 'string' ? asIf : resource
    throw refusedBy(decision, access, { exchange, target, repository })
  }
  throw new RegistryError(ABSENT[target.endpoint.kind] ?? 'NAME_UNKNOWN')
}

/**
 * Of a name that leads nowhere, where it would lead: so that neither challenges nor what is said to
 * who shows a token tell which registries are configured.
 */
function routedAsIf({ registry, target, exchange }: Context): Repository | undefined {
  try {
    return registry.route(target, hostOf(exchange.request, exchange.caller), 'anywhere').repository
  } catch (error) {
    if (error instanceof RegistryError) return undefined
    throw error
  }
}

/** What is told of content that is not there, in the words of the specification. */
const ABSENT: Partial<Record<Endpoint['kind'], ErrorCode>> = {
  manifest: 'MANIFEST_UNKNOWN',
  blob: 'BLOB_UNKNOWN',
}

/**
 * What the operator's rules for repositories say to a write, whoever asks (R116, R118): told before
 * the body is read, and before anybody looks whether something exists. The engine holds to the same
 * rules. Undefined when nothing speaks against it.
 * @throws RegistryError DENIED with the way out
 */
function refuseByPolicy(context: NamedContext, action: Plan['action']): Answer | undefined {
  if (action === 'pull') return undefined
  const { registry, routed, target, exchange } = context
  const policy = registry.policyOf(routed.repository)
  if (action === 'push' && policy.push === 'deny') throw pushDenied(routed.repository)
  if (action === 'push' || policy.deletable) return undefined
  const error = undeletable(routed.repository)
  exchange.record.error = error
  const methods = methodsOf(target.endpoint.kind).filter(method => method !== 'DELETE')
  return errorAnswer(error, { Allow: methods.join(', ') })
}

function noteEndpoint(record: RequestRecord, endpoint: Endpoint): void {
  record.endpoint = endpoint.kind
  if ('path' in endpoint) record.repository = endpoint.path
  if ('reference' in endpoint) record.reference = formatReference(endpoint.reference)
  else if ('digest' in endpoint) record.reference = endpoint.digest
}

function isLivez(target: string): boolean {
  return target === '/livez' || target.startsWith('/livez?')
}
