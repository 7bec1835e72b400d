// Who the edge is towards one endpoint: looked up when first needed, kept in memory only (R195),
// looked up again when they may have changed or the registry refused them.
import { createHash } from 'node:crypto'
import type { Clock } from '../../registry/ports/clock.ts'
import { UpstreamError } from '../../registry/ports/upstream.ts'
import { runHelper, type HelperEnvironment } from './credential-helper.ts'
import { type DockerConfigEntry, dockerConfigEntries } from './docker-config.ts'
import type { CredentialSource } from '../options.ts'

/** Helpers give passwords that live 12 h (ECR, R157); half of that is safe. */
const REFRESH_MS = 6 * 60 * 60 * 1000
/**
 * Credentials younger than this were refused as they are: asking for them again would give the
 * same.
 */
const REFUSED_MIN_AGE_MS = 10_000

export interface Credential {
  readonly username: string
  readonly secret: string
  /** The secret is a refresh token, for POST (R142). */
  readonly isIdentityToken: boolean
  /** Differs for different credentials and tells nothing about them: part of cache keys (R143). */
  readonly identity: string
}

/** The identity of having none. */
export const ANONYMOUS = 'anonymous'

export interface Credentials {
  /** Undefined: anonymous. @throws UpstreamError unavailable when they cannot be read */
  find(): Promise<Credential | undefined>
  /** The registry did not accept what `find` gave. True when a new look-up is worth a try. */
  refused(): boolean
}

export interface CredentialsOptions {
  readonly source: CredentialSource
  /** Names under which the registry may be filed; see credentialHosts. */
  readonly hosts: readonly string[]
  readonly clock: Clock
}

export function createCredentials({ source, hosts, clock }: CredentialsOptions): Credentials {
  let found:
    | { readonly credential: Promise<Credential | undefined>; readonly atMs: number }
    | undefined

  const isOlderThan = (ageMs: number): boolean =>
    found !== undefined && clock.monotonicMs() - found.atMs >= ageMs

  return {
    find: () => {
      // Cheap, and may read a file that was changed meanwhile.
      if (source.kind === 'basic') return Promise.resolve(fromBasic(source))
      if (found === undefined || isOlderThan(REFRESH_MS)) {
        const credential = lookUp(source, hosts)
        const latest = { credential, atMs: clock.monotonicMs() }
        found = latest
        credential.catch(() => {
          if (found === latest) found = undefined
        })
      }
      return found.credential
    },
    refused: () => {
      if (source.kind === 'basic' || !isOlderThan(REFUSED_MIN_AGE_MS)) return false
      found = undefined
      return true
    },
  }
}

async function lookUp(
  source: CredentialSource,
  hosts: readonly string[],
): Promise<Credential | undefined> {
  switch (source.kind) {
    case 'anonymous':
      return undefined
    case 'basic':
      return fromBasic(source)
    case 'helper':
      return fromEntry(
        { kind: 'helper', name: source.name, server: hosts[0] ?? '' },
        source.environment,
      )
    case 'docker-config':
      return fromDockerConfig(await readConfig(source.readText), {
        hosts,
        environment: source.environment,
      })
  }
}

function fromBasic(source: CredentialSource & { kind: 'basic' }): Credential {
  return credentialOf(source.username, readPassword(source.password), false)
}

function readPassword(password: () => string): string {
  try {
    return password()
  } catch {
    throw new UpstreamError('unavailable', 'the password of this upstream cannot be read', {
      hint: 'check passwordfile and its permissions',
    })
  }
}

async function readConfig(readText: () => Promise<string>): Promise<string> {
  try {
    return await readText()
  } catch {
    throw new UpstreamError('unavailable', 'the docker config of this upstream cannot be read', {
      hint: 'check credentials.dockerconfig and its permissions',
    })
  }
}

async function fromDockerConfig(
  text: string,
  { hosts, environment }: { hosts: readonly string[]; environment: HelperEnvironment },
): Promise<Credential | undefined> {
  let entries: DockerConfigEntry[]
  try {
    entries = dockerConfigEntries(text, hosts)
  } catch {
    throw new UpstreamError('unavailable', 'the docker config of this upstream is not JSON', {
      hint: 'check the file that credentials.dockerconfig names',
    })
  }
  for (const entry of entries) {
    const credential = await fromEntry(entry, environment)
    if (credential !== undefined) return credential
  }
  return undefined
}

async function fromEntry(
  entry: DockerConfigEntry,
  environment: HelperEnvironment,
): Promise<Credential | undefined> {
  if (entry.kind !== 'helper') {
    return credentialOf(entry.username, entry.secret, entry.kind === 'identity token')
  }
  const credentials = await runHelper(entry.name, entry.server, environment)
  if (credentials === undefined) return undefined
  const isIdentityToken = credentials.username === '<token>' || credentials.username === ''
  return credentialOf(credentials.username, credentials.secret, isIdentityToken)
}

function credentialOf(username: string, secret: string, isIdentityToken: boolean): Credential {
  const identity = createHash('sha256').update(`${username}\0${secret}`).digest('hex')
  return { username, secret, isIdentityToken, identity }
}

/** The value of an `Authorization: Basic` header. */
export function basicAuthorization({ username, secret }: Credential): string {
  return `Basic ${Buffer.from(`${username}:${secret}`).toString('base64')}`
}
