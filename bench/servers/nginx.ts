// nginx: files sent by the kernel, as cheaply as it can be done; and as a cache in front of a
// registry, one request for what many ask.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { launch, type ServerKind, type ServerOptions, writeCertificate } from './kind.ts'

export const NGINX = 'nginx, static'
export const NGINX_PROXY = 'nginx, proxy_cache'

export const nginx: ServerKind = {
  name: NGINX,
  isStatic: true,
  start: options => {
    const { directory, files = {} } = options
    for (const [path, content] of Object.entries(files)) {
      const file = join(directory, 'files', path)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, content.bytes())
    }
    return launchNginx(options, '', `root ${directory}/files; location = /v2/ { return 200; }`)
  },
}

export const nginxProxy: ServerKind = {
  name: NGINX_PROXY,
  start: options => {
    const { directory, upstreamUrl } = options
    return launchNginx(
      options,
      `proxy_cache_path ${directory}/cache levels=2 keys_zone=registry:8m max_size=20g use_temp_path=off;`,
      `location = /v2/ { return 200; }
    location / {
      proxy_pass ${upstreamUrl}; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_cache registry; proxy_cache_lock on; proxy_cache_lock_timeout 60s; proxy_cache_lock_age 60s;
      proxy_cache_valid 200 1h; proxy_ignore_headers Cache-Control Expires;
    }`,
    )
  },
}

function launchNginx(options: ServerOptions, http: string, server: string) {
  const { directory, threads = 2 } = options
  const files = writeCertificate(options)
  const tls =
    files === undefined
      ? ''
      : `ssl_certificate ${files.certificate}; ssl_certificate_key ${files.key}; ssl_protocols TLSv1.3;`
  return launch(options, {
    program: nginxProgram(),
    args: file => ['-e', join(directory, 'error.log'), '-c', file],
    fileName: 'nginx.conf',
    config: port => `daemon off; user root; worker_processes ${threads}; pid ${directory}/pid;
events { worker_connections 4096; }
http {
  access_log ${directory}/access.log;
  sendfile on; tcp_nopush on; keepalive_requests 10000000;
  client_body_temp_path ${directory}/body; proxy_temp_path ${directory}/proxied;
  ${http}
  server {
    listen 127.0.0.1:${port}${tls === '' ? '' : ' ssl'} backlog=4096; ${tls}
    ${server}
  }
}
`,
  })
}

function nginxProgram(): string {
  const program = '/usr/sbin/nginx'
  if (!existsSync(program)) throw new Error('nginx is not installed')
  return program
}
