// containerd with ctr: `images push` of an index. It asks for no mount between two pushes of the
// same content, as dockerd does (docker.ts).
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { daemonConfig } from '../clients/containerd.ts'
import { twoPlatforms } from '../images.ts'
import { freshDirectory, runCommand, startProcess } from '../processes.ts'
import { goTool } from '../tools.ts'
import { publish, readWhole, type Scenario } from './scene.ts'

export const containerdPushes: Scenario = {
  name: 'containerd',
  async run(t, scene) {
    const { target } = scene
    const directory = freshDirectory('cd')
    const socket = join(directory, 's')
    writeFileSync(join(directory, 'config.toml'), daemonConfig(directory, socket))
    const daemon = startProcess(goTool('containerd'), ['-c', join(directory, 'config.toml')])
    t.teardown(() => daemon.stop())
    await daemon.line(line => line.includes('containerd successfully booted'))
    const images = (...args: string[]) =>
      runCommand(goTool('ctr'), ['-a', socket, 'images', ...args])

    const index = twoPlatforms({ seed: 'ctr', layerBytes: [30_000, 40_000] })
    const source = await publish(scene, index, { name: 'src/ctr', tag: 'v1' })
    await images('pull', '--plain-http', '--all-platforms', source)
    for (const name of ['one', 'two']) {
      const pushed = `${target}/localhost/ctr/${name}:v1`
      await images('tag', source, pushed)
      await images('push', '--plain-http', pushed)
      const whole = await readWhole(target, `localhost/ctr/${name}`, 'v1')
      t.equal(whole.digest, index.manifest.digest, `${name}: the index, every blob right`)
    }
    const back = `${target}/localhost/ctr/two:v1`
    await images('rm', '--sync', source, `${target}/localhost/ctr/one:v1`, back)
    await images('pull', '--plain-http', '--all-platforms', back)
    t.match(await images('ls', `name==${back}`), index.manifest.digest, 'pulled back')
  },
}
