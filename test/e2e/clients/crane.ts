// crane (go-containerregistry, as in kaniko, ko and cosign): the edge is named as the registry. Its
// store is an OCI layout.
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type ClientDriver, referenceOf } from '../client-driver.ts'
import { finished, freshDirectory, type Process, startProcess } from '../processes.ts'
import { goTool } from '../tools.ts'

/**
 * Without a platform crane takes the whole index: that is how this driver pulls, whatever
 * architecture is wanted.
 */
export function crane(): ClientDriver {
  const directory = freshDirectory('cr')
  const store = join(directory, 'o')
  let registry = ''
  let trust: readonly string[] = []
  let env: Readonly<Record<string, string>> = {}
  let pulling: Process | undefined

  return {
    name: 'crane',
    async start({ authority, shape, certificates }) {
      trust = certificates === undefined ? ['--insecure'] : []
      env = certificates === undefined ? {} : { SSL_CERT_FILE: join(certificates, 'ca.crt') }
      registry = `${authority}${shape === 'path' ? '/docker.io' : ''}`
    },
    async pull(wanted) {
      const source = `${registry}/${referenceOf(wanted)}`
      pulling = startProcess(goTool('crane'), ['pull', ...trust, '--format=oci', source, store], {
        env,
      })
      await finished(pulling, `crane pull ${source}`)
      const index = JSON.parse(readFileSync(join(store, 'index.json'), 'utf8')) as OciIndex
      const blobs = readdirSync(join(store, 'blobs', 'sha256'))
      const digest = index.manifests.at(-1)?.digest ?? ''
      return { resolved: [digest], holds: new Set(blobs.map(name => `sha256:${name}`)) }
    },
    async emptyStore() {
      rmSync(store, { recursive: true, force: true })
    },
    async kill() {
      await pulling?.kill()
    },
    async revive() {},
    async stop() {},
  }
}

interface OciIndex {
  readonly manifests: readonly { readonly digest: string }[]
}
