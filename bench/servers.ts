// The servers that are measured, each with the configuration that its own documentation gives for a pull-through cache, and its
// request log on, as it is by default. One that cannot be had is an absence with a reason, never a gap.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Content } from '../test/kit/content.ts'
import { goTool, packagedTool } from '../test/e2e/tools.ts'
import type { Absence } from './figures.ts'
import { type Command, freePort, type RunningServer, startServer } from './server-process.ts'

export interface ServerOptions {
  readonly upstreamUrl: string
  /** Of the server alone; what it stored there stays for a second start. */
  readonly directory: string
  /** For Entrepot: how long a tag is fresh. Default: its own. */
  readonly ttl?: string
  /** For a server that has its content from the start: bytes by path of the URL. */
  readonly files?: Readonly<Record<string, Content>>
}

export interface ServerKind {
  readonly name: string
  /** It knows blobs only of images that were asked for by tag before. */
  readonly wantsManifestFirst?: true
  /** It serves files and asks no upstream. */
  readonly isStatic?: true
  /** @throws Error when it does not start */
  start(options: ServerOptions): Promise<RunningServer>
}

export const ENTREPOT = 'Entrepot'
export const DIRECT = 'direct'
export const NGINX = 'nginx, static'
const ROOT = fileURLToPath(new URL('..', import.meta.url))

const entrepot: ServerKind = {
  name: ENTREPOT,
  start: ({ upstreamUrl, directory, ttl }) =>
    launch(directory, 'config.yaml', {
      program: process.execPath,
      args: file => [join(ROOT, 'dist', 'main.js'), 'serve', '--config', file],
      config: port =>
        JSON.stringify({
          http: { addr: `127.0.0.1:${port}` },
          admin: { addr: '127.0.0.1:0', socket: join(directory, 'admin.sock') },
          storage: { rootdirectory: join(directory, 'data') },
          upstreams: {
            'docker.io': { url: upstreamUrl, http: true, ...(ttl === undefined ? {} : { ttl }) },
          },
        }),
    }),
}

/** As `registry:2` is run when it is pushed to: no proxy. */
function storingDistribution(name: string, program: () => string): ServerKind {
  return distributionKind(name, program, () => '')
}

function distributionKind(
  name: string,
  program: () => string,
  proxy = (upstreamUrl: string) => `proxy: { remoteurl: "${upstreamUrl}" }`,
): ServerKind {
  return {
    name,
    start: ({ upstreamUrl, directory }) =>
      launch(directory, 'config.yml', {
        program: program(),
        args: file => ['serve', file],
        // Without this, v3 waits for a collector of traces.
        env: { OTEL_TRACES_EXPORTER: 'none' },
        config: port => `version: 0.1
log: { level: info }
storage: { filesystem: { rootdirectory: ${join(directory, 'data')} } }
http: { addr: "127.0.0.1:${port}" }
${proxy(upstreamUrl)}
`,
      }),
  }
}

const zot: ServerKind = {
  name: 'zot',
  wantsManifestFirst: true,
  start: ({ upstreamUrl, directory }) =>
    launch(directory, 'config.json', {
      program: zotProgram(),
      args: file => ['serve', file],
      config: port =>
        JSON.stringify({
          storage: { rootDirectory: join(directory, 'data') },
          http: { address: '127.0.0.1', port: String(port) },
          log: { level: 'info' },
          extensions: {
            sync: {
              enable: true,
              registries: [
                {
                  urls: [upstreamUrl],
                  onDemand: true,
                  tlsVerify: false,
                  content: [{ prefix: '**' }],
                },
              ],
            },
          },
        }),
    }),
}

const nginx: ServerKind = {
  name: NGINX,
  isStatic: true,
  start: ({ directory, files = {} }) => {
    for (const [path, content] of Object.entries(files)) {
      const file = join(directory, 'files', path)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, content.bytes())
    }
    return launch(directory, 'nginx.conf', {
      program: nginxProgram(),
      args: file => ['-e', join(directory, 'error.log'), '-c', file],
      config: port => `daemon off; user root; worker_processes 2; pid ${directory}/pid;
events {}
http {
  access_log ${directory}/access.log;
  sendfile on; tcp_nopush on; keepalive_requests 10000000;
  client_body_temp_path ${directory}/body;
  server {
    listen 127.0.0.1:${port};
    root ${directory}/files;
    location = /v2/ { return 200; }
  }
}
`,
    })
  },
}

/** Every registry of the tables, in their order. */
export const REGISTRIES: readonly ServerKind[] = [
  entrepot,
  distributionKind('docker-registry 2.8', () => packagedTool('docker-registry')),
  distributionKind('distribution 3.1', () => goTool('distribution')),
  zot,
]

/** Those that take pushes, each over its own disk. */
export const PUSHABLE: readonly ServerKind[] = [
  entrepot,
  storingDistribution('docker-registry 2.8', () => packagedTool('docker-registry')),
  storingDistribution('distribution 3.1', () => goTool('distribution')),
  zot,
]

/** The same, and what serves files as cheaply as it can be done. */
export const HOT_SERVERS: readonly ServerKind[] = [...REGISTRIES, nginx]

/** For a table: why `kind` is not in it. Paths of this machine are left out. */
export function absenceOf({ name }: ServerKind, error: unknown): Absence {
  const text = error instanceof Error ? error.message : String(error)
  return { server: name, why: text.replace(/(?<![\w.:])\/[\w.@+-]+(?:\/[\w.@+-]+)+/g, '…') }
}

interface Launch extends Omit<Command, 'args' | 'directory' | 'port'> {
  readonly args: (file: string) => readonly string[]
  readonly config: (port: number) => string
}

async function launch(directory: string, fileName: string, launch: Launch) {
  const port = await freePort()
  const file = join(directory, fileName)
  mkdirSync(directory, { recursive: true })
  writeFileSync(file, launch.config(port))
  const { config: _, args, ...command } = launch
  return startServer({ ...command, args: args(file), directory, port })
}

function zotProgram(): string {
  const program = process.env['ZOT_BIN']
  if (program === undefined || program === '') throw new Error('ZOT_BIN names no program')
  if (!existsSync(program)) throw new Error('there is no program where ZOT_BIN points')
  return program
}

function nginxProgram(): string {
  const program = '/usr/sbin/nginx'
  if (!existsSync(program)) throw new Error('nginx is not installed')
  return program
}
