// What may be said of a URL in logs and errors: where it leads, never what it carries (R195).
// Signed storage URLs have their signature in the query, configured ones may have user-info.

/** Scheme, host, port and path. */
export function redactUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`
}
