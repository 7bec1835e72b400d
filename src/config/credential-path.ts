// Where a secret that systemd handed over lies: LoadCredential= puts what it names into a directory
// of its own.

/**
 * Of the unit that is shipped, while it runs: so that root can check on a command line what the
 * server reads.
 */
export const UNIT_CREDENTIALS = '/run/credentials/entrepot.service'

export interface CredentialPlaces {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly isDirectory: (path: string) => boolean
}

/**
 * A name without a slash is one of a credential, when this process was given any, or when the unit
 * runs and this is a command beside it; else it is the path that it looks like.
 */
export function credentialPath(name: string, { env, isDirectory }: CredentialPlaces): string {
  if (name.includes('/')) return name
  const given = env['CREDENTIALS_DIRECTORY'] ?? ''
  const directory = given === '' && isDirectory(UNIT_CREDENTIALS) ? UNIT_CREDENTIALS : given
  return directory === '' ? name : `${directory}/${name}`
}

/** What to do when nothing can be read under a name that no credential was found for. */
export function credentialHint(name: string): string {
  return `a credential of the unit is there while it runs, for root; else set CREDENTIALS_DIRECTORY to a directory with a file ${name}`
}
