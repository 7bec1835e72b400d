// The identity providers of the running server, and what is told of tokens that are not good. A
// part of the composition root.
import { Identities, type RefusedIdentity } from '../accounts/identities/identities.ts'
import type { ProxyEnvironment } from '../config/config.ts'
import type { Logger } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import { createOnceAMinute } from '../observe/once-a-minute.ts'
import type { Clock } from '../registry/ports/clock.ts'
import { createKeyFetcher } from './issuer-keys.ts'

export interface OpenIdentitiesDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly version: string
}

export function openIdentities(
  environment: ProxyEnvironment,
  { clock, logger, metrics, version }: OpenIdentitiesDeps,
): Identities {
  const due = createOnceAMinute(() => clock.monotonicMs())
  function noteRefused({ reason, issuer, said, subject }: RefusedIdentity): void {
    const held = due(`${reason} ${issuer}`)
    if (held !== undefined)
      logger.warn({ issuer, said, reason, subject, held, hint: HINT }, REFUSED)
  }

  return new Identities({
    nowMs: () => clock.nowMs(),
    monotonicMs: () => clock.monotonicMs(),
    fetchKeys: createKeyFetcher(environment, { clock, version }),
    found: (outcome, refused) => {
      metrics.count('authIdentities', { outcome })
      if (refused !== undefined) noteRefused(refused)
    },
    asked: (issuer, outcome, err) => {
      metrics.count('authIssuerKeys', { outcome })
      const hint = 'keys that were looked up before stay good for auth.oidc.<provider>.maxstale'
      if (outcome === 'failed') logger.error({ issuer, err, hint }, AWAY)
    },
  })
}

const HINT = 'reason says what of the token did not fit auth.oidc; subject is a hash of its sub'
const REFUSED = 'a token of an identity provider is nobody here'
const AWAY = 'the keys of an identity provider could not be had'
