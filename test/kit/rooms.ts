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
const AN_IMPLEMENTATION: Room = { imports: ['async', 'oci', PORTS] }
const BY_PORTS: Room = { imports: ['async', 'oci', 'registry'] }
const A_SURFACE: Room = { imports: ['async', 'oci', 'registry', 'access', 'observe'] }
/**
 * A folder of `name` that may import what the room may, and of the room itself all but these
 * folders.
 */
const insideOf = (name: string, room: Room, ...never: readonly string[]): Room => ({
  imports: [...room.imports, name],
  never: never.map(folder => `${name}/${folder}`),
})

/**
 * By room, or by folder or file inside a room: the longest key says all that its files may import,
 * and an outer one nothing more of them. `{ imports: ['http'], never: ['http/endpoints'] }` is for
 * a folder that may not reach the one beside it.
 */
export const ROOMS: Readonly<Record<string, Room>> = {
  oci: { imports: [], builtins: { only: ['node:crypto'] } },
  // Waiting, joining and taking turns, whatever for.
  async: { imports: [], builtins: { only: [] } },
  registry: { imports: ['async', 'oci'], builtins: NO_INPUT_OUTPUT },
  access: { imports: ['oci', PORTS], builtins: NO_INPUT_OUTPUT },
  admission: { imports: ['oci', PORTS], builtins: NO_INPUT_OUTPUT },
  http: A_SURFACE,
  // What is in memory is answered before anybody routes, plans or handles.
  'http/memory': insideOf('http', A_SURFACE, 'endpoints'),
  // What sends knows neither what is sent nor who may be sent it.
  'http/send': insideOf('http', A_SURFACE, 'endpoints', 'memory', 'places', 'tls'),
  'http/places': insideOf('http', A_SURFACE, 'endpoints', 'memory', 'send', 'tls', 'body'),
  'http/body': insideOf('http', A_SURFACE, 'endpoints', 'memory', 'send', 'tls', 'places'),
  admin: A_SURFACE,
  upstream: AN_IMPLEMENTATION,
  // From the socket to the question: each may know those before it.
  'upstream/connect': insideOf('upstream', AN_IMPLEMENTATION, 'auth', 'endpoint', 'read', 'write'),
  'upstream/auth': insideOf('upstream', AN_IMPLEMENTATION, 'endpoint', 'read', 'write'),
  'upstream/endpoint': insideOf('upstream', AN_IMPLEMENTATION, 'read', 'write'),
  'upstream/read': insideOf('upstream', AN_IMPLEMENTATION, 'write'),
  'upstream/write': insideOf('upstream', AN_IMPLEMENTATION, 'read'),
  store: AN_IMPLEMENTATION,
  catalog: AN_IMPLEMENTATION,
  peers: AN_IMPLEMENTATION,
  upkeep: BY_PORTS,
  delivery: BY_PORTS,
  bundle: BY_PORTS,
  // The words of its keys stand where they mean something.
  config: { imports: ['oci', 'observe/log-levels.ts', `${PORTS}/push-modes.ts`] },
  // The events that it turns into metrics and log lines are a type of the engine, and some labels
  // are words of its.
  observe: { imports: ['async', 'oci', `${PORTS}/events.ts`, `${PORTS}/push-modes.ts`] },
  // Carries the registry to threads that serve, and their log and counts to the one that
  // coordinates.
  threads: { imports: ['async', 'oci', 'registry', 'access', 'observe'] },
  // Commands are the outermost room: they start the server, or print what it told.
  cli: {
    imports: [
      'oci',
      'config',
      'registry',
      'admin',
      'server/start.ts',
      'server/surroundings.ts',
      'server/probe-upstreams.ts',
      'server/clock.ts',
    ],
  },
  // The composition root imports across, nothing else does. Files of it that need not are held to
  // less.
  server: { imports: ['*'] },
  // Builds one upstream for each that is configured.
  'server/upstreams.ts': { imports: ['oci', 'config', 'registry', 'upstream'] },
  'server/probe-upstreams.ts': { imports: ['server/upstreams.ts', 'oci', 'config', PORTS] },
  'server/thread-app.ts': { imports: ['http', 'registry/fill', 'threads'] },
  // What one directory holds.
  'server/content.ts': {
    imports: ['server/closing.ts', 'config', 'observe', 'registry', 'store', 'catalog'],
  },
  // What metrics and status read.
  'server/readings.ts': { imports: ['server/content.ts', 'observe', 'registry', 'threads'] },
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
  'server/start-http-thread.ts': {
    imports: ['server/http-thread.ts', 'http', 'observe', 'registry', 'threads'],
  },
  'server/surroundings.ts': {
    imports: ['config', 'access/local-access.ts', 'observe/log.ts', 'registry/operator', PORTS],
  },
  'server/closing.ts': { imports: [] },
  'server/listening.ts': { imports: [] },
  'server/data-directory.ts': { imports: [`${PORTS}/store-error.ts`] },
  'server/clock.ts': { imports: [PORTS] },
}

/** Files beside the rooms, with what they may import. */
export const ROOT_FILES: Readonly<Record<string, readonly string[]>> = {
  'main.ts': ['cli'],
}

/** Where a library lives: folders or files of src/. Whatever is not in here has no home yet. */
export const LIBRARY_HOMES: Readonly<Record<string, readonly string[]>> = {
  fastify: ['admin'],
  undici: ['upstream'],
  'better-sqlite3': ['catalog/sqlite'],
  pino: ['observe'],
  'prom-client': ['observe'],
  yaml: ['config'],
  tldts: ['upstream'],
  'ipaddr.js': ['upstream', 'access', 'config', 'http/connection-owners.ts'],
  // Small and pure: data structures and patterns, wherever they are needed outside oci/.
  'lru-cache': ['registry', 'upstream', 'http', 'access', 'catalog', 'server/upstreams.ts'],
  picomatch: ['config', 'registry', 'upstream', 'access'],
}

/** The files that may touch `process`: everything else receives what it needs. */
export const MAY_TOUCH_PROCESS: readonly string[] = ['src/main.ts']
