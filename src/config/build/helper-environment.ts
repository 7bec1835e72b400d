// What of this process's environment a credential helper is given: what programs need to run, and
// what those of the clouds read. Not what configures this server, nor anything else that is secret
// here and is no business of theirs.

const NAMES = new Set([
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'LANG',
  'LANGUAGE',
  'TZ',
  'TMPDIR',
  'DOCKER_CONFIG',
  'GNUPGHOME',
  'DBUS_SESSION_BUS_ADDRESS',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
])
/**
 * Of the helpers for ECR, Google's registries, Azure's, and `pass`; and of the directories that
 * programs keep their things in.
 */
const PREFIXES = [
  'LC_',
  'XDG_',
  'AWS_',
  'AMAZON_',
  'GOOGLE_',
  'CLOUDSDK_',
  'GCE_',
  'AZURE_',
  'IDENTITY_',
  'MSI_',
  'KUBERNETES_SERVICE_',
  'PASSWORD_STORE_',
]

/** What is not set is left out. */
export function helperEnvironment(
  env: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => {
      const [name, value] = entry
      const isTheirs = NAMES.has(name) || PREFIXES.some(prefix => name.startsWith(prefix))
      return value !== undefined && isTheirs
    }),
  )
}
