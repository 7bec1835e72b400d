// The list syntax that HTTP headers share (RFC 9110 §5.6.1): members between separators, quoted
// strings that may contain one. What a member means is up to the header's own file.

/**
 * The members of `text` between `separator`s that stand outside quoted strings, trimmed, empty ones
 * left out. A quoted string that never ends reaches to the end of the text. Never throws.
 */
export function splitQuoted(text: string, separator: ',' | ';'): string[] {
  const members: string[] = []
  let start = 0
  let quoted = false
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at]
    if (quoted && character === '\\') at += 1
    else if (character === '"') quoted = !quoted
    else if (!quoted && character === separator) {
      members.push(text.slice(start, at))
      start = at + 1
    }
  }
  members.push(text.slice(start))
  return members.map(member => member.trim()).filter(member => member !== '')
}

/**
 * The content of a quoted string, its escapes resolved; undefined when `text` is not exactly one.
 */
export function unquote(text: string): string | undefined {
  if (!/^"(?:[^"\\]|\\.)*"$/.test(text)) return undefined
  return text.slice(1, -1).replace(/\\(.)/g, '$1')
}

export function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}
