// `Authorization`: Basic as RFC 7617 has it, and Bearer as RFC 6750, read strictly: what is not
// clear is nobody's.

export type Shown = ShownPassword | { readonly kind: 'token'; readonly token: string }

export interface ShownPassword {
  readonly kind: 'password'
  readonly name: string
  readonly password: string
}

const BASIC = /^basic +([A-Za-z0-9+/]+={0,2})$/i
const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i
const TEXT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The same of all spellings. Undefined of other schemes, of what is not base64 of UTF-8 with a
 * colon in it, and of what is no token.
 */
export function parseAuthorization(header: string): Shown | undefined {
  const token = BEARER.exec(header)?.[1]
  if (token !== undefined) return { kind: 'token', token }
  const encoded = BASIC.exec(header)?.[1]
  if (encoded === undefined) return undefined
  let text: string
  try {
    text = TEXT.decode(Buffer.from(encoded, 'base64'))
  } catch {
    return undefined
  }
  const at = text.indexOf(':')
  if (at === -1) return undefined
  return { kind: 'password', name: text.slice(0, at), password: text.slice(at + 1) }
}
