// The keys of one upstream, and the freshness that all of them share: each written here and nowhere
// else, in the group of the part of the program that is given it. A key that needs judging, with
// others or with what is on this machine, is judged in build-upstreams.ts; the others go on by
// themselves.
import {
  BOOLEAN,
  COUNT,
  DURATION,
  HELPER,
  HOST,
  NAME_GLOB,
  PATH,
  PROXY,
  SECRET,
  TAG_PATTERN,
  TEXT,
  URL_TEXT,
} from '../formats/formats.ts'
import { QUOTA } from './quota-schema.ts'
import { group, groupsOf, optional, value, valuesOf, whole } from './keys.ts'

/** More sockets to one registry than this is an attack on it. */
const MOST_CONNECTIONS = 256
/** Each fill holds a file and a connection. */
const MOST_FILLS = 64

/** How fresh tags are kept, as the registry is given it. */
export const FRESHNESS_KEYS = {
  ttl: value(DURATION, {
    as: 'ttlMs',
    description:
      'How long a tag is fresh after the upstream confirmed it. `0` asks the upstream every time.',
    default: '5m',
    reload: true,
  }),
  maxstale: value(DURATION, {
    as: 'maxStaleMs',
    description:
      'How long after its last confirmation a tag may be served while the upstream fails.',
    default: '30d',
    reload: true,
  }),
  offline: value(BOOLEAN, {
    description: 'Never ask an upstream: serve what is here.',
    default: 'false',
    reload: true,
  }),
}

/** Where it is, and the way there. */
const ENDPOINT_KEYS = {
  url: optional(
    value(URL_TEXT, {
      description: 'Where the registry is; a path in it comes before `/v2/`.',
      defaultText:
        '`https://registry-1.docker.io` for docker.io, `https://` and the key for all others',
      reload: true,
    }),
  ),
  basepath: optional(
    value(TEXT, {
      description:
        'Put in front of every repository name, after `/v2/`: a proxy project of Harbor, a repository of Artifactory.',
      reload: true,
    }),
  ),
  mirrors: valuesOf(URL_TEXT, {
    description:
      'URLs tried in this order before `url`. They are sent `?ns=` and never the credentials. One that gives other bytes than a digest says is left out for ten minutes.',
    default: [],
    reload: true,
  }),
  http: optional(
    value(BOOLEAN, {
      description: 'Plain HTTP, without encryption. Implied by a `url` that begins with `http://`.',
      defaultText: '`false`',
      reload: true,
    }),
  ),
  ca: optional(
    value(PATH, {
      description:
        'File with certificates (PEM) of authorities to trust for this upstream, beside the usual ones.',
      reload: true,
    }),
  ),
  client: optional(
    group('Certificate with which this edge shows who it is to the upstream (mutual TLS).', {
      certificate: value(PATH, {
        description: 'File with the certificate and its chain (PEM).',
        reload: true,
      }),
      key: value(PATH, { description: 'File with the private key (PEM).', reload: true }),
    }),
  ),
  proxy: optional(
    value(PROXY, {
      description:
        'HTTP proxy for this upstream; `none` goes straight whatever the environment says.',
      defaultText: '`HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` of the environment',
      reload: true,
    }),
  ),
}

/** What the client side of the protocol is given. */
export const CONNECTION_KEYS = {
  realms: valuesOf(HOST, {
    description:
      'Token servers and redirect targets on other domains that may be used, beyond those built in for well-known registries.',
    default: [],
    reload: true,
  }),
  privateaddresses: value(BOOLEAN, {
    as: 'privateAddresses',
    description:
      'Redirects and token servers of this upstream may be at private, loopback and link-local addresses. For registries inside the site.',
    default: 'false',
    reload: true,
  }),
  connections: value(COUNT, {
    description: 'Connections at once, for manifests and for blobs each.',
    // For the ranges of large blobs are three quarters, of which as many are used as pay: a few for
    // each client of a small site.
    default: '24',
    atLeast: 1,
    atMost: MOST_CONNECTIONS,
    reload: true,
  }),
}

/** What the registry is given for downloads. */
export const DOWNLOAD_KEYS = {
  fills: value(COUNT, {
    as: 'fillsAtOnce',
    description: 'Blobs downloaded at once, never more than `connections`; the rest wait.',
    // Most images have fewer: theirs come together, where there are connections for it.
    default: '12',
    atLeast: 1,
    atMost: MOST_FILLS,
    reload: true,
  }),
  prefetch: value(BOOLEAN, {
    description:
      'With an image’s manifest its blobs are fetched before the client asks for them, as long as nobody else needs the places (`fills`), the disk has room to spare, and the upstream is well. What nobody comes for within seconds is stopped. A manifest that a client was only told of, by HEAD, is fetched too, at most fifty for one client and one more each minute.',
    default: 'true',
    reload: true,
  }),
  private: value(BOOLEAN, {
    description:
      'What this registry delivered is given under no other one’s names, and it is given nothing that another delivered: each downloads its own. Its downloads get at most half of the room that is left, together with all others of this kind. Otherwise a registry’s word that it has a blob is enough. Always so for those that only `"*"` allows.',
    default: 'false',
    reload: true,
  }),
}

const CREDENTIAL_KEYS = {
  username: optional(value(TEXT, { description: 'Account at the upstream.', reload: true })),
  passwordfile: optional(
    value(PATH, {
      description:
        'File with the password or access token. A name without a slash is looked up in systemd’s credentials directory.',
      reload: true,
    }),
  ),
  password: optional(
    value(SECRET, {
      description:
        'The password itself. For the environment variable; in a file it is accepted with a warning.',
      reload: true,
    }),
  ),
  credentials: optional(
    group('Credentials that another program keeps; instead of `username`. One of the two keys.', {
      dockerconfig: optional(
        value(PATH, {
          description:
            'A `config.json` of Docker or podman (`auths`, `credHelpers`, `credsStore`), read when needed.',
          reload: true,
        }),
      ),
      helper: optional(
        value(HELPER, {
          description: 'A credential helper: `ecr-login` runs `docker-credential-ecr-login get`.',
          reload: true,
        }),
      ),
    }),
  ),
}

/** The same keys as in FRESHNESS_KEYS, whose values hold where these are not written. */
const OWN_FRESHNESS_KEYS = {
  ttl: optional(
    value(DURATION, {
      description: 'How long a tag is fresh.',
      defaultText: '`freshness.ttl`',
      reload: true,
    }),
  ),
  maxstale: optional(
    value(DURATION, {
      description: 'How long a stale tag may be served while the upstream fails.',
      defaultText: '`freshness.maxstale`',
      reload: true,
    }),
  ),
  offline: optional(
    value(BOOLEAN, {
      description: 'Never ask this upstream.',
      defaultText: '`freshness.offline`',
      reload: true,
    }),
  ),
} satisfies Readonly<Record<keyof typeof FRESHNESS_KEYS, unknown>>

const TAG_KEYS = {
  tags: groupsOf(
    group('Freshness of some tags; the first match wins.', {
      match: value(TAG_PATTERN, {
        description:
          '`<repository pattern>:<tag pattern>`; `@` in place of the colon means the same. Quote it when it begins with `*`.',
        reload: true,
      }),
      ttl: value(DURATION, { description: 'How long these tags are fresh.', reload: true }),
    }),
    { description: 'Freshness of some tags; the first match wins.', default: [], reload: true },
  ),
}

/** Which repositories it has for clients. */
export const NAME_KEYS = {
  include: valuesOf(NAME_GLOB, {
    description: 'Repositories that there are for clients of this edge.',
    default: ['**'],
    reload: true,
  }),
  exclude: valuesOf(NAME_GLOB, {
    description:
      'Repositories that there are not, whatever `include` says and whatever of them is here: neither pulled nor pushed nor listed.',
    default: [],
    reload: true,
  }),
}

const ROOM_KEYS = { quota: QUOTA }

const ROUTE_KEYS = {
  virtualhosts: valuesOf(HOST, {
    description:
      'Names of this edge that stand for this upstream: a request to such a host needs no prefix.',
    default: [],
    reload: true,
  }),
}

/** In the order of the documentation. */
const ALL_KEYS = {
  ...ENDPOINT_KEYS,
  ...CONNECTION_KEYS,
  ...DOWNLOAD_KEYS,
  ...CREDENTIAL_KEYS,
  ...OWN_FRESHNESS_KEYS,
  ...TAG_KEYS,
  ...NAME_KEYS,
  ...ROOM_KEYS,
  ...ROUTE_KEYS,
}

export const UPSTREAM_KEYS = whole(
  group('One upstream registry. Every key may be left out.', ALL_KEYS),
  { reload: true },
)

/** They say where one registry is and who the edge is there: no sense for all of them. */
export const NOT_FOR_ANY = [
  'url',
  'basepath',
  'http',
  'username',
  'password',
  'passwordfile',
  'client',
  'mirrors',
  'virtualhosts',
  'quota',
] as const satisfies readonly (keyof typeof ALL_KEYS)[]
