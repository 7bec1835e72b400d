// How people write whom a rule of access is about, and who is in a group: as access/names.ts reads
// it, with what is meant by words of other programs.
import {
  EXAMPLES_OF_WHO,
  formatName,
  parseLoginName,
  readWho,
  type Who,
  whyNoAccount,
} from '../../access/names.ts'
import { readNetwork } from '../../access/network.ts'
import type { Format } from './formats.ts'
import type { Parsed } from './units.ts'

/** What people write elsewhere, in lower case. */
const OTHERS: Readonly<Record<string, (typeof EXAMPLES_OF_WHO)[number]>> = {
  all: '*',
  any: '*',
  anybody: '*',
  everybody: '*',
  everyone: '*',
  public: '*',
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
  return Object.hasOwn(OTHERS, lower) ? OTHERS[lower] : undefined
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
