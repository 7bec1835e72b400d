// May this token server see credentials (R141)? A registry names its token server itself, so a
// hijacked or hostile one would name one that collects them.
import ipaddr from 'ipaddr.js'
import { getDomain } from 'tldts'
import { unbracketed } from '../connect/address-policy.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import { redactUrl } from '../connect/redirect.ts'

/** @throws UpstreamError invalid when it is no URL; refused when it would leave https */
export function parseRealm(text: string, registry: URL): URL {
  const realm = URL.canParse(text) ? new URL(text) : undefined
  if (realm === undefined || !/^https?:$/.test(realm.protocol) || hasUserInfo(realm)) {
    throw new UpstreamError('invalid', `${registry.host} names a token server that is no URL`)
  }
  if (registry.protocol === 'https:' && realm.protocol !== 'https:') {
    throw new UpstreamError(
      'refused',
      `${registry.host} names a token server without TLS: ${redactUrl(realm)}`,
    )
  }
  return realm
}

/**
 * The same host, the same registrable domain, or on the list; for addresses and `localhost` the
 * same host or on the list.
 */
export function mayCarryCredentials(realm: URL, registry: URL, listed: readonly string[]): boolean {
  if (realm.hostname === registry.hostname) return true
  if (
    listed.some(host => host.toLowerCase() === realm.host || host.toLowerCase() === realm.hostname)
  ) {
    return true
  }
  const domain = registrableDomain(registry)
  return domain !== undefined && domain === registrableDomain(realm)
}

/** @throws UpstreamError refused */
export function assertMayCarryCredentials(
  realm: URL,
  registry: URL,
  listed: readonly string[],
): void {
  if (mayCarryCredentials(realm, registry, listed)) return
  throw new UpstreamError(
    'refused',
    `${registry.host} sends to the token server ${realm.host}, which may not see its credentials`,
    { hint: `if this is right, add ${realm.host} to realms of this upstream` },
  )
}

function registrableDomain(url: URL): string | undefined {
  const hostname = unbracketed(url.hostname)
  if (ipaddr.isValid(hostname)) return undefined
  // Private suffixes (github.io, azurewebsites.net) separate customers of one provider from each
  // other.
  return getDomain(hostname, { allowPrivateDomains: true }) ?? undefined
}

function hasUserInfo(url: URL): boolean {
  return url.username !== '' || url.password !== ''
}
