// Methods that are not answered here: those that would write, until this edge takes pushes, and those no registry has (R19).
import { ENDPOINTS, type EndpointKind } from '../oci/endpoint.ts'
import { RegistryError } from '../oci/errors.ts'
import type { Answer } from './answer.ts'
import { errorAnswer } from './error-response.ts'

const READING: readonly string[] = ['GET', 'HEAD']
const WRITING: readonly string[] = ['POST', 'PUT', 'PATCH', 'DELETE']

/** A method of the registry protocol, whether it is served here or not. */
export function isKnownMethod(method: string): boolean {
  return READING.includes(method) || WRITING.includes(method)
}

/** The methods that are served for an endpoint now. */
export function allowedMethods(kind: EndpointKind): readonly string[] {
  const methods: readonly string[] = ENDPOINTS[kind].methods
  return kind === 'uploads' || kind === 'upload'
    ? []
    : methods.filter(method => READING.includes(method))
}

/** 405 that says which methods there are and, to a push, where to go instead. */
export function refuseMethod(method: string, kind: EndpointKind): Answer {
  const methods: readonly string[] = ENDPOINTS[kind].methods
  const message =
    methods.includes(method) && WRITING.includes(method)
      ? 'this version takes no pushes and deletes nothing: push to the upstream registry itself, not through this edge'
      : `${method} is no method of ${ENDPOINTS[kind].route}`
  return errorAnswer(new RegistryError('UNSUPPORTED', message), {
    Allow: allowedMethods(kind).join(', '),
  })
}

/** 405 for a method that no endpoint has. */
export function refuseUnknownMethod(): Answer {
  const error = new RegistryError('UNSUPPORTED', 'this is no method of the registry protocol')
  return errorAnswer(error, { Allow: READING.join(', ') })
}
