// Listening addresses and URLs as the configuration writes them.
import type { Parsed } from './formats/units.ts'

/**
 * Where to listen. `host` undefined: on every address of the machine. Port 0: the system chooses.
 */
export interface ListenAddress {
  readonly host: string | undefined
  readonly port: number
}

export const HIGHEST_PORT = 65_535
const ADDRESS = /^(?:\[([0-9a-f:.%a-z]+)\]|([a-z0-9._-]*)):(\d{1,9})$/i

function fault(message: string, suggestion?: string): Parsed<never> {
  return suggestion === undefined
    ? { kind: 'fault', message }
    : { kind: 'fault', message, suggestion }
}

/** `:5000`, `127.0.0.1:5001`, `[::1]:5000` */
export function parseAddress(text: string): Parsed<ListenAddress> {
  const [, ipv6, name, digits] = ADDRESS.exec(text) ?? []
  if (digits === undefined) {
    const message = 'an address is host:port, or :port for all addresses'
    if (/^\d{1,5}$/.test(text)) return fault(message, `:${text}`)
    if (/^[0-9a-f]*(?::[0-9a-f]*){2,}$/i.test(text))
      return fault('an IPv6 address goes in brackets', `[${text}]:5000`)
    return fault(message, hostAndPort(text))
  }
  const port = Number(digits)
  if (port > HIGHEST_PORT) return fault(`a port is at most ${HIGHEST_PORT}`)
  return { kind: 'ok', value: { host: ipv6 ?? (name === '' ? undefined : name), port } }
}

/** `http://0.0.0.0:5000/` → `0.0.0.0:5000` */
function hostAndPort(text: string): string | undefined {
  const bare = /^[a-z]+:\/\/([^/]+)\/?$/i.exec(text)?.[1]
  return bare !== undefined && ADDRESS.test(bare) ? bare : undefined
}

/** The inverse of parseAddress. */
export function formatAddress({ host, port }: ListenAddress): string {
  const name = host?.includes(':') ? `[${host}]` : (host ?? '')
  return `${name}:${port}`
}

/** Is only this machine reached there? */
export function isLoopback({ host }: ListenAddress): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host ?? '')
}

/**
 * An http or https URL, without a slash at its end. Secrets have no place in it, and what stands
 * behind the user name is never repeated in a message.
 */
export function parseUrl(text: string): Parsed<string> {
  if (/^[a-z0-9.-]+(?::\d+)?(?:\/|$)/i.test(text))
    return fault('a URL begins with https://', `https://${text}`)
  const url = URL.parse(text)
  if (url === null) return fault('must be a URL such as https://registry.example.com')
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    return fault('must begin with https:// or http://')
  if (url.username !== '' || url.password !== '') {
    return fault(
      'must not hold a user name or password: URLs end up in logs; use username and passwordfile',
    )
  }
  if (url.search !== '' || url.hash !== '') return fault('must not hold a query or a fragment')
  return { kind: 'ok', value: `${url.origin}${url.pathname}`.replace(/\/+$/, '') }
}

/** Can only one of them be listened on? */
export function areSameAddress(a: ListenAddress, b: ListenAddress): boolean {
  const isSameHost = a.host === b.host || a.host === undefined || b.host === undefined
  return a.port === b.port && a.port !== 0 && isSameHost
}
