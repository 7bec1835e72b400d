// What holds without any configuration: the well-known registries and where they are, and other
// names of Docker Hub.
import { hostFrom, type RegistryHost } from '../oci/reference.ts'
import { HIGHEST_PORT } from './addresses.ts'

export const DOCKER_HUB = 'docker.io' as RegistryHost

/** Pulled through when no upstreams are listed, with their URLs. */
const WELL_KNOWN: Readonly<Record<string, string>> = {
  'docker.io': 'https://registry-1.docker.io',
  'ghcr.io': 'https://ghcr.io',
  'quay.io': 'https://quay.io',
  'registry.k8s.io': 'https://registry.k8s.io',
  'gcr.io': 'https://gcr.io',
  'mcr.microsoft.com': 'https://mcr.microsoft.com',
  'public.ecr.aws': 'https://public.ecr.aws',
  'registry.gitlab.com': 'https://registry.gitlab.com',
  'nvcr.io': 'https://nvcr.io',
}

export const WELL_KNOWN_HOSTS: readonly string[] = Object.keys(WELL_KNOWN)

/** Other spellings of Docker Hub that clients and people use (R27). */
export const DOCKER_HUB_ALIASES: readonly string[] = [
  'index.docker.io',
  'registry-1.docker.io',
  'registry.hub.docker.com',
  'hub.docker.com',
]

/** The one name under which a host is an upstream. */
export function canonicalHost(host: RegistryHost): RegistryHost {
  return DOCKER_HUB_ALIASES.includes(host) ? DOCKER_HUB : host
}

/**
 * Is this a name for what is kept here, `localhost` with or without a port? It can be no upstream.
 */
export function isLocalhost(host: RegistryHost): boolean {
  return host === 'localhost' || host.startsWith('localhost:')
}

/** Where an upstream is, when its `url` is not written. */
export function builtInUrl(host: RegistryHost, plainHttp: boolean): string {
  if (plainHttp) return `http://${host}`
  return Object.hasOwn(WELL_KNOWN, host)
    ? (WELL_KNOWN[host] ?? `https://${host}`)
    : `https://${host}`
}

/** A host whose port, where it has one, exists. */
export function checkedHost(text: string): RegistryHost | undefined {
  const host = hostFrom(text)
  const port = /:(\d+)$/.exec(host ?? '')?.[1]
  return port === undefined || (Number(port) >= 1 && Number(port) <= HIGHEST_PORT)
    ? host
    : undefined
}
