// URLs of one endpoint. Its configured path goes before `/v2/`, and what it has after `/v2/` before
// the repository's name, since some registries keep each proxied registry under a path of its own
// (R164).
import type { RegistryHost, RepositoryName } from '../../oci/reference.ts'

export interface EndpointUrls {
  /** `rest` follows the repository's name: `manifests/latest`. */
  for(name: RepositoryName, rest: string, query?: Readonly<Record<string, string>>): URL
  readonly ping: URL
  /** What the registry itself calls this repository: in scopes, and in `from`. */
  nameOf(name: RepositoryName): string
  /**
   * The URL that `target` of a Link or Location leads to from `answered`, or undefined when it is
   * malformed. A path on the endpoint itself that leaves out the configured path is completed:
   * registries behind a path do not know it. Whether it stays on the host is the caller's to check.
   */
  leadsTo(target: string, answered: URL): URL | undefined
}

/** `namespace` is sent as `?ns=` to mirrors, which serve several registries (R32). */
export function endpointUrls(base: URL, namespace: RegistryHost | undefined): EndpointUrls {
  const [, before = '', after = ''] = /^(.*?)(?:\/v2(\/.*?)?)?\/*$/.exec(base.pathname) ?? []
  const root = `${before}/v2`
  const prefix = after.replace(/^\//, '')
  const nameOf = (name: RepositoryName): string => (prefix === '' ? name : `${prefix}/${name}`)

  function build(path: string, query: Readonly<Record<string, string>> = {}): URL {
    const url = new URL(path, base)
    for (const [key, value] of Object.entries(query)) url.searchParams.set(key, value)
    return withNamespace(url)
  }

  function withNamespace(url: URL): URL {
    if (namespace !== undefined) url.searchParams.set('ns', namespace)
    return url
  }

  return {
    for: (name, rest, query) => build(`${root}/${nameOf(name)}/${rest}`, query),
    ping: build(`${root}/`),
    nameOf,
    leadsTo: (target, answered) => {
      if (!URL.canParse(target, answered.href)) return undefined
      const url = new URL(target, answered)
      const isHere = url.origin === base.origin
      if (isHere && url.pathname.startsWith('/v2/')) url.pathname = before + url.pathname
      url.hash = ''
      return withNamespace(url)
    },
  }
}
