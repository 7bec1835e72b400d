// How people write whom a rule of access is about. What it means is access/rule.ts's.
import { whyNoName } from '../access/htpasswd/parse.ts'
import { formatNetwork, readNetwork } from '../access/network.ts'
import { formatWho, type Who } from '../access/rule.ts'
import type { Format } from './formats.ts'
import type { Parsed } from './units.ts'

const NETWORK = /^net:/
const GROUP = /^group:/
const CERTIFICATE = /^cert:/
/** A provider of auth.oidc, and what its tokens call somebody. */
const IDENTITY = /^oidc:[^:]+:[\x21-\x7e]+$/
const IDENTITY_NAMES =
  'behind oidc: stands the name of a provider of auth.oidc, a colon, and a name as its tokens have it'
/** No name of an account has a colon. */
const ROBOT = 'robot:'
/** As entrepot token takes them. */
const ROBOT_NAME = /^robot:[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/
const ROBOT_NAMES =
  'behind robot: stands the name of a robot: a-z, 0-9, dots, dashes and underscores'
const WORDS = [
  '*',
  'alice',
  'group:ci',
  'robot:ci',
  'anonymous',
  'local',
  'net:10.0.0.0/8',
  'cert:build-7',
] as const
/** What people write for them elsewhere, in lower case. */
const OTHERS: Readonly<Record<string, (typeof WORDS)[number]>> = {
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

function readWho(text: string): Parsed<Who> {
  if (text === '*') return ok({ kind: 'everybody' })
  if (text === 'anonymous' || text === 'local') return ok({ kind: text })
  if (GROUP.test(text) && text !== 'group:')
    return ok({ kind: 'group', name: text.replace(GROUP, '') })
  if (CERTIFICATE.test(text)) return readCertificate(text.replace(CERTIFICATE, ''))
  if (isRobot(text)) return readRobot(text)
  if (IDENTITY.test(text)) return ok({ kind: 'account', name: text })
  if (text.startsWith('oidc:')) return { kind: 'fault', message: IDENTITY_NAMES }
  if (NETWORK.test(text)) return readNet(text.replace(NETWORK, ''))
  const network = readNetwork(text)
  if (network.kind !== 'none') {
    const suggestion = `net:${formatNetwork(network.network)}`
    return { kind: 'fault', message: 'a network is written net: and its addresses', suggestion }
  }
  const words = `it is one of ${WORDS.join(', ')}`
  if (text.startsWith('user:'))
    return { kind: 'fault', message: words, suggestion: text.slice('user:'.length) }
  const lower = text.toLowerCase()
  const other = Object.hasOwn(OTHERS, lower) ? OTHERS[lower] : undefined
  if (other !== undefined) return { kind: 'fault', message: words, suggestion: other }
  const wrong = whyNoName(text)
  if (wrong === undefined) return ok({ kind: 'account', name: text })
  return { kind: 'fault', message: `${words}; ${wrong}` }
}

/** Is it meant for a robot, and no account of the file? */
export function isRobot(text: string): boolean {
  return text.startsWith(ROBOT)
}

function readRobot(text: string): Parsed<Who & { readonly name: string }> {
  if (ROBOT_NAME.test(text)) return { kind: 'ok', value: { kind: 'account', name: text } }
  return { kind: 'fault', message: ROBOT_NAMES }
}

/** Who can be in a group: an account, or a robot, by the name that rules call it. */
function readMember(text: string): Parsed<string> {
  if (isRobot(text)) {
    const read = readRobot(text)
    return read.kind === 'ok' ? { kind: 'ok', value: read.value.name } : read
  }
  const wrong = whyNoName(text)
  if (wrong === undefined) return { kind: 'ok', value: text }
  return { kind: 'fault', message: `is no account: ${wrong}` }
}

/** As it stands in a certificate; those with other characters are not taken from one. */
function readCertificate(name: string): Parsed<Who> {
  if (/^[\x20-\x7e]{1,255}$/.test(name)) return ok({ kind: 'certificate', name })
  const message = 'behind cert: stands a name, as clients have it in their certificates'
  return { kind: 'fault', message }
}

function readNet(text: string): Parsed<Who> {
  const read = readNetwork(text)
  if (read.kind === 'network') return ok({ kind: 'network', network: read.network })
  if (read.kind === 'none') {
    const message = 'behind net: stands an address, or a network such as 10.0.0.0/8'
    return { kind: 'fault', message }
  }
  const suggestion = `net:${formatNetwork(read.network)}`
  return { kind: 'fault', message: 'a network is written by its first address', suggestion }
}

function ok(value: Who): Parsed<Who> {
  return { kind: 'ok', value }
}

export const WHO: Format<Who> = {
  name: 'who',
  json: { type: 'string', examples: [...WORDS] },
  parse: ({ text }) => readWho(text),
  format: formatWho,
}

export const MEMBER: Format<string> = {
  name: 'name',
  json: { type: 'string', examples: ['alice', 'robot:ci'] },
  parse: ({ text }) => readMember(text),
  format: text => text,
}
