// distribution, in Debian's package and as a Go module, as a pull-through cache or as a registry
// that is pushed to.
import { join } from 'node:path'
import { launch, type ServerKind, writeCertificate } from './kind.ts'

export type Proxy = 'pulls through' | 'stores'

/** `program` throws an Error when it is not there. */
export function distributionKind(name: string, program: () => string, proxy: Proxy): ServerKind {
  return {
    name,
    start: options => {
      const { upstreamUrl, directory } = options
      const files = writeCertificate(options)
      const tls =
        files === undefined
          ? ''
          : `, tls: { certificate: "${files.certificate}", key: "${files.key}" }`
      return launch(options, {
        program: program(),
        args: file => ['serve', file],
        fileName: 'config.yml',
        // Without this, v3 waits for a collector of traces.
        env: { OTEL_TRACES_EXPORTER: 'none' },
        config: port => `version: 0.1
log: { level: info }
storage: { filesystem: { rootdirectory: "${join(directory, 'data')}" } }
http: { addr: "127.0.0.1:${port}"${tls} }
${proxy === 'stores' ? '' : `proxy: { remoteurl: "${upstreamUrl}" }`}
`,
      })
    },
  }
}
