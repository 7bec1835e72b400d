// Docker's config.json: which credentials it has, or which helper is to be asked, for one registry.
// Written by `docker login` and podman; keys are hosts, but Docker Hub's is a URL, and older files
// have URLs throughout.
import type { RegistryHost } from '../../oci/reference.ts'
import { isObject } from '../connect/response-errors.ts'

/** Under which Docker Hub is filed, by everybody. */
export const DOCKER_HUB_KEY = 'https://index.docker.io/v1/'

export type DockerConfigEntry =
  | { readonly kind: 'basic'; readonly username: string; readonly secret: string }
  /** A refresh token: it is traded for access tokens by POST (R142). */
  | { readonly kind: 'identity token'; readonly username: string; readonly secret: string }
  | { readonly kind: 'helper'; readonly name: string; readonly server: string }

/**
 * What is tried in this order: the host's own helper, the file's default helper, the file itself.
 * Empty when nothing is there. `hosts` are the names under which the registry may be filed.
 * @throws SyntaxError when the text is not JSON
 */
export function dockerConfigEntries(text: string, hosts: readonly string[]): DockerConfigEntry[] {
  const config: unknown = JSON.parse(text)
  if (!isObject(config)) return []
  const names = new Set(hosts.map(host => host.toLowerCase()))
  const server = hosts.includes('docker.io') ? DOCKER_HUB_KEY : (hosts[0] ?? '')
  const entries: DockerConfigEntry[] = []

  const helper = findByHost(config.credHelpers, names)
  if (typeof helper === 'string') entries.push({ kind: 'helper', name: helper, server })
  const store = config.credsStore
  if (typeof store === 'string' && store !== '')
    entries.push({ kind: 'helper', name: store, server })
  const entry = fromAuth(findByHost(config.auths, names))
  return entry === undefined ? entries : [...entries, entry]
}

/**
 * Under which names the registry that `endpoint` belongs to may be filed; the canonical name first.
 */
export function credentialHosts(
  registry: RegistryHost,
  endpoint: URL,
  aliases: readonly string[],
): string[] {
  return [...new Set([registry as string, endpoint.host, ...aliases])]
}

function findByHost(table: unknown, hosts: ReadonlySet<string>): unknown {
  if (!isObject(table)) return undefined
  const key = Object.keys(table).find(name => hosts.has(hostOf(name)))
  return key === undefined ? undefined : table[key]
}

function hostOf(key: string): string {
  const host = key.replace(/^https?:\/\//i, '').replace(/\/.*$/, '')
  return host.toLowerCase()
}

function fromAuth(auth: unknown): DockerConfigEntry | undefined {
  if (!isObject(auth)) return undefined
  const pair = typeof auth.auth === 'string' ? decodePair(auth.auth) : undefined
  const username = pair?.username ?? auth.username
  const secret = pair?.secret ?? auth.password
  if (typeof auth.identitytoken === 'string' && auth.identitytoken !== '') {
    const owner = typeof username === 'string' ? username : ''
    return { kind: 'identity token', username: owner, secret: auth.identitytoken }
  }
  return typeof username === 'string' && username !== '' && typeof secret === 'string'
    ? { kind: 'basic', username, secret }
    : undefined
}

/** `user:password` in base64; passwords may contain colons, and old files end in NUL bytes. */
function decodePair(text: string): { username: string; secret: string } | undefined {
  const pair = Buffer.from(text, 'base64').toString().replace(/\0+$/, '')
  const colon = pair.indexOf(':')
  return colon < 1 ? undefined : { username: pair.slice(0, colon), secret: pair.slice(colon + 1) }
}
