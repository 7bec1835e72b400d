// Failures of another host that the registry has led to: the storage of its blobs. They say nothing
// about the registry, which has just answered, so they do not count against it (breaker.ts).
import { UpstreamError } from '../../registry/ports/upstream.ts'

const elsewhere = new WeakSet<UpstreamError>()

/** Gives the error back. */
export function noteElsewhere<Failure>(error: Failure): Failure {
  if (error instanceof UpstreamError) elsewhere.add(error)
  return error
}

export function isElsewhere(error: UpstreamError): boolean {
  return elsewhere.has(error)
}
