// crane (go-containerregistry; kaniko and ko push the same way).
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { layeredImage, twoPlatforms } from '../images.ts'
import { freshDirectory, runCommand } from '../processes.ts'
import { goTool } from '../tools.ts'
import { publish, readWhole, type Scenario } from './scene.ts'

const crane = (...args: string[]) => runCommand(goTool('crane'), [...args, '--insecure'])

export const cranePushes: Scenario = {
  name: 'crane',
  async run(t, scene) {
    const { target } = scene
    const image = layeredImage({ seed: 'crane', layerBytes: [30_000, 40_000] })
    const index = twoPlatforms({ seed: 'crane-index', layerBytes: [20_000] })
    await publish(scene, image, { name: 'src/crane', tag: 'v1' })
    await publish(scene, index, { name: 'src/crane', tag: 'all' })
    const store = join(freshDirectory('cr'), 'o')

    await crane('pull', '--format=oci', `${scene.source}/src/crane:v1`, store)
    await crane('push', '--index=false', store, `${target}/localhost/crane/app:v1`)
    const pushed = await readWhole(target, 'localhost/crane/app', 'v1')
    t.equal(pushed.digest, image.manifest.digest, 'push: the same manifest, every blob right')

    await crane('copy', `${scene.source}/src/crane:all`, `${target}/localhost/crane/all:v1`)
    const copied = await readWhole(target, 'localhost/crane/all', 'v1')
    t.equal(copied.digest, index.manifest.digest, 'copy: an index with both platforms')
    await crane('validate', '--remote', `${target}/localhost/crane/all:v1`)

    await crane('copy', `${target}/localhost/crane/all:v1`, `${target}/localhost/crane/again:v1`)
    const again = await readWhole(target, 'localhost/crane/again', 'v1')
    t.equal(again.digest, index.manifest.digest, 'copy within the registry')

    await crane('tag', `${target}/localhost/crane/app:v1`, 'v2')
    const layer = join(freshDirectory('cr'), 'layer.tar')
    writeFileSync(layer, Buffer.alloc(10_240))
    await crane(
      'append',
      '-b',
      `${target}/localhost/crane/app:v2`,
      '-f',
      layer,
      '-t',
      `${target}/localhost/crane/app:v3`,
    )
    const tags = (await crane('ls', `${target}/localhost/crane/app`)).trim().split('\n')
    t.same(tags, ['v1', 'v2', 'v3'], 'tag and append: all tags are listed')
    await readWhole(target, 'localhost/crane/app', 'v3')
    await crane('delete', `${target}/localhost/crane/app@${image.manifest.digest}`)
    const left = (await crane('ls', `${target}/localhost/crane/app`)).trim().split('\n')
    t.same(left, ['v3'], 'delete: the manifest and the tags that pointed to it are gone')
  },
}
