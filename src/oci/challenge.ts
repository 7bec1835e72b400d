// Challenges (RFC 9110 §11.6.1; R129, R140), read as liberally as real registries write them. The
// parser takes the raw list of header values, since joining them with commas is what makes
// challenges ambiguous.

export interface Challenge {
  /** Lower-case: `bearer`, `basic`. */
  readonly scheme: string
  /** Names lower-case, values without quotes; of a name given twice the first value counts. */
  readonly parameters: ReadonlyMap<string, string>
  /** What schemes like Negotiate write instead of parameters. */
  readonly token68: string | undefined
}

const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y
const GAP = /[ \t,]*/y
const TOKEN_68 = /[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/y
const EQUALS = /[ \t]*=[ \t]*/y
const QUOTED = /"((?:[^"\\]|\\.)*)(?:"|$)/y
// URLs stand unquoted in the headers of some servers, although only tokens may.
const UNQUOTED = /[^\s",]*/y
const JUNK = /[^,]*/y

/**
 * Every challenge of every `WWW-Authenticate` header, in order; what makes no sense is left out.
 * Never throws.
 */
export function parseChallenges(headerValues: readonly string[]): readonly Challenge[] {
  return headerValues.flatMap(parseHeader)
}

interface OpenChallenge {
  readonly scheme: string
  readonly parameters: Map<string, string>
  token68: string | undefined
}

function parseHeader(header: string): Challenge[] {
  const challenges: OpenChallenge[] = []
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const match = pattern.exec(header)
    if (match !== null) at += match[0].length
    return match
  }
  const skipGap = () => take(GAP)?.[0].includes(',') ?? false

  let afterComma = true
  skipGap()
  while (at < header.length) {
    const word = take(TOKEN)?.[0]
    if (word === undefined) {
      take(JUNK)
    } else if (take(EQUALS) !== null) {
      const value = take(QUOTED)?.[1]?.replace(/\\(.)/g, '$1') ?? take(UNQUOTED)?.[0] ?? ''
      addParameter(challenges.at(-1), word.toLowerCase(), value)
    } else if (afterComma) {
      // Only a gap separates a scheme from its token68; after a comma a new challenge or parameter
      // begins.
      const isAlone = skipGap() || at >= header.length
      const token68 = isAlone ? undefined : take(TOKEN_68)?.[0]
      challenges.push({ scheme: word.toLowerCase(), parameters: new Map(), token68 })
      if (isAlone) continue
    } else {
      take(JUNK)
    }
    afterComma = skipGap()
  }
  return challenges
}

function addParameter(challenge: OpenChallenge | undefined, name: string, value: string): void {
  if (challenge !== undefined && !challenge.parameters.has(name)) {
    challenge.parameters.set(name, value)
  }
}
