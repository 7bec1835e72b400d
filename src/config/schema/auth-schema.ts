// The keys of `auth`: who may log in, and which names go together.
import { type Format, PATH } from '../formats/formats.ts'
import { group, mapOf, optional, value, valuesOf } from './keys.ts'
import { PROVIDERS, TOKEN_DESCRIPTION, TOKEN_KEYS } from './oidc-schema.ts'
import { MEMBER } from '../formats/who.ts'

/** Longer ones do not fit the line that a client shows. */
const REALM_MAX_CHARACTERS = 100

/** It stands between quotes in a header. */
const REALM: Format<string> = {
  name: 'text',
  json: { type: 'string' },
  parse({ text }) {
    const isShort = text !== '' && text.length <= REALM_MAX_CHARACTERS
    if (isShort && /^[\x20-\x7e]+$/.test(text) && !/["\\]/.test(text))
      return { kind: 'ok', value: text }
    const message = `must be 1 to ${REALM_MAX_CHARACTERS} letters, digits and other signs of ASCII, without " and \\`
    return { kind: 'fault', message }
  },
  format: text => text,
}

export const HTPASSWD_KEYS = {
  realm: value(REALM, {
    description: 'What clients tell people that they log in to.',
    default: 'Registry',
    reload: true,
  }),
  path: value(PATH, {
    description:
      'File of accounts as `htpasswd -B` writes it, or the name of a systemd credential. `entrepot user` changes it; a change is taken up within seconds, and a faulty file leaves the accounts of before in force.',
    reload: true,
  }),
}

export const AUTH = optional(
  group('Accounts. With them nobody gets anything without a login, but for what `access` allows.', {
    htpasswd: optional(group('Names and passwords from a file.', HTPASSWD_KEYS)),
    groups: mapOf(
      valuesOf(MEMBER, {
        description:
          'The accounts and robots (`robot:ci`) of a group, which rules of `access` call `group:` and its name.',
        default: [],
        reload: true,
      }),
      'Names of accounts and robots that rules may mean together, by that of the group.',
      '<group>',
    ),
    oidc: PROVIDERS,
    token: optional(group(TOKEN_DESCRIPTION, TOKEN_KEYS)),
  }),
)
