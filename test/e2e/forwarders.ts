// What stands in front of an edge on its own machine: web servers, balancers and TCP forwarders,
// each as it is set up when nobody thinks of who may push, and each run as the daemon's user that
// its package gives it.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../kit/loopback.ts'
import { startNginx } from './nginx.ts'
import { freshDirectory, type Process, startProcess } from './processes.ts'
import { reached } from './reached.ts'

export interface Forwarder {
  readonly name: string
  /** Resolves when it takes connections. `target`: `127.0.0.1:PORT` of the edge. */
  start(target: string): Promise<Forwarding>
}

export interface Forwarding {
  /** `127.0.0.1:PORT`, where strangers reach it. */
  readonly authority: string
  stop(): Promise<void>
}

async function ready(running: Process, port: number): Promise<Forwarding> {
  await reached(running, port)
  return forwarding(running, port)
}

function forwarding(running: Process, port: number): Forwarding {
  return { authority: `127.0.0.1:${port}`, stop: () => running.stop() }
}

/** `lines` are those of its location. */
function nginx(name: string, lines: readonly string[]): Forwarder {
  return {
    name,
    async start(target) {
      const port = await freePort()
      const running = await startNginx(
        port,
        () => `  upstream edge { server ${target}; keepalive 32; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://edge;
      ${lines.join('\n      ')}
    }
  }
`,
      )
      return forwarding(running, port)
    },
  }
}

/** `haproxy` is the user that its package makes. */
function haproxy(name: string, mode: 'http' | 'tcp'): Forwarder {
  return {
    name,
    async start(target) {
      const port = await freePort()
      const file = join(freshDirectory('haproxy'), 'haproxy.cfg')
      writeFileSync(
        file,
        `global
  user haproxy
  group haproxy
defaults
  mode ${mode}
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen edge
  bind 127.0.0.1:${port}
  server edge ${target}
`,
      )
      return ready(startProcess('/usr/sbin/haproxy', ['-db', '-f', file]), port)
    },
  }
}

export function socat(user: string, uid: number): Forwarder {
  return {
    name: `socat as ${user}`,
    async start(target) {
      const port = await freePort()
      const as = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups']
      const listen = `TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork`
      const running = startProcess('/usr/bin/setpriv', [
        ...as,
        '/usr/bin/socat',
        listen,
        `TCP:${target}`,
      ])
      return ready(running, port)
    },
  }
}

export const FORWARDERS: readonly Forwarder[] = [
  nginx('nginx with the defaults of 1.22', []),
  // What 1.29.7 made the defaults, written out for the 1.22 that Debian has: HTTP/1.1, connections
  // that are used again, Host as it came.
  nginx('nginx with the defaults of 1.30', [
    'proxy_http_version 1.1;',
    'proxy_set_header Host $http_host;',
    'proxy_set_header Connection "";',
  ]),
  nginx('nginx that hands Host on', ['proxy_set_header Host $http_host;']),
  nginx('nginx that calls the edge localhost', [
    'proxy_http_version 1.1;',
    'proxy_set_header Host localhost;',
    'proxy_set_header Connection "";',
  ]),
  haproxy('HAProxy, http', 'http'),
  haproxy('HAProxy, tcp', 'tcp'),
  socat('daemon', 1),
  socat('nobody', 65_534),
]
