// podman with the edge as a mirror in registries.conf; `location` with or without the namespace in
// its path.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ClientDriver, referenceOf } from '../client-driver.ts'
import { finished, freshDirectory, type Process, runCommand, startProcess } from '../processes.ts'
import { packagedTool } from '../tools.ts'

/** podman has no daemon: what is killed is the pull. The id of an image is its config's digest. */
export function podman(): ClientDriver {
  const directory = freshDirectory('pm')
  const program = packagedTool('podman')
  const store = [
    ['--root', join(directory, 'r'), '--runroot', join(directory, 'p')],
    ['--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs', '--events-backend', 'none'],
  ].flat()
  const env = {
    CONTAINERS_REGISTRIES_CONF: join(directory, 'registries.conf'),
    CONTAINERS_CONF: join(directory, 'containers.conf'),
  }
  const policy = join(directory, 'policy.json')
  const command = (...args: string[]) => runCommand(program, [...store, ...args], { env })
  let pulling: Process | undefined
  let trust: readonly string[] = []

  return {
    name: 'podman',
    async start({ authority, shape, certificates }) {
      trust = certificates === undefined ? [] : ['--cert-dir', certificates]
      writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}')
      writeFileSync(env.CONTAINERS_CONF, '')
      writeFileSync(
        env.CONTAINERS_REGISTRIES_CONF,
        `[[registry]]
prefix = "docker.io"
location = "docker.io"
[[registry.mirror]]
location = "${authority}${shape === 'path' ? '/docker.io' : ''}"
insecure = ${certificates === undefined}
`,
      )
    },
    async pull(wanted) {
      const { architecture = 'amd64' } = wanted
      const reference = `docker.io/${referenceOf(wanted)}`
      const options = ['--signature-policy', policy, '--arch', architecture]
      pulling = startProcess(program, [...store, 'pull', ...trust, ...options, reference], { env })
      await finished(pulling, `podman pull ${reference}`)
      const [image] = JSON.parse(await command('image', 'inspect', reference)) as Inspected[]
      const digests = image?.RepoDigests.map(name => name.split('@')[1] ?? '') ?? []
      return { resolved: digests, holds: new Set([`sha256:${image?.Id}`]) }
    },
    async emptyStore() {
      await command('rmi', '--all', '--force')
    },
    async kill() {
      await pulling?.kill()
    },
    async revive() {},
    async stop() {},
  }
}

interface Inspected {
  readonly Id: string
  readonly RepoDigests: readonly string[]
}
