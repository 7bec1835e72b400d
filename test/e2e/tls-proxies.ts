// What stands in front of an edge and speaks TLS, each set up as docs/operations.md has it: the
// text there is what runs here, with other ports and files.
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Certificate } from '../kit/certificate.ts'
import { startNginx } from './nginx.ts'
import { freshDirectory, startProcess } from './processes.ts'
import { reached } from './reached.ts'

export interface ProxyPlace {
  /** Where clients come, on loopback. */
  readonly port: number
  /** Of the edge. */
  readonly edgePort: number
  readonly certificate: Certificate
}

/** Resolves when it takes connections; what it returns ends it. */
export type StartProxy = (place: ProxyPlace) => Promise<() => Promise<void>>

const OPERATIONS = new URL('../../docs/operations.md', import.meta.url)

/** The block of that kind, as it stands there. */
function written(kind: string): string {
  const text = readFileSync(OPERATIONS, 'utf8')
  const block = new RegExp(`^\`\`\`${kind}\n([^]*?)^\`\`\`$`, 'm').exec(text)?.[1]
  if (block === undefined) throw new Error(`docs/operations.md has no block of ${kind}`)
  return block
}

function filled(
  kind: string,
  directory: string,
  { port, edgePort, certificate }: ProxyPlace,
): string {
  const { cert, key } = certificate
  const files = { crt: cert, key, pem: cert + key }
  for (const [end, text] of Object.entries(files))
    writeFileSync(join(directory, `registry.${end}`), text)
  // Its workers are other users, and keep bodies of requests here.
  chmodSync(directory, 0o755)
  chmodSync(dirname(directory), 0o711)
  return written(kind)
    .replaceAll('/etc/ssl/', `${directory}/`)
    .replaceAll(/(127\.0\.0\.1|localhost):5000/g, `$1:${edgePort}`)
    .replace(/listen 443/, `listen 127.0.0.1:${port}`)
    .replace(/bind :443/, `bind 127.0.0.1:${port}`)
    .replace('https://registry.example.com', `https://localhost:${port}`)
    .replace('registry.example.com', 'localhost')
}

function nginx(kind: string): StartProxy {
  return async place => {
    const running = await startNginx(place.port, directory => filled(kind, directory, place))
    return () => running.stop()
  }
}

function haproxy(kind: string): StartProxy {
  return async place => {
    const directory = freshDirectory('haproxy')
    const file = join(directory, 'haproxy.cfg')
    writeFileSync(
      file,
      `global
  user haproxy
  group haproxy
defaults
  timeout connect 5s
  timeout client 30s
  timeout server 30s
${filled(kind, directory, place)}`,
    )
    const running = startProcess('/usr/sbin/haproxy', ['-db', '-f', file])
    await reached(running, place.port)
    return () => running.stop()
  }
}

const caddy: StartProxy = async place => {
  const directory = freshDirectory('caddy')
  const file = join(directory, 'Caddyfile')
  const site = filled('caddy', directory, place)
  const own = ['admin off', 'auto_https disable_redirects', 'default_bind 127.0.0.1']
  writeFileSync(file, `{\n  ${own.join('\n  ')}\n}\n${site}`)
  const env = { XDG_DATA_HOME: directory, XDG_CONFIG_HOME: directory }
  const args = ['run', '--config', file, '--adapter', 'caddyfile']
  const running = startProcess('/usr/bin/caddy', args, { env })
  await reached(running, place.port)
  return () => running.stop()
}

/** Those that speak TLS and say who asks by headers. */
export const TLS_PROXIES: Readonly<Record<string, StartProxy>> = {
  nginx: nginx('nginx'),
  Caddy: caddy,
  HAProxy: haproxy('haproxy'),
}

/** It says nothing of the scheme. */
export const CLASSIC_NGINX = nginx('nginx-classic')

/** It hands on TLS as it comes, and says who asks by the PROXY protocol. */
export const TCP_HAPROXY = haproxy('haproxy-tcp')
