// BuildKit: `FROM docker.io/…` through its mirror; the build is written out, so that it must fetch
// every layer.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ClientDriver, referenceOf } from '../client-driver.ts'
import { finished, freshDirectory, type Process, runCommand, startProcess } from '../processes.ts'
import { goTool } from '../tools.ts'

/**
 * What a build resolved `FROM` to stands in its progress; what it fetched is in the output, layer
 * by layer.
 */
export function buildkit(): ClientDriver {
  const directory = freshDirectory('bk')
  const address = `unix://${join(directory, 's')}`
  const context = join(directory, 'context')
  const output = join(directory, 'o')
  let daemon: Process | undefined
  let building: Process | undefined

  const up = async () => {
    const config = ['--config', join(directory, 'buildkitd.toml')]
    const place = ['--root', join(directory, 'data'), '--addr', address]
    daemon = startProcess(goTool('buildkitd'), [...config, ...place])
    await daemon.line(line => line.includes('running server on'))
  }

  return {
    name: 'buildkit',
    async start({ authority, shape }) {
      mkdirSync(context)
      const mirror = `${authority}${shape === 'path' ? '/docker.io' : ''}`
      writeFileSync(join(directory, 'buildkitd.toml'), daemonConfig({ mirror, authority }))
      await up()
    },
    async pull(wanted) {
      const { architecture = 'amd64' } = wanted
      const reference = `docker.io/${referenceOf(wanted)}`
      writeFileSync(join(context, 'Dockerfile'), `FROM ${reference}\n`)
      rmSync(output, { recursive: true, force: true })
      const args = [
        ['--addr', address, 'build', '--frontend', 'dockerfile.v0', '--progress', 'plain'],
        ['--local', `context=${context}`, '--local', `dockerfile=${context}`],
        ['--opt', `platform=linux/${architecture}`],
        ['--output', `type=oci,tar=false,dest=${output}`],
      ].flat()
      building = startProcess(goTool('buildctl'), args)
      await finished(building, `buildctl build FROM ${reference}`)
      const blobs = readdirSync(join(output, 'blobs', 'sha256'))
      const digest = /FROM \S+@(sha256:[0-9a-f]{64})/.exec(building.output())?.[1] ?? ''
      return { resolved: [digest], holds: new Set(blobs.map(name => `sha256:${name}`)) }
    },
    async emptyStore() {
      await runCommand(goTool('buildctl'), ['--addr', address, 'prune', '--all'])
      rmSync(output, { recursive: true, force: true })
    },
    async kill() {
      await Promise.all([daemon?.kill(), building?.kill()])
      daemon = undefined
    },
    async revive() {
      if (daemon === undefined) await up()
    },
    async stop() {
      await daemon?.stop()
      daemon = undefined
    },
  }
}

function daemonConfig({ mirror, authority }: { mirror: string; authority: string }): string {
  return `[worker.containerd]
enabled = false
[worker.oci]
enabled = true
snapshotter = "native"
[registry."docker.io"]
mirrors = ["${mirror}"]
[registry."${authority}"]
http = true
`
}
