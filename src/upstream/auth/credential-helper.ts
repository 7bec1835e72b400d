// Docker's credential-helper protocol: run `docker-credential-<name> get` with the server's name on
// stdin, read `{"Username","Secret"}` from stdout. What it prints never goes into a log: it may be
// the secret.
import { execFile } from 'node:child_process'
import { UpstreamError } from '../../registry/ports/upstream.ts'

/** A cloud's helper asks that cloud for a token, which takes a second or two. */
const HELPER_LIMIT_MS = 15_000
/** A cloud's token is a few KiB. */
const HELPER_OUTPUT_BYTES = 64 * 1024
/** A name, never a path or an option. */
const HELPER_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
/** What every helper prints, and exits with 1, when it knows nothing of the server. */
const NOT_FOUND = 'credentials not found'

export interface HelperCredentials {
  readonly username: string
  readonly secret: string
}

/** All that a helper sees of the environment. A function, because it may hold a cloud's secrets. */
export type HelperEnvironment = () => Readonly<Record<string, string>>

/** Undefined when the helper has nothing for `server`. @throws UpstreamError unavailable */
export function runHelper(
  name: string,
  server: string,
  environment: HelperEnvironment,
): Promise<HelperCredentials | undefined> {
  if (!HELPER_NAME.test(name)) throw helperError(name, 'is no name of a helper')
  const limits = { timeout: HELPER_LIMIT_MS, maxBuffer: HELPER_OUTPUT_BYTES, windowsHide: true }
  const options = { ...limits, env: { ...environment() } }
  return new Promise((resolve, reject) => {
    const child = execFile(`docker-credential-${name}`, ['get'], options, (error, stdout) => {
      if (error !== null && stdout.includes(NOT_FOUND)) return resolve(undefined)
      if (error !== null) return reject(helperError(name, failureOf(error)))
      const credentials = parseCredentials(stdout)
      if (credentials === undefined) return reject(helperError(name, 'printed no credentials'))
      resolve(credentials)
    })
    // A helper that does not read its input is no reason to fail; its exit code is.
    child.stdin?.on('error', () => {})
    child.stdin?.end(`${server}\n`)
  })
}

function failureOf(error: Error & { code?: unknown; killed?: boolean }): string {
  if (error.code === 'ENOENT') return 'is not on the PATH'
  if (error.killed === true) return `did not end within ${HELPER_LIMIT_MS} ms, or printed too much`
  return `failed with ${String(error.code)}`
}

function parseCredentials(stdout: string): HelperCredentials | undefined {
  try {
    const { Username: username, Secret: secret } = JSON.parse(stdout) as Record<string, unknown>
    return typeof username === 'string' && typeof secret === 'string'
      ? { username, secret }
      : undefined
  } catch {
    return undefined
  }
}

function helperError(name: string, what: string): UpstreamError {
  return new UpstreamError('unavailable', `the credential helper ${JSON.stringify(name)} ${what}`, {
    hint: `run docker-credential-${name} get as the user of this service, with the registry's name on its input`,
  })
}
