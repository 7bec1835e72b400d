// Methods that an endpoint does not have, and those that no registry has (R19).
import { ENDPOINTS, type EndpointKind, parseTarget } from '../oci/endpoint.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Answer } from './answer.ts'
import { errorAnswer } from './error-response.ts'

const KNOWN: ReadonlySet<string> = new Set(Object.values(ENDPOINTS).flatMap(row => row.methods))

/** A method of the registry protocol. */
export function isKnownMethod(method: string): boolean {
  return KNOWN.has(method)
}

export function methodsOf(kind: EndpointKind): readonly string[] {
  return ENDPOINTS[kind].methods
}

/** 405 that says which methods there are. */
export function refuseMethod(method: string, kind: EndpointKind): Answer {
  const message = `${method} is no method of ${ENDPOINTS[kind].route}`
  return errorAnswer(new RegistryError('UNSUPPORTED', message), {
    Allow: methodsOf(kind).join(', '),
  })
}

/** 405 for a method that no endpoint has, whatever the target is. */
export function refuseUnknownMethod(rawTarget: string): Answer {
  const error = new RegistryError('UNSUPPORTED', 'this is no method of the registry protocol')
  return errorAnswer(error, { Allow: [...allowedAt(rawTarget)].join(', ') })
}

function allowedAt(rawTarget: string): Iterable<string> {
  try {
    return methodsOf(parseTarget(rawTarget).endpoint.kind)
  } catch {
    return KNOWN
  }
}
