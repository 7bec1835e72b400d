// containerd 2 with ctr: one `_default` hosts.toml for every registry, `?ns=` tells the edge which
// one is meant.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ClientDriver, type EdgeAddress, edgeUrl, referenceOf } from '../client-driver.ts'
import { finished, freshDirectory, type Process, runCommand, startProcess } from '../processes.ts'
import { goTool } from '../tools.ts'
import { laterLayerPrepared } from './extraction.ts'

/** `pull` also takes names of other registries: `ghcr.io/team/app`. */
export function containerd(): ClientDriver {
  const directory = freshDirectory('cd')
  const socket = join(directory, 's')
  const ctr = (...args: string[]) => runCommand(goTool('ctr'), ['-a', socket, ...args])
  let daemon: Process | undefined
  let pulling: Process | undefined

  const up = async () => {
    daemon = startProcess(goTool('containerd'), ['-c', join(directory, 'config.toml')])
    await daemon.line(line => line.includes('containerd successfully booted'))
  }

  return {
    name: 'containerd',
    async start(edge) {
      writeFileSync(join(directory, 'config.toml'), daemonConfig(directory, socket))
      writeHosts(join(directory, 'hosts'), edge)
      await up()
    },
    async pull(wanted) {
      const { architecture = 'amd64' } = wanted
      const reference = canonical(referenceOf(wanted))
      const hosts = ['--hosts-dir', join(directory, 'hosts')]
      const platform = ['--platform', `linux/${architecture}`]
      const args = ['-a', socket, 'images', 'pull', ...hosts, ...platform, reference]
      pulling = startProcess(goTool('ctr'), args)
      await finished(pulling, `ctr pull ${reference}`)
      const list = await ctr('images', 'ls', `name==${reference}`)
      const digest =
        /sha256:[0-9a-f]{64}/.exec(list.split('\n')[1]?.split(/\s+/)[2] ?? '')?.[0] ?? ''
      return { resolved: [digest], holds: new Set((await ctr('content', 'ls', '-q')).split('\n')) }
    },
    async emptyStore() {
      const names = (await ctr('images', 'ls', '-q')).split('\n').filter(name => name !== '')
      if (names.length > 0) await ctr('images', 'rm', '--sync', ...names)
      // What a killed pull left is not an image yet.
      const digests = (await ctr('content', 'ls', '-q')).split('\n').filter(name => name !== '')
      if (digests.length > 0) await ctr('content', 'rm', ...digests)
    },
    async kill() {
      await laterLayerPrepared(socket, 'default')
      await Promise.all([daemon?.kill(), pulling?.kill()])
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

/** `library/x` is Docker Hub's; anything with a dot before its first slash names its registry. */
function canonical(reference: string): string {
  return (reference.split('/')[0] ?? '').includes('.') ? reference : `docker.io/${reference}`
}

/** Of a daemon whose data, state and socket are in `directory`. */
export function daemonConfig(directory: string, socket: string): string {
  // The plug-ins that are left out want a network set-up (CRI) or kernel modules that a pull has no
  // use for.
  return `version = 3
root = "${join(directory, 'data')}"
state = "${join(directory, 'state')}"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]
[grpc]
address = "${socket}"
[ttrpc]
address = "${socket}.ttrpc"
`
}

function writeHosts(hosts: string, edge: EdgeAddress): void {
  const { shape, certificates } = edge
  const [registry, host, override] =
    shape === 'plain'
      ? ['_default', edgeUrl(edge), '']
      : ['docker.io', `${edgeUrl(edge)}/v2/docker.io`, 'override_path = true\n']
  const trust = certificates === undefined ? '' : `ca = "${join(certificates, 'ca.crt')}"\n`
  mkdirSync(join(hosts, registry), { recursive: true })
  writeFileSync(
    join(hosts, registry, 'hosts.toml'),
    `server = "https://nowhere.invalid"
[host."${host}"]
capabilities = ["pull", "resolve"]
${trust}${override}`,
  )
}
