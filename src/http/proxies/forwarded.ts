// `Forwarded` as RFC 7239 has it: for each proxy on the way what it was asked by, and how. Strict:
// a quote that a client leaves open in front of what a proxy adds would swallow that. In time that
// grows with the length alone: no two repetitions next to each other can take the same blanks.

/** What one proxy says. Values as they stand, without quotes. */
export interface ForwardedElement {
  readonly for: string | undefined
  readonly proto: string | undefined
  readonly host: string | undefined
}

/** Of one line: more than as many proxies say as are followed (HOPS_MAX in forwarding.ts). */
export const FORWARDED_MAX_LENGTH = 8_192

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
/** One parameter or none, and what it ends with. */
const PARAMETER = new RegExp(
  `[ \\t]*(?:(?<name>${TOKEN})=(?:(?<token>${TOKEN})|"(?<quoted>(?:[^"\\\\]|\\\\.)*)")[ \\t]*)?(?<end>[;,]|$)`,
  'y',
)

/** Of one header line, from left to right, empty ones left out. Undefined: it is no such header. */
export function parseForwarded(line: string): readonly ForwardedElement[] | undefined {
  if (line.length > FORWARDED_MAX_LENGTH) return undefined
  const elements: ForwardedElement[] = []
  let parameters = new Map<string, string>()
  PARAMETER.lastIndex = 0
  for (;;) {
    const groups = PARAMETER.exec(line)?.groups
    if (groups === undefined) return undefined
    const name = groups['name']?.toLowerCase()
    if (name !== undefined) {
      // Nobody can say which of two is meant.
      if (parameters.has(name)) return undefined
      parameters.set(name, groups['token'] ?? unescaped(groups['quoted']))
    }
    if (groups['end'] === ';') continue
    if (parameters.size > 0) elements.push(elementOf(parameters))
    if (groups['end'] === '') return elements
    parameters = new Map()
  }
}

function unescaped(quoted = ''): string {
  return quoted.replace(/\\(.)/g, '$1')
}

function elementOf(parameters: ReadonlyMap<string, string>): ForwardedElement {
  return {
    for: parameters.get('for'),
    proto: parameters.get('proto'),
    host: parameters.get('host'),
  }
}
