// The well-known registries as data (R154–R165): where they are and what they lack.
// What is not said here is found out from their responses. Used for defaults in the configuration,
// and by this room.
import type { RegistryHost } from '../oci/reference.ts'

export interface Profile {
  readonly apiUrl: string
  /** Other names under which clients and configurations know it. */
  readonly aliases: readonly string[]
  /** Token servers outside the registry's registrable domain that may see its credentials. */
  readonly realmHosts: readonly string[]
  /** How the token server is asked first (R142). */
  readonly tokenMethod: 'GET' | 'POST'
  /** False: HEAD of a blob is refused, so it is not tried (R62). */
  readonly headBlob: boolean
  /** False: not even asked (R77). */
  readonly referrersApi: boolean
  /** The largest `n` of tag lists (R69). */
  readonly tagsPageMax: number
  /** Header with the number of pulls left, lower-case. */
  readonly remainingHeader: string
}

/** What is assumed of any registry. 1,000 is the largest page that all accept; ECR refuses more. */
export const GENERIC_PROFILE: Omit<Profile, 'apiUrl'> = {
  aliases: [],
  realmHosts: [],
  tokenMethod: 'GET',
  headBlob: true,
  referrersApi: true,
  tagsPageMax: 1_000,
  remainingHeader: 'ratelimit-remaining',
}

export const PROFILES = {
  'docker.io': {
    ...GENERIC_PROFILE,
    apiUrl: 'https://registry-1.docker.io',
    aliases: ['registry-1.docker.io', 'index.docker.io', 'registry.docker.io'],
    realmHosts: ['auth.docker.io'],
  },
  'ghcr.io': {
    ...GENERIC_PROFILE,
    apiUrl: 'https://ghcr.io',
    referrersApi: false,
  },
  'quay.io': {
    ...GENERIC_PROFILE,
    apiUrl: 'https://quay.io',
    tagsPageMax: 100,
  },
  'registry.k8s.io': {
    ...GENERIC_PROFILE,
    apiUrl: 'https://registry.k8s.io',
    aliases: ['k8s.gcr.io'],
  },
  'gcr.io': {
    ...GENERIC_PROFILE,
    apiUrl: 'https://gcr.io',
  },
  'mcr.microsoft.com': {
    ...GENERIC_PROFILE,
    apiUrl: 'https://mcr.microsoft.com',
  },
  'public.ecr.aws': {
    ...GENERIC_PROFILE,
    apiUrl: 'https://public.ecr.aws',
    headBlob: false,
  },
  'registry.gitlab.com': {
    ...GENERIC_PROFILE,
    apiUrl: 'https://registry.gitlab.com',
    realmHosts: ['gitlab.com'],
  },
  'nvcr.io': {
    ...GENERIC_PROFILE,
    apiUrl: 'https://nvcr.io',
    realmHosts: ['authn.nvidia.com'],
  },
} as const satisfies Record<string, Profile>

/**
 * The profile of a registry by its canonical name; GENERIC_PROFILE for those that are not well
 * known.
 */
export function profileOf(registry: RegistryHost): Omit<Profile, 'apiUrl'> {
  return Object.hasOwn(PROFILES, registry)
    ? PROFILES[registry as string as keyof typeof PROFILES]
    : GENERIC_PROFILE
}
