// `Authorization`: Basic as RFC 7617 has it, and Bearer as RFC 6750, read strictly: what is not
// clear is nobody's.

export interface BasicCredentials {
  readonly name: string
  readonly password: string
}

const BASIC = /^basic +([A-Za-z0-9+/]+={0,2})$/i
const BEARER = /^bearer +([A-Za-z0-9._~+/-]+=*)$/i
const TEXT = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Undefined of other schemes, and of what is not base64 of UTF-8 with a colon in it. */
export function parseBasic(header: string): BasicCredentials | undefined {
  const encoded = BASIC.exec(header)?.[1]
  if (encoded === undefined) return undefined
  let text: string
  try {
    text = TEXT.decode(Buffer.from(encoded, 'base64'))
  } catch {
    return undefined
  }
  const at = text.indexOf(':')
  return at === -1 ? undefined : { name: text.slice(0, at), password: text.slice(at + 1) }
}

/** The token; undefined of other schemes, and of what is none. */
export function parseBearer(header: string): string | undefined {
  return BEARER.exec(header)?.[1]
}
