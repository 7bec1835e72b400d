// The rooms of src/ and what each may reach (docs/ARCHITECTURE.md): the table behind the rules
// between the rooms. An exception is a row with its reason, never a special case in the test.

export interface Room {
  /** Rooms, folders or files of src/ that it may import besides itself. */
  readonly imports: readonly string[]
  /** Folders or files inside those that it may not import all the same. */
  readonly never?: readonly string[]
  /** Built-in modules that it may not import, or the only ones it may; else the outer room's. */
  readonly builtins?: { readonly never: readonly string[] } | { readonly only: readonly string[] }
}

const PORTS = 'registry/ports'
/** What decides does not touch disks and sockets: it is given ports. */
const NO_INPUT_OUTPUT = {
  never: [
    'node:fs',
    'node:fs/promises',
    'node:http',
    'node:https',
    'node:net',
    'node:tls',
    'node:child_process',
  ],
}
const HTTP = ['oci', 'registry', 'access', 'observe']
/** A folder of `room` that may import that, and of its own room all but what is in `never`. */
const insideOf = (
  room: string,
  { imports, never }: { readonly imports: readonly string[]; readonly never: readonly string[] },
): Room => ({
  imports: [...imports, room],
  never: never.map(place => `${room}/${place}`),
})

/**
 * By room, or by folder or file inside a room: the longest key says all that its files may import,
 * and an outer one nothing more of them. `{ imports: ['http'], never: ['http/endpoints'] }` is for
 * a folder that may not reach the one beside it. A row says no more than its files need: what is
 * there no more, or what none of them imports, tidy.test.ts finds.
 */
export const ROOMS: Readonly<Record<string, Room>> = {
  // Beside the rooms: gives commands the process that they run in.
  'main.ts': { imports: ['cli'] },
  // The words of the specification, for everybody: they depend on nothing.
  oci: { imports: [], builtins: { only: ['node:crypto'] } },
  // What goes over an air gap, as bytes: written and read a piece at a time, whoever has them.
  bundle: { imports: ['oci'], builtins: { only: ['node:crypto'] } },
  // Backups on disk: written, read, and brought back as the data directory of an edge, of which it
  // knows the layout, the facts and the file of the catalog, and nobody who uses them.
  backup: {
    imports: [
      'async',
      'bundle',
      'catalog/sqlite/snapshot',
      'oci',
      'store/fact-text.ts',
      'store/filesystem/layout.ts',
      `${PORTS}/facts.ts`,
      `${PORTS}/store-error.ts`,
    ],
  },
  // Waiting, joining, taking turns and remembering for a while, whatever for.
  async: { imports: [], builtins: { only: [] } },
  // Decides, over ports: who implements them, and who asks, is nothing to it. What operators ask
  // looks at the rest, which does not know of it.
  registry: {
    imports: ['async', 'oci'],
    never: ['registry/operator'],
    builtins: NO_INPUT_OUTPUT,
  },
  // Contracts: whoever implements one loads nothing of those who ask by it.
  [PORTS]: { imports: ['oci'] },
  // What several use cases share knows none of them. Where a name leads, and what the configuration
  // says of it:
  'registry/routing': { imports: ['async', 'oci', PORTS] },
  // Bytes and rows of what is here, whoever brought them and why; facts tell of them.
  'registry/content': {
    imports: ['async', 'oci', PORTS, 'registry/best-effort.ts', 'registry/routing'],
  },
  // What facts say, and that they and the catalog agree.
  'registry/facts': {
    imports: [
      'async',
      'oci',
      PORTS,
      'registry/best-effort.ts',
      'registry/content',
      'registry/deliveries',
      'registry/negative-cache.ts',
      'registry/pacing',
    ],
  },
  // Open files and who was given what, on every thread: no store and no catalog is behind them.
  'registry/reading': {
    imports: ['async', 'oci', PORTS, 'registry/answers.ts', 'registry/epochs.ts'],
  },
  // What an entry of the outbox says, to those who write it and those who carry it.
  'registry/deliveries': { imports: ['oci', PORTS] },
  // What a client is told instead.
  'registry/refusals': { imports: ['oci', PORTS, 'registry/routing'] },
  // Long work in short pieces, whatever it is.
  'registry/pacing': { imports: [`${PORTS}/clock.ts`] },
  // The use cases, of which each may know those that it needs: what several of them need stands
  // beside the folders. A file that grows is filled for whoever waits, whatever for.
  'registry/fill': insideOf('registry', {
    imports: ['async', 'oci'],
    never: ['pull', 'upload', 'push', 'delete', 'rebuild', 'operator'],
  }),
  // A pull changes nothing that clients sent here: it writes no fact, and takes none away.
  'registry/pull': insideOf('registry', {
    imports: ['async', 'oci'],
    never: ['upload', 'push', 'delete', 'rebuild', 'operator'],
  }),
  // Bytes come in, whatever manifest will list them.
  'registry/upload': insideOf('registry', {
    imports: ['async', 'oci'],
    never: ['fill', 'pull', 'push', 'delete', 'rebuild', 'operator'],
  }),
  // How long ago something was, in time in which this edge ran, and which grace that is of: whoever
  // takes something away for being old asks here, and is not known.
  'registry/time': { imports: [PORTS] },
  // What is pushed is seen by pulls at once, so what they remember is changed. Nothing is
  // downloaded.
  'registry/push': insideOf('registry', {
    imports: ['async', 'oci'],
    never: ['fill', 'delete', 'rebuild', 'operator'],
  }),
  // Takes away what is here: no upstream is told, and nobody is waited for.
  'registry/delete': insideOf('registry', {
    imports: ['async', 'oci'],
    never: ['fill', 'pull', 'upload', 'push', 'rebuild', 'operator'],
  }),
  // What goes by the operator's policies goes as clients delete.
  'registry/retain': insideOf('registry', {
    imports: ['oci'],
    never: ['fill', 'pull', 'upload', 'push', 'rebuild', 'operator'],
  }),
  // From facts alone, before anybody can ask: what answers clients is not there yet.
  'registry/rebuild': insideOf('registry', {
    imports: ['async', 'oci'],
    never: ['fill', 'pull', 'upload', 'push', 'delete', 'operator'],
  }),
  // Decides what goes for want of room, whoever needs it.
  'registry/evict': insideOf('registry', {
    imports: ['async', 'oci'],
    never: ['fill', 'pull', 'upload', 'push', 'delete', 'retain', 'rebuild', 'operator'],
  }),
  // What nothing needs, as the catalog counts it.
  'registry/collect': insideOf('registry', {
    imports: ['oci'],
    never: ['fill', 'pull', 'upload', 'push', 'delete', 'rebuild', 'operator'],
  }),
  // What goes with a manifest that was deleted, as clients delete.
  'registry/follow': insideOf('registry', {
    imports: ['oci'],
    never: ['fill', 'pull', 'upload', 'push', 'rebuild', 'operator'],
  }),
  // Takes files away whose content was let go, whoever did that and why.
  'registry/leave': insideOf('registry', {
    imports: ['async', 'oci'],
    never: ['fill', 'pull', 'upload', 'push', 'delete', 'rebuild', 'operator'],
  }),
  // Says what an operator wants to stay, to whoever takes something away.
  'registry/pins': insideOf('registry', {
    imports: ['async', 'oci'],
    never: [
      'fill',
      'pull',
      'upload',
      'push',
      'delete',
      'retain',
      'rebuild',
      'evict',
      'collect',
      'leave',
      'purge',
      'operator',
    ],
  }),
  // Has content leave, and what was pushed be deleted. What is remembered of it, it is told how to
  // forget.
  'registry/purge': insideOf('registry', {
    imports: ['oci'],
    never: ['fill', 'pull', 'upload', 'push', 'rebuild', 'operator'],
  }),
  // Looks, and asks the running registry as clients do. How fresh a tag is, and what is given
  // instead, pulls say.
  'registry/operator': insideOf('registry', {
    imports: ['oci'],
    never: ['fill', 'upload', 'push', 'delete', 'rebuild'],
  }),
  // What is carried out of this edge is gathered as operators pull it, and written as a bundle.
  'registry/carry': insideOf('registry', {
    imports: ['async', 'bundle', 'oci'],
    never: ['fill', 'pull', 'upload', 'push', 'delete', 'rebuild'],
  }),
  // What a disk has changed is brought back as clients' pulls would bring it.
  'registry/scrub': insideOf('registry', {
    imports: ['oci'],
    never: ['fill', 'pull', 'upload', 'push', 'delete', 'rebuild', 'operator'],
  }),
  // Tells what is wrong and changes nothing, whoever puts it right.
  'registry/fsck': insideOf('registry', {
    imports: ['oci'],
    never: ['fill', 'pull', 'upload', 'push', 'delete', 'operator'],
  }),
  // Rights do not depend on what exists, so nothing is here to look it up by.
  access: { imports: ['async', 'oci'], builtins: NO_INPUT_OUTPUT },
  // Files of accounts, and what it takes to try a password.
  accounts: {
    imports: [
      'async',
      'access/accounts.ts',
      'access/htpasswd',
      'access/names.ts',
      'access/network.ts',
    ],
  },
  // Surfaces ask the registry, and know nobody behind its ports.
  http: { imports: [...HTTP, 'async'] },
  // What is in memory is answered before anybody routes, plans or handles.
  'http/memory': insideOf('http', { imports: [...HTTP, 'async'], never: ['endpoints'] }),
  // What sends knows neither what is sent nor who may be sent it.
  'http/send': insideOf('http', {
    imports: ['async', 'oci', 'registry'],
    never: ['endpoints', 'memory', 'places', 'tls'],
  }),
  // Who is sent a body next does not depend on how it is sent, or of what.
  'http/places': insideOf('http', {
    imports: ['async', 'oci', 'registry', 'observe'],
    never: ['endpoints', 'memory', 'send', 'tls', 'body'],
  }),
  // Who calls is found out before anything is known of what is asked.
  'http/proxies': insideOf('http', {
    imports: ['access/network.ts', 'access/network-table.ts', 'observe', `${PORTS}/clock.ts`],
    never: ['endpoints', 'memory', 'places', 'send', 'tls', 'body'],
  }),
  // What a client may have at once does not depend on what becomes of it.
  'http/clients': insideOf('http', {
    imports: ['access', 'oci', 'observe', `${PORTS}/clock.ts`],
    never: ['endpoints', 'memory', 'places', 'send', 'tls', 'body'],
  }),
  // A body is read in the same way whoever wants it.
  'http/body': insideOf('http', {
    imports: ['async', 'oci', 'registry'],
    never: ['endpoints', 'memory', 'send', 'tls', 'places'],
  }),
  admin: { imports: HTTP },
  // What implements ports knows them, and neither who asks nor the other implementations.
  upstream: { imports: ['async', 'oci', PORTS] },
  // From the socket to the question: each may know those before it.
  'upstream/connect': insideOf('upstream', {
    imports: ['async', 'oci', PORTS],
    never: ['auth', 'endpoint', 'read', 'write'],
  }),
  'upstream/auth': insideOf('upstream', {
    imports: ['async', 'oci', PORTS],
    never: ['endpoint', 'read', 'write'],
  }),
  'upstream/endpoint': insideOf('upstream', {
    imports: ['async', 'oci', PORTS],
    never: ['read', 'write'],
  }),
  // Mirrors are read and never written to: the two ways share no more than the endpoint.
  'upstream/read': insideOf('upstream', { imports: ['oci', PORTS], never: ['write'] }),
  'upstream/write': insideOf('upstream', { imports: ['oci', PORTS], never: ['read'] }),
  store: { imports: ['async', 'oci', PORTS] },
  // Files that grow, of fills and of uploads, whatever becomes of them when they are whole.
  'store/filesystem/growing': insideOf('store', {
    imports: ['async', 'oci', PORTS],
    never: ['filesystem/store.ts', 'filesystem/facts.ts', 'filesystem/sweep.ts'],
  }),
  catalog: { imports: ['oci', PORTS] },
  // What is in the file, whoever reads and writes it.
  'catalog/sqlite/schema': { imports: ['catalog/sqlite/encoding.ts', `${PORTS}/store-error.ts`] },
  // The file as a file: locked, opened, closed, and by what it is found damaged.
  'catalog/sqlite/file': {
    imports: [
      'catalog/sqlite/faults.ts',
      'catalog/sqlite/schema/assert-schema.ts',
      'catalog/sqlite/schema/schema.ts',
      `${PORTS}/store-error.ts`,
    ],
  },
  // One thread writes, whatever the operations are.
  'catalog/sqlite/writer': {
    imports: [
      'catalog/sqlite/faults.ts',
      'catalog/sqlite/file',
      'catalog/sqlite/operations.ts',
      `${PORTS}/store-error.ts`,
    ],
  },
  // How warm images are, and which of them may leave.
  'catalog/sqlite/images': insideOf('catalog', {
    imports: ['oci', PORTS],
    never: ['sqlite/file', 'sqlite/writer', 'sqlite/operations.ts'],
  }),
  // What works by itself uses the ports and what the registry shares, as its use cases do.
  upkeep: { imports: ['async', 'oci', 'registry'] },
  delivery: { imports: ['async', 'oci', 'registry'] },
  // Judges what was written, and knows none of the parts that use it: the words of its keys stand
  // where they mean something.
  config: {
    imports: [
      'oci',
      'observe/log-levels.ts',
      'registry/pins/selectors.ts',
      'access/htpasswd',
      'access/names.ts',
      'access/rule.ts',
      'access/network.ts',
      'access/pattern.ts',
    ],
  },
  // Text becomes values, whatever key they are of.
  'config/formats': insideOf('config', {
    imports: [
      'oci',
      'bundle/bundle-key.ts',
      'observe/log-levels.ts',
      'access/names.ts',
      'access/network.ts',
      'access/rule.ts',
      `${PORTS}/push-modes.ts`,
    ],
    never: ['schema', 'build'],
  }),
  // Which keys there are, whatever else stands in the file.
  'config/schema': insideOf('config', { imports: [], never: ['build'] }),
  // The events that it turns into metrics and log lines are a type of the engine, and some labels
  // are words of its. Whose an address is, where lines of it are counted, access says.
  observe: {
    imports: [
      'async',
      'oci',
      'access/network.ts',
      'registry/answers.ts',
      `${PORTS}/events.ts`,
      `${PORTS}/outbox.ts`,
      `${PORTS}/push-modes.ts`,
    ],
  },
  // Carries the registry to threads that serve, and their log, their counts and the places that
  // they take to the one that coordinates.
  threads: {
    imports: [
      'async',
      'oci',
      'registry',
      'access',
      'observe',
      'http/clients/client-limits.ts',
      'http/places',
      'http/proxies/callers.ts',
      'http/tls/tls.ts',
    ],
  },
  // Commands are the outermost room: they start the server, or print what it told.
  cli: {
    imports: [
      'async',
      'oci',
      'config',
      'registry',
      'admin',
      'backup',
      'bundle',
      'access/access.ts',
      'access/operator-access.ts',
      'access/rule.ts',
      'access/rulebook.ts',
      'access/names.ts',
      'access/network.ts',
      'access/local-push.ts',
      'access/name-table.ts',
      'access/htpasswd',
      'accounts/replace-file.ts',
      'server/route-options.ts',
      'server/start.ts',
      'server/fsck.ts',
      'server/surroundings.ts',
      'server/issuer-keys.ts',
      'server/probe-upstreams.ts',
      'server/clock.ts',
    ],
  },
  // The composition root imports across, nothing else does. Files of it that need not are held to
  // less.
  server: { imports: ['*'] },
  // Builds one upstream for each that is configured.
  'server/upstreams.ts': {
    imports: ['server/route-options.ts', 'oci', 'config', 'registry', 'upstream'],
  },
  // For `entrepot access`, which loads no upstream.
  'server/route-options.ts': { imports: ['config', 'registry'] },
  // For `entrepot check`, which opens no directory.
  'server/probe-upstreams.ts': { imports: ['server/upstreams.ts', 'oci', 'config', PORTS] },
  // The first thread and the further ones have it, so it knows what both have.
  'server/thread-app.ts': { imports: ['http', 'observe/audit.ts', 'registry/fill', 'threads'] },
  // What one directory holds.
  'server/content.ts': {
    imports: [
      'server/closing.ts',
      'server/take-stock.ts',
      'config',
      'observe',
      'registry',
      'store',
      'catalog',
    ],
  },
  'server/take-stock.ts': { imports: ['observe', 'registry'] },
  // What metrics and status read.
  'server/readings.ts': {
    imports: ['server/content.ts', 'accounts/tokens', 'observe', 'registry', 'threads'],
  },
  // A further HTTP thread loads what it runs and nothing else.
  'server/http-thread.ts': {
    imports: [
      'server/clock.ts',
      'server/thread-app.ts',
      'access',
      'http',
      'observe',
      'registry',
      'threads',
    ],
  },
  // The coordinator towards such a thread.
  'server/start-http-thread.ts': {
    imports: [
      'server/http-thread.ts',
      'access/accounts.ts',
      'http',
      'observe',
      'registry',
      'threads',
    ],
  },
  // What a start is given and gives back, as types: who names it loads nothing that is composed.
  'server/surroundings.ts': {
    imports: ['config', 'access/local-push.ts', 'observe/log.ts', 'registry/operator', PORTS],
  },
  // Parts that know nothing of what is composed.
  'server/closing.ts': { imports: [] },
  'server/listening.ts': { imports: ['config/addresses.ts'] },
  'server/data-directory.ts': {
    imports: [`${PORTS}/store-error.ts`, 'store/filesystem/layout.ts'],
  },
  'server/clock.ts': { imports: [PORTS] },
}

/** Where a library lives: folders or files of src/. Whatever is not in here has no home yet. */
export const LIBRARY_HOMES: Readonly<Record<string, readonly string[]>> = {
  // Each is how one room does its work: who replaces it changes that room alone.
  fastify: ['admin'],
  undici: ['upstream'],
  'better-sqlite3': ['catalog/sqlite'],
  pino: ['observe'],
  'prom-client': ['observe'],
  yaml: ['config'],
  // What others signed is read there and nowhere else.
  jose: ['accounts/identities'],
  bcryptjs: ['accounts', 'cli/user.ts'],
  tldts: ['upstream'],
  // Addresses are judged where a connection is opened, taken or counted.
  'ipaddr.js': ['upstream', 'access', 'http/connection-owners.ts'],
  // Small and pure: data structures and patterns, wherever they are needed outside oci/.
  'lru-cache': [
    'async/bounded-cache.ts',
    'registry/reading/open-blobs.ts',
    'access',
    'http/memory/hot-answers.ts',
    'server/upstreams.ts',
  ],
  picomatch: ['config', 'registry', 'access'],
}

/** The files that may touch `process`: everything else receives what it needs. */
export const MAY_TOUCH_PROCESS: readonly string[] = ['src/main.ts']

/** The one place that stores, keeps and removes content, and writes its rows. */
export const WRITES_CONTENT: readonly string[] = ['src/registry/content/content.ts']
