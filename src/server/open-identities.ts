// The identity providers of the running server: their keys, fetched as from upstreams, and what is
// told of tokens that are not good. A part of the composition root.
import {
  Identities,
  type Provider,
  type RefusedIdentity,
} from '../accounts/identities/identities.ts'
import { type KeySet, parseKeySet, parseMetadata } from '../accounts/identities/issuer-documents.ts'
import type { ProxyEnvironment } from '../config/config.ts'
import type { Logger } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import { createOnceAMinute } from '../observe/once-a-minute.ts'
import type { Clock } from '../registry/ports/clock.ts'
import { lookupAll } from '../upstream/connect/connector.ts'
import { createLookUps } from '../upstream/connect/look-ups.ts'
import { openDocuments } from '../upstream/documents.ts'
import { proxyOptions } from './upstreams.ts'

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
  const { configured: lookup } = createLookUps(lookupAll, clock)

  async function fetchKeys({ name, issuer, jwks, ca }: Provider): Promise<KeySet> {
    const named = [issuer, ...(jwks === undefined ? [] : [jwks])].map(text => new URL(text))
    const proxy = proxyOptions({ kind: 'environment' }, issuer, environment)
    const tls = ca === undefined ? {} : { caPem: ca }
    const userAgent = `entrepot/${version}`
    const hintFor = (host: string) => `if ${host} is right, ${SAY_WHERE(name)}`
    const options = { named, userAgent, hintFor, shutHint: OPEN_IT, ...proxy, ...tls }
    const documents = openDocuments(options, { clock, lookup })
    try {
      const place = jwks ?? parseMetadata(await documents.read(metadataOf(issuer)), issuer)
      return parseKeySet(await documents.read(new URL(place)))
    } finally {
      await documents.close()
    }
  }

  function noteRefused({ reason, issuer, said, subject }: RefusedIdentity): void {
    const held = due(`${reason} ${issuer}`)
    if (held !== undefined)
      logger.warn({ issuer, said, reason, subject, held, hint: HINT }, REFUSED)
  }

  return new Identities({
    nowMs: () => clock.nowMs(),
    monotonicMs: () => clock.monotonicMs(),
    fetchKeys,
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

function metadataOf(issuer: string): URL {
  return new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)
}

const SAY_WHERE = (provider: string) =>
  `say where the keys are by auth.oidc.${provider}.jwks, which may have any address`
const OPEN_IT =
  'keys are asked for without a login: let anybody read them; in Kubernetes bind the cluster role system:service-account-issuer-discovery to the group system:unauthenticated'
const HINT = 'reason says what of the token did not fit auth.oidc; subject is a hash of its sub'
const REFUSED = 'a token of an identity provider is nobody here'
const AWAY = 'the keys of an identity provider could not be had'
