// podman and buildah (containers/storage and containers/image, as in CRI-O).
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { layeredImage } from '../images.ts'
import { freshDirectory, runCommand } from '../processes.ts'
import { type PackagedTool, packagedTool } from '../tools.ts'
import { publish, readWhole, type Scenario } from './scene.ts'

export function containersIn(directory: string) {
  const env = {
    CONTAINERS_REGISTRIES_CONF: join(directory, 'registries.conf'),
    CONTAINERS_CONF: join(directory, 'containers.conf'),
    REGISTRY_AUTH_FILE: join(directory, 'auth.json'),
  }
  writeFileSync(env.CONTAINERS_REGISTRIES_CONF, '')
  writeFileSync(env.CONTAINERS_CONF, '')
  writeFileSync(env.REGISTRY_AUTH_FILE, '{}')
  const policy = join(directory, 'policy.json')
  writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}')
  const store = [
    ['--root', join(directory, 'r'), '--runroot', join(directory, 'p')],
    ['--storage-driver', 'vfs'],
  ].flat()
  const run = (tool: PackagedTool, extra: readonly string[]) => {
    return (...args: string[]) =>
      runCommand(packagedTool(tool), [...store, ...extra, ...args], { env })
  }
  return {
    policy: ['--signature-policy', policy],
    podman: run('podman', ['--cgroup-manager', 'cgroupfs', '--events-backend', 'none']),
    buildah: run('buildah', []),
  }
}

export const podmanPushes: Scenario = {
  name: 'podman',
  async run(t, scene) {
    const { target } = scene
    const { podman, policy } = containersIn(freshDirectory('pm'))
    const image = layeredImage({ seed: 'podman', layerBytes: [30_000, 40_000] })
    const source = await publish(scene, image, { name: 'src/podman', tag: 'v1' })
    const pull = (name: string) => podman('pull', '--tls-verify=false', ...policy, name)
    const push = (name: string) =>
      podman('push', '--tls-verify=false', ...policy, source, `${target}/${name}`)

    await pull(source)
    await push('localhost/podman/app:v1')
    await readWhole(target, 'localhost/podman/app', 'v1')
    await push('podman-app:v1')
    const one = await readWhole(target, 'podman-app', 'v1')
    t.ok(one.digests.has(image.config.digest), 'a name of one component: the same config')
    const id = await podman('image', 'inspect', '--format', '{{.Id}}', source)
    await podman('rmi', '--all', '--force')
    await pull(`${target}/localhost/podman/app:v1`)
    const back = `${target}/localhost/podman/app:v1`
    const again = await podman('image', 'inspect', '--format', '{{.Id}}', back)
    t.equal(again, id, 'pulled back: the same image')
  },
}

export const buildahPushes: Scenario = {
  name: 'buildah',
  async run(t, { target }) {
    const directory = freshDirectory('ba')
    const { buildah, policy } = containersIn(directory)
    const file = join(directory, 'file')
    writeFileSync(file, 'built here\n')
    const container = (await buildah('from', 'scratch')).trim()
    await buildah('copy', container, file, '/file')
    await buildah('commit', ...policy, container, 'built:v1')
    const name = `${target}/localhost/buildah/app:v1`
    await buildah('push', '--tls-verify=false', ...policy, 'built:v1', `docker://${name}`)
    await readWhole(target, 'localhost/buildah/app', 'v1')
    const inspect = (image: string) => buildah('inspect', '--format', '{{.FromImageID}}', image)
    const id = await inspect('localhost/built:v1')
    await buildah('rm', '--all')
    await buildah('rmi', '--all', '--force')
    await buildah('pull', '--tls-verify=false', ...policy, `docker://${name}`)
    t.equal(await inspect(name), id, 'pulled back: the same image')
  },
}
