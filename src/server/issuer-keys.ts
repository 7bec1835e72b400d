// The keys of identity providers, fetched as content is from upstreams: for the running server, and
// for `entrepot check --online`, which asks each provider once. A part of the composition root.
import type { Provider } from '../accounts/identities/identities.ts'
import { type KeySet, parseKeySet, parseMetadata } from '../accounts/identities/issuer-documents.ts'
import type { Config, ProxyEnvironment } from '../config/config.ts'
import type { Clock } from '../registry/ports/clock.ts'
import { UpstreamError } from '../registry/ports/upstream.ts'
import { lookupAll } from '../upstream/connect/connector.ts'
import { createLookUps } from '../upstream/connect/look-ups.ts'
import { openDocuments } from '../upstream/documents.ts'
import { proxyOptions } from './upstreams.ts'

export interface KeyFetcherDeps {
  readonly clock: Clock
  readonly version: string
}

type FetchKeys = (provider: Provider) => Promise<KeySet>

/** What it gives rejects where a provider gives none that are of use. */
export function createKeyFetcher(
  environment: ProxyEnvironment,
  { clock, version }: KeyFetcherDeps,
): FetchKeys {
  const { configured: lookup } = createLookUps(lookupAll, clock)

  return async ({ name, issuer, jwks, ca }) => {
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
}

export interface IssuerProbe {
  /** As it is called under `auth.oidc`. */
  readonly provider: string
  readonly answers: boolean
  readonly detail: string
}

/** Asks every configured provider once, all at the same time. Never rejects. */
export function probeIssuers(
  { auth, proxyEnvironment }: Config,
  deps: KeyFetcherDeps,
): Promise<readonly IssuerProbe[]> {
  const fetchKeys = createKeyFetcher(proxyEnvironment, deps)
  return Promise.all((auth?.providers ?? []).map(provider => probe(provider, fetchKeys)))
}

async function probe(provider: Provider, fetchKeys: FetchKeys): Promise<IssuerProbe> {
  const { name, issuer } = provider
  try {
    const { keys } = await fetchKeys(provider)
    return keys.length > 0
      ? { provider: name, answers: true, detail: `${issuer} gives its keys` }
      : { provider: name, answers: false, detail: `${issuer} gives no keys that check a signature` }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const hint = error instanceof UpstreamError ? error.hint : undefined
    return { provider: name, answers: false, detail: [message, hint ?? []].flat().join('; ') }
  }
}

function metadataOf(issuer: string): URL {
  return new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)
}

const SAY_WHERE = (provider: string) =>
  `say where the keys are by auth.oidc.${provider}.jwks, which may have any address`
const OPEN_IT =
  'keys are asked for without a login: let anybody read them; in Kubernetes bind the cluster role system:service-account-issuer-discovery to the group system:unauthenticated'
