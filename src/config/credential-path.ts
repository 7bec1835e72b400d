// Where a secret that systemd handed over lies: LoadCredential= puts what it names into a directory of its own.

/** A name without a slash is one of a credential, when this process was given any; else it is the path that it looks like. */
export function credentialPath(
  name: string,
  env: Readonly<Record<string, string | undefined>>,
): string {
  const directory = env['CREDENTIALS_DIRECTORY']
  return directory === undefined || directory === '' || name.includes('/')
    ? name
    : `${directory}/${name}`
}
