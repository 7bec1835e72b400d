// Every configuration key that this version knows, and those of later versions by name. The types,
// the validation, the JSON Schema and docs/configuration.md all come from this table.
import {
  ADDRESS,
  BOOLEAN,
  BYTES,
  COUNT,
  DURATION,
  HOST,
  PATH,
  URL_TEXT,
} from '../formats/formats.ts'
import { NETWORK } from '../formats/who.ts'
import { LEVEL, PROXY_PROTOCOL } from '../formats/word-formats.ts'
import { SELECTOR } from '../selectors.ts'
import {
  group,
  type KeySchema,
  mapOf,
  optional,
  type Static,
  value,
  valuesOf,
  whole,
} from './keys.ts'
import { ACCESS_RULES } from './access-schema.ts'
import { AUTH } from './auth-schema.ts'
import { CLIENT_LIMITS } from './client-limits-schema.ts'
import { IMPORT_KEYS } from './import-schema.ts'
import { REPOSITORY_RULES } from './repository-schema.ts'
import { STORAGE } from './storage-schema.ts'
import { TLS_KEYS } from './tls-schema.ts'
import { FRESHNESS_KEYS, UPSTREAM_KEYS } from './upstream-schema.ts'

const HOUR_MS = 3_600_000

/**
 * Fewer, and reads would be so large that a slow client could not be told from one that stands
 * still.
 */
const FEWEST_STREAMS = 64
/** As many connections as the listener takes. */
const MOST_STREAMS = 16_384
/** More would wait for each other, and for the one thread that coordinates them. */
const MOST_HTTP_THREADS = 16

export const HTTP_KEYS = {
  addr: value(ADDRESS, { description: 'Where to listen.', default: ':5000', reload: false }),
  host: optional(
    value(URL_TEXT, {
      as: 'publicUrl',
      description:
        'The public URL of this edge, when clients do not see `addr`, for example behind a proxy. Its host is one of the own `names`.',
      reload: true,
    }),
  ),
  names: valuesOf(HOST, {
    description:
      'Own names of this edge beside the one in `host`: a client that asks for content of such a registry means `localhost`.',
    default: [],
    reload: true,
  }),
  hosts: valuesOf(HOST, {
    description:
      'Names and addresses that clients may call this edge by, with a port where only that one counts; loopback ones, `host`, `names` and `virtualhosts` need not be listed. Whoever calls it otherwise is refused, so that no web page reaches it by a name of its own. Empty: any.',
    default: [],
    reload: true,
  }),
  anonymous: valuesOf(HOST, {
    as: 'anonymousHosts',
    description:
      'Names and addresses of this edge, with a port where only that one counts, by which nobody is asked for a login: who shows none gets what the anonymous may have, and is told of nothing else. For mirrors of dockerd, which sends its login for Docker Hub to who asks. Like `hosts`, they may be called.',
    default: [],
    reload: true,
  }),
  localpush: optional(
    value(BOOLEAN, {
      as: 'localPush',
      description:
        'Programs on this machine may push and delete without an account. `false`: nobody may.',
      defaultText:
        '`true`; `false` with `host`, with a certificate for other names than those of loopback, in a pod, and in a container whose root is another user outside (rootless, unprivileged LXC)',
      reload: true,
    }),
  ),
  trustedproxies: valuesOf(NETWORK, {
    as: 'trustedProxies',
    description:
      'Addresses and networks of proxies that are believed: who asks, by which name and scheme, is what `Forwarded`, `X-Forwarded-For`, `-Host` and `-Proto` or `X-Real-IP` of theirs say, read from the right up to the first that is not listed here. From anybody else these say nothing. A listed proxy sets one of them in every request, and adds to or replaces what clients send.',
    default: [],
    reload: true,
  }),
  proxyprotocol: value(PROXY_PROTOCOL, {
    as: 'proxyProtocol',
    description:
      'Do connections from `trustedproxies` begin with a PROXY header, version 1 or 2, in front of TLS? `required`: each has to. `optional`: where it comes it counts; not for a proxy that passes on TCP without one, whose clients could write it.',
    default: 'none',
    reload: true,
  }),
  threads: optional(
    value(COUNT, {
      description:
        'Threads that serve clients beside each other. The first one also speaks to upstreams; each further one takes some 20 MiB of memory, and up to a hundred under many small requests.',
      defaultText: 'one for each processor core, at most 4',
      atLeast: 1,
      atMost: MOST_HTTP_THREADS,
      reload: false,
    }),
  ),
  streams: optional(
    value(COUNT, {
      description:
        'Blobs sent at once; further requests for blobs wait, clients in turn. Manifests and pushes never wait.',
      defaultText: '256 for each GiB of memory, from 64 to 2048',
      atLeast: FEWEST_STREAMS,
      atMost: MOST_STREAMS,
      reload: false,
    }),
  ),
  limits: CLIENT_LIMITS,
  tls: optional(
    whole(group('TLS on this listener. Without it, plain HTTP.', TLS_KEYS), { reload: false }),
  ),
  draintimeout: value(DURATION, {
    as: 'drainTimeoutMs',
    description: 'How long running pulls may take to finish when the server stops.',
    default: '30s',
    atMost: HOUR_MS,
    reload: false,
  }),
}

const SCHEMA = group('Configuration of Entrepot. Everything may be left out.', {
  log: group('The log on standard output: one JSON object per line.', {
    level: value(LEVEL, {
      description: 'The least important message that is written.',
      default: 'info',
      reload: true,
    }),
  }),
  audit: group('The audit log: who did what, one JSON object per line.', {
    output: optional(
      value(PATH, {
        description:
          'Where it goes: `stdout`, `stderr`, or a file that lines are added to and that a reload opens anew. Logins, denials, pushes, deletes and what operators do are in it.',
        defaultText: 'there is none',
        reload: false,
      }),
    ),
    pulls: value(BOOLEAN, {
      description: 'Also what is pulled, a line for each manifest and blob.',
      default: 'false',
      reload: false,
    }),
  }),
  http: group('The listener that container clients speak to.', HTTP_KEYS),
  admin: group('The operator’s listeners: health, metrics, and the command line.', {
    addr: value(ADDRESS, {
      description: '`/metrics`, `/livez` and `/readyz`. Whoever reaches it needs no password.',
      default: '127.0.0.1:5001',
      reload: false,
    }),
    api: optional(
      value(ADDRESS, {
        description:
          'The operator’s API, `/api/v1`, for other machines: for whom a rule of `access` allows `admin`, with a login or a client certificate. It speaks TLS as `http.tls` says; without that it has to be a loopback address. Requests go there directly: no proxy is believed.',
        defaultText: 'it is on `admin.socket` alone',
        reload: false,
      }),
    ),
    socket: optional(
      value(PATH, {
        description: 'Unix socket for the `entrepot` command line.',
        defaultText:
          '`/run/entrepot/admin.sock` where that directory exists, else `admin.sock` in `storage.rootdirectory`',
        reload: false,
      }),
    ),
  }),
  memory: value(BYTES, {
    description:
      'Memory for answers that are asked for again and again: manifests, configurations, small layers. All threads share it; 0 keeps none.',
    default: '64MiB',
    reload: false,
  }),
  storage: STORAGE,
  catalog: group(
    'Where what is known about content is kept: `sqlite`, a database file in the data directory, which has nothing to set.',
    {
      sqlite: group('A database file in the data directory. There is nothing to set.', {}),
    },
  ),
  default: optional(
    value(HOST, {
      description:
        'The upstream that names without a registry host belong to; `localhost` for none. It has to be written where `upstreams` lists no `docker.io`, and no `"*"`.',
      defaultText: '`docker.io`',
      reload: true,
    }),
  ),
  freshness: group('How fresh tags are kept, for upstreams that say nothing else.', FRESHNESS_KEYS),
  upstreams: mapOf(
    UPSTREAM_KEYS,
    'The registries that may be pulled through, by host. With this key, exactly those listed; without it, the well-known ones.',
  ),
  repositories: REPOSITORY_RULES,
  auth: AUTH,
  access: ACCESS_RULES,
  pins: valuesOf(SELECTOR, {
    description:
      'What stays here under any pressure: repositories, what tags of them lead to, or digests. `entrepot pin` adds to them while the server runs.',
    default: [],
    reload: true,
  }),
  import: group('Bringing in what "entrepot export" wrote at another edge.', IMPORT_KEYS),
})

/** The same for those who walk it. */
export const KEY_SCHEMA: KeySchema = SCHEMA

/**
 * What the walker makes of a configuration: keys as they are written, values parsed, defaults
 * filled in.
 */
export type Settings = Static<typeof SCHEMA>
export type UpstreamSettings = Static<typeof UPSTREAM_KEYS>

/**
 * Keys that are planned and do nothing yet. They are refused: a key without effect would be a
 * promise broken silently.
 */
export const LATER_KEYS: ReadonlySet<string> = new Set([
  'storage.s3',
  'catalog.postgres',
  'notifications',
  'peers',
])
