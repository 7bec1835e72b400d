// What the operator's rules for repositories say to a write, whoever asks (R116, R118): told before
// the body is read, and before anybody looks whether something exists. The engine holds to the same
// rules.
import { undeletable } from '../registry/delete/delete-refusal.ts'
import { pushDenied } from '../registry/push/push-refusal.ts'
import type { Answer } from './answer.ts'
import type { NamedContext } from './context.ts'
import { errorAnswer } from './error-response.ts'
import { methodsOf } from './methods.ts'
import type { Plan } from './plan.ts'

/** Undefined when nothing speaks against it. @throws RegistryError DENIED with the way out */
export function refuseByPolicy(context: NamedContext, action: Plan['action']): Answer | undefined {
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
