// skopeo: no mirror configuration, the edge is named as the registry. Its store is the directory
// that it copies to.
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ClientDriver, referenceOf } from '../client-driver.ts'
import { finished, freshDirectory, type Process, runCommand, startProcess } from '../processes.ts'
import { packagedTool } from '../tools.ts'

/** `dir:` holds each blob under its hex digest, fetched one after the other. */
export function skopeo(): ClientDriver {
  const directory = freshDirectory('sk')
  const program = packagedTool('skopeo')
  const store = join(directory, 'o')
  const global = ['--policy', join(directory, 'policy.json'), '--override-os', 'linux']
  let registry = ''
  let trust: readonly string[] = []
  let trustSource: readonly string[] = []
  let copying: Process | undefined

  return {
    name: 'skopeo',
    async start({ authority, shape, certificates }) {
      const policy = '{"default":[{"type":"insecureAcceptAnything"}]}'
      writeFileSync(join(directory, 'policy.json'), policy)
      trust = certificates === undefined ? ['--tls-verify=false'] : ['--cert-dir', certificates]
      trustSource = trust.map(option => option.replace(/^--/, '--src-'))
      registry = `${authority}${shape === 'path' ? '/docker.io' : ''}`
    },
    async pull(wanted) {
      const { architecture = 'amd64' } = wanted
      const source = `docker://${registry}/${referenceOf(wanted)}`
      const plain = [...global, '--override-arch', architecture]
      const copy = ['copy', ...trustSource, source, `dir:${store}`]
      copying = startProcess(program, [...plain, ...copy])
      await finished(copying, `skopeo copy ${source}`)
      const inspect = ['inspect', '--no-tags', ...trust, '--format', '{{.Digest}}', source]
      const digest = (await runCommand(program, [...plain, ...inspect])).trim()
      const blobs = readdirSync(store).filter(name => /^[0-9a-f]{64}$/.test(name))
      return { resolved: [digest], holds: new Set(blobs.map(name => `sha256:${name}`)) }
    },
    async emptyStore() {
      rmSync(store, { recursive: true, force: true })
    },
    async kill() {
      await copying?.kill()
    },
    async revive() {},
    async stop() {},
  }
}
