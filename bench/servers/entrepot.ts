// Entrepot as the service unit starts it, this version or a built checkout of another one. Keys
// that this version does not have are an absence with a reason.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LATER_KEYS } from '../../src/config/schema/schema.ts'
import { freePort } from '../../test/kit/loopback.ts'
import { type RunningServer } from '../server-process.ts'
import { launch, type ServerKind, type ServerOptions, writeCertificate } from './kind.ts'

export const ENTREPOT = 'Entrepot'
/** Of this version, built. */
export const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url))
/** As in systemd/entrepot.service. */
const NODE_FLAGS = ['--max-semi-space-size=8', '--min-semi-space-size=4', '--initial-heap-size=64']

/** Whether this version has the key. */
export function isBuilt(key: string): boolean {
  return !LATER_KEYS.has(key)
}

export const entrepot: ServerKind = {
  name: ENTREPOT,
  start: options => startEntrepot(CHECKOUT, options),
}

/**
 * Another version, measured in the same run: "before and after" need one machine at one time.
 * @throws Error where `checkout` is not built
 */
export function entrepotBeside(checkout: string): ServerKind {
  if (!existsSync(join(checkout, 'dist', 'main.js')))
    throw new Error(`--beside ${checkout}: not built; run "npm ci && npm run build" there`)
  return { name: `${ENTREPOT}, beside`, start: options => startEntrepot(checkout, options) }
}

/** That of a built checkout. @throws Error when it does not start */
export async function startEntrepot(
  checkout: string,
  options: ServerOptions,
): Promise<RunningServer> {
  const { upstreamUrl, directory, ttl, threads, upstream, storage, access, auth } = options
  const files = writeCertificate(options)
  if (files !== undefined && !isBuilt('http.tls')) throw new Error('http.tls is not built yet')
  const adminPort = await freePort()
  const running = await launch(options, {
    program: process.execPath,
    args: file => [...NODE_FLAGS, join(checkout, 'dist', 'main.js'), 'serve', '--config', file],
    fileName: 'config.yaml',
    config: port =>
      JSON.stringify({
        http: {
          addr: `127.0.0.1:${port}`,
          ...(threads === undefined || !isBuilt('http.threads') ? {} : { threads }),
          ...(files === undefined ? {} : { tls: files }),
        },
        admin: { addr: `127.0.0.1:${adminPort}`, socket: join(directory, 'admin.sock') },
        storage: { rootdirectory: join(directory, 'data'), ...storage },
        ...(auth === undefined ? {} : { auth }),
        ...(access === undefined ? {} : { access }),
        upstreams: {
          'docker.io': {
            url: upstreamUrl,
            http: true,
            ...(ttl === undefined ? {} : { ttl }),
            ...upstream,
          },
        },
      }),
  })
  return { ...running, adminUrl: `http://127.0.0.1:${adminPort}` }
}
