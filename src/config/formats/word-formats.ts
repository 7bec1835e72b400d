// Values that are one word of a closed set, with what people write for them elsewhere. One table
// entry per set, as in formats.ts.
import { type Right, RIGHTS } from '../../access/rule.ts'
import { LOG_LEVELS, type LogLevel } from '../../observe/log-levels.ts'
import {
  CONFLICT_CHOICES,
  type ConflictChoice,
  PUSH_MODES,
  type PushMode,
} from '../../registry/ports/push-modes.ts'
import type { Format } from './formats.ts'
import { closest } from '../suggest.ts'

/** The only one that begins so: `que` → `queue`. */
function begunWord<Word extends string>(text: string, words: readonly Word[]): Word | undefined {
  const begun = words.filter(word => text !== '' && word.startsWith(text))
  return begun.length === 1 ? begun[0] : undefined
}

/** One word of a closed set. `others`: what people write for them elsewhere, in lower case. */
function oneOf<Word extends string>(
  name: string,
  words: readonly Word[],
  others: Readonly<Record<string, Word>>,
): Format<Word> {
  return {
    name,
    json: { type: 'string', enum: words },
    parse({ text }) {
      const word = words.find(each => each === text)
      if (word !== undefined) return { kind: 'ok', value: word }
      const lower = text.toLowerCase()
      const meant =
        words.find(each => each === lower) ??
        (Object.hasOwn(others, lower) ? others[lower] : undefined) ??
        begunWord(lower, words) ??
        closest(lower, words)
      const message = `must be one of ${words.join(', ')}`
      return { kind: 'fault', message, ...(meant === undefined ? {} : { suggestion: meant }) }
    },
    format: value => value,
  }
}

/** Older ones are refused by the clients. */
const TLS_VERSIONS = ['tls1.2', 'tls1.3'] as const

export const TLS_VERSION = oneOf<(typeof TLS_VERSIONS)[number]>('TLS version', TLS_VERSIONS, {
  'tls1.0': 'tls1.2',
  'tls1.1': 'tls1.2',
  'tlsv1.2': 'tls1.2',
  'tlsv1.3': 'tls1.3',
  '1.2': 'tls1.2',
  '1.3': 'tls1.3',
})

const PROXY_PROTOCOLS = ['none', 'optional', 'required'] as const

export const PROXY_PROTOCOL = oneOf<(typeof PROXY_PROTOCOLS)[number]>(
  'PROXY protocol',
  PROXY_PROTOCOLS,
  {
    false: 'none',
    off: 'none',
    no: 'none',
    true: 'required',
    on: 'required',
    v1: 'required',
    v2: 'required',
  },
)

const NAME_FIELDS = ['uri', 'dns', 'email', 'cn'] as const

export const NAME_FIELD = oneOf<(typeof NAME_FIELDS)[number]>('place of a name', NAME_FIELDS, {
  url: 'uri',
  spiffe: 'uri',
  san: 'dns',
  mail: 'email',
  'common name': 'cn',
  commonname: 'cn',
  subject: 'cn',
})

/** None by a secret that both sides know: who checks such a token could write one. */
export const SIGNATURES = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const

export const SIGNATURE = oneOf<(typeof SIGNATURES)[number]>('algorithm', SIGNATURES, {
  rsa: 'RS256',
  ecdsa: 'ES256',
  ed25519: 'EdDSA',
})

export const LEVEL = oneOf<LogLevel>('level', LOG_LEVELS, {
  warning: 'warn',
  critical: 'fatal',
  panic: 'fatal',
  verbose: 'debug',
})

export const PUSH_MODE = oneOf<PushMode>('push mode', PUSH_MODES, {
  true: 'store',
  allow: 'store',
  keep: 'store',
  local: 'store',
  proxy: 'forward',
  through: 'forward',
  outbox: 'queue',
  async: 'queue',
  false: 'deny',
  none: 'deny',
  refuse: 'deny',
})

export const CONFLICT = oneOf<ConflictChoice>('choice', CONFLICT_CHOICES, {
  refuse: 'park',
  keep: 'park',
  force: 'overwrite',
  replace: 'overwrite',
})

export const RIGHT = oneOf<Right>('right', [...RIGHTS, 'admin'], {
  read: 'pull',
  get: 'pull',
  write: 'push',
  create: 'push',
  update: 'push',
  remove: 'delete',
  catalog: 'list',
})
