// The keys of `auth.oidc` and `auth.token`: whose tokens are good here, and what is taken of them.
import { type Format, DURATION, PATH, TEXT, URL_TEXT } from '../formats/formats.ts'
import { group, mapOf, optional, value, valuesOf } from './keys.ts'
import { SIGNATURE, SIGNATURES } from '../formats/word-formats.ts'

const HOUR_MS = 3_600_000
const WEEK_MS = 7 * 24 * HOUR_MS

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

/** As the token has it: letter by letter, with or without a slash at its end. */
export const ISSUER: Format<string> = {
  name: 'URL',
  json: { type: 'string', examples: ['https://token.actions.githubusercontent.com'] },
  parse({ text }) {
    const message = whyNoIssuer(text)
    return message === undefined ? { kind: 'ok', value: text } : { kind: 'fault', message }
  },
  format: text => text,
}

function whyNoIssuer(text: string): string | undefined {
  const url = URL.parse(text)
  if (url === null) return 'must be a URL, as the issuer writes it into its tokens'
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && LOOPBACK.test(url.hostname)))
    return 'must begin with https://: whoever is on the way could give out keys (http:// is for loopback alone)'
  if (url.username !== '' || url.password !== '') return 'must not hold a user name or password'
  if (url.search !== '' || url.hash !== '') return 'must not hold a query or a fragment'
  return undefined
}

export const PROVIDER_KEYS = {
  issuer: value(ISSUER, {
    description:
      'Who signs the tokens, letter by letter as in their `iss`. Its keys are looked up at `/.well-known/openid-configuration` below it. `http://` is for loopback alone.',
    reload: true,
  }),
  jwks: optional(
    value(ISSUER, {
      description:
        'Where its keys are, in place of what it says itself: for issuers that do not say, or that lead to another host with a private address.',
      reload: true,
    }),
  ),
  audiences: valuesOf(TEXT, {
    description:
      'What its tokens are for: one of these has to be in `aud`. Choose a name that no other service goes by, lest its tokens be good here as well.',
    default: [],
    reload: true,
  }),
  username: value(TEXT, {
    description:
      'The claim that is the name: rules call it `oidc:`, the name of the provider, a colon, and its value. `email` counts only when the issuer says that it is verified.',
    default: 'sub',
    reload: true,
  }),
  groups: optional(
    value(TEXT, {
      description:
        'The claim, a text or a list of them, whose values are groups: rules call one `group:oidc:`, the name of the provider, a colon, and the value.',
      reload: true,
    }),
  ),
  claims: mapOf(
    valuesOf(TEXT, {
      description: 'Values of a claim, one of which a token has to have for a login.',
      default: [],
      reload: true,
    }),
    'Claims that a token has to have, each with the values that are good; one that has not is nobody’s, or another provider’s of the same issuer.',
    '<claim>',
  ),
  algorithms: valuesOf(SIGNATURE, {
    description: 'How its tokens may be signed.',
    default: ['RS256', 'ES256', 'ES384', 'PS256', 'EdDSA'],
    reload: true,
  }),
  session: value(DURATION, {
    as: 'sessionMs',
    description:
      'How long the token lasts that the edge gives for one of these: a job goes on with it when its own has expired. It ends at once when this provider goes, or what identifies its tokens changes.',
    default: '1h',
    atLeast: 60_000,
    atMost: 24 * HOUR_MS,
    reload: true,
  }),
  maxstale: value(DURATION, {
    as: 'maxStaleMs',
    description:
      'How long its keys are good for that were looked up before, while it cannot be asked.',
    default: '24h',
    atMost: WEEK_MS,
    reload: true,
  }),
  ca: optional(
    value(PATH, {
      description: 'PEM file of authorities to trust beside the usual ones, for its certificate.',
      reload: true,
    }),
  ),
}

export const PROVIDERS = mapOf(
  group('One issuer of tokens, or some of its tokens.', PROVIDER_KEYS),
  'Identity providers whose tokens (OIDC) are good as a password, by any user name: of CI jobs, of Kubernetes service accounts, of people. By name, which rules of `access` use; they need such rules. The first one whose issuer, audience and claims a token has says who it is.',
  '<provider>',
)

export const TOKEN_DESCRIPTION =
  'Somebody else’s token server, as distribution has it: clients are sent there, and its tokens say what they may do here. It stands alone, without `htpasswd` and `oidc`; rules of `access` have to allow it as well.'

export const TOKEN_KEYS = {
  realm: value(URL_TEXT, {
    description: 'Where clients get tokens.',
    reload: true,
  }),
  service: value(TEXT, {
    description: 'What the token server calls this edge: the `aud` of its tokens.',
    reload: true,
  }),
  issuer: value(TEXT, {
    description: 'What the token server calls itself: the `iss` of its tokens.',
    reload: true,
  }),
  rootcertbundle: optional(
    value(PATH, {
      description:
        'PEM file of certificates whose keys sign tokens, or which sign the certificates that tokens bring (`x5c`). It is read at a start and a reload.',
      reload: true,
    }),
  ),
  jwks: optional(
    value(PATH, {
      description:
        'File with the public keys that sign tokens (JSON Web Key Set), each with a `kid`. It is read at a start and a reload.',
      reload: true,
    }),
  ),
  signingalgorithms: valuesOf(SIGNATURE, {
    description: 'How tokens may be signed.',
    default: [...SIGNATURES],
    reload: true,
  }),
}
