// What a failure of the carrier `queue` means for its entry: tried again, tried again for some
// time, or parked. What may pass by itself, or when the operator mends it, is tried again; what is
// wrong with this one entry is parked, so that it holds nothing up.
import type { Repository } from '../oci/reference.ts'
import { UpstreamError } from '../registry/ports/upstream.ts'
import type { DeliveryOutcome } from './carrier.ts'
import { Undeliverable } from './delivery-context.ts'

/**
 * How long the outbox goes on when an upstream refuses: a password that ran out, a registry in
 * maintenance or a login page in the way look like this, and pass. But a tag that may not be
 * replaced does so too, and its repository waits behind it.
 */
const PATIENCE_MS = 6 * 60 * 60_000
const REASON_MAX_LENGTH = 500

/** Undefined for what is neither an upstream's nor this carrier's. */
export function failureOutcome(
  error: unknown,
  repository: Repository,
): DeliveryOutcome | undefined {
  if (error instanceof Undeliverable)
    return { kind: 'park', reason: error.message, hint: error.hint }
  if (!(error instanceof UpstreamError)) return undefined
  const reason = reasonOf(error, repository)
  const hint = error.hint ?? hintFor(error, repository)
  const { retryAfterMs } = error
  switch (error.failure) {
    case 'unavailable':
      return { kind: 'retry', reason, hint, retryAfterMs, isUnreachable: true }
    case 'rate-limited':
    case 'refused':
      return { kind: 'retry', reason, hint, retryAfterMs }
    case 'denied':
    case 'unsupported':
    case 'invalid':
      return { kind: 'retry', reason, hint, retryAfterMs, patienceMs: PATIENCE_MS }
    case 'not-found':
    case 'rejected':
      return { kind: 'park', reason, hint }
  }
}

/** With what the upstream said of it, where the message has not got that. */
function reasonOf({ message, sanitizedMessage }: UpstreamError, { registry }: Repository): string {
  const said =
    sanitizedMessage === undefined || message.includes(sanitizedMessage)
      ? ''
      : `: ${sanitizedMessage}`
  const where = message.includes(registry) ? '' : `${registry}: `
  return `${where}${message}${said}`.slice(0, REASON_MAX_LENGTH)
}

function hintFor({ failure }: UpstreamError, { registry, name }: Repository): string | undefined {
  switch (failure) {
    case 'denied':
      return `check that the credentials under upstreams.${registry} are valid and may push to ${name}`
    case 'unsupported':
      return `${registry} takes no pushes now; when it is a cache or in maintenance, wait, or name the registry behind it`
    case 'invalid':
      return `see whether something stands before ${registry}, such as a login page, or whether it changes what it is given`
    case 'not-found':
      return `create the repository ${name} at ${registry}, if it does not by itself, and retry this entry`
    case 'rejected':
      return `${registry} does not take this content: drop this entry, or change its rules and retry it`
    case 'refused':
      return `see upstreams.${registry}: its address is not one that may be connected to`
    case 'rate-limited':
    case 'unavailable':
      return undefined
  }
}
