// Entrepot as the service unit starts it. Keys that this version does not have are an absence with a reason.
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LATER_KEYS } from '../../src/config/schema.ts'
import { freePort } from '../server-process.ts'
import { launch, type ServerKind, writeCertificate } from './kind.ts'

export const ENTREPOT = 'Entrepot'
const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
/** As in systemd/entrepot.service. */
const NODE_FLAGS = ['--max-semi-space-size=8', '--min-semi-space-size=4', '--initial-heap-size=64']

/** Whether this version has the key. */
export function isBuilt(key: string): boolean {
  return !LATER_KEYS.has(key)
}

export const entrepot: ServerKind = {
  name: ENTREPOT,
  start: async options => {
    const { upstreamUrl, directory, ttl, threads } = options
    const files = writeCertificate(options)
    if (files !== undefined && !isBuilt('http.tls')) throw new Error('http.tls is not built yet')
    const adminPort = await freePort()
    const running = await launch(options, {
      program: process.execPath,
      args: file => [...NODE_FLAGS, MAIN, 'serve', '--config', file],
      fileName: 'config.yaml',
      config: port =>
        JSON.stringify({
          http: {
            addr: `127.0.0.1:${port}`,
            ...(threads === undefined || !isBuilt('http.threads') ? {} : { threads }),
            ...(files === undefined ? {} : { tls: files }),
          },
          admin: { addr: `127.0.0.1:${adminPort}`, socket: join(directory, 'admin.sock') },
          storage: { rootdirectory: join(directory, 'data') },
          upstreams: {
            'docker.io': { url: upstreamUrl, http: true, ...(ttl === undefined ? {} : { ttl }) },
          },
        }),
    })
    return { ...running, adminUrl: `http://127.0.0.1:${adminPort}` }
  },
}
