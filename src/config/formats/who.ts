// How people write whom a rule of access is about, and who is in a group: as access/names.ts reads
// it, with what is meant by words of other programs; and networks, where nobody else can be meant.
import {
  EXAMPLES_OF_WHO,
  formatName,
  KINDS_OF_WHO,
  parseLoginName,
  readWho,
  type Who,
  whyNoAccount,
} from '../../access/names.ts'
import { formatNetwork, type Network, readNetwork } from '../../access/network.ts'
import type { Format } from './formats.ts'
import type { Parsed } from './units.ts'

/** What people write elsewhere, in lower case. */
const OTHERS: Readonly<Record<string, 'everybody' | 'anonymous' | 'local'>> = {
  all: 'everybody',
  any: 'everybody',
  anybody: 'everybody',
  everybody: 'everybody',
  everyone: 'everybody',
  public: 'everybody',
  guest: 'anonymous',
  nobody: 'anonymous',
  localhost: 'local',
  loopback: 'local',
}

function parseWho(text: string): Parsed<Who> {
  const network = readNetwork(text)
  if (network.kind !== 'none') {
    const suggestion = formatName({ kind: 'network', network: network.network })
    return { kind: 'fault', message: 'a network is written net: and its addresses', suggestion }
  }
  const suggestion = meantBy(text)
  if (suggestion === undefined) return readWho(text)
  return { kind: 'fault', message: `it is one of ${EXAMPLES_OF_WHO.join(', ')}`, suggestion }
}

function meantBy(text: string): string | undefined {
  if (text.startsWith('user:')) return text.slice('user:'.length)
  const lower = text.toLowerCase()
  const kind = Object.hasOwn(OTHERS, lower) ? OTHERS[lower] : undefined
  return kind && formatName({ kind })
}

/** An account or a robot, as rules call it. */
function parseMember(text: string): Parsed<string> {
  if (parseLoginName(text).kind === 'robot') {
    const read = readWho(text)
    return read.kind === 'ok' ? { kind: 'ok', value: text } : read
  }
  const wrong = whyNoAccount(text)
  if (wrong === undefined) return { kind: 'ok', value: text }
  return { kind: 'fault', message: `is no account: ${wrong}` }
}

/** Of each kind, as it stands in YAML, for a sentence in Markdown. */
export const MEANINGS_OF_WHO: string = Object.values(KINDS_OF_WHO)
  .map(({ example, meaning }) => `\`${example === '*' ? '"*"' : example}\`, ${meaning}`)
  .join('; ')

export const WHO: Format<Who> = {
  name: 'who',
  json: { type: 'string', examples: [...EXAMPLES_OF_WHO] },
  parse: ({ text }) => parseWho(text),
  format: formatName,
}

export const MEMBER: Format<string> = {
  name: 'name',
  json: { type: 'string', examples: ['alice', 'robot:ci'] },
  parse: ({ text }) => parseMember(text),
  format: text => text,
}

/** Each by its first address. */
export const NETWORK: Format<Network> = {
  name: 'network',
  json: { type: 'string', examples: ['10.0.0.0/8', '192.0.2.7', '2001:db8::/32'] },
  parse({ text }) {
    const read = readNetwork(text.replace(/^net:/, ''))
    if (read.kind === 'network' && !text.startsWith('net:'))
      return { kind: 'ok', value: read.network }
    const message = 'must be an address, or a network by its first address, such as 10.0.0.0/8'
    if (read.kind === 'none') return { kind: 'fault', message }
    return { kind: 'fault', message, suggestion: formatNetwork(read.network) }
  },
  format: formatNetwork,
}
