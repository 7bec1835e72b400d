// zot, which is no package and no Go module: where ZOT_BIN names its program.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { launch, type ServerKind, writeCertificate } from './kind.ts'

export const ZOT = 'zot'

export const zot: ServerKind = {
  name: ZOT,
  wantsManifestFirst: true,
  start: options => {
    const { upstreamUrl, directory } = options
    const files = writeCertificate(options)
    return launch(options, {
      program: zotProgram(),
      args: file => ['serve', file],
      fileName: 'config.json',
      config: port =>
        JSON.stringify({
          storage: { rootDirectory: join(directory, 'data') },
          http: {
            address: '127.0.0.1',
            port: String(port),
            ...(files === undefined ? {} : { tls: { cert: files.certificate, key: files.key } }),
          },
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
    })
  },
}

function zotProgram(): string {
  const program = process.env['ZOT_BIN']
  if (program === undefined || program === '') throw new Error('ZOT_BIN names no program')
  if (!existsSync(program)) throw new Error('there is no program where ZOT_BIN points')
  return program
}
