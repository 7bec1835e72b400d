// What a `Host` header may be (RFC 9110, 7.2), whoever says it.

// A DNS name as resolvers take it (also with the underscores of container networks), an IPv4
// address or a bracketed IPv6 one.
const HOST = /^(?:[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?$/

export function isHostHeader(text: string): boolean {
  return HOST.test(text)
}
